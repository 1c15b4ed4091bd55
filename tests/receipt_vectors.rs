//! The receipts of `tests/vectors/receipts.json`, which the checker for JavaScript is tested with, too.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stand outside of test functions"
)]

use serde_json::Value;
use tollgate::pay::eip712::{Hash32, SigningKey};
use tollgate::pay::receipt::{PinnedKey, ReceiptError, SignedReceipt, found};

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/receipts.json")).unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

fn pins(vectors: &Value) -> [PinnedKey; 2] {
    [text(vectors, "public_key").parse().unwrap(), text(vectors, "address").parse().unwrap()]
}

fn read(vector: &Value) -> Result<SignedReceipt, String> {
    found::read(&vector["signed"].to_string())
}

#[test]
fn what_holds_is_signed_in_these_bytes_and_no_others() {
    let vectors = vectors();
    let key = SigningKey::from_hex(text(&vectors, "private_key")).unwrap();
    let stranger: PinnedKey = text(&vectors, "stranger_public_key").parse().unwrap();
    for vector in vectors["valid"].as_array().unwrap() {
        let name = text(vector, "name");
        let signed = read(vector).unwrap();
        assert_eq!(signed.receipt.canonical(), text(vector, "canonical"), "{name}");
        assert_eq!(Hash32::new(signed.receipt.digest()).to_string(), text(vector, "digest"), "{name}");
        assert_eq!(signed.receipt.sign(&key), signed, "{name}");
        for pinned in pins(&vectors) {
            assert_eq!(signed.verify(&pinned), Ok(()), "{name}");
        }
        assert_eq!(signed.verify(&stranger), Err(ReceiptError::WrongSigner), "{name}");
    }
}

#[test]
fn what_does_not_hold_is_refused_for_its_reason() {
    let vectors = vectors();
    for vector in vectors["invalid"].as_array().unwrap() {
        for pinned in pins(&vectors) {
            let reason = match read(vector).map(|signed| signed.verify(&pinned)) {
                Err(_) => "malformed-receipt",
                Ok(Err(ReceiptError::MalformedSignature)) => "malformed-signature",
                Ok(Err(ReceiptError::WrongSigner)) => "wrong-signer",
                Ok(Err(ReceiptError::WrongPublicKey)) => "wrong-public-key",
                Ok(Ok(())) => "it holds",
            };
            assert_eq!(reason, text(vector, "reason"), "{}", text(vector, "name"));
        }
    }
}
