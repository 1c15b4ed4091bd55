//! MPP's `evm` / `charge`: a challenge of ours, answered as mppx answers it, is an x402 payment of the same identity; and
//! what is refused. Vectors of ids, nonces and proofs stand beside what computes them, in `src/pay/mpp`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate::pay::amount::Amount;
use tollgate::pay::eip712::{Signature, SigningKey, TransferWithAuthorization};
use tollgate::pay::mpp::challenge::{Challenge, ChallengeKeys, Place};
use tollgate::pay::mpp::credential::Credential;
use tollgate::pay::mpp::{CredentialFault, Receipt, evm};
use tollgate::pay::network::{Network, known_asset};
use tollgate::pay::offer::{EvmTender, Flow, Offer, Tender, TransferMethod};
use tollgate::pay::x402::facilitator::request_body;
use tollgate::pay::x402::{PaymentRefused, Signer, Version, v2};
use tollgate::time::Millis;

const PAYER_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const NOW: Millis = Millis::new(1_795_000_000_500);
const PLACE: Place<'_> =
    Place { realm: "api.example.com", endpoint: "GET /cpu", beside_authorization: false, digest: None };

fn keys() -> ChallengeKeys {
    ChallengeKeys::new(&[7; 32], None).unwrap()
}

fn offer(atomic: u128) -> Offer {
    let network = Network::parse("base-sepolia").unwrap();
    Offer {
        tender: Tender::Evm(EvmTender {
            network,
            asset: known_asset(&network, "USDC").unwrap(),
            pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap(),
            transfer_method: TransferMethod::Eip3009,
        }),
        amount: Amount::new(atomic),
        max_timeout_seconds: 60,
        flow: Flow::Upfront,
    }
}

fn tender(offer: &Offer) -> &EvmTender {
    offer.tender.evm().unwrap()
}

fn challenge(offer: &Offer) -> Challenge {
    keys().issue(&evm::terms(offer).unwrap(), PLACE, [9; 16], NOW)
}

fn key() -> SigningKey {
    SigningKey::from_hex(PAYER_KEY).unwrap()
}

fn authorization(offer: &Offer, challenge: &Challenge) -> TransferWithAuthorization {
    TransferWithAuthorization {
        from: key().address(),
        to: tender(offer).pay_to,
        value: offer.amount.atomic(),
        valid_after: 0,
        valid_before: challenge.expires_at().unwrap().seconds(),
        nonce: challenge.nonce(),
    }
}

/// A signature with `v` 27 or 28, as wallets make it.
fn sign(transfer: &TransferWithAuthorization, offer: &Offer) -> String {
    let signature: Signature = key().sign_digest(transfer.digest(&tender(offer).domain()));
    let text = signature.to_string();
    let (rs, v) = text.split_at(text.len() - 2);
    format!("{rs}{}", if v == "00" { "1b" } else { "1c" })
}

/// The payload as mppx writes it.
fn payload(transfer: &TransferWithAuthorization, offer: &Offer) -> Map<String, Value> {
    let payload = json!({
        "type": "authorization",
        "from": transfer.from.checksummed(),
        "to": transfer.to.checksummed(),
        "value": transfer.value.to_string(),
        "validAfter": transfer.valid_after.to_string(),
        "validBefore": transfer.valid_before.to_string(),
        "nonce": transfer.nonce.to_string(),
        "signature": sign(transfer, offer),
    });
    payload.as_object().unwrap().clone()
}

/// The members of a challenge as they stand in the field that sends it: what a client repeats.
fn repeated(challenge: &Challenge) -> Value {
    let field = challenge.field();
    let members = field.strip_prefix("Payment ").unwrap().split(", ");
    let members = members.map(|member| {
        let (name, value) = member.split_once('=').unwrap();
        (name.to_owned(), Value::from(value.trim_matches('"')))
    });
    Value::Object(members.collect())
}

fn credential(challenge: &Challenge, payload: &Map<String, Value>) -> Credential {
    let json =
        json!({ "challenge": repeated(challenge), "payload": payload, "source": "did:pkh:eip155:84532:0x0" });
    Credential::read(&URL_SAFE_NO_PAD.encode(json.to_string())).unwrap()
}

#[test]
fn an_answered_challenge_is_a_payment_of_x402() {
    let offer = offer(1000);
    let challenge = challenge(&offer);
    let transfer = authorization(&offer, &challenge);
    let payload = payload(&transfer, &offer);
    let credential = credential(&challenge, &payload);
    assert_eq!(credential.challenge, challenge);
    assert_eq!(credential.challenge.check(&keys(), PLACE, NOW), Ok(()));
    let paid = evm::payment(&credential, std::slice::from_ref(&offer), NOW.seconds()).unwrap();
    assert_eq!(
        (paid.version(), paid.signer(), paid.payer()),
        (Version::Mpp, Signer::Proven, Some(key().address()))
    );

    // The same authorization in x402's own form is the same payment, and the facilitator is told the same.
    let mut authorization = payload.clone();
    authorization.remove("type");
    let signature = authorization.remove("signature").unwrap();
    let body: Value = serde_json::from_str(&request_body(&paid)).unwrap();
    assert_eq!(body["x402Version"], 2);
    assert_eq!(
        body["paymentPayload"]["payload"],
        json!({ "signature": signature, "authorization": authorization })
    );
    assert_eq!(body["paymentPayload"]["accepted"], body["paymentRequirements"]);
    let encoded = base64::engine::general_purpose::STANDARD.encode(body["paymentPayload"].to_string());
    let twin = v2::check(&v2::decode(&encoded).unwrap(), &[offer], NOW.seconds()).unwrap();
    assert_eq!(twin.id(), paid.id());
}

