//! The name that a client gave a payment, in an object of its own: the place where one payment holds it.

use worker::Result;

use super::record::{self, Storage};
use crate::contract::Done;
use crate::pay::x402::payment_identifier::StoredHolder;

/// Whether that payment holds the name now: the first that asks does.
pub(super) fn claim(store: &impl Storage, payment: String) -> Result<bool> {
    if let Some(StoredHolder::HolderV1(holder)) = record::load(store)? {
        return Ok(holder == payment);
    }
    record::save(store, &StoredHolder::HolderV1(payment))?;
    Ok(true)
}

/// Lets go of the name, if that payment holds it.
pub(super) fn release(store: &impl Storage, payment: String) -> Result<Done> {
    if record::load(store)? == Some(StoredHolder::HolderV1(payment)) {
        store.erase()?;
    }
    Ok(Done)
}

/// Whether a stored record is the holder of a name.
pub(super) fn is_holder(stored: &str) -> bool {
    serde_json::from_str::<StoredHolder>(stored).is_ok()
}
