//! The wire forms of x402 v2: `PAYMENT-REQUIRED`, `PAYMENT-SIGNATURE`, `PAYMENT-RESPONSE` (x402 v2 §5 and its HTTP transport).

use serde_json::{Map, Value, json};

use super::{
    BadPayment, Moment, Payment, PaymentRefused, SettlementResponse, Version, exact::SCHEME, header,
};
use crate::pay::offer::{EvmTender, Flow, Offer, Resource, Tender, TransferMethod};

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
#[must_use]
pub fn requirements(offer: &Offer) -> Map<String, Value> {
    let (scheme, asset, extra) = match &offer.tender {
        Tender::Evm(tender) => (SCHEME, tender.asset.address.checksummed(), evm_extra(tender, offer.flow)),
        Tender::Opaque(tender) => {
            (tender.scheme.as_str(), tender.asset.clone(), Value::Object(tender.extra.clone()))
        }
    };
    let members = [
        ("scheme", json!(scheme)),
        ("network", json!(offer.tender.caip2())),
        ("amount", json!(offer.amount.to_string())),
        ("asset", json!(asset)),
        ("payTo", json!(offer.tender.payee())),
        ("maxTimeoutSeconds", json!(offer.max_timeout_seconds)),
        ("extra", extra),
    ];
    members.into_iter().map(|(member, value)| (member.to_owned(), value)).collect()
}

fn evm_extra(tender: &EvmTender, flow: Flow) -> Value {
    let members = [
        Some(("name", tender.asset.name.as_str())),
        Some(("version", tender.asset.version.as_str())),
        // A flow that is not the protocol's default is named.
        (flow == Flow::Upfront).then_some(("paymentFlow", "upfront")),
        (tender.transfer_method == TransferMethod::Permit2).then_some(("assetTransferMethod", "permit2")),
    ];
    members.into_iter().flatten().map(|(member, value)| (member.to_owned(), json!(value))).collect()
}

/// Reads the header `PAYMENT-REQUIRED`, as a payer does.
///
/// # Errors
/// The header is too long, badly encoded, or of another version.
pub fn decode_required(header_value: &str) -> Result<Map<String, Value>, BadPayment> {
    header::decode(header_value, Version::V2)
}

/// The value of the header `PAYMENT-SIGNATURE`, as a payer sends it: these members, and the version.
#[must_use]
pub fn payment_signature_header(mut members: Map<String, Value>) -> String {
    members.insert("x402Version".to_owned(), Version::V2.number().into());
    header::encode(&Value::Object(members))
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

/// Checks a payment against our offers for the resource it came for, at that moment (or unix second).
///
/// # Errors
/// What it accepts is none of the offers, or its authorization does not pay that offer.
pub fn check(
    presented: &Presented,
    offers: &[Offer],
    moment: impl Into<Moment>,
) -> Result<Payment, PaymentRefused> {
    let (offer, requirements) = offers
        .iter()
        .map(|offer| (offer, requirements(offer)))
        .find(|(offer, ours)| is_unchanged(&presented.accepted, ours, offer.tender.evm().is_some()))
        .ok_or(PaymentRefused::NoMatchingRequirements)?;
    let sold = (offer, Value::Object(requirements));
    Payment::read(Version::V2, sold, &presented.payload, &presented.raw, moment.into())
}

/// The payment of one of our offers by a payload that came in another wire form (MPP), at `now_seconds` (unix).
///
/// # Errors
/// The payload does not pay the offer.
pub fn converted(
    offer: &Offer,
    payload: &Map<String, Value>,
    now_seconds: u64,
) -> Result<Payment, PaymentRefused> {
    let requirements = Value::Object(requirements(offer));
    let whole = json!({ "x402Version": Version::V2.number(), "accepted": requirements, "payload": payload });
    Payment::read(Version::Mpp, (offer, requirements), payload, &whole, now_seconds.into())
}

/// Whether the client accepted our requirements to the last field. It may add members to `extra` and, where addresses are
/// hexadecimal, spell them in any case.
fn is_unchanged(theirs: &Map<String, Value>, ours: &Map<String, Value>, any_case: bool) -> bool {
    theirs.len() == ours.len()
        && ours.iter().all(|(member, our)| {
            theirs.get(member).is_some_and(|their| is_same(member, their, our, any_case))
        })
}

fn is_same(member: &str, theirs: &Value, ours: &Value, any_case: bool) -> bool {
    match (member, theirs, ours) {
        ("asset" | "payTo", Value::String(theirs), Value::String(ours)) if any_case => {
            theirs.eq_ignore_ascii_case(ours)
        }
        ("extra", Value::Object(theirs), Value::Object(ours)) => {
            ours.iter().all(|(member, our)| theirs.get(member) == Some(our))
        }
        _ => theirs == ours,
    }
}

/// The value of the header `PAYMENT-RESPONSE`, of a payment on the network of that tender, with what we say beside.
#[must_use]
pub fn payment_response_header(
    response: &SettlementResponse,
    tender: &Tender,
    extensions: &Extensions,
) -> String {
    let mut json = response.to_json(&tender.caip2());
    if let (Value::Object(members), false) = (&mut json, extensions.is_empty()) {
        members.insert("extensions".to_owned(), Value::Object(extensions.clone()));
    }
    header::encode(&json)
}
