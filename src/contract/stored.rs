//! What the objects and KV store as it stands here.

use serde::{Deserialize, Serialize};

use crate::client::AccountId;
use crate::pay::receipt::SignedReceipt;
use crate::pay::x402::PaymentId;

/// A receipt and when it ends; how it is kept in KV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptReceipt {
    /// The receipt.
    pub signed: SignedReceipt,
    /// Unix seconds at which it ends, whatever KV still holds.
    pub expires_at: u64,
}

/// The account of a key, as the key's object stores it, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredKey {
    /// The first form.
    V1(AccountId),
}

/// The payment that answers a challenge of MPP, as the challenge's object stores it, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredChallenge {
    /// The first form.
    AnsweredV1(PaymentId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_answered_challenge_is_pinned() {
        let form = r#"{"answered_v1":"pay_abababababababababababababababab"}"#;
        let stored: StoredChallenge = serde_json::from_str(form).unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), form);
    }
}
