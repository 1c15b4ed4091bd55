//! The wire forms of x402 v2: `PAYMENT-REQUIRED`, `PAYMENT-SIGNATURE`, `PAYMENT-RESPONSE` (x402 v2 §5 and its HTTP transport).

use serde_json::{Map, Value, json};

use super::{
    BadPayment, Payment, PaymentRefused, SettlementResponse, Version,
    exact::{SCHEME, SignedTransfer},
    header,
};
use crate::pay::{
    network::Network,
    offer::{Offer, Resource},
};

/// A payment header that was read and not yet checked: nothing in it is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    accepted: Map<String, Value>,
    payload: Map<String, Value>,
    raw: Value,
}

/// What a challenge says beside the offers: extensions by their names (x402 v2 §5.1, `extensions`).
pub type Extensions = Map<String, Value>;

/// The JSON of `PaymentRequired`: what is for sale (x402 v2 §5.1). `error` is for people.
#[must_use]
pub fn payment_required(
    offers: &[Offer],
    resource: &Resource,
    error: &str,
    extensions: &Extensions,
) -> String {
    challenge(offers, resource, error, extensions).to_string()
}

/// The value of the header `PAYMENT-REQUIRED`.
#[must_use]
pub fn payment_required_header(
    offers: &[Offer],
    resource: &Resource,
    error: &str,
    extensions: &Extensions,
) -> String {
    header::encode(&challenge(offers, resource, error, extensions))
}

fn challenge(offers: &[Offer], resource: &Resource, error: &str, extensions: &Extensions) -> Value {
    json!({
        "x402Version": Version::V2.number(),
        "error": error,
        "resource": {
            "url": resource.url,
            "description": resource.description,
            "mimeType": resource.mime_type,
        },
        "accepts": offers.iter().map(requirements).map(Value::Object).collect::<Vec<_>>(),
        "extensions": extensions,
    })
}

/// `PaymentRequirements` of an offer (x402 v2 §5.1.2). Addresses carry their checksum.
fn requirements(offer: &Offer) -> Map<String, Value> {
    let members = [
        ("scheme", json!(SCHEME)),
        ("network", json!(offer.network.caip2())),
        ("amount", json!(offer.amount.to_string())),
        ("asset", json!(offer.asset.address.checksummed())),
        ("payTo", json!(offer.pay_to.checksummed())),
        ("maxTimeoutSeconds", json!(offer.max_timeout_seconds)),
        // We settle before the origin is called, so the flow is not the default one.
        (
            "extra",
            json!({"name": offer.asset.name, "version": offer.asset.version, "paymentFlow": "upfront"}),
        ),
    ];
    members.into_iter().map(|(member, value)| (member.to_owned(), value)).collect()
}

/// Reads the header `PAYMENT-SIGNATURE`.
///
/// # Errors
/// The header is too long, badly encoded, or not a payment payload of version 2.
pub fn decode(header_value: &str) -> Result<Presented, BadPayment> {
    let object = header::decode(header_value, Version::V2)?;
    Ok(Presented {
        accepted: header::object(&object, "accepted")?,
        payload: header::object(&object, "payload")?,
        raw: Value::Object(object),
    })
}

/// Checks a payment against our offers for the resource it came for, at `now_seconds` (unix).
///
/// # Errors
/// What it accepts is none of the offers, or its authorization does not pay that offer.
pub fn check(presented: &Presented, offers: &[Offer], now_seconds: u64) -> Result<Payment, PaymentRefused> {
    let (offer, requirements) = offers
        .iter()
        .map(|offer| (offer, requirements(offer)))
        .find(|(_, ours)| is_unchanged(&presented.accepted, ours))
        .ok_or(PaymentRefused::NoMatchingRequirements)?;
    let transfer = SignedTransfer::read(&presented.payload)?;
    let signer = transfer.check(offer, now_seconds)?;
    Ok(Payment {
        version: Version::V2,
        offer: offer.clone(),
        authorization: transfer.authorization,
        signature: transfer.signature,
        signer,
        payload: presented.raw.clone(),
        requirements: Value::Object(requirements),
    })
}

/// Whether the client accepted our requirements to the last field. It may add members to `extra` and spell addresses in any case.
fn is_unchanged(theirs: &Map<String, Value>, ours: &Map<String, Value>) -> bool {
    theirs.len() == ours.len()
        && ours
            .iter()
            .all(|(member, our)| theirs.get(member).is_some_and(|their| is_same(member, their, our)))
}

fn is_same(member: &str, theirs: &Value, ours: &Value) -> bool {
    match (member, theirs, ours) {
        ("asset" | "payTo", Value::String(theirs), Value::String(ours)) => theirs.eq_ignore_ascii_case(ours),
        ("extra", Value::Object(theirs), Value::Object(ours)) => {
            ours.iter().all(|(member, our)| theirs.get(member) == Some(our))
        }
        _ => theirs == ours,
    }
}

/// The value of the header `PAYMENT-RESPONSE`.
#[must_use]
pub fn payment_response_header(response: &SettlementResponse, network: &Network) -> String {
    header::encode(&response.to_json(&network.caip2()))
}
