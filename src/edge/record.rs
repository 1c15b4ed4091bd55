//! The one record of an object that keeps just that: where it is kept, whatever it holds.

use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::{Error, Result};

/// The storage of an object that keeps one record.
pub(super) trait Storage {
    /// The stored record, if there is one.
    fn read(&self) -> Result<Option<String>>;
    /// Stores the record.
    fn write(&self, record: String) -> Result<()>;
    /// Forgets the record.
    fn erase(&self) -> Result<()>;
}

/// The record. Only an absent one is none: one that cannot be read is an error.
pub(super) fn load<T: DeserializeOwned>(storage: &impl Storage) -> Result<Option<T>> {
    let Some(stored) = storage.read()? else { return Ok(None) };
    serde_json::from_str(&stored).map(Some).map_err(|error| Error::RustError(error.to_string()))
}

/// Stores the record.
pub(super) fn save(storage: &impl Storage, record: &impl Serialize) -> Result<()> {
    storage.write(serde_json::to_string(record)?)
}
