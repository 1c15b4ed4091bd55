//! A block of prepaid credits.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::limit::tokens::Tokens;
use crate::pay::x402::PaymentId;
use crate::time::Millis;

/// The id of a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockId(String);

impl BlockId {
    /// An id of these hexadecimal digits, which must never have been used in the account.
    #[must_use]
    pub fn new(digits: &str) -> Self {
        Self(format!("blk_{digits}"))
    }

    /// The id of the block that a payment bought.
    #[must_use]
    pub fn of_payment(payment: &PaymentId) -> Self {
        Self::new(payment.as_str().trim_start_matches("pay_"))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prepaid credits.
///
/// Invariant: `remaining` is at most `amount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Its id.
    pub id: BlockId,
    /// How many credits were granted.
    pub amount: Tokens,
    /// How many are left.
    pub remaining: Tokens,
    /// When what is left of it is worth nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// When it was granted.
    pub created_at: Millis,
    /// Whatever the owner noted with it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metadata: Value,
}

impl Block {
    pub(in crate::limit) fn is_good(&self, now: Millis) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// The block as the owner and who bought it see it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "amount": self.amount.to_string(),
            "remaining": self.remaining.to_string(),
            "expires_at": self.expires_at.map(Millis::rfc3339),
            "created_at": self.created_at.rfc3339(),
            "metadata": self.metadata,
        })
    }

    pub(super) fn is_finished(&self, now: Millis) -> bool {
        self.remaining == Tokens::ZERO || !self.is_good(now)
    }
}
