//! What is different where prepaid credits are sold: no request passes for the payment, and the answer is the gate's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use worker::web_sys;

use super::Counter;
use crate::contract::{KeptReceipt, PaymentCall, payment_object};
use crate::edge::exchange::Outcome;
use crate::edge::paid_answer::{ReadAhead, Sold};
use crate::edge::{credit_counter, gate, objects};
use crate::limit::credit::{BlockId, sale};
use crate::pay::mpp::challenge::Challenge;
use crate::problem::{Problem, ProblemKind};

impl Counter<'_> {
    /// Whether prepaid credits are sold here, and no request is waiting to pass.
    pub(super) fn sells_credits(&self) -> bool {
        sale::is_of(&self.decision.endpoint)
    }

    /// What so many credits cost.
    pub(super) fn credit_offer(&self) -> Problem {
        let quantity = self.terms.grants.first().map(|grant| grant.quantity).unwrap_or_default();
        let detail = format!("{quantity} prepaid credits cost {}", self.price());
        Problem::new(ProblemKind::PaymentRequired, detail)
    }

    /// Tells who paid what was bought, however often the same payment comes. Its receipt is the first that was made: the
    /// account may have spent some since.
    pub(super) async fn hand_over_credits(
        &self,
        sold: Sold,
        challenge: Option<&Challenge>,
    ) -> Outcome<web_sys::Response> {
        let exchange = self.exchange;
        let object = payment_object(&sold.payment.id());
        let block = BlockId::of_payment(&sold.payment.id());
        let receipt = format!("{}/receipts/{}", exchange.settings.config.prefix, sold.receipt_id);
        // The payment was taken in any case, and its receipt is told.
        let answer = match credit_counter::bought(exchange, self.account, &block, &receipt).await {
            Ok(answer) => answer,
            Err(problem) => exchange.ours(gate::problem_answer(exchange, &problem))?,
        };
        let ahead = exchange.ours(ReadAhead::of(answer).await)?;
        let answer = self.hand_on(ahead, sold, challenge).await?;
        let kept = objects::payment(&exchange.env, &object, &PaymentCall::Receipt).await;
        let kept: Option<KeptReceipt> = exchange.ours(kept)?;
        if let Some(kept) = kept {
            exchange.ours((|| {
                let receipt = STANDARD.encode(serde_json::to_vec(&kept.signed)?);
                Ok(answer.headers().set("X-402-Receipt", &receipt)?)
            })())?;
        }
        Ok(answer)
    }
}
