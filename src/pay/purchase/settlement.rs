//! How a purchase was settled, and what its receipt says of that.

use serde::{Deserialize, Serialize};

use super::Service;
use crate::pay::receipt::{PaymentRecord, Receipt, ServiceRecord, SettlementRecord};
use crate::pay::x402::Payment;
use crate::time::Millis;

/// How it was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The transaction; empty when it is credited in doubt.
    pub transaction: String,
    /// Whether a facilitator or the chain named the transaction.
    pub confirmed: bool,
    /// When we learned of it.
    pub at: Millis,
    /// Who paid, as the facilitator says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
}

impl Settlement {
    /// Who paid; empty where nobody said.
    #[must_use]
    pub fn payer_of(&self, payment: &Payment) -> String {
        let signed = payment.payer().map(|payer| payer.to_string());
        signed.or_else(|| self.payer.clone()).unwrap_or_default()
    }

    /// Who paid, as payers are shown it: an EVM address with its checksum. `None` where nobody said.
    #[must_use]
    pub fn shown_payer(&self, payment: &Payment) -> Option<String> {
        payment.payer().map(|payer| payer.checksummed()).or_else(|| self.payer.clone())
    }
}

impl Receipt {
    /// The receipt of a settled payment.
    #[must_use]
    pub fn of_payment(
        payment: &Payment,
        settlement: &Settlement,
        id: &str,
        service: &Service,
        response_hash: String,
    ) -> Self {
        let record = PaymentRecord::of(payment, settlement);
        Self::of_answer((id, settlement.at), record, service, response_hash)
    }

    /// The receipt of an answer that was paid for at that instant, in whatever way.
    #[must_use]
    pub fn of_answer(
        (id, at): (&str, Millis),
        payment: PaymentRecord,
        service: &Service,
        response_hash: String,
    ) -> Self {
        let service = ServiceRecord {
            endpoint: service.path.clone(),
            request_hash: service.request_hash.clone(),
            response_hash,
        };
        Self { id: id.to_owned(), timestamp: at.rfc3339(), payment, service }
    }
}

impl PaymentRecord {
    /// What a receipt says of a settled payment.
    #[must_use]
    pub fn of(payment: &Payment, settlement: &Settlement) -> Self {
        let offer = payment.offer();
        Self {
            payer: settlement.payer_of(payment),
            recipient: offer.tender.payee(),
            amount: offer.price(),
            token: offer.tender.symbol().to_owned(),
            chain_id: offer.tender.chain_id(),
            nonce: payment.nonce(),
            settlement: Some(SettlementRecord {
                method: payment.version().method().to_owned(),
                network: offer.tender.caip2(),
                transaction: settlement.transaction.clone(),
            }),
        }
    }
}
