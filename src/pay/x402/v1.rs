//! The wire forms of x402 v1: `accepts` in the body of a 402, `X-PAYMENT`, `X-PAYMENT-RESPONSE`.

use serde_json::{Map, Value, json};

use super::{
    BadPayment, Payment, PaymentRefused, SettlementResponse, Signer, Version,
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

/// `PaymentRequirements` of an offer, if v1 has a name for its network. Addresses carry their checksum.
fn requirements(offer: &Offer, resource: &Resource) -> Option<Value> {
    let network = offer.network.v1_name()?;
    Some(json!({
        "scheme": SCHEME,
        "network": network,
        "maxAmountRequired": offer.amount.to_string(),
        "resource": resource.url,
        "description": resource.description,
        "mimeType": resource.mime_type,
        "payTo": offer.pay_to.checksummed(),
        "maxTimeoutSeconds": offer.max_timeout_seconds,
        "asset": offer.asset.address.checksummed(),
        "extra": {"name": offer.asset.name, "version": offer.asset.version},
    }))
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

/// Checks a payment against our offers for the resource it came for, at `now_seconds` (unix).
///
/// A v1 payment does not say which asset it pays in: of several offers on its network that it pays, the one it is signed for counts.
///
/// # Errors
/// Its scheme or network is none of ours, or its authorization pays no offer on that network.
pub fn check(
    presented: &Presented,
    offers: &[Offer],
    resource: &Resource,
    now_seconds: u64,
) -> Result<Payment, PaymentRefused> {
    if presented.scheme != SCHEME {
        return Err(PaymentRefused::UnsupportedScheme);
    }
    let transfer = SignedTransfer::read(&presented.payload)?;
    let answers: Vec<_> = offers
        .iter()
        .filter(|offer| offer.network.v1_name() == Some(presented.network.as_str()))
        .filter_map(|offer| Some((offer, requirements(offer, resource)?, transfer.check(offer, now_seconds))))
        .collect();
    let (offer, requirements, signer) = answers
        .iter()
        .find(|(_, _, answer)| *answer == Ok(Signer::Proven))
        .or_else(|| answers.iter().find(|(_, _, answer)| answer.is_ok()))
        .or_else(|| answers.first())
        .ok_or(PaymentRefused::WrongNetwork)?;
    let signer = signer.clone()?;
    Ok(Payment {
        version: Version::V1,
        offer: (*offer).clone(),
        authorization: transfer.authorization,
        signature: transfer.signature,
        signer,
        payload: presented.raw.clone(),
        requirements: requirements.clone(),
    })
}

/// The value of the header `X-PAYMENT-RESPONSE`.
#[must_use]
pub fn payment_response_header(response: &SettlementResponse, network: &Network) -> String {
    let caip2 = network.caip2();
    header::encode(&response.to_json(network.v1_name().unwrap_or(&caip2)))
}
