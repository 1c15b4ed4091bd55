//! A payment that passes every local check, for tests of what becomes of it: vector V1 of the x402 specification.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside of test functions")]

pub(crate) mod faults;

use std::sync::OnceLock;

use serde_json::{Value, json};
use tollgate::contract::receipt_id;
use tollgate::endpoint::EndpointName;
use tollgate::limit::allowance::BUCKET;
use tollgate::limit::decision::Grant;
use tollgate::limit::tokens::Tokens;
use tollgate::pay::amount::Amount;
use tollgate::pay::eip712::SigningKey;
use tollgate::pay::network::{Network, known_asset};
use tollgate::pay::offer::{EvmTender, Flow, Offer, Tender, TransferMethod};
use tollgate::pay::purchase::{Purchase, Service, Settlement};
use tollgate::pay::receipt::{Receipt, SignedReceipt, sha256_label};
use tollgate::pay::x402::{Payment, v2};
use tollgate::time::Millis;

/// A second within the authorization's time, which ends at 1740672154.
const NOW_SECONDS: u64 = 1_740_672_100;

fn offer() -> Offer {
    let network = Network::parse("base-sepolia").unwrap();
    Offer {
        tender: Tender::Evm(EvmTender {
            network,
            asset: known_asset(&network, "USDC").unwrap(),
            pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap(),
            transfer_method: TransferMethod::Eip3009,
        }),
        amount: Amount::new(10_000),
        max_timeout_seconds: 60,
        flow: Flow::Upfront,
    }
}

/// The payment.
pub(crate) fn payment() -> Payment {
    static PAYMENT: OnceLock<Payment> = OnceLock::new();
    PAYMENT.get_or_init(|| checked(None)).clone()
}

/// The same payment with these extensions.
#[allow(dead_code, reason = "not every test needs it")]
pub(crate) fn payment_with(extensions: &Value) -> Payment {
    checked(Some(extensions))
}

fn checked(extensions: Option<&Value>) -> Payment {
    let accepted = json!({
        "scheme": "exact", "network": "eip155:84532", "amount": "10000",
        "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "maxTimeoutSeconds": 60,
        "extra": { "name": "USDC", "version": "2", "paymentFlow": "upfront" },
    });
    let payload = json!({
        "signature": "0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c",
        "authorization": {
            "from": "0x857b06519E91e3A54538791bDbb0E22373e36b66", "to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            "value": "10000", "validAfter": "1740672089", "validBefore": "1740672154",
            "nonce": "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480",
        },
    });
    let mut whole = json!({ "x402Version": 2, "accepted": accepted, "payload": payload });
    if let Some(extensions) = extensions {
        whole.as_object_mut().unwrap().insert("extensions".to_owned(), extensions.clone());
    }
    let header = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, whole.to_string());
    v2::check(&v2::decode(&header).unwrap(), &[offer()], NOW_SECONDS).unwrap()
}

fn service() -> Service {
    Service { path: "/cpu".to_owned(), request_hash: sha256_label(b"") }
}

/// A purchase of four tokens with it.
pub(crate) fn purchase(now: Millis) -> Purchase {
    let id = receipt_id(&payment().id(), "0123456789abcdef");
    let grant = Grant { limit: BUCKET.to_owned(), quantity: Tokens::whole(4) };
    let goods = (EndpointName::new("GET /cpu"), vec![grant]);
    Purchase::new(payment(), "ip:203.0.113.7".parse().unwrap(), goods, service(), id, now)
}

/// A receipt of it.
pub(crate) fn receipt() -> SignedReceipt {
    static RECEIPT: OnceLock<SignedReceipt> = OnceLock::new();
    RECEIPT.get_or_init(signed).clone()
}

fn signed() -> SignedReceipt {
    let key = SigningKey::from_hex(&"01".repeat(32)).unwrap();
    let settlement =
        Settlement { transaction: "0x07".to_owned(), confirmed: true, at: Millis::new(0), payer: None };
    let id = receipt_id(&payment().id(), "0123456789abcdef");
    Receipt::of_payment(&payment(), &settlement, &id, &service(), sha256_label(b"")).sign(&key)
}
