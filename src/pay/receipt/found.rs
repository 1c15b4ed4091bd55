//! A signed receipt as somebody was given it: the JSON that `/receipts/{id}` answers, or the value of `X-402-Receipt`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{Receipt, SignedReceipt};

/// What `/receipts/{id}` answers: a signed receipt, and that it is kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    receipt: Receipt,
    signature: String,
    server_public_key: String,
    #[serde(default, rename = "status")]
    _status: Option<String>,
}

/// Reads a signed receipt, as JSON or as base64 of JSON.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str) -> Result<SignedReceipt, String> {
    let text = text.trim();
    let decoded = if text.starts_with('{') { text.as_bytes().to_vec() } else { decode(text)? };
    let found: Found =
        serde_json::from_slice(&decoded).map_err(|error| format!("is no signed receipt: {error}"))?;
    let Found { receipt, signature, server_public_key, _status } = found;
    Ok(SignedReceipt { receipt, signature, server_public_key })
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|_| "is neither JSON nor the base64 of the header X-402-Receipt".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pay::eip712::SigningKey;
    use crate::pay::receipt::{PaymentRecord, ServiceRecord};

    fn signed() -> SignedReceipt {
        let payment = PaymentRecord {
            payer: "0x1".into(),
            recipient: "0x2".into(),
            amount: "1".into(),
            token: "USDC".into(),
            chain_id: 1,
            nonce: "n".into(),
            settlement: None,
        };
        let service =
            ServiceRecord { endpoint: "*".into(), request_hash: "a".into(), response_hash: "b".into() };
        let receipt = Receipt { id: "rcpt_1".into(), timestamp: "t".into(), payment, service };
        receipt.sign(&SigningKey::from_hex(&"01".repeat(32)).unwrap())
    }

    #[test]
    fn a_receipt_is_read_in_each_form_that_a_gate_gives_it() {
        let json = serde_json::to_string(&signed()).unwrap();
        let kept = json.replacen('{', "{\"status\":\"valid\",", 1);
        for text in [json.clone(), format!("{kept}\n"), STANDARD.encode(&json)] {
            assert_eq!(read(&text), Ok(signed()), "{text}");
        }
    }

    #[test]
    fn what_is_no_receipt_is_said() {
        let json = serde_json::to_string(&signed()).unwrap();
        for (text, said) in [
            ("<html>".to_owned(), "is neither JSON nor the base64 of the header X-402-Receipt"),
            ("{}".to_owned(), "is no signed receipt: missing field `receipt`"),
            (json.replacen('{', "{\"note\":1,", 1), "is no signed receipt: unknown field `note`"),
            (json.replacen("1.0", "1.1", 1), "is no signed receipt: version 1.1 has a method"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
