//! The extension `payment-identifier` of x402 v2: a client names its payment, so that it cannot send two by mistake.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Payment;
use crate::client::AccountId;

/// The name of the extension.
pub const NAME: &str = "payment-identifier";
/// The lengths that an id may have.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=128;

/// Whether clients may or must name their payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// They may.
    Optional,
    /// They must, in version 2.
    Required,
}

/// What is wrong with the name of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamingError {
    /// There is none, and there must be one.
    Missing,
    /// It is not 16 to 128 letters, digits, `-` and `_`.
    Malformed,
}

impl fmt::Display for NamingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "must name the payment: extensions[\"payment-identifier\"].info.id",
            Self::Malformed => {
                "has an extensions[\"payment-identifier\"].info.id that is not 16 to 128 letters, digits, - and _"
            }
        })
    }
}

impl std::error::Error for NamingError {}

impl Naming {
    /// The extension of a 402.
    #[must_use]
    pub fn declaration(self) -> Value {
        json!({
            "info": { "required": self == Self::Required },
            "schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {
                    "required": { "type": "boolean" },
                    "id": {
                        "type": "string", "minLength": LENGTHS.start(), "maxLength": LENGTHS.end(),
                        "pattern": "^[a-zA-Z0-9_-]+$",
                    },
                },
                "required": ["required"],
            },
        })
    }

    /// The name that a payment comes with.
    ///
    /// # Errors
    /// It has none and must have one, or one that is none.
    pub fn read(self, payment: &Payment) -> Result<Option<PaymentName>, NamingError> {
        if payment.version() != super::Version::V2 {
            return Ok(None);
        }
        let extension = payment.payload().get("extensions").and_then(|extensions| extensions.get(NAME));
        let id = extension.and_then(|extension| extension.get("info")).and_then(|info| info.get("id"));
        match (id, self) {
            (None | Some(Value::Null), Self::Optional) => Ok(None),
            (None | Some(Value::Null), Self::Required) => Err(NamingError::Missing),
            (Some(Value::String(id)), _) if is_name(id) => {
                Ok(Some(PaymentName { id: id.clone(), holder: holder(payment) }))
            }
            (Some(_), _) => Err(NamingError::Malformed),
        }
    }
}

fn is_name(id: &str) -> bool {
    LENGTHS.contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// The whole payment in compact JSON with sorted members, hashed: its encoding does not matter, all else does.
fn holder(payment: &Payment) -> String {
    hex::encode(Sha256::digest(payment.payload().to_string()))
}

/// The name that a client gave a payment, and which payment that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentName {
    id: String,
    holder: String,
}

impl PaymentName {
    /// The name of the object in which one payment of an account claims the id. Another account may use it too.
    #[must_use]
    pub fn object(&self, account: &AccountId) -> String {
        let digest = Sha256::digest(format!("{account}\n{}", self.id));
        format!("name:{}", hex::encode(digest))
    }

    /// What holds the id: the payment, to its last member.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }
}

/// Which payment holds an id, as it is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredHolder {
    /// The first form.
    HolderV1(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_pinned() {
        let holder = StoredHolder::HolderV1("ab".to_owned());
        assert_eq!(serde_json::to_string(&holder).unwrap(), r#"{"holder_v1":"ab"}"#);
        assert_eq!(serde_json::from_str::<StoredHolder>(r#"{"holder_v1":"ab"}"#).unwrap(), holder);
    }
}
