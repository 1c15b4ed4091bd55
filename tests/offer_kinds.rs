//! Offers of every kind: Permit2 under `exact` (WIRE V6), and requirements that are passed through without being understood.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tollgate::pay::amount::Amount;
use tollgate::pay::eip712::{EXACT_PROXY, Hash32, PermitWitnessTransfer, Signature, recover};
use tollgate::pay::network::{Network, known_asset};
use tollgate::pay::offer::{EvmTender, Flow, Offer, OpaqueTender, Resource, Tender, TransferMethod};
use tollgate::pay::x402::facilitator::{SettleAnswer, read_settle, request_body};
use tollgate::pay::x402::{Means, Payment, PaymentRefused, Signer, v1, v2};

const ANVIL_1: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const ANVIL_2: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const PAYEE: &str = "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4";
const NOW: u64 = 1_795_000_000;
/// WIRE V6, by anvil #1.
const V6_SIGNATURE: &str = "0x6d3c5571e80d3145a124a58d1840d160385413f1e995fafb911717d28ec464596048e795f33b4943b31f5b7d022d51861f0afbfe920d72eb7d1131af835c40521b";

fn permit2_offer() -> Offer {
    let network = Network::parse("base-sepolia").unwrap();
    let tender = EvmTender {
        network,
        asset: known_asset(&network, "USDC").unwrap(),
        pay_to: ANVIL_2.parse().unwrap(),
        transfer_method: TransferMethod::Permit2,
    };
    Offer {
        tender: Tender::Evm(tender),
        amount: Amount::new(10_000),
        max_timeout_seconds: 60,
        flow: Flow::Upfront,
    }
}

fn solana_offer() -> Offer {
    let extra = json!({ "feePayer": PAYEE });
    let tender = OpaqueTender {
        scheme: "exact".to_owned(),
        network: SOLANA.to_owned(),
        asset: MINT.to_owned(),
        pay_to: PAYEE.to_owned(),
        decimals: 6,
        symbol: "USDC".to_owned(),
        extra: extra.as_object().unwrap().clone(),
    };
    Offer {
        tender: Tender::Opaque(tender),
        amount: Amount::new(1_000),
        max_timeout_seconds: 60,
        flow: Flow::Upfront,
    }
}

fn resource() -> Resource {
    Resource {
        url: "https://api.example.com/cpu".to_owned(),
        description: "CPU use".to_owned(),
        mime_type: "application/json".to_owned(),
    }
}

/// `accepts` of the v2 challenge for these offers.
fn accepts(offers: &[Offer]) -> Value {
    let text = v2::payment_required(offers, &resource(), "pay", &v2::Extensions::new());
    serde_json::from_str::<Value>(&text).unwrap()["accepts"].take()
}

fn header(payment: &Value) -> String {
    STANDARD.encode(payment.to_string())
}

fn with(mut payment: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    payment.pointer_mut(parent).unwrap()[member] = value;
    payment
}

/// WIRE V6 as `@x402/evm` sends it.
fn permit2_payment() -> Value {
    json!({
        "x402Version": 2,
        "accepted": accepts(&[permit2_offer()])[0],
        "payload": {
            "signature": V6_SIGNATURE,
            "permit2Authorization": {
                "from": ANVIL_1, "permitted": { "token": USDC, "amount": "10000" },
                "spender": EXACT_PROXY.checksummed(), "nonce": "12345", "deadline": "4102444800",
                "witness": { "to": ANVIL_2, "validAfter": "0" },
            },
        },
    })
}

fn solana_payment() -> Value {
    json!({
        "x402Version": 2,
        "accepted": accepts(&[solana_offer()])[0],
        "payload": { "transaction": "AQID" },
    })
}

fn check(payment: &Value, offers: &[Offer]) -> Result<Payment, PaymentRefused> {
    v2::check(&v2::decode(&header(payment)).unwrap(), offers, NOW)
}

#[test]
fn a_permit_hashes_and_recovers_as_viem_has_it() {
    let permit = PermitWitnessTransfer {
        from: ANVIL_1.parse().unwrap(),
        token: USDC.parse().unwrap(),
        amount: 10_000,
        spender: EXACT_PROXY,
        nonce: "12345".parse().unwrap(),
        deadline: 4_102_444_800,
        to: ANVIL_2.parse().unwrap(),
        valid_after: 0,
    };
    let digest = permit.digest(84_532);
    let expected = "0x540f2d5647493e36faa63772d56ca13f657339a02085e497aa2ad752267ec4ab";
    assert_eq!(Hash32::new(digest).to_string(), expected);
    let signature: Signature = V6_SIGNATURE.parse().unwrap();
    assert_eq!(recover(digest, &signature), Some(permit.from));
}

