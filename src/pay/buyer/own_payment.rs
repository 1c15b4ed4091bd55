//! A payment that this wallet signs, and whether a receipt says the same.

use serde_json::{Map, Value, json};

use super::{Challenge, Payable};
use crate::pay::eip712::{Hash32, SigningKey, TransferWithAuthorization};
use crate::pay::receipt::{Receipt, sha256_label};
use crate::pay::x402::v2;

/// A payment of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnPayment {
    /// What was signed.
    pub authorization: TransferWithAuthorization,
    /// The value of `PAYMENT-SIGNATURE`. Sent again it is the same payment, and is never taken twice.
    pub header: String,
}

impl OwnPayment {
    /// Signs for an offer of a challenge. `nonce` must never have been used by this wallet; `now_seconds` is unix time.
    #[must_use]
    pub fn sign(
        challenge: &Challenge,
        payable: &Payable,
        key: &SigningKey,
        nonce: Hash32,
        now_seconds: u64,
    ) -> Self {
        let tender = &payable.tender;
        let authorization = TransferWithAuthorization {
            from: key.address(),
            to: tender.pay_to,
            value: payable.amount.atomic(),
            valid_after: 0,
            valid_before: now_seconds.saturating_add(payable.max_timeout_seconds),
            nonce,
        };
        let signature = key.sign_digest(authorization.digest(&tender.domain())).in_wallet_style().to_string();
        let payload = json!({
            "signature": signature,
            "authorization": {
                "from": authorization.from.checksummed(),
                "to": authorization.to.checksummed(),
                "value": authorization.value.to_string(),
                "validAfter": authorization.valid_after.to_string(),
                "validBefore": authorization.valid_before.to_string(),
                "nonce": authorization.nonce.to_string(),
            },
        });
        let mut payment = Map::from_iter([
            ("accepted".to_owned(), Value::Object(payable.requirements.clone())),
            ("payload".to_owned(), payload),
        ]);
        payment.extend(challenge.resource.clone().map(|resource| ("resource".to_owned(), resource)));
        Self { authorization, header: v2::payment_signature_header(payment) }
    }
}

/// What a payer knows of a purchase, to hold a receipt against.
#[derive(Clone, Copy, Debug)]
pub struct Purchase<'a> {
    /// The offer that was paid.
    pub payable: &'a Payable,
    /// The payment.
    pub payment: &'a OwnPayment,
    /// The transaction that the answer named, if it did.
    pub transaction: Option<&'a str>,
    /// The body that was sent.
    pub request_body: &'a [u8],
    /// The body that came.
    pub response_body: &'a [u8],
}

