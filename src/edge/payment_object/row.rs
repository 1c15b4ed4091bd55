//! The one row of a payment's object.

use serde::Deserialize;
use worker::Result;

use super::PaymentObject;
use crate::contract::StoredChallenge;
use crate::edge::record::Storage;
use crate::edge::{payment_name, pledge};
use crate::limit::request::StoredRequest;
use crate::pay::purchase::StoredPurchase;

#[derive(Deserialize)]
struct Row {
    state: String,
}

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS payment (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL)";
const PUT: &str =
    "INSERT INTO payment (id, state) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state";

impl Storage for PaymentObject {
    fn read(&self) -> Result<Option<String>> {
        self.stored()
    }

    fn write(&self, record: String) -> Result<()> {
        self.put(record)
    }

    fn erase(&self) -> Result<()> {
        self.state.storage().sql().exec("DELETE FROM payment", None).map(|_| ())
    }
}

impl PaymentObject {
    pub(super) fn stored(&self) -> Result<Option<String>> {
        let sql = self.state.storage().sql();
        let tables = sql.exec(
            "SELECT name AS state FROM sqlite_master WHERE type = 'table' AND name = 'payment'",
            None,
        )?;
        if tables.to_array::<Row>()?.is_empty() {
            return Ok(None);
        }
        let rows: Vec<Row> = sql.exec("SELECT state FROM payment", None)?.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.state))
    }

    pub(super) fn put(&self, state: String) -> Result<()> {
        let sql = self.state.storage().sql();
        sql.exec(CREATE, None)?;
        sql.exec(PUT, vec![state.into()]).map(|_| ())
    }

    /// Brings what is stored into memory. A row that cannot be read is an error, never an unspent payment.
    pub(super) fn load(&self) -> Result<()> {
        if self.purchase.borrow().is_some() {
            return Ok(());
        }
        if let Some(state) = self.stored()? {
            let StoredPurchase::V1(purchase) = serde_json::from_str(&state)?;
            self.purchase.replace(Some(purchase));
        }
        Ok(())
    }
}

/// Whether what an object keeps is of no use any more when its alarm rings: a backend's request id or a payment's name that
/// was used so long ago, or a challenge or a nonce that nobody may answer now.
pub(super) fn may_be_forgotten(stored: &str) -> bool {
    serde_json::from_str::<StoredRequest>(stored).is_ok()
        || serde_json::from_str::<StoredChallenge>(stored).is_ok()
        || pledge::is_pledge(stored)
        || payment_name::is_holder(stored)
}