#[test]
fn a_permit2_offer_says_so_and_is_kept_from_v1() {
    let extra =
        json!({"name": "USDC", "version": "2", "paymentFlow": "upfront", "assetTransferMethod": "permit2"});
    assert_eq!(accepts(&[permit2_offer()])[0]["extra"], extra);
    assert_eq!(v1::accepts(&[permit2_offer()], &resource()), json!([]));
}

#[test]
fn a_permit_that_pays_the_offer_is_known_by_its_payer_and_nonce() {
    let payment = check(&permit2_payment(), &[permit2_offer()]).unwrap();
    assert_eq!(payment.signer(), Signer::Proven);
    assert_eq!(payment.payer(), Some(ANVIL_1.parse().unwrap()));
    assert_eq!((payment.nonce(), payment.valid_before()), ("12345".to_owned(), Some(4_102_444_800)));
    let identity = "permit2:eip155:84532:0x70997970c51812dc3a010c7d01b50e0d17dc79c8:12345";
    assert_eq!(payment.replay_identity(), identity);
    let stored = serde_json::to_string(&payment).unwrap();
    assert_eq!(serde_json::from_str::<Payment>(&stored).unwrap(), payment);
}

#[test]
fn whatever_is_changed_in_a_permit_is_refused() {
    let at = |member: &str| format!("/payload/permit2Authorization/{member}");
    let table = [
        (at("permitted/token"), json!(ANVIL_1), "permit2_token_mismatch"),
        (at("permitted/amount"), json!("9999"), "invalid_exact_evm_payload_authorization_value"),
        (at("permitted/amount"), json!("0x2710"), "invalid_payload"),
        (at("permitted/note"), json!(1), "invalid_payload"),
        (at("spender"), json!(ANVIL_1), "invalid_permit2_spender"),
        (at("witness/to"), json!(ANVIL_1), "invalid_exact_evm_payload_recipient_mismatch"),
        (
            at("witness/validAfter"),
            json!((NOW + 1).to_string()),
            "invalid_exact_evm_payload_authorization_valid_after",
        ),
        (at("witness/facilitator"), json!(ANVIL_1), "invalid_payload"),
        (
            at("deadline"),
            json!((NOW + 5).to_string()),
            "invalid_exact_evm_payload_authorization_valid_before",
        ),
        (at("nonce"), json!("012345"), "invalid_payload"),
        (at("nonce"), json!(12_345), "invalid_payload"),
        (at("from"), json!("0x7099"), "invalid_payload"),
        (at("note"), json!(1), "invalid_payload"),
        ("/payload/authorization".to_owned(), json!({}), "unsupported_payload_type"),
        ("/payload".to_owned(), json!({"signature": "0x", "authorization": {}}), "unsupported_payload_type"),
    ];
    for (pointer, value, reason) in table {
        let refused = check(&with(permit2_payment(), &pointer, value.clone()), &[permit2_offer()]);
        assert_eq!(refused.unwrap_err().reason(), reason, "{pointer} = {value}");
    }
}

#[test]
fn a_permit_of_a_contract_wallet_is_left_to_the_facilitator() {
    let signature = json!(format!("0x{}{}", "00".repeat(96), "6492".repeat(16)));
    let payment = check(&with(permit2_payment(), "/payload/signature", signature), &[permit2_offer()]);
    assert_eq!(payment.unwrap().signer(), Signer::Unproven);
}

#[test]
fn a_requirement_that_is_not_understood_is_offered_as_it_is_written() {
    let expected = json!({
        "scheme": "exact", "network": SOLANA, "amount": "1000", "asset": MINT, "payTo": PAYEE,
        "maxTimeoutSeconds": 60, "extra": { "feePayer": PAYEE },
    });
    assert_eq!(accepts(&[solana_offer()])[0], expected);
    // Every v1 client has a name for this network.
    assert_eq!(v1::accepts(&[solana_offer()], &resource())[0]["network"], "solana");
    let unreadable = [
        ("/network", json!("stellar:pubnet")),
        ("/scheme", json!("upto")),
        ("/asset", json!("native")),
        ("/pay_to", json!("merchant")),
    ];
    for (pointer, value) in unreadable {
        let changed = with(serde_json::to_value(solana_offer()).unwrap(), pointer, value);
        let offer: Offer = serde_json::from_value(changed).unwrap();
        assert_eq!(v1::accepts(&[offer], &resource()), json!([]), "{pointer}");
    }
}

