//! Receipts: what was paid for and answered, signed so that anybody can check it with our pinned key.
//!
//! Version 1.1 says how the money moved; version 1.0 does not, and is still read. Signed is keccak256 of the canonical JSON, and a
//! receipt that was read is checked over its canonical form again, so that what is shown is what was signed.

pub mod found;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::eip712::{Address, PublicKey, Signature, SigningKey, keccak256, recover_public_key};

/// A receipt (HTTP.md, "Receipt"). Its texts stand as they were written; the signature covers them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireReceipt", into = "WireReceipt")]
pub struct Receipt {
    /// `rcpt_` and hexadecimal digits.
    pub id: String,
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// What was paid.
    pub payment: PaymentRecord,
    /// What for.
    pub service: ServiceRecord,
}

/// The payment of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Who paid.
    pub payer: String,
    /// Who was paid.
    pub recipient: String,
    /// How much, in whole tokens.
    pub amount: String,
    /// The symbol of the token.
    pub token: String,
    /// The chain (EIP-155).
    pub chain_id: u64,
    /// The nonce that the payer signed.
    pub nonce: String,
    /// How the money moved. Its presence is what makes the version 1.1; receipts of 1.0 have none.
    pub settlement: Option<SettlementRecord>,
}

/// How the money of a receipt moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementRecord {
    /// `x402`, `mpp` or `signed-context`.
    pub method: String,
    /// CAIP-2.
    pub network: String,
    /// The hash of the transaction; empty where none is known.
    pub transaction: String,
}

/// The service of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRecord {
    /// The endpoint.
    pub endpoint: String,
    /// Of the raw body of the request, as [`sha256_label`] writes it.
    pub request_hash: String,
    /// Of the raw body of the answer, likewise.
    pub response_hash: String,
}

const VERSION_1_0: &str = "1.0";
const VERSION_1_1: &str = "1.1";

impl Receipt {
    /// The version that this receipt is of.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        if self.payment.settlement.is_some() { VERSION_1_1 } else { VERSION_1_0 }
    }

    /// The bytes that are signed: compact JSON in the field order of the contract.
    #[must_use]
    pub fn canonical(&self) -> String {
        let Self { id, timestamp, payment, service } = self;
        format!(
            r#"{{"id":{},"version":{},"timestamp":{},"payment":{},"service":{{"endpoint":{},"request_hash":{},"response_hash":{}}}}}"#,
            quoted(id),
            quoted(self.version()),
            quoted(timestamp),
            payment.canonical(),
            quoted(&service.endpoint),
            quoted(&service.request_hash),
            quoted(&service.response_hash),
        )
    }

    /// What is signed.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        keccak256(self.canonical().as_bytes())
    }

    /// The receipt, signed.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> SignedReceipt {
        SignedReceipt {
            receipt: self.clone(),
            signature: key.sign_digest(self.digest()).to_string(),
            server_public_key: key.public_key_hex(),
        }
    }
}

impl PaymentRecord {
    fn canonical(&self) -> String {
        let settlement = self.settlement.as_ref().map_or_else(String::new, |settlement| {
            format!(
                r#","method":{},"network":{},"transaction":{}"#,
                quoted(&settlement.method),
                quoted(&settlement.network),
                quoted(&settlement.transaction),
            )
        });
        format!(
            r#"{{"payer":{},"recipient":{},"amount":{},"token":{},"chainId":{},"nonce":{}{settlement}}}"#,
            quoted(&self.payer),
            quoted(&self.recipient),
            quoted(&self.amount),
            quoted(&self.token),
            self.chain_id,
            quoted(&self.nonce),
        )
    }
}

/// A JSON string, escaped where JSON requires it and nowhere else.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A receipt with its signature, as it is sent and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedReceipt {
    /// What is signed.
    pub receipt: Receipt,
    /// `0x` and r ‖ s ‖ v in hexadecimal, v 0 or 1.
    pub signature: String,
    /// The key it says it is signed with (`0x04…`). Never trusted: see [`SignedReceipt::verify`].
    pub server_public_key: String,
}

/// The key that the owner of a checker trusts, from elsewhere than the receipt. Text form: `0x04…` (uncompressed) or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinnedKey {
    /// The key.
    PublicKey(PublicKey),
    /// Its address.
    Address(Address),
}

