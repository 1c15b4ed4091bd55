//! Signed contexts: a wallet signs the price of one request, as an older gate asked for it (HTTP.md, "Signed context").
//!
//! A signed context proves who wants to pay and moves no money: what was signed for is owed. So it is taken only from wallets
//! that the owner registered, within their plans.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::amount::Amount;
use super::eip712::{Address, Signature, SignedContext, recover};
use super::offer::Offer;
use super::receipt::{PaymentRecord, SettlementRecord, SignedReceipt};
use super::x402::PaymentId;
use crate::client::AccountId;

/// The name of the method, in settings and receipts.
pub const METHOD: &str = "signed-context";

/// What a wallet is asked to sign for one request: all of it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextOffer {
    message: SignedContext,
    chain_id: u64,
    network: String,
    offer: Offer,
}

impl ContextOffer {
    /// What stands for an offer, under a nonce; `None` for one that is not on an EVM chain.
    #[must_use]
    pub fn of(offer: &Offer, nonce: &str) -> Option<Self> {
        let tender = offer.tender.evm()?;
        let message = SignedContext {
            recipient: tender.pay_to,
            token: tender.asset.symbol.clone(),
            amount: offer.price(),
            nonce: nonce.to_owned(),
        };
        let chain_id = tender.network.chain_id();
        Some(Self { message, chain_id, network: tender.network.caip2(), offer: offer.clone() })
    }

    /// The member `paymentContext` of a 402.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "recipient": self.message.recipient.checksummed(),
            "token": self.message.token,
            "amount": self.message.amount,
            "nonce": self.message.nonce,
            "chainId": self.chain_id,
        })
    }

    /// What is owed for it, in the decimals that bills are written in.
    #[must_use]
    pub fn owed(&self, decimals: u8) -> Amount {
        self.offer.counted(decimals)
    }

    /// The wallet that signed it. Any well-formed signature is some wallet's, so this alone lets nobody in.
    #[must_use]
    pub fn signer(&self, signature: &str) -> Option<Address> {
        let signature: Signature = signature.parse().ok()?;
        recover(self.message.digest(&SignedContext::domain(self.chain_id)), &signature)
    }

    /// What its receipt says of the payment.
    #[must_use]
    pub fn record(&self, wallet: Address) -> PaymentRecord {
        PaymentRecord {
            payer: wallet.to_string(),
            recipient: self.message.recipient.checksummed(),
            amount: self.message.amount.clone(),
            token: self.message.token.clone(),
            chain_id: self.chain_id,
            nonce: self.message.nonce.clone(),
            settlement: Some(SettlementRecord {
                method: METHOD.to_owned(),
                network: self.network.clone(),
                transaction: String::new(),
            }),
        }
    }
}

/// The id under which a nonce is used once.
#[must_use]
pub fn id_of_nonce(nonce: &str) -> PaymentId {
    PaymentId::of(&format!("{METHOD}:{nonce}"))
}

/// What the object of a nonce remembers: who used it, and the receipt of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pledge {
    /// The wallet's account.
    pub account: AccountId,
    /// The receipt, once it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<SignedReceipt>,
    /// Unix seconds at which the receipt ends.
    pub receipt_expires_at: u64,
}

/// A pledge as it is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredPledge {
    /// The first form.
    PledgeV1(Pledge),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pay::network::{Network, known_asset};
    use crate::pay::offer::{EvmTender, Flow, Tender, TransferMethod};

    /// The vector of issue 2.
    const NONCE: &str = "9c311e31-eb30-420a-bced-c0d68bc89cea";
    const SIGNATURE: &str = "0x87c295fddc5bbf814c585349bc566cfb6791ffad4a4cadc99a4fdb9d32f33f5c5c8ec14cde2f63c4d39b1d67f0535d09bdcb27edd71456975a803db4ceddecd81b";
    const SIGNER: &str = "0x14791697260e4c9a71f18484c9f997b308e59325";

    fn offer() -> Offer {
        let network = Network::parse("base").unwrap();
        let tender = EvmTender {
            network,
            asset: known_asset(&network, "USDC").unwrap(),
            pay_to: "0x2cAF48b4BA1C58721a85dFADa5aC01C2DFa62219".parse().unwrap(),
            transfer_method: TransferMethod::Eip3009,
        };
        Offer {
            tender: Tender::Evm(tender),
            amount: Amount::new(1_000),
            max_timeout_seconds: 60,
            flow: Flow::Upfront,
        }
    }

    #[test]
    fn a_context_is_offered_as_the_older_gate_did() {
        let expected = json!({
            "recipient": "0x2cAF48b4BA1C58721a85dFADa5aC01C2DFa62219", "token": "USDC", "amount": "0.001",
            "nonce": NONCE, "chainId": 8453,
        });
        assert_eq!(ContextOffer::of(&offer(), NONCE).unwrap().to_json(), expected);
    }

    #[test]
    fn the_wallet_that_signed_is_told_and_any_change_tells_another() {
        let signer = |offer: &Offer, nonce| ContextOffer::of(offer, nonce).unwrap().signer(SIGNATURE);
        assert_eq!(signer(&offer(), NONCE).map(|wallet| wallet.to_string()).as_deref(), Some(SIGNER));
        let dearer = Offer { amount: Amount::new(1_001), ..offer() };
        assert_ne!(signer(&dearer, NONCE), SIGNER.parse().ok());
        assert_ne!(signer(&offer(), "9c311e31-eb30-420a-bced-c0d68bc89ceb"), SIGNER.parse().ok());
        for malformed in ["", "0x", "nonsense", &SIGNATURE[..130]] {
            assert_eq!(ContextOffer::of(&offer(), NONCE).unwrap().signer(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn a_receipt_says_that_no_money_moved() {
        let record = ContextOffer::of(&offer(), NONCE).unwrap().record(SIGNER.parse().unwrap());
        let settlement = record.settlement.clone().unwrap();
        assert_eq!((settlement.method.as_str(), settlement.transaction.as_str()), ("signed-context", ""));
        assert_eq!((record.payer.as_str(), record.amount.as_str()), (SIGNER, "0.001"));
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let pledge = Pledge {
            account: format!("wallet:{SIGNER}").parse().unwrap(),
            receipt: None,
            receipt_expires_at: 7,
        };
        let stored = format!(r#"{{"pledge_v1":{{"account":"wallet:{SIGNER}","receipt_expires_at":7}}}}"#);
        assert_eq!(serde_json::to_string(&StoredPledge::PledgeV1(pledge.clone())).unwrap(), stored);
        let StoredPledge::PledgeV1(read) = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, pledge);
    }
}