#[test]
fn a_payment_that_is_not_understood_is_known_by_its_decoded_payload() {
    let offers = [permit2_offer(), solana_offer()];
    let payment = check(&solana_payment(), &offers).unwrap();
    // printf '{"transaction":"AQID"}' | sha256sum
    let hash = "0xd0ee419167946ce2f250c26c08006f13af0ece470099a019c0de7b3fb169a034";
    assert_eq!(payment.replay_identity(), format!("payload:{SOLANA}:{hash}"));
    assert!(matches!(payment.means(), Means::Opaque { .. }));
    assert_eq!((payment.payer(), payment.valid_before()), (None, None));
    let spaced = "{ \"payload\" : {\"transaction\" :\"AQID\"}, \"x402Version\":2, \"accepted\": ".to_owned()
        + &accepts(&[solana_offer()])[0].to_string()
        + "}";
    let again = v2::check(&v2::decode(&STANDARD.encode(spaced)).unwrap(), &offers, NOW).unwrap();
    assert_eq!(again.id(), payment.id());
    let first =
        json!({"x402Version": 1, "scheme": "exact", "network": "solana", "payload": {"transaction": "AQID"}});
    let first = v1::check(&v1::decode(&header(&first)).unwrap(), &offers, &resource(), NOW).unwrap();
    assert_eq!(first.id(), payment.id());
    let other = check(&with(solana_payment(), "/payload/transaction", json!("AQIE")), &offers).unwrap();
    assert_ne!(other.id(), payment.id());
    let stored = serde_json::to_string(&payment).unwrap();
    assert_eq!(serde_json::from_str::<Payment>(&stored).unwrap(), payment);
}

#[test]
fn whatever_is_changed_in_accepted_of_an_offer_that_is_not_understood_is_refused() {
    let table = [
        ("/accepted/amount", json!("999")),
        ("/accepted/payTo", json!(PAYEE.to_ascii_lowercase())),
        ("/accepted/asset", json!(MINT.to_ascii_lowercase())),
        ("/accepted/extra/feePayer", json!(MINT)),
        ("/accepted/network", json!("solana")),
    ];
    for (pointer, value) in table {
        let refused = check(&with(solana_payment(), pointer, value), &[solana_offer()]).unwrap_err();
        assert_eq!(refused, PaymentRefused::NoMatchingRequirements, "{pointer}");
    }
    let empty = check(&with(solana_payment(), "/payload", json!({})), &[solana_offer()]).unwrap_err();
    assert_eq!(empty, PaymentRefused::InvalidPayload("payload".to_owned()));
}

#[test]
fn a_facilitator_gets_our_requirements_and_its_settlement_is_read_in_the_networks_own_spelling() {
    let payment = check(&solana_payment(), &[solana_offer()]).unwrap();
    let sent: Value = serde_json::from_str(&request_body(&payment)).unwrap();
    assert_eq!(sent["paymentRequirements"], accepts(&[solana_offer()])[0]);
    let answer = |network: &str, transaction: &str| {
        let body = json!({"success": true, "transaction": transaction, "network": network, "payer": PAYEE});
        read_settle(200, body.to_string().as_bytes(), &payment)
    };
    let settled =
        SettleAnswer::Settled { transaction: "5VERYmixedCase".to_owned(), payer: Some(PAYEE.to_owned()) };
    assert_eq!(answer(SOLANA, "5VERYmixedCase"), settled);
    assert_eq!(answer("solana", "5VERYmixedCase"), settled);
    for (network, transaction) in
        [("eip155:84532", "5VERYmixedCase"), (SOLANA, ""), (SOLANA, "two words"), (SOLANA, &"x".repeat(129))]
    {
        let answer = answer(network, transaction);
        assert!(matches!(answer, SettleAnswer::Unknown { .. }), "{network} {transaction}");
    }
}
