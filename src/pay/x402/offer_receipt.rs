//! The extension `offer-receipt` of x402 v2: what is offered, and that it was paid, signed with our receipt key in EIP-712, so
//! that the official verifier accepts it.

use serde_json::{Map, Value, json};

use super::v2::requirements;
use crate::pay::eip712::{OfferStatement, ReceiptStatement, Signature};
use crate::pay::offer::{Offer, Resource};

/// The name of the extension.
pub const NAME: &str = "offer-receipt";
/// More offers than these are not signed: clients send back what they got, and a payment header has its limit.
const MAX_SIGNED_OFFERS: usize = 8;
/// Offers are good until a whole minute, so that one signature serves all answers about a resource until then.
const VALIDITY_STEP_SECONDS: u64 = 60;

/// The extension of a 402 at `now_seconds` (unix): the offers, each signed by `sign` over its digest.
#[must_use]
pub fn offers(
    offers: &[Offer],
    resource: &Resource,
    now_seconds: u64,
    mut sign: impl FnMut([u8; 32]) -> Signature,
) -> Value {
    let signed = offers.iter().take(MAX_SIGNED_OFFERS).enumerate().map(|(index, offer)| {
        let statement = statement(offer, resource, now_seconds);
        json!({
            "format": "eip712",
            "acceptIndex": index,
            "payload": statement.to_json(),
            "signature": sign(statement.digest()).in_wallet_style().to_string(),
        })
    });
    json!({ "info": { "offers": signed.collect::<Vec<_>>() }, "schema": offers_schema() })
}

fn statement(offer: &Offer, resource: &Resource, now_seconds: u64) -> OfferStatement {
    let requirements = requirements(offer);
    let end = now_seconds.saturating_add(offer.max_timeout_seconds);
    OfferStatement {
        resource_url: resource.url.clone(),
        scheme: text(&requirements, "scheme"),
        network: text(&requirements, "network"),
        asset: text(&requirements, "asset"),
        pay_to: text(&requirements, "payTo"),
        amount: text(&requirements, "amount"),
        valid_until: end.next_multiple_of(VALIDITY_STEP_SECONDS),
    }
}

fn text(requirements: &Map<String, Value>, member: &str) -> String {
    requirements.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The extension of a settled payment's answer.
#[must_use]
pub fn receipt(statement: &ReceiptStatement, sign: impl FnOnce([u8; 32]) -> Signature) -> Value {
    let receipt = json!({
        "format": "eip712",
        "payload": statement.to_json(),
        "signature": sign(statement.digest()).in_wallet_style().to_string(),
    });
    json!({ "info": { "receipt": receipt }, "schema": receipt_schema() })
}

fn offers_schema() -> Value {
    let texts = ["resourceUrl", "scheme", "network", "asset", "payTo", "amount"];
    let item = signed_schema(&texts, &["version", "validUntil"], &["acceptIndex"]);
    schema("offers", &json!({ "type": "array", "items": item }))
}

fn receipt_schema() -> Value {
    let texts = ["network", "resourceUrl", "payer", "transaction"];
    schema("receipt", &signed_schema(&texts, &["version", "issuedAt"], &[]))
}

fn schema(member: &str, of: &Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": { member: of },
        "required": [member],
    })
}

/// A signed statement of these texts and numbers, with numbers beside it that are not signed.
fn signed_schema(texts: &[&str], numbers: &[&str], beside: &[&str]) -> Value {
    let typed = |names: &[&str], kind: &str| -> Map<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), json!({ "type": kind }))).collect()
    };
    let mut members = typed(texts, "string");
    members.extend(typed(numbers, "integer"));
    let required: Vec<&str> = texts.iter().chain(numbers).copied().collect();
    let mut whole = typed(&["format", "signature"], "string");
    whole.extend(typed(beside, "integer"));
    let payload = json!({ "type": "object", "properties": members, "required": required });
    whole.insert("payload".to_owned(), payload);
    json!({ "type": "object", "properties": whole, "required": ["format", "signature"] })
}