#[test]
fn the_request_is_canonical_and_what_mppx_reads() {
    let request = URL_SAFE_NO_PAD.decode(challenge(&offer(1000)).request).unwrap();
    assert_eq!(
        String::from_utf8(request).unwrap(),
        concat!(
            r#"{"amount":"1000","currency":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","#,
            r#""methodDetails":{"chainId":84532,"credentialTypes":["authorization"],"decimals":6},"#,
            r#""recipient":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C"}"#
        )
    );
}

#[test]
fn nothing_is_asked_that_needs_another_authorization_than_the_one_we_take() {
    let permit2 = EvmTender { transfer_method: TransferMethod::Permit2, ..tender(&offer(1000)).clone() };
    assert_eq!(evm::terms(&Offer { tender: Tender::Evm(permit2), ..offer(1000) }), None);
}

#[test]
fn a_challenge_of_another_price_pays_nothing_here() {
    let (cheap, dear) = (offer(1000), offer(500_000));
    let challenge = challenge(&cheap);
    let credential = credential(&challenge, &payload(&authorization(&cheap, &challenge), &cheap));
    assert_eq!(evm::payment(&credential, &[dear], NOW.seconds()), Err(CredentialFault::OtherTerms));
    assert_eq!(evm::payment(&credential, &[], NOW.seconds()), Err(CredentialFault::OtherTerms));
}

#[test]
fn a_payload_that_is_not_right_to_the_last_member_is_refused() {
    let offer = offer(1000);
    let challenge = challenge(&offer);
    let good = authorization(&offer, &challenge);
    let pay = |payload: Map<String, Value>| {
        evm::payment(&credential(&challenge, &payload), std::slice::from_ref(&offer), NOW.seconds())
            .unwrap_err()
    };
    let altered = |member: &str, value: Value| {
        let mut payload = payload(&good, &offer);
        payload.insert(member.to_owned(), value);
        pay(payload)
    };
    let without = |member: &str| {
        let mut payload = payload(&good, &offer);
        payload.remove(member);
        pay(payload)
    };
    let wrong = |member: &str| CredentialFault::WrongPayload(member.to_owned());
    for member in ["type", "from", "to", "value", "validAfter", "validBefore", "nonce", "signature"] {
        assert_eq!(without(member), wrong(member), "{member}");
        assert_eq!(altered(member, json!(7)), wrong(member), "{member}");
    }
    assert_eq!(altered("type", json!("permit2")), wrong("type"));
    assert_eq!(altered("splits", json!([])), wrong("splits"));
    assert_eq!(altered("value", json!("01000")), wrong("value"));
    assert_eq!(altered("nonce", json!(good.nonce.to_string().to_uppercase())), wrong("nonce"));
    assert_eq!(altered("nonce", json!(format!("0x{}", "ab".repeat(32)))), CredentialFault::OtherChallenge);
    let refused = |refused| CredentialFault::Refused(refused);
    assert_eq!(altered("value", json!("999")), refused(PaymentRefused::WrongValue));
    assert_eq!(altered("to", json!(key().address().checksummed())), refused(PaymentRefused::WrongRecipient));
    let late = (NOW.seconds() + 60).to_string();
    assert_eq!(altered("validAfter", json!(late)), refused(PaymentRefused::NotYetValid));
    assert_eq!(altered("validBefore", json!((NOW.seconds() + 5).to_string())), CredentialFault::Expired);
}

#[test]
fn a_receipt_is_in_the_form_that_the_draft_gives() {
    let challenge = challenge(&offer(1000));
    let receipt =
        Receipt { challenge: &challenge, reference: "0xab", chain_id: Some(84_532), channel: None, at: NOW };
    let json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(receipt.field()).unwrap()).unwrap();
    assert_eq!(
        json,
        json!({
            "method": "evm", "intent": "charge", "challengeId": challenge.id, "reference": "0xab",
            "status": "success", "timestamp": "2026-11-18T11:06:40Z", "chainId": 84532,
        })
    );
}

proptest! {
    /// Whatever a client sends, reading it ends, and only what the gate issued passes.
    #[test]
    fn no_text_is_a_credential_of_ours(token in "[A-Za-z0-9_=-]{0,300}") {
        if let Ok(credential) = Credential::read(&token) {
            prop_assert_eq!(credential.challenge.check(&keys(), PLACE, NOW), Err(CredentialFault::UnknownChallenge));
        }
    }

    /// A character changed anywhere in what the id binds makes the challenge another's.
    #[test]
    fn an_altered_challenge_never_passes(
        member in prop::sample::select(vec!["id", "realm", "method", "intent", "request", "expires", "opaque"]),
        at in any::<prop::sample::Index>(),
        to in prop::char::range('!', '~'),
    ) {
        let challenge = challenge(&offer(1000));
        let mut members = repeated(&challenge);
        let text = members[member].as_str().unwrap().to_owned();
        let at = at.index(text.len());
        let altered = format!("{}{to}{}", &text[..at], &text[at + 1..]);
        prop_assume!(altered != text);
        members[member] = Value::from(altered);
        let altered: Challenge = serde_json::from_value(members).unwrap();
        prop_assert_eq!(altered.check(&keys(), PLACE, NOW), Err(CredentialFault::UnknownChallenge));
    }
}