/// Why a signed receipt proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptError {
    /// The signature is not 65 bytes in lower-case hexadecimal with low `s` and `v` 0 or 1.
    MalformedSignature,
    /// Some other key signed, or something else than this was signed.
    WrongSigner,
    /// The pinned key signed, and the receipt names another key as the signer.
    WrongPublicKey,
}

impl SignedReceipt {
    /// Checks that the pinned key signed exactly this receipt.
    ///
    /// # Errors
    /// It did not, or the signature or the named key is not in its one form.
    pub fn verify(&self, pinned: &PinnedKey) -> Result<(), ReceiptError> {
        let signature: Signature = self.signature.parse().map_err(|_| ReceiptError::MalformedSignature)?;
        let is_canonical =
            signature.is_low_s() && matches!(signature.v(), 0 | 1) && signature.to_string() == self.signature;
        if !is_canonical {
            return Err(ReceiptError::MalformedSignature);
        }
        let signer =
            recover_public_key(self.receipt.digest(), &signature).ok_or(ReceiptError::WrongSigner)?;
        let is_pinned = match pinned {
            PinnedKey::PublicKey(key) => signer == *key,
            PinnedKey::Address(address) => signer.address() == *address,
        };
        if !is_pinned {
            return Err(ReceiptError::WrongSigner);
        }
        if self.server_public_key == signer.to_string() { Ok(()) } else { Err(ReceiptError::WrongPublicKey) }
    }
}

/// A text that is no [`PinnedKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinnedKeyError;

impl FromStr for PinnedKey {
    type Err = PinnedKeyError;

    fn from_str(text: &str) -> Result<Self, PinnedKeyError> {
        let key = text.parse().map(Self::PublicKey).ok();
        key.or_else(|| Address::parse_checked(text).map(Self::Address).ok()).ok_or(PinnedKeyError)
    }
}

impl fmt::Display for PinnedKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a public key (0x04 and 128 hexadecimal digits) or an address (0x and 40)")
    }
}

impl std::error::Error for PinnedKeyError {}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MalformedSignature => "the signature is not in its canonical form",
            Self::WrongSigner => "the receipt was not signed by the pinned key, or was changed afterwards",
            Self::WrongPublicKey => "the receipt names another key than the one that signed it",
        })
    }
}

impl std::error::Error for ReceiptError {}

/// `sha256:` and the hash of these bytes in hexadecimal.
#[must_use]
pub fn sha256_label(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The flat form of a [`Receipt`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireReceipt {
    id: String,
    version: String,
    timestamp: String,
    payment: WirePayment,
    service: ServiceRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WirePayment {
    payer: String,
    recipient: String,
    amount: String,
    token: String,
    chain_id: u64,
    nonce: String,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
}

/// A member may be absent, but `null` is no text: it would be shown and not signed.
fn not_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl TryFrom<WireReceipt> for Receipt {
    type Error = &'static str;

    fn try_from(wire: WireReceipt) -> Result<Self, Self::Error> {
        let WirePayment { payer, recipient, amount, token, chain_id, nonce, method, network, transaction } =
            wire.payment;
        let settlement = match (wire.version.as_str(), method, network, transaction) {
            (VERSION_1_0, None, None, None) => None,
            (VERSION_1_1, Some(method), Some(network), Some(transaction)) => {
                Some(SettlementRecord { method, network, transaction })
            }
            (VERSION_1_0, ..) => return Err("version 1.0 has no method, network and transaction"),
            (VERSION_1_1, ..) => return Err("version 1.1 has a method, a network and a transaction"),
            _ => return Err("the version must be 1.0 or 1.1"),
        };
        let payment = PaymentRecord { payer, recipient, amount, token, chain_id, nonce, settlement };
        Ok(Self { id: wire.id, timestamp: wire.timestamp, payment, service: wire.service })
    }
}

impl From<Receipt> for WireReceipt {
    fn from(receipt: Receipt) -> Self {
        let version = receipt.version().to_owned();
        let PaymentRecord { payer, recipient, amount, token, chain_id, nonce, settlement } = receipt.payment;
        let (method, network, transaction) = settlement
            .map(|settlement| (settlement.method, settlement.network, settlement.transaction))
            .map_or((None, None, None), |(m, n, t)| (Some(m), Some(n), Some(t)));
        let payment =
            WirePayment { payer, recipient, amount, token, chain_id, nonce, method, network, transaction };
        Self { id: receipt.id, version, timestamp: receipt.timestamp, payment, service: receipt.service }
    }
}
