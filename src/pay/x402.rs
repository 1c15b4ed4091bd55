//! x402: the payment a client presents, checked against what we sell, and the words we exchange with facilitators and payers.
//!
//! [`v1`] and [`v2`] hold the wire forms of each version. All of it is local and pure: whether money moves is a facilitator's answer
//! ([`facilitator`]), and what follows from that is decided in the payment machine.

mod exact;
pub mod facilitator;
mod header;
pub mod v1;
pub mod v2;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use exact::{MIN_REMAINING_SECONDS, PaymentRefused};
pub use header::{BadPayment, MAX_HEADER_BYTES};

use super::{
    eip712::{Address, TransferWithAuthorization},
    offer::Offer,
};

/// The version of x402 that a client spoke, and in which it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// `X-PAYMENT`.
    V1,
    /// `PAYMENT-SIGNATURE`.
    V2,
}

impl Version {
    /// The value of `x402Version`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
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

/// A payment that pays one of our offers if its signature is good and its money is there.
///
/// Made only by [`v1::check`] and [`v2::check`]; the authorization pays exactly the offer's amount to the offer's payee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    version: Version,
    offer: Offer,
    authorization: TransferWithAuthorization,
    signature: String,
    signer: Signer,
    payload: Value,
    requirements: Value,
}

impl Payment {
    /// The version the client spoke.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The offer it pays.
    #[must_use]
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The transfer that the payer signed.
    #[must_use]
    pub const fn authorization(&self) -> &TransferWithAuthorization {
        &self.authorization
    }

    /// Who pays. Claimed by the client where the signer is [`Signer::Unproven`], until a facilitator confirms it.
    #[must_use]
    pub const fn payer(&self) -> Address {
        self.authorization.from
    }

    /// The signature as it came; of a plain wallet 65 bytes in hexadecimal.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// Whether the signature was proven locally.
    #[must_use]
    pub const fn signer(&self) -> Signer {
        self.signer
    }

    /// The whole payment payload as the client sent it, for the facilitator.
    #[must_use]
    pub const fn payload(&self) -> &Value {
        &self.payload
    }

    /// Our requirements for it, in the form of its version; never the client's copy.
    #[must_use]
    pub const fn requirements(&self) -> &Value {
        &self.requirements
    }

    /// What the chain lets happen once, in one spelling whatever the version and encoding of the payment:
    /// `exact:eip155:84532:0x<asset>:0x<from>:0x<nonce>`, lower case.
    #[must_use]
    pub fn replay_identity(&self) -> String {
        let TransferWithAuthorization { from, nonce, .. } = &self.authorization;
        format!("exact:{}:{}:{from}:{nonce}", self.offer.network, self.offer.asset.address)
    }

    /// The id made from [`Payment::replay_identity`].
    #[must_use]
    pub fn id(&self) -> PaymentId {
        PaymentId::of(&self.replay_identity())
    }
}

/// The id of a payment: `pay_` and 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaymentId(String);

/// A text that is not a [`PaymentId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentIdError;

impl PaymentId {
    /// The id of the payment with this replay identity: the first 128 bits of its SHA-256.
    #[must_use]
    pub fn of(replay_identity: &str) -> Self {
        let digest = hex::encode(Sha256::digest(replay_identity));
        Self(digest.chars().take(32).fold(String::from("pay_"), |mut id, digit| {
            id.push(digit);
            id
        }))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PaymentId {
    type Err = PaymentIdError;

    fn from_str(text: &str) -> Result<Self, PaymentIdError> {
        let digits = text.strip_prefix("pay_").ok_or(PaymentIdError)?;
        let is_id = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { Ok(Self(text.to_owned())) } else { Err(PaymentIdError) }
    }
}

impl TryFrom<String> for PaymentId {
    type Error = PaymentIdError;

    fn try_from(text: String) -> Result<Self, PaymentIdError> {
        text.parse()
    }
}

impl From<PaymentId> for String {
    fn from(id: PaymentId) -> Self {
        id.0
    }
}

impl fmt::Display for PaymentIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be pay_ and 32 lower-case hexadecimal digits")
    }
}

impl std::error::Error for PaymentIdError {}

/// What we tell a payer about the settlement (`SettlementResponse`, x402 v2 §5.3; `X-PAYMENT-RESPONSE` in v1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettlementResponse {
    /// The money moved.
    Settled {
        /// The transaction that moved it; empty where it is credited without one (HTTP.md, "Doubt").
        transaction: String,
        /// Who paid.
        payer: Address,
    },
    /// It did not.
    Failed {
        /// The reason, as [`PaymentRefused::reason`] or a facilitator gave it.
        reason: String,
        /// Who tried to pay, where it is known.
        payer: Option<Address>,
    },
}

impl SettlementResponse {
    /// The flat wire form; `network` is spelt as the version spells it.
    fn to_json(&self, network: &str) -> Value {
        match self {
            Self::Settled { transaction, payer } => json!({
                "success": true, "transaction": transaction, "network": network, "payer": payer.checksummed(),
            }),
            Self::Failed { reason, payer: Some(payer) } => json!({
                "success": false, "errorReason": reason, "transaction": "", "network": network,
                "payer": payer.checksummed(),
            }),
            Self::Failed { reason, payer: None } => json!({
                "success": false, "errorReason": reason, "transaction": "", "network": network,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_id_has_one_spelling() {
        // printf exact:x | sha256sum
        let id = PaymentId::of("exact:x");
        assert_eq!(id.to_string(), "pay_66411222915479a44776e862e96b84f4");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        let upper = id.as_str().to_ascii_uppercase().replace("PAY_", "pay_");
        for text in ["", "pay_", &upper, &id.as_str()[4..], &format!("{id}0")] {
            assert_eq!(text.parse::<PaymentId>(), Err(PaymentIdError), "{text:?}");
        }
    }
}
