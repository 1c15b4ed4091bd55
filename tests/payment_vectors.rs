//! Published and generated vectors for everything that is signed or sent in a payment, and the tables of what is refused.
//!
//! "WIRE" is our page of wire facts; its §3.5 has V1 from the x402 specification and V2 to V5 generated with viem and checked there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stand outside of test functions"
)]

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tollgate::pay::{
    amount::Amount,
    eip712::{
        Address, Domain, Hash32, Signature, SignedContext, SigningKey, TransferWithAuthorization, keccak256,
        recover,
    },
    network::{Network, known_asset},
    offer::{EvmTender, Flow, Offer, Resource, Tender, TransferMethod},
    receipt::{PinnedKey, Receipt, ReceiptError, SignedReceipt, sha256_label},
    x402::{
        Payment, PaymentRefused, SettlementResponse, Signer, Version,
        facilitator::{SettleAnswer, VerifyAnswer, read_settle, read_verify, request_body},
        v1, v2,
    },
};

const ANVIL_1: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const ANVIL_1_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const ANVIL_2: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const NOW: u64 = 1_795_000_000;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn hex32(bytes: [u8; 32]) -> String {
    Hash32::new(bytes).to_string()
}

fn domain_of(network: &str) -> Domain {
    offer_on(network, 0).tender.evm().unwrap().domain()
}

/// An offer to pay anvil #2 in the network's USDC.
fn offer_on(network: &str, amount: u128) -> Offer {
    let network = Network::parse(network).unwrap();
    let tender = EvmTender {
        network,
        asset: known_asset(&network, "USDC").unwrap(),
        pay_to: address(ANVIL_2),
        transfer_method: TransferMethod::Eip3009,
    };
    Offer {
        tender: Tender::Evm(tender),
        amount: Amount::new(amount),
        max_timeout_seconds: 60,
        flow: Flow::Upfront,
    }
}

/// What WIRE V2 pays.
fn offer() -> Offer {
    offer_on("base-sepolia", 10_000)
}

fn resource() -> Resource {
    Resource {
        url: "https://api.example.com/cpu".to_owned(),
        description: "CPU use".to_owned(),
        mime_type: "application/json".to_owned(),
    }
}

// ---- EIP-712 and EIP-3009 ----

struct Transfer {
    name: &'static str,
    network: &'static str,
    message: TransferWithAuthorization,
    separator: Option<&'static str>,
    digest: &'static str,
    signature: &'static str,
}

const V1_SIGNATURE: &str = "0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c";
const V2_SIGNATURE: &str = "0xb0f7eb583a74be0e563617c4931087944c3c23eb31c8a0c1711e5681dc95b0d815df58f1e52f3dbb4836e2264320efba9efe46bf212493d4ec503aec66b882901c";
const V3_SIGNATURE: &str = "0xf3abcf252bc4a95cfa88b243cbb1a2eb4f1dff4bac0682815c76b4174d1e2a0e43fad6161e7a39bf4c100d6900f74c840f41b88d45c2bf257b7737bafc225a9f1b";
/// V2's message signed under the domain name "USD Coin".
const V4_SIGNATURE: &str = "0xdc1afd4c28518c34bb5628296979ea1bb40b93ef5ce50e3e94221e44087340de5bef9603e85a9185803a14f1a20b5217b04422dfaf545f6cafacb7bc1b08929f1c";
/// V2's high-s twin.
const V5_SIGNATURE: &str = "0xb0f7eb583a74be0e563617c4931087944c3c23eb31c8a0c1711e5681dc95b0d8ea20a70e1ad0c244b7c91dd9bcdf10441bb096278e240c66d38223a0697dbeb11b";

fn anvil_transfer(value: u128, nonce: u8) -> TransferWithAuthorization {
    TransferWithAuthorization {
        from: address(ANVIL_1),
        to: address(ANVIL_2),
        value,
        valid_after: 0,
        valid_before: 4_102_444_800,
        nonce: Hash32::new([nonce; 32]),
    }
}

fn transfers() -> [Transfer; 3] {
    [
        Transfer {
            name: "V1: x402 v2 specification, scheme exact on EVM",
            network: "base-sepolia",
            message: TransferWithAuthorization {
                from: address("0x857b06519E91e3A54538791bDbb0E22373e36b66"),
                to: address("0x209693Bc6afc0C5328bA36FaF03C514EF312287C"),
                value: 10_000,
                valid_after: 1_740_672_089,
                valid_before: 1_740_672_154,
                nonce: "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480".parse().unwrap(),
            },
            separator: None,
            digest: "0xf256992871671abcb27ff92885a7afa46218724e5fc0bac35d050115aa1d22e6",
            signature: V1_SIGNATURE,
        },
        Transfer {
            name: "V2: viem, Base Sepolia",
            network: "base-sepolia",
            message: anvil_transfer(10_000, 0x11),
            separator: Some("0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818"),
            digest: "0x986e5446370ce046b1d9e8c169dfa6f72dbe4a1d6297eec339324857464946fd",
            signature: V2_SIGNATURE,
        },
        Transfer {
            name: "V3: viem, Base",
            network: "base",
            message: anvil_transfer(1_000_000, 0x22),
            separator: Some("0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f"),
            digest: "0x68f49466b1b62ee02ed614181d2de42f5a9b848817b6b1c36d5e459f6c03dd2b",
            signature: V3_SIGNATURE,
        },
    ]
}

