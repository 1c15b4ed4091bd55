//! The wire forms of x402 v1: `accepts` in the body of a 402, `X-PAYMENT`, `X-PAYMENT-RESPONSE`.

use serde_json::{Map, Value, json};

use super::{
    BadPayment, Moment, Payment, PaymentRefused, SettlementResponse, Signer, Version, exact::SCHEME, header,
};
use crate::pay::offer::{EvmTender, Offer, OpaqueTender, Resource, Tender, TransferMethod};

/// A payment header that was read and not yet checked: nothing in it is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    scheme: String,
    network: String,
    payload: Map<String, Value>,
    raw: Value,
}

/// The array `accepts`: our offers on the networks that v1 has a name for.
///
/// Stock v1 clients refuse the whole 402 for one entry that they cannot read, so nothing else may stand in it.
#[must_use]
pub fn accepts(offers: &[Offer], resource: &Resource) -> Value {
    offers.iter().filter_map(|offer| requirements(offer, resource)).collect()
}

/// `PaymentRequirements` of an offer, if every v1 client can read it. Addresses carry their checksum.
fn requirements(offer: &Offer, resource: &Resource) -> Option<Value> {
    let (asset, extra) = match &offer.tender {
        Tender::Evm(EvmTender { transfer_method: TransferMethod::Permit2, .. }) => return None,
        Tender::Evm(EvmTender { asset, .. }) => {
            (asset.address.checksummed(), json!({"name": asset.name, "version": asset.version}))
        }
        Tender::Opaque(tender) => (tender.asset.clone(), readable_extra(tender)?),
    };
    Some(json!({
        "scheme": SCHEME,
        "network": offer.tender.v1_name()?,
        "maxAmountRequired": offer.amount.to_string(),
        "resource": resource.url,
        "description": resource.description,
        "mimeType": resource.mime_type,
        "payTo": offer.tender.payee(),
        "maxTimeoutSeconds": offer.max_timeout_seconds,
        "asset": asset,
        "extra": extra,
    }))
}

/// What v1 clients are told beside of an offer that is not understood here, if they can read all of it: the scheme `exact`
/// and addresses of Solana (npm x402 1.2.0, `SvmAddressRegex`).
fn readable_extra(tender: &OpaqueTender) -> Option<Value> {
    let is_address = |text: &str| {
        matches!(text.len(), 32..=44)
            && text.bytes().all(|b| b.is_ascii_alphanumeric() && !b"0OIl".contains(&b))
    };
    let readable = tender.scheme == SCHEME && is_address(&tender.asset) && is_address(&tender.pay_to);
    readable.then(|| Value::Object(tender.extra.clone()))
}

/// Reads the header `X-PAYMENT`.
///
/// # Errors
/// The header is too long, badly encoded, or not a payment payload of version 1.
pub fn decode(header_value: &str) -> Result<Presented, BadPayment> {
    let object = header::decode(header_value, Version::V1)?;
    Ok(Presented {
        scheme: header::string(&object, "scheme")?,
        network: header::string(&object, "network")?,
        payload: header::object(&object, "payload")?,
        raw: Value::Object(object),
    })
}

/// Checks a payment against our offers for the resource it came for, at that moment (or unix second).
///
/// A v1 payment does not say which asset it pays in: of several offers on its network that it pays, the one it is signed for counts.
///
/// # Errors
/// Its scheme or network is none of ours, or its authorization pays no offer on that network.
pub fn check(
    presented: &Presented,
    offers: &[Offer],
    resource: &Resource,
    moment: impl Into<Moment>,
) -> Result<Payment, PaymentRefused> {
    let moment = moment.into();
    if presented.scheme != SCHEME {
        return Err(PaymentRefused::UnsupportedScheme);
    }
    let on_network = offers
        .iter()
        .filter(|offer| offer.tender.v1_name() == Some(presented.network.as_str()))
        .filter_map(|offer| Some((offer, requirements(offer, resource)?)));
    let answers: Vec<_> = on_network
        .map(|offer| Payment::read(Version::V1, offer, &presented.payload, &presented.raw, moment))
        .collect();
    let proven = |answer: &&Result<Payment, _>| {
        answer.as_ref().is_ok_and(|payment| payment.signer() == Signer::Proven)
    };
    answers
        .iter()
        .find(proven)
        .or_else(|| answers.iter().find(|answer| answer.is_ok()))
        .or_else(|| answers.first())
        .cloned()
        .unwrap_or(Err(PaymentRefused::WrongNetwork))
}

/// The value of the header `X-PAYMENT-RESPONSE`, of a payment on the network of that tender.
#[must_use]
pub fn payment_response_header(response: &SettlementResponse, tender: &Tender) -> String {
    let caip2 = tender.caip2();
    header::encode(&response.to_json(tender.v1_name().unwrap_or(&caip2)))
}
