//! x402: the payment a client presents, checked against what we sell, and the words we exchange with facilitators and payers.
//!
//! [`v1`] and [`v2`] hold the wire forms of each version. All of it is local and pure: whether money moves is a facilitator's answer
//! ([`facilitator`]), and what follows from that is decided in the payment machine.

mod exact;
pub mod facilitator;
mod header;
mod means;
mod moment;
pub mod offer_receipt;
mod payment;
mod payment_id;
pub mod payment_identifier;
mod permit2;
pub mod v1;
pub mod v2;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use exact::{MIN_REMAINING_SECONDS, PaymentRefused};
pub use header::{BadPayment, MAX_HEADER_BYTES};
pub use means::Means;
pub use moment::Moment;
pub use payment::Payment;
pub use payment_id::{PaymentId, PaymentIdError};

/// The wire form that a client spoke, and in which it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// `X-PAYMENT`.
    V1,
    /// `PAYMENT-SIGNATURE`.
    V2,
    /// `Authorization: Payment`, MPP's `evm` / `charge`; towards the facilitator it is version 2.
    Mpp,
}

impl Version {
    /// The value of `x402Version`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 | Self::Mpp => 2,
        }
    }

    /// The protocol, as receipts and the ledger name it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 => "x402",
            Self::Mpp => "mpp",
        }
    }
}

/// What a local look at the signature showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signer {
    /// 65 bytes with low `s` and `v` 27 or 28 that recover to the payer: a plain wallet signed this.
    Proven,
    /// Anything else. It may be a contract wallet's signature (EIP-1271, ERC-6492), so only a facilitator can tell.
    Unproven,
}

/// What we tell a payer about the settlement (`SettlementResponse`, x402 v2 §5.3; `X-PAYMENT-RESPONSE` in v1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettlementResponse {
    /// The money moved.
    Settled {
        /// The transaction that moved it; empty where it is credited without one (HTTP.md, "Doubt").
        transaction: String,
        /// Who paid; empty where that is not known.
        payer: String,
    },
    /// It did not.
    Failed {
        /// The reason, as [`PaymentRefused::reason`] or a facilitator gave it.
        reason: String,
        /// Who tried to pay, where it is known.
        payer: Option<String>,
    },
}

impl SettlementResponse {
    /// The flat wire form; `network` is spelt as the version spells it.
    fn to_json(&self, network: &str) -> Value {
        match self {
            Self::Settled { transaction, payer } => json!({
                "success": true, "transaction": transaction, "network": network, "payer": payer,
            }),
            Self::Failed { reason, payer: Some(payer) } => json!({
                "success": false, "errorReason": reason, "transaction": "", "network": network,
                "payer": payer,
            }),
            Self::Failed { reason, payer: None } => json!({
                "success": false, "errorReason": reason, "transaction": "", "network": network,
            }),
        }
    }
}