#[test]
fn transfers_hash_and_recover_as_published() {
    for Transfer { name, network, message, separator, digest, signature } in transfers() {
        let domain = domain_of(network);
        let signature: Signature = signature.parse().unwrap();
        if let Some(separator) = separator {
            assert_eq!(hex32(domain.separator()), separator, "{name}");
        }
        assert_eq!(hex32(message.digest(&domain)), digest, "{name}");
        assert_eq!(recover(message.digest(&domain), &signature), Some(message.from), "{name}");
        assert!(signature.is_low_s(), "{name}");
    }
}

#[test]
fn anvil_signs_what_viem_signed_for_it() {
    let key = SigningKey::from_hex(ANVIL_1_KEY).unwrap();
    assert_eq!(key.address().checksummed(), ANVIL_1);
    for Transfer { name, network, message, signature, .. } in transfers().into_iter().skip(1) {
        let ours = key.sign_digest(message.digest(&domain_of(network))).to_string();
        // viem writes v as 27 or 28, we as 0 or 1.
        assert_eq!(ours[..130], signature[..130], "{name}");
        assert_eq!(ours.ends_with("00"), signature.ends_with("1b"), "{name}");
    }
}

#[test]
fn a_signature_under_another_domain_recovers_to_somebody_else() {
    let digest = anvil_transfer(10_000, 0x11).digest(&domain_of("base-sepolia"));
    let stranger = address("0xBa8f2c733CA173F19542764Be6EFA6043E1F37e6");
    assert_eq!(recover(digest, &V4_SIGNATURE.parse().unwrap()), Some(stranger)); // WIRE V4
}

#[test]
fn the_high_s_twin_recovers_and_is_told_apart() {
    let digest = anvil_transfer(10_000, 0x11).digest(&domain_of("base-sepolia"));
    let twin: Signature = V5_SIGNATURE.parse().unwrap(); // WIRE V5
    assert_eq!(recover(digest, &twin), Some(address(ANVIL_1)));
    assert!(!twin.is_low_s());
}

// ---- the older signed context, and receipts 1.0 (issue 2, "Vectors") ----

const ISSUE_2_KEY: &str = "0x0123456789012345678901234567890123456789012345678901234567890123";
const ISSUE_2_PUBLIC_KEY: &str = "0x046655feed4d214c261e0a6b554395596f1f1476a77d999560e5a8df9b8a1a3515217e88dd05e938efdd71b2cce322bf01da96cd42087b236e8f5043157a9c068e";
const ISSUE_2_ADDRESS: &str = "0x14791697260E4c9A71f18484C9f997B308e59325";

#[test]
fn the_signed_context_of_issue_2() {
    let context = SignedContext {
        recipient: address("0x2cAF48b4BA1C58721a85dFADa5aC01C2DFa62219"),
        token: "USDC".to_owned(),
        amount: "0.001".to_owned(),
        nonce: "9c311e31-eb30-420a-bced-c0d68bc89cea".to_owned(),
    };
    let digest = context.digest(&SignedContext::domain(8453));
    assert_eq!(hex32(digest), "0xd85e6647af71335f0f03d439bacbf167399d5639a2186a622ccfac853f03d6f1");
    let signature = "0x87c295fddc5bbf814c585349bc566cfb6791ffad4a4cadc99a4fdb9d32f33f5c5c8ec14cde2f63c4d39b1d67f0535d09bdcb27edd71456975a803db4ceddecd81b";
    assert_eq!(recover(digest, &signature.parse().unwrap()).unwrap().checksummed(), ISSUE_2_ADDRESS);
    let ours = SigningKey::from_hex(ISSUE_2_KEY).unwrap().sign_digest(digest).to_string();
    assert_eq!(ours[..130], signature[..130]);
}

const RECEIPT_1_0: &str = r#"{"id":"rcpt_a1b2c3d4e5f6","version":"1.0","timestamp":"2026-01-06T10:30:00Z","payment":{"payer":"0x14791697260e4c9a71f18484c9f997b308e59325","recipient":"0x2cAF48b4BA1C58721a85dFADa5aC01C2DFa62219","amount":"0.001","token":"USDC","chainId":8453,"nonce":"9c311e31-eb30-420a-bced-c0d68bc89cea"},"service":{"endpoint":"/api/ai/summarize","request_hash":"sha256:cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176","response_hash":"sha256:2689367b205c16ce32ed4200942b8b8b1e262dfc70d9bc9fbc77c49699a4f1df"}}"#;
const RECEIPT_1_0_SIGNATURE: &str = "0x926172fbf55e9cc661f49e65a8f517bbcc8ca30aeb8c2bffbd56cf426c387ffb785afa7d6de5baea70948ab803b506918c1328783c20cb9bef9e87dfc8a02dfc00";
/// The form of HTTP.md, "Receipt".
const RECEIPT_1_1: &str = r#"{"id":"rcpt_a1b2c3d4e5f6","version":"1.1","timestamp":"2026-01-06T10:30:00Z","payment":{"payer":"0x742d","recipient":"0x2cAF","amount":"0.001","token":"USDC","chainId":8453,"nonce":"0x11","method":"x402","network":"eip155:8453","transaction":"0xab"},"service":{"endpoint":"/a \"b\"\\\n\u0001/é","request_hash":"sha256:00","response_hash":"sha256:01"}}"#;

fn receipt(json: &str) -> Receipt {
    serde_json::from_str(json).unwrap()
}

fn pinned() -> [PinnedKey; 2] {
    [ISSUE_2_PUBLIC_KEY.parse().unwrap(), ISSUE_2_ADDRESS.parse().unwrap()]
}

