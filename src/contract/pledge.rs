//! A request that a wallet signed for, in place of a payment, and what became of it.

use serde::{Deserialize, Serialize};

use super::account::Attempt;
use crate::client::AccountId;
use crate::limit::decision::Decision;
use crate::pay::amount::Amount;

/// A request that a wallet signed for, in place of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The wallet's account.
    pub account: AccountId,
    /// The request.
    pub attempt: Attempt,
    /// What the wallet owes for it, in atomic units.
    pub amount: Amount,
    /// Unix seconds at which the receipt ends.
    pub receipt_expires_at: u64,
}

/// What became of a [`Promise`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
#[serde(rename_all = "snake_case")]
pub enum Pledged {
    /// The wallet's plan decided. The nonce is used if it let the request pass.
    Decided(Decision),
    /// The nonce was used before.
    Used,
    /// The owner gave the wallet no plan.
    Unregistered,
}
