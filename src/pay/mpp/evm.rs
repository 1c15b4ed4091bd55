//! `evm` / `charge`: a transfer that the client signs (EIP-3009) and a facilitator carries out (draft-evm-charge-00).
//!
//! On its way to the facilitator the payment is one of x402 v2, so that it is the same payment however it comes.

use serde_json::{Map, Value, json};

use super::challenge::Terms;
use super::credential::Credential;
use super::{CredentialFault, encode, object};
use crate::pay::offer::{Offer, TransferMethod};
use crate::pay::x402::{Payment, v2};

/// The method.
pub const METHOD: &str = "evm";
/// The intent.
pub const INTENT: &str = "charge";

/// The members of an authorization, beside `type` and `signature`.
const AUTHORIZATION: [&str; 6] = ["from", "to", "value", "validAfter", "validBefore", "nonce"];

/// What a challenge asks for where this offer is made; nothing where the token has no EIP-3009. Addresses carry their
/// checksum.
#[must_use]
pub fn terms(offer: &Offer) -> Option<Terms> {
    let tender = offer.tender.evm().filter(|tender| tender.transfer_method == TransferMethod::Eip3009)?;
    let details = json!({
        "chainId": tender.network.chain_id(),
        "credentialTypes": ["authorization"],
        "decimals": tender.asset.decimals,
    });
    let request = object([
        ("amount", json!(offer.amount.to_string())),
        ("currency", json!(tender.asset.address.checksummed())),
        ("recipient", json!(tender.pay_to.checksummed())),
        ("methodDetails", details),
    ]);
    Some(Terms { method: METHOD, intent: INTENT, request })
}

/// The payment in a credential whose challenge was checked, for one of our offers, at `now_seconds` (unix).
///
/// # Errors
/// Its challenge asks for none of the offers, or its authorization does not pay that offer and answer the challenge.
pub fn payment(
    credential: &Credential,
    offers: &[Offer],
    now_seconds: u64,
) -> Result<Payment, CredentialFault> {
    let asked = &credential.challenge.request;
    let asks = |offer: &&Offer| terms(offer).is_some_and(|terms| encode(&terms.request) == *asked);
    let offer = offers.iter().find(asks);
    let offer = offer.ok_or(CredentialFault::OtherTerms)?;
    let payment = v2::converted(offer, &x402_payload(&credential.payload)?, now_seconds)?;
    let nonce = payment.authorization().map(|authorization| authorization.nonce);
    if nonce == Some(credential.challenge.nonce()) {
        Ok(payment)
    } else {
        Err(CredentialFault::OtherChallenge)
    }
}

/// The payload as x402 writes it.
fn x402_payload(payload: &Map<String, Value>) -> Result<Map<String, Value>, CredentialFault> {
    if payload.get("type").and_then(Value::as_str) != Some("authorization") {
        return Err(CredentialFault::WrongPayload("type".to_owned()));
    }
    let is_known = |member: &str| matches!(member, "type" | "signature") || AUTHORIZATION.contains(&member);
    if let Some(unknown) = payload.keys().find(|member| !is_known(member)) {
        return Err(CredentialFault::WrongPayload(unknown.clone()));
    }
    let member = |name: &str| payload.get(name).cloned().unwrap_or_default();
    let authorization: Map<String, Value> =
        AUTHORIZATION.into_iter().map(|name| (name.to_owned(), member(name))).collect();
    Ok(object([("signature", member("signature")), ("authorization", Value::Object(authorization))]))
}