#[test]
fn the_receipt_of_issue_2() {
    let receipt = receipt(RECEIPT_1_0);
    assert_eq!((receipt.canonical().as_str(), receipt.version()), (RECEIPT_1_0, "1.0"));
    assert_eq!(
        hex32(keccak256(receipt.canonical().as_bytes())),
        "0xa83081acfd6e119915b9e3f922460497d27bb5deb999a23b54d845679c3ddf29"
    );
    let signed = receipt.sign(&SigningKey::from_hex(ISSUE_2_KEY).unwrap());
    assert_eq!(signed.signature, RECEIPT_1_0_SIGNATURE);
    assert_eq!(signed.server_public_key, ISSUE_2_PUBLIC_KEY);
    for key in pinned() {
        assert_eq!(signed.verify(&key), Ok(()), "{key:?}");
    }
}

#[test]
fn a_receipt_is_stored_in_the_bytes_that_are_signed() {
    for json in [RECEIPT_1_0, RECEIPT_1_1] {
        assert_eq!(receipt(json).canonical(), json);
        assert_eq!(serde_json::to_string(&receipt(json)).unwrap(), json);
    }
    let signed = receipt(RECEIPT_1_1).sign(&SigningKey::from_hex(ISSUE_2_KEY).unwrap());
    let stored = serde_json::to_string(&signed).unwrap();
    assert!(stored.starts_with(&format!(r#"{{"receipt":{RECEIPT_1_1},"signature":"0x"#)), "{stored}");
    assert_eq!(serde_json::from_str::<SignedReceipt>(&stored).unwrap().verify(&pinned()[0]), Ok(()));
}

#[test]
fn every_change_to_a_signed_receipt_is_noticed() {
    let signed = receipt(RECEIPT_1_1).sign(&SigningKey::from_hex(ISSUE_2_KEY).unwrap());
    let stored = serde_json::to_string(&signed).unwrap();
    let mut read = 0;
    // Whatever single character is changed, it reads no more, or proves no more.
    for (at, old) in stored.char_indices().filter(|(_, c)| c.is_ascii()) {
        let new = if old == '1' { "2" } else { "1" };
        let changed = format!("{}{new}{}", &stored[..at], &stored[at + 1..]);
        let Ok(changed) = serde_json::from_str::<SignedReceipt>(&changed) else { continue };
        read += 1;
        for key in pinned() {
            assert!(changed.verify(&key).is_err(), "{changed:?}");
        }
    }
    assert!(read > 300, "only {read} changes could be read at all");
}

#[test]
fn the_key_that_a_receipt_brings_is_not_trusted() {
    let stranger = SigningKey::from_hex(ANVIL_1_KEY).unwrap();
    let forged = receipt(RECEIPT_1_0).sign(&stranger);
    let relabelled = SignedReceipt { server_public_key: ISSUE_2_PUBLIC_KEY.to_owned(), ..forged.clone() };
    let honest = receipt(RECEIPT_1_0).sign(&SigningKey::from_hex(ISSUE_2_KEY).unwrap());
    let mislabelled = SignedReceipt { server_public_key: stranger.public_key_hex(), ..honest.clone() };
    let upper_case = SignedReceipt { signature: honest.signature.replace('f', "F"), ..honest };
    for key in pinned() {
        assert_eq!(forged.verify(&key), Err(ReceiptError::WrongSigner));
        assert_eq!(relabelled.verify(&key), Err(ReceiptError::WrongSigner));
        assert_eq!(mislabelled.verify(&key), Err(ReceiptError::WrongPublicKey));
        assert_eq!(upper_case.verify(&key), Err(ReceiptError::MalformedSignature));
    }
}

#[test]
fn a_receipt_has_one_signature() {
    let honest = receipt(RECEIPT_1_0).sign(&SigningKey::from_hex(ISSUE_2_KEY).unwrap());
    let rs =
        k256::ecdsa::Signature::from_slice(&hex::decode(&RECEIPT_1_0_SIGNATURE[2..130]).unwrap()).unwrap();
    let (r, s) = rs.split_scalars();
    let twin = k256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    for other in
        [format!("0x{}01", hex::encode(twin.to_bytes())), format!("{}1b", &RECEIPT_1_0_SIGNATURE[..130])]
    {
        // It recovers to the same key, and is refused all the same.
        assert_eq!(recover(honest.receipt.digest(), &other.parse().unwrap()), Some(address(ISSUE_2_ADDRESS)));
        let other = SignedReceipt { signature: other, ..honest.clone() };
        assert_eq!(other.verify(&pinned()[0]), Err(ReceiptError::MalformedSignature));
    }
}

#[test]
fn a_receipt_with_more_or_less_than_its_version_has_is_no_receipt() {
    let table = [
        (RECEIPT_1_0.replace(r#""version":"1.0""#, r#""version":"1.1""#), "version 1.1 has"),
        (RECEIPT_1_1.replace(r#""version":"1.1""#, r#""version":"1.0""#), "version 1.0 has no"),
        (RECEIPT_1_1.replace(r#""version":"1.1""#, r#""version":"1.2""#), "must be 1.0 or 1.1"),
        (RECEIPT_1_0.replace(r#""id""#, r#""note":"x","id""#), "unknown field `note`"),
        (RECEIPT_1_0.replace(r#""payer""#, r#""note":"x","payer""#), "unknown field `note`"),
        (RECEIPT_1_0.replace(r#""endpoint""#, r#""note":"x","endpoint""#), "unknown field `note`"),
        (RECEIPT_1_0.replace(r#""payer""#, r#""method":null,"payer""#), "invalid type: null"),
        (RECEIPT_1_0.replace(r#""id""#, r#""id":"rcpt_0","id""#), "duplicate field `id`"),
    ];
    for (json, why) in table {
        let error = serde_json::from_str::<Receipt>(&json).unwrap_err().to_string();
        assert!(error.contains(why), "{error} for {json}");
    }
}

#[test]
fn a_label_is_the_hash_of_the_raw_bytes() {
    // FIPS 180-2, B.1: "abc".
    assert_eq!(
        sha256_label(b"abc"),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

// ---- what we send ----

/// Decodes one of our headers.
fn decoded(header: &str) -> Value {
    serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap()
}

#[test]
fn the_v2_challenge() {
    // The shape of the example in x402 v2 §5.1, with our flow.
    let expected = json!({
        "x402Version": 2,
        "error": "pay",
        "resource": {"url": "https://api.example.com/cpu", "description": "CPU use", "mimeType": "application/json"},
        "accepts": [{
            "scheme": "exact", "network": "eip155:84532", "amount": "10000",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": ANVIL_2, "maxTimeoutSeconds": 60,
            "extra": {"name": "USDC", "version": "2", "paymentFlow": "upfront"},
        }],
        "extensions": {},
    });
    let none = v2::Extensions::new();
    assert_eq!(decoded(&v2::payment_required_header(&[offer()], &resource(), "pay", &none)), expected);
    let text = v2::payment_required(&[offer()], &resource(), "pay", &none);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[test]
fn the_v2_challenge_carries_extensions() {
    let mut extensions = v2::Extensions::new();
    extensions.insert("sign-in-with-x".to_owned(), json!({"info": {}}));
    let header = v2::payment_required_header(&[offer()], &resource(), "pay", &extensions);
    assert_eq!(decoded(&header)["extensions"], json!({"sign-in-with-x": {"info": {}}}));
}

#[test]
fn the_v1_challenge_holds_only_what_every_v1_client_can_read() {
    let offers = [offer_on("ethereum", 1), offer(), offer_on("eip155:42161", 1)];
    let expected = json!([{
        "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000",
        "resource": "https://api.example.com/cpu", "description": "CPU use", "mimeType": "application/json",
        "payTo": ANVIL_2, "maxTimeoutSeconds": 60, "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "extra": {"name": "USDC", "version": "2"},
    }]);
    assert_eq!(v1::accepts(&offers, &resource()), expected);
}

#[test]
fn the_answers_to_a_payer() {
    let tender = offer().tender;
    let settled = SettlementResponse::Settled { transaction: "0xab".to_owned(), payer: ANVIL_1.to_owned() };
    let failed = |payer| SettlementResponse::Failed { reason: "insufficient_funds".to_owned(), payer };
    let table = [
        (
            v2::payment_response_header(&settled, &tender, &v2::Extensions::new()),
            json!({"success": true, "transaction": "0xab", "network": "eip155:84532", "payer": ANVIL_1}),
        ),
        (
            v1::payment_response_header(&settled, &tender),
            json!({"success": true, "transaction": "0xab", "network": "base-sepolia", "payer": ANVIL_1}),
        ),
        (
            v2::payment_response_header(&failed(Some(ANVIL_1.to_owned())), &tender, &v2::Extensions::new()),
            json!({"success": false, "errorReason": "insufficient_funds", "transaction": "",
                   "network": "eip155:84532", "payer": ANVIL_1}),
        ),
        (
            v1::payment_response_header(&failed(None), &tender),
            json!({"success": false, "errorReason": "insufficient_funds", "transaction": "",
                   "network": "base-sepolia"}),
        ),
    ];
    for (header, expected) in table {
        assert_eq!(decoded(&header), expected);
    }
}

// ---- what is presented to us ----

/// WIRE V2 as `@x402/fetch` sends it.
fn v2_payment() -> Value {
    json!({
        "x402Version": 2,
        "resource": {"url": "https://api.example.com/cpu"},
        "accepted": decoded(&v2::payment_required_header(&[offer()], &resource(), "", &v2::Extensions::new()))["accepts"][0],
        "payload": v2_payload(),
    })
}

/// WIRE V2 as `x402-fetch` 1.2.0 sends it.
fn v1_payment() -> Value {
    json!({"x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": v2_payload()})
}

fn v2_payload() -> Value {
    json!({
        "signature": V2_SIGNATURE,
        "authorization": {
            "from": ANVIL_1, "to": ANVIL_2, "value": "10000", "validAfter": "0", "validBefore": "4102444800",
            "nonce": format!("0x{}", "11".repeat(32)),
        },
    })
}

/// Offers for one resource: what V2 pays, a dearer one elsewhere, and one that v1 has no name for.
fn offers() -> [Offer; 3] {
    [offer_on("base", 20_000), offer(), offer_on("ethereum", 10_000)]
}

fn header(payment: &Value) -> String {
    STANDARD.encode(payment.to_string())
}

fn check_v2(payment: &Value, now: u64) -> Result<Payment, PaymentRefused> {
    v2::check(&v2::decode(&header(payment)).unwrap(), &offers(), now)
}

fn check_v1(payment: &Value, now: u64) -> Result<Payment, PaymentRefused> {
    v1::check(&v1::decode(&header(payment)).unwrap(), &offers(), &resource(), now)
}

/// The payment with the member at this JSON pointer set.
fn with(mut payment: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    payment.pointer_mut(parent).unwrap()[member] = value;
    payment
}

/// The payment without the member at this JSON pointer.
fn without(mut payment: Value, pointer: &str) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    payment.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member).unwrap();
    payment
}

#[test]
fn an_honest_payment_is_the_same_in_both_versions() {
    let first = check_v1(&v1_payment(), NOW).unwrap();
    let second = check_v2(&v2_payment(), NOW).unwrap();
    assert_eq!((first.version(), second.version()), (Version::V1, Version::V2));
    for payment in [&first, &second] {
        assert_eq!(payment.offer(), &offer());
        assert_eq!(payment.signer(), Signer::Proven);
        assert_eq!(payment.payer(), Some(address(ANVIL_1)));
        assert_eq!(payment.authorization(), Some(&anvil_transfer(10_000, 0x11)));
        assert_eq!(
            payment.replay_identity(),
            "exact:eip155:84532:0x036cbd53842c5426634e7929541ec2318f3dcf7e:0x70997970c51812dc3a010c7d01b50e0d17dc79c8:0x1111111111111111111111111111111111111111111111111111111111111111"
        );
        // sha256sum of the line above.
        assert_eq!(payment.id().as_str(), "pay_922b54080e613b36b7ec1d11c7746ec9");
    }
}

#[test]
fn a_facilitator_gets_the_clients_payload_and_our_requirements() {
    let first: Value = serde_json::from_str(&request_body(&check_v1(&v1_payment(), NOW).unwrap())).unwrap();
    let ours = v1::accepts(&[offer()], &resource())[0].clone();
    assert_eq!(first, json!({"x402Version": 1, "paymentPayload": v1_payment(), "paymentRequirements": ours}));

    let sent = with(v2_payment(), "/accepted/extra/note", json!("the client's own"));
    let second: Value = serde_json::from_str(&request_body(&check_v2(&sent, NOW).unwrap())).unwrap();
    let ours = v2_payment()["accepted"].clone();
    assert_eq!(second, json!({"x402Version": 2, "paymentPayload": sent, "paymentRequirements": ours}));
}

#[test]
fn a_stored_payment_reads_back() {
    let payment = check_v2(&v2_payment(), NOW).unwrap();
    let stored = serde_json::to_value(&payment).unwrap();
    let golden = json!({
        "version": "v2",
        "offer": {
            "network": "eip155:84532",
            "asset": {"address": "0x036cbd53842c5426634e7929541ec2318f3dcf7e", "name": "USDC", "version": "2",
                      "decimals": 6, "symbol": "USDC"},
            "pay_to": ANVIL_2.to_ascii_lowercase(), "amount": "10000", "max_timeout_seconds": 60,
        },
        "authorization": {
            "from": ANVIL_1.to_ascii_lowercase(), "to": ANVIL_2.to_ascii_lowercase(), "value": "10000",
            "valid_after": 0, "valid_before": 4_102_444_800_u64, "nonce": format!("0x{}", "11".repeat(32)),
        },
        "signature": V2_SIGNATURE,
        "signer": "proven",
        "payload": v2_payment(),
        "requirements": v2_payment()["accepted"],
    });
    assert_eq!(stored, golden);
    assert_eq!(serde_json::from_str::<Payment>(&golden.to_string()).unwrap(), payment);
}

#[test]
fn what_a_client_may_do_differently() {
    let table = [
        ("extra members in `extra`", with(v2_payment(), "/accepted/extra/note", json!(1))),
        ("lower-case payee", with(v2_payment(), "/accepted/payTo", json!(ANVIL_2.to_ascii_lowercase()))),
        (
            "lower-case payer",
            with(v2_payment(), "/payload/authorization/from", json!(ANVIL_1.to_ascii_lowercase())),
        ),
        ("no resource", without(v2_payment(), "/resource")),
        ("another resource", with(v2_payment(), "/resource/url", json!("https://api.example.com/dear"))),
        ("extensions", with(v2_payment(), "/extensions", json!({}))),
    ];
    let honest = check_v2(&v2_payment(), NOW).unwrap();
    for (what, payment) in table {
        let payment = check_v2(&payment, NOW).expect(what);
        assert_eq!(payment.signer(), Signer::Proven, "{what}");
        assert_eq!(payment.replay_identity(), honest.replay_identity(), "{what}");
        assert_eq!(payment.requirements(), honest.requirements(), "{what}");
    }
}

#[test]
fn a_signature_that_we_cannot_prove_is_left_to_the_facilitator() {
    let table = [
        ("WIRE V4, another domain", V4_SIGNATURE.to_owned()),
        ("WIRE V5, high s", V5_SIGNATURE.to_owned()),
        ("v 1 for 28", format!("{}01", &V2_SIGNATURE[..130])),
        ("64 bytes", V2_SIGNATURE[..130].to_owned()),
        ("a contract wallet's (ERC-6492)", format!("0x{}{}", "00".repeat(96), "6492".repeat(16))),
        ("empty", "0x".to_owned()),
        ("somebody else's", V3_SIGNATURE.to_owned()),
    ];
    for (what, signature) in table {
        for checked in [
            check_v2(&with(v2_payment(), "/payload/signature", json!(signature)), NOW),
            check_v1(&with(v1_payment(), "/payload/signature", json!(signature)), NOW),
        ] {
            let payment = checked.expect(what);
            assert_eq!(payment.signer(), Signer::Unproven, "{what}");
            assert_eq!(payment.payload()["payload"]["signature"], signature, "{what}");
        }
    }
}

#[test]
fn v1_pays_the_offer_that_it_is_signed_for() {
    let mut other = offer();
    let Tender::Evm(tender) = &mut other.tender else { panic!("it is on an EVM chain") };
    tender.asset.name = "USD Coin".to_owned();
    let presented = v1::decode(&header(&v1_payment())).unwrap();
    let payment = v1::check(&presented, &[other.clone(), offer()], &resource(), NOW).unwrap();
    assert_eq!((payment.offer(), payment.signer()), (&offer(), Signer::Proven));
    let payment = v1::check(&presented, std::slice::from_ref(&other), &resource(), NOW).unwrap();
    assert_eq!((payment.offer(), payment.signer()), (&other, Signer::Unproven));
}

const NO_MATCH: &str = "no_matching_payment_requirements";
const INVALID: &str = "invalid_payload";
const TYPE: &str = "unsupported_payload_type";
const RECIPIENT: &str = "invalid_exact_evm_payload_recipient_mismatch";
const VALUE: &str = "invalid_exact_evm_payload_authorization_value";
const VALID_AFTER: &str = "invalid_exact_evm_payload_authorization_valid_after";
const VALID_BEFORE: &str = "invalid_exact_evm_payload_authorization_valid_before";

#[test]
fn whatever_is_changed_in_accepted_is_refused() {
    // WIRE §6.3 point 5; each is what the client writes instead of what we offered.
    let table = [
        ("/accepted/scheme", json!("upto")),
        ("/accepted/network", json!("eip155:8453")),
        ("/accepted/network", json!("base-sepolia")),
        ("/accepted/amount", json!("9999")),
        ("/accepted/amount", json!("10001")),
        ("/accepted/amount", json!("010000")),
        ("/accepted/amount", json!(10_000)),
        ("/accepted/asset", json!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")),
        ("/accepted/payTo", json!(ANVIL_1)),
        ("/accepted/maxTimeoutSeconds", json!(61)),
        ("/accepted/maxTimeoutSeconds", json!("60")),
        ("/accepted/maxTimeoutSeconds", json!(60.5)),
        ("/accepted/extra/name", json!("USD Coin")),
        ("/accepted/extra/version", json!("1")),
        ("/accepted/extra/paymentFlow", json!("authorization")),
        ("/accepted/extra", json!({})),
        ("/accepted/extra", Value::Null),
        ("/accepted/note", json!("unknown")),
    ];
    for (pointer, value) in table {
        let refused = check_v2(&with(v2_payment(), pointer, value.clone()), NOW).unwrap_err();
        assert_eq!(refused.reason(), NO_MATCH, "{pointer} = {value}");
    }
    for pointer in ["/accepted/scheme", "/accepted/payTo", "/accepted/extra", "/accepted/maxTimeoutSeconds"] {
        assert_eq!(
            check_v2(&without(v2_payment(), pointer), NOW).unwrap_err().reason(),
            NO_MATCH,
            "{pointer}"
        );
    }
    let elsewhere = v2::decode(&header(&v2_payment())).unwrap();
    let refused = v2::check(&elsewhere, &[offer_on("base-sepolia", 20_000)], NOW).unwrap_err();
    assert_eq!(refused.reason(), NO_MATCH, "another resource's offer");
}

#[test]
fn whatever_is_changed_in_the_authorization_is_refused_in_both_versions() {
    // WIRE §6.3 points 4, 6 and 7.
    let now = NOW.to_string();
    let table = [
        ("/payload/authorization/value", json!("9999"), VALUE),
        ("/payload/authorization/value", json!("10001"), VALUE),
        ("/payload/authorization/value", json!("0"), VALUE),
        ("/payload/authorization/value", json!("0x2710"), INVALID),
        ("/payload/authorization/value", json!("010000"), INVALID),
        ("/payload/authorization/value", json!(" 10000 "), INVALID),
        ("/payload/authorization/value", json!("-10000"), INVALID),
        ("/payload/authorization/value", json!(10_000), INVALID),
        ("/payload/authorization/value", json!("1".repeat(40)), INVALID),
        ("/payload/authorization/to", json!(ANVIL_1), RECIPIENT),
        ("/payload/authorization/to", json!("0x3C44"), INVALID),
        ("/payload/authorization/from", json!("70997970C51812dc3A010C7d01b50e0d17dc79C8"), INVALID),
        ("/payload/authorization/from", Value::Null, INVALID),
        ("/payload/authorization/validAfter", json!((NOW + 1).to_string()), VALID_AFTER),
        ("/payload/authorization/validAfter", json!("00"), INVALID),
        ("/payload/authorization/validAfter", json!(0), INVALID),
        ("/payload/authorization/validBefore", json!(now), VALID_BEFORE),
        ("/payload/authorization/validBefore", json!((NOW + 5).to_string()), VALID_BEFORE),
        ("/payload/authorization/validBefore", json!("0"), VALID_BEFORE),
        ("/payload/authorization/validBefore", json!("18446744073709551616"), INVALID),
        ("/payload/authorization/nonce", json!(format!("0x{}", "AB".repeat(32))), INVALID),
        ("/payload/authorization/nonce", json!("11".repeat(32)), INVALID),
        ("/payload/authorization/nonce", json!(format!("0x{}", "11".repeat(31))), INVALID),
        ("/payload/authorization/note", json!("unknown"), INVALID),
        ("/payload/authorization", json!([]), INVALID),
        ("/payload/signature", json!(1), INVALID),
        ("/payload/permit2Authorization", json!({}), TYPE),
        ("/payload", json!({"signature": "0x", "permit2Authorization": {}}), TYPE),
        ("/payload", json!({"delegationManager": "0x", "permissionContext": "0x", "delegator": "0x"}), TYPE),
        ("/payload", json!({}), INVALID),
    ];
    for (pointer, value, reason) in table {
        let second = check_v2(&with(v2_payment(), pointer, value.clone()), NOW).unwrap_err();
        let first = check_v1(&with(v1_payment(), pointer, value.clone()), NOW).unwrap_err();
        assert_eq!((second.reason(), first.reason()), (reason, reason), "{pointer} = {value}");
        assert_eq!(second, first);
    }
    for member in ["from", "to", "value", "validAfter", "validBefore", "nonce"] {
        let pointer = format!("/payload/authorization/{member}");
        let refused = check_v2(&without(v2_payment(), &pointer), NOW).unwrap_err();
        assert_eq!(refused, PaymentRefused::InvalidPayload(member.to_owned()));
    }
}

#[test]
fn whatever_else_is_changed_in_a_v1_payment_is_refused() {
    let table = [
        ("/scheme", json!("upto"), "unsupported_scheme"),
        ("/network", json!("avalanche"), "invalid_network"),
        ("/network", json!("eip155:84532"), "invalid_network"),
        ("/network", json!("ethereum"), "invalid_network"),
        ("/network", json!("base"), VALUE),
    ];
    for (pointer, value, reason) in table {
        let refused = check_v1(&with(v1_payment(), pointer, value.clone()), NOW).unwrap_err();
        assert_eq!(refused.reason(), reason, "{pointer} = {value}");
    }
}

#[test]
fn a_payment_is_good_from_its_first_second_to_six_before_its_last() {
    let window = with(v2_payment(), "/payload/authorization/validAfter", json!(NOW.to_string()));
    let window = with(window, "/payload/authorization/validBefore", json!((NOW + 60).to_string()));
    let table = [
        (NOW - 1, Some(PaymentRefused::NotYetValid)),
        (NOW, None),
        (NOW + 54, None),
        (NOW + 55, Some(PaymentRefused::Expired)),
        (u64::MAX, Some(PaymentRefused::Expired)),
    ];
    for (now, refused) in table {
        assert_eq!(check_v2(&window, now).err(), refused, "{now}");
    }
}

#[test]
fn a_payment_of_the_wrong_shape_or_version_cannot_be_read() {
    let table = [
        (v2::decode(&header(&v1_payment())).unwrap_err(), "must have x402Version 2"),
        (v1::decode(&header(&v2_payment())).unwrap_err(), "must have x402Version 1"),
        (
            v2::decode(&header(&without(v2_payment(), "/accepted"))).unwrap_err(),
            "has no usable member \"accepted\"",
        ),
        (
            v2::decode(&header(&with(v2_payment(), "/payload", json!("x")))).unwrap_err(),
            "has no usable member \"payload\"",
        ),
        (
            v1::decode(&header(&without(v1_payment(), "/payload"))).unwrap_err(),
            "has no usable member \"payload\"",
        ),
        (
            v1::decode(&header(&without(v1_payment(), "/scheme"))).unwrap_err(),
            "has no usable member \"scheme\"",
        ),
        (
            v1::decode(&header(&with(v1_payment(), "/network", json!(84532)))).unwrap_err(),
            "has no usable member \"network\"",
        ),
    ];
    for (bad, why) in table {
        assert_eq!(bad.to_string(), why);
    }
}

// ---- what facilitators answer (WIRE §1.5, §6.3 point 11) ----

const HTML: &str = "<html><body>502 Bad Gateway</body></html>";
const TRANSACTION: &str = "0xabababababababababababababababababababababababababababababababab";

#[test]
fn answers_to_verify() {
    let valid = |payer: Option<&str>| VerifyAnswer::Valid { payer: payer.map(str::to_owned) };
    let invalid = |reason: &str| VerifyAnswer::Invalid { reason: reason.to_owned() };
    let redirect = || VerifyAnswer::NoAnswer { why: "redirects with status 308".to_owned() };
    let unreadable = |status: u16| VerifyAnswer::NoAnswer {
        why: format!("answers status {status} without a readable verdict"),
    };
    let contradiction =
        |status: u16| VerifyAnswer::NoAnswer { why: format!("says valid under status {status}") };
    let table = [
        // The TS reference and x402.org.
        (200, r#"{"isValid":true,"payer":"0xA"}"#, valid(Some("0xA"))),
        (200, r#"{"isValid":true,"invalidReason":null,"payer":null}"#, valid(None)),
        (
            200,
            r#"{"isValid":false,"invalidReason":"insufficient_funds","payer":"0xA"}"#,
            invalid("insufficient_funds"),
        ),
        // x402-rs.
        (
            400,
            r#"{"isValid":false,"invalidReason":"invalid_network","invalidReasonDetails":"x","payer":""}"#,
            invalid("invalid_network"),
        ),
        (
            412,
            r#"{"isValid":false,"invalidReason":"permit2_allowance_required","payer":""}"#,
            invalid("permit2_allowance_required"),
        ),
        (500, r#"{"isValid":false,"invalidReason":null}"#, invalid("unexpected_verify_error")),
        // Faults.
        (502, r#"{"isValid":true}"#, contradiction(502)),
        (400, r#"{"isValid":true}"#, contradiction(400)),
        (308, r#"{"isValid":true}"#, redirect()),
        (308, r#"{"isValid":false}"#, redirect()),
        (200, HTML, unreadable(200)),
        (500, HTML, unreadable(500)),
        (200, "{}", unreadable(200)),
        (200, "", unreadable(200)),
        (200, "null", unreadable(200)),
        (200, "[true,null,null]", unreadable(200)),
        (200, r#"{"isValid":true,"pay"#, unreadable(200)),
        (200, r#"{"isValid":"true"}"#, unreadable(200)),
        (429, r#"{"error":"slow down"}"#, unreadable(429)),
        (500, r#"{"error":"Cannot read properties of undefined"}"#, unreadable(500)),
    ];
    for (status, body, answer) in table {
        assert_eq!(read_verify(status, body.as_bytes()), answer, "{status} {body}");
    }
}

#[test]
fn answers_to_settle_of_money_that_moved() {
    let payment = check_v2(&v2_payment(), NOW).unwrap();
    let settled = SettleAnswer::Settled {
        transaction: Hash32::new([0xab; 32]).to_string(),
        payer: Some(ANVIL_1.to_owned()),
    };
    let lower = ANVIL_1.to_ascii_lowercase();
    let bodies = [
        json!({"success": true, "transaction": TRANSACTION, "network": "eip155:84532", "payer": ANVIL_1}),
        json!({"success": true, "transaction": TRANSACTION, "network": "base-sepolia", "payer": lower}),
        json!({"success": true, "transaction": TRANSACTION, "network": "eip155:84532", "payer": null, "errorReason": null}),
        json!({"success": true, "transaction": TRANSACTION.to_ascii_uppercase().replace("0X", "0x"), "network": null}),
    ];
    for body in bodies {
        assert_eq!(read_settle(200, body.to_string().as_bytes(), &payment), settled, "{body}");
    }
}

#[test]
fn answers_to_settle_of_money_that_did_not_move() {
    let payment = check_v2(&v2_payment(), NOW).unwrap();
    let refused = |reason: &str| SettleAnswer::Refused { reason: reason.to_owned() };
    let used = |reason: &str| SettleAnswer::NonceUsed { reason: reason.to_owned() };
    let table = [
        (
            200,
            r#"{"success":false,"errorReason":"insufficient_funds","transaction":"","network":"eip155:84532"}"#,
            refused("insufficient_funds"),
        ),
        (400, r#"{"success":false,"errorReason":"invalid_payload"}"#, refused("invalid_payload")),
        // x402-rs.
        (
            500,
            r#"{"success":false,"network":"","transaction":"","errorReason":"contract_call","errorMessage":"x","payer":""}"#,
            refused("contract_call"),
        ),
        (200, r#"{"success":false,"transaction":null}"#, refused("unexpected_settle_error")),
        // The TS reference, at the second settlement of one payload.
        (
            200,
            r#"{"success":false,"errorReason":"invalid_exact_evm_nonce_already_used","transaction":""}"#,
            used("invalid_exact_evm_nonce_already_used"),
        ),
        (400, r#"{"success":false,"errorReason":"Nonce Used"}"#, used("Nonce Used")),
    ];
    for (status, body, answer) in table {
        assert_eq!(read_settle(status, body.as_bytes(), &payment), answer, "{status} {body}");
    }
}

#[test]
fn answers_to_settle_that_settle_nothing() {
    let payment = check_v2(&v2_payment(), NOW).unwrap();
    let success = |member: &str, value: Value| {
        let body =
            json!({"success": true, "transaction": TRANSACTION, "network": "eip155:84532", "payer": ANVIL_1});
        with(json!({ "body": body }), &format!("/body/{member}"), value)["body"].to_string()
    };
    let good = success("payer", json!(ANVIL_1));
    let pending = json!({"success": false, "errorReason": "settlement_pending", "transaction": TRANSACTION});
    let failed = json!({"success": false, "errorReason": "nonce_already_used", "transaction": TRANSACTION});
    let table = [
        (502, good.clone(), Some(TRANSACTION)),
        (400, good.clone(), Some(TRANSACTION)),
        (308, good, None),
        (200, success("transaction", json!("")), None),
        (200, success("transaction", Value::Null), None),
        (200, success("transaction", json!("0x12")), Some("0x12")),
        (200, success("network", json!("eip155:8453")), Some(TRANSACTION)),
        (200, success("network", json!("base")), Some(TRANSACTION)),
        (200, success("payer", json!(ANVIL_2)), Some(TRANSACTION)),
        (200, success("payer", json!("0x")), Some(TRANSACTION)),
        (200, pending.to_string(), Some(TRANSACTION)),
        (200, failed.to_string(), Some(TRANSACTION)),
        (200, r#"{"success":false,"errorReason":"settlement_pending","transaction":""}"#.to_owned(), None),
        (308, r#"{"success":false,"errorReason":"insufficient_funds"}"#.to_owned(), None),
        (200, HTML.to_owned(), None),
        (503, HTML.to_owned(), None),
        (200, "{}".to_owned(), None),
        (200, format!(r#"[true,null,"{TRANSACTION}",null,null]"#), None),
        (200, r#"{"success":true,"transac"#.to_owned(), None),
        (429, r#"{"error":"slow down"}"#.to_owned(), None),
        (500, r#"{"error":"No facilitator registered"}"#.to_owned(), None),
    ];
    for (status, body, expected) in table {
        let answer = read_settle(status, body.as_bytes(), &payment);
        let SettleAnswer::Unknown { transaction, .. } = answer else {
            panic!("{answer:?} for {status} {body}")
        };
        assert_eq!(transaction.as_deref(), expected, "{status} {body}");
    }
}