impl Purchase<'_> {
    /// What a receipt says otherwise than it was; nothing where it is the receipt of this purchase.
    #[must_use]
    pub fn differences(&self, receipt: &Receipt) -> Vec<String> {
        let (payable, authorization) = (self.payable, &self.payment.authorization);
        let paid = &receipt.payment;
        let transaction = paid.settlement.as_ref().map_or("", |settlement| settlement.transaction.as_str());
        let table = [
            ("payer", paid.payer.to_ascii_lowercase(), authorization.from.to_string()),
            ("recipient", paid.recipient.to_ascii_lowercase(), authorization.to.to_string()),
            ("amount", paid.amount.clone(), payable.decimal()),
            ("token", paid.token.clone(), payable.tender.asset.symbol.clone()),
            ("chainId", paid.chain_id.to_string(), payable.tender.network.chain_id().to_string()),
            ("nonce", paid.nonce.clone(), authorization.nonce.to_string()),
            ("transaction", transaction.to_owned(), self.transaction.unwrap_or(transaction).to_owned()),
            ("request_hash", receipt.service.request_hash.clone(), sha256_label(self.request_body)),
            ("response_hash", receipt.service.response_hash.clone(), sha256_label(self.response_body)),
        ];
        let differs = table.into_iter().filter(|(_, told, was)| told != was);
        differs.map(|(member, told, was)| format!("{member} is {told}, and it was {was}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pay::buyer::ChallengeError;
    use crate::pay::network::{Network, known_asset};
    use crate::pay::offer::{EvmTender, Flow, Offer, Resource, Tender, TransferMethod};
    use crate::pay::receipt::{PaymentRecord, ServiceRecord, SettlementRecord};
    use crate::pay::x402::Signer;

    const NOW: u64 = 1_795_000_000;
    const ANVIL_1: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

    fn offer(network: &str, amount: u128) -> Offer {
        let network = Network::parse(network).unwrap();
        let tender = EvmTender {
            network,
            asset: known_asset(&network, "USDC").unwrap(),
            pay_to: "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc".parse().unwrap(),
            transfer_method: TransferMethod::Eip3009,
        };
        let amount = crate::pay::amount::Amount::new(amount);
        Offer { tender: Tender::Evm(tender), amount, max_timeout_seconds: 60, flow: Flow::Upfront }
    }

    fn resource() -> Resource {
        let url = "https://api.example.com/cpu".to_owned();
        Resource { url, description: String::new(), mime_type: String::new() }
    }

    fn challenge(offers: &[Offer]) -> Challenge {
        Challenge::read(&v2::payment_required_header(offers, &resource(), "pay", &Map::new())).unwrap()
    }

    fn signed(challenge: &Challenge) -> OwnPayment {
        let key = SigningKey::from_hex(ANVIL_1).unwrap();
        OwnPayment::sign(challenge, &challenge.payable[0], &key, Hash32::new([7; 32]), NOW)
    }

    #[test]
    fn the_gate_takes_what_the_tool_signs() {
        let offers = [offer("base-sepolia", 1000), offer("base", 1000)];
        let payment = signed(&challenge(&offers));
        let checked = v2::check(&v2::decode(&payment.header).unwrap(), &offers, NOW).unwrap();
        assert_eq!(checked.signer(), Signer::Proven);
        assert_eq!(checked.authorization(), Some(&payment.authorization));
        assert_eq!(checked.offer(), &offers[0]);
    }

    #[test]
    fn nothing_is_signed_above_the_most_that_may_be_paid() {
        let most = |text: &str| text.parse().unwrap();
        let both = challenge(&[offer("base", 250_000), offer("base-sepolia", 1000)]);
        assert_eq!(both.choose(&most("0.25")).unwrap().price(), "0.25 USDC");
        assert_eq!(both.choose(&most("0.249999")).unwrap().price(), "0.001 USDC");
        for (price, said) in [
            ("0.000999", "it costs 0.001 USDC, and --max-price is 0.000999: nothing was paid"),
            ("0.0009999", "it costs 0.001 USDC, and --max-price is 0.0009999: nothing was paid"),
            ("0", "it costs 0.001 USDC, and --max-price is 0: nothing was paid"),
        ] {
            assert_eq!(both.choose(&most(price)).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn what_the_tool_cannot_tell_the_worth_of_is_passed_over() {
        let honest = serde_json::from_str::<Value>(&v2::payment_required(
            &[offer("base-sepolia", 1000)],
            &resource(),
            "pay",
            &Map::new(),
        ));
        let honest = honest.unwrap();
        let told = |member: &str, value: Value| {
            let mut changed = honest.clone();
            *changed.pointer_mut(&format!("/accepts/0/{member}")).unwrap() = value;
            let Value::Object(changed) = changed else { panic!("is a table") };
            let challenge = Challenge::read(&v2::payment_signature_header(changed)).unwrap();
            let error = challenge.choose(&"1".parse().unwrap()).unwrap_err();
            assert!(matches!(error, ChallengeError::NothingPayable(_)));
            error.to_string()
        };
        for (member, value, why) in [
            ("scheme", json!("upto"), "upto on eip155:84532: this tool pays by the scheme exact only"),
            ("network", json!("solana:x"), "exact on solana:x: this tool pays on EVM chains only"),
            (
                "network",
                json!("eip155:8453"),
                "exact on eip155:8453: the token is not the USDC of that chain, so its worth is not known here",
            ),
            (
                "asset",
                json!("0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"),
                "exact on eip155:84532: the token is not the USDC of that chain, so its worth is not known here",
            ),
            (
                "extra/name",
                json!("USD Coin"),
                "exact on eip155:84532: the token's EIP-712 name or version is not USDC's",
            ),
            ("amount", json!("01"), "exact on eip155:84532: the amount is no whole number"),
            ("payTo", json!("me"), "exact on eip155:84532: the payee is no address"),
            ("maxTimeoutSeconds", json!(0), "exact on eip155:84532: maxTimeoutSeconds is no whole number"),
            (
                "extra",
                json!({ "name": "USDC", "version": "2", "assetTransferMethod": "permit2" }),
                "exact on eip155:84532: this tool pays by EIP-3009 only",
            ),
        ] {
            assert_eq!(told(member, value), format!("none of the offers can be paid: {why}"));
        }
        assert!(
            Challenge::read("e30=")
                .unwrap_err()
                .to_string()
                .starts_with("PAYMENT-REQUIRED must have x402Version 2")
        );
    }

    #[test]
    fn a_receipt_of_something_else_is_noticed() {
        let challenge = challenge(&[offer("base-sepolia", 1000)]);
        let payment = signed(&challenge);
        let honest = Receipt {
            id: "rcpt_1".into(),
            timestamp: "2026-01-06T10:30:00Z".into(),
            payment: PaymentRecord {
                payer: payment.authorization.from.to_string(),
                recipient: payment.authorization.to.checksummed(),
                amount: "0.001".into(),
                token: "USDC".into(),
                chain_id: 84532,
                nonce: Hash32::new([7; 32]).to_string(),
                settlement: Some(SettlementRecord {
                    method: "x402".into(),
                    network: "eip155:84532".into(),
                    transaction: "0xab".into(),
                }),
            },
            service: ServiceRecord {
                endpoint: "GET /cpu".into(),
                request_hash: sha256_label(b""),
                response_hash: sha256_label(b"abc"),
            },
        };
        let purchase = Purchase {
            payable: &challenge.payable[0],
            payment: &payment,
            transaction: Some("0xab"),
            request_body: b"",
            response_body: b"abc",
        };
        assert_eq!(purchase.differences(&honest), Vec::<String>::new());
        let mut dearer = honest.clone();
        dearer.payment.amount = "0.002".into();
        assert_eq!(purchase.differences(&dearer), ["amount is 0.002, and it was 0.001"]);
        let other_body = Purchase { response_body: b"abd", transaction: Some("0xac"), ..purchase };
        let told = other_body.differences(&honest);
        assert!(told.len() == 2 && told[0].starts_with("transaction is 0xab"), "{told:?}");
        assert!(told[1].starts_with("response_hash is sha256:ba78"), "{told:?}");
    }
}
