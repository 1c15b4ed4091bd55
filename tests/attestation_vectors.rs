//! What we sign about what we sell: the extension `offer-receipt` of x402, in EIP-712.

use tollgate::pay::amount::Amount;
use tollgate::pay::eip712::{Hash32, OfferStatement, ReceiptStatement, SigningKey};
use tollgate::pay::network::{Network, known_asset};
use tollgate::pay::offer::{EvmTender, Flow, Offer, Resource, Tender, TransferMethod};
use tollgate::pay::x402::offer_receipt;

const ANVIL_1: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const ANVIL_2_KEY: &str = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";

/// WIRE V9, made with viem.
#[test]
fn a_receipt_hashes_and_signs_as_viem_has_it() {
    let receipt = ReceiptStatement {
        network: "eip155:84532".to_owned(),
        resource_url: "https://api.example.com/data".to_owned(),
        payer: ANVIL_1.to_owned(),
        issued_at: 1_795_219_200,
        transaction: format!("0x{}", "ab".repeat(32)),
    };
    let digest = "0x2027b3e1331064c883dee335f61e3168c6bb95ec1d5989fb3b57f712db309bbd";
    assert_eq!(Hash32::new(receipt.digest()).to_string(), digest);
    let signature = SigningKey::from_hex(ANVIL_2_KEY).unwrap().sign_digest(receipt.digest());
    let by_viem = "0x816ef971365443737e582eb9183f8bc28b1a014fb42956bcca86937a43fbb08a57206e6729936cfd82e338e19460122c4218e63e6888ae539abeb5b692be0ea01b";
    assert_eq!(signature.in_wallet_style().to_string(), by_viem);
}

/// Made with `hashOfferTypedData` of npm @x402/extensions 2.27.0.
#[test]
fn an_offer_hashes_as_the_official_package_has_it() {
    let offer = OfferStatement {
        resource_url: "https://api.example.com/data".to_owned(),
        scheme: "exact".to_owned(),
        network: "eip155:84532".to_owned(),
        asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".to_owned(),
        pay_to: ANVIL_1.to_owned(),
        amount: "1000".to_owned(),
        valid_until: 1_795_219_260,
    };
    assert_eq!(
        Hash32::new(offer.digest()).to_string(),
        "0x3498bcf80adb9f18db3c43428a5ebc4cf0a42550d0b2ebbb9065cdf3bc53e0cb"
    );
}

/// Clients send the offers back in a payment header, whose length is limited; and one signature serves a whole minute.
#[test]
fn at_most_eight_offers_are_signed_and_each_until_a_whole_minute() {
    let network = Network::parse("base").unwrap();
    let tender = Tender::Evm(EvmTender {
        network,
        asset: known_asset(&network, "USDC").unwrap(),
        pay_to: ANVIL_1.parse().unwrap(),
        transfer_method: TransferMethod::Eip3009,
    });
    let offers: Vec<Offer> = (1..=9)
        .map(|amount| Offer {
            tender: tender.clone(),
            amount: Amount::new(amount),
            max_timeout_seconds: 60,
            flow: Flow::Upfront,
        })
        .collect();
    let resource = Resource {
        url: "https://x.example/".to_owned(),
        description: String::new(),
        mime_type: String::new(),
    };
    let key = SigningKey::from_hex(ANVIL_2_KEY).unwrap();
    let at = |now| offer_receipt::offers(&offers, &resource, now, |digest| key.sign_digest(digest));
    let extension = at(1_795_219_201);
    let signed = extension["info"]["offers"].as_array().unwrap();
    assert_eq!(signed.len(), 8);
    assert_eq!(
        (signed[7]["acceptIndex"].as_u64(), signed[7]["payload"]["amount"].as_str()),
        (Some(7), Some("8"))
    );
    assert_eq!(signed[0]["payload"]["validUntil"], 1_795_219_320);
    assert_eq!(at(1_795_219_259), extension);
    assert_ne!(at(1_795_219_261), extension);
}
