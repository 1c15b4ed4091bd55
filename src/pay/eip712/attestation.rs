//! What a server signs about what it sells: the offers and receipts of x402's extension `offer-receipt`, in EIP-712.

use serde_json::{Value, json};

use super::{hash_struct, keccak256, typed_digest, word};

const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId)";
const OFFER_TYPE: &[u8] = b"Offer(uint256 version,string resourceUrl,string scheme,string network,string asset,string payTo,string amount,uint256 validUntil)";
const RECEIPT_TYPE: &[u8] = b"Receipt(uint256 version,string network,string resourceUrl,string payer,uint256 issuedAt,string transaction)";
/// The version of both messages.
const VERSION: u64 = 1;

/// What is for sale, as a server stands by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OfferStatement {
    /// The resource's URL.
    pub resource_url: String,
    /// The scheme.
    pub scheme: String,
    /// CAIP-2.
    pub network: String,
    /// The token.
    pub asset: String,
    /// Who is paid.
    pub pay_to: String,
    /// Atomic units.
    pub amount: String,
    /// Unix seconds.
    pub valid_until: u64,
}

/// What was paid for, as a server stands by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptStatement {
    /// CAIP-2.
    pub network: String,
    /// The resource's URL.
    pub resource_url: String,
    /// Who paid.
    pub payer: String,
    /// Unix seconds.
    pub issued_at: u64,
    /// The transaction; empty where none is known.
    pub transaction: String,
}

impl OfferStatement {
    /// The statement in JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "resourceUrl": self.resource_url,
            "scheme": self.scheme,
            "network": self.network,
            "asset": self.asset,
            "payTo": self.pay_to,
            "amount": self.amount,
            "validUntil": self.valid_until,
        })
    }

    /// What is signed.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let members = [
            number(VERSION),
            text(&self.resource_url),
            text(&self.scheme),
            text(&self.network),
            text(&self.asset),
            text(&self.pay_to),
            text(&self.amount),
            number(self.valid_until),
        ];
        typed_digest(domain("x402 offer"), hash_struct(OFFER_TYPE, &members))
    }
}

impl ReceiptStatement {
    /// The statement in JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "network": self.network,
            "resourceUrl": self.resource_url,
            "payer": self.payer,
            "issuedAt": self.issued_at,
            "transaction": self.transaction,
        })
    }

    /// What is signed.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let members = [
            number(VERSION),
            text(&self.network),
            text(&self.resource_url),
            text(&self.payer),
            number(self.issued_at),
            text(&self.transaction),
        ];
        typed_digest(domain("x402 receipt"), hash_struct(RECEIPT_TYPE, &members))
    }
}

/// The domain is the same on every chain: it names chain 1, and no contract.
fn domain(name: &str) -> [u8; 32] {
    let members = [keccak256(name.as_bytes()), keccak256(b"1"), number(1)];
    hash_struct(DOMAIN_TYPE, &members)
}

fn text(text: &str) -> [u8; 32] {
    keccak256(text.as_bytes())
}

fn number(number: u64) -> [u8; 32] {
    word(&number.to_be_bytes())
}
