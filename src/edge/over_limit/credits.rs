//! What is different where prepaid credits are sold: no request passes for the payment, and the answer is the gate's own. A
//! caller of whom nothing else is known buys them for the wallet that pays.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use worker::web_sys;

use super::denial::too_many_failures;
use super::{Counter, offers};
use crate::client::AccountId;
use crate::contract::{AccountCall, KeptReceipt, PaymentCall, payment_object};
use crate::edge::exchange::Outcome;
use crate::edge::paid_answer::{ReadAhead, Sold};
use crate::edge::{credit_counter, gate, objects};
use crate::limit::credit::sale::CreditSale;
use crate::limit::credit::{BlockId, sale};
use crate::limit::decision::Verdict;
use crate::pay::mpp::challenge::Challenge;
use crate::pay::x402::{Moment, Payment, Signer};
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

    /// Takes a payment of a caller of whom nothing else is known: the credits are the wallet's that signed it, on the terms that
    /// this wallet has.
    pub(super) async fn take_for_payer(
        &self,
        (payment, moment): (Payment, Moment),
        challenge: Option<Challenge>,
    ) -> Outcome<web_sys::Response> {
        let exchange = self.exchange;
        let Some(payer) = payment.payer().filter(|_| payment.signer() == Signer::Proven) else {
            return self.turn_away(unproven()).await;
        };
        let account = AccountId::of_wallet(&payer);
        let count = self.terms.grants.first().map(|grant| grant.quantity.floor()).unwrap_or_default();
        let sale: CreditSale = exchange.ask(&account, AccountCall::SellCredits(count)).await?;
        let decision = credit_counter::offered(exchange, sale)?;
        let (Verdict::Denied(denied), Some(config)) = (&decision.verdict, &exchange.settings.config.payment)
        else {
            return Err(credit_counter::too_dear());
        };
        if let Some(wait) = denied.failures_wait {
            return Err(too_many_failures(wait));
        }
        let Some(terms) = &denied.offer else { return Err(credit_counter::too_dear()) };
        let counter = Counter {
            exchange,
            account: &account,
            target: self.target,
            decision: &decision,
            denied,
            terms,
            offers: offers(config, terms),
            resource: self.resource.clone(),
            answers_credential: self.answers_credential,
            is_payers: true,
        };
        if counter.offers.contains(payment.offer()) {
            return counter.take((payment, moment), challenge).await;
        }
        Err(other_price())
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
        let answer =
            match credit_counter::bought(exchange, self.account, (&block, &receipt), self.is_payers).await {
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

/// A payment whose signature only a facilitator can judge: anybody could name a wallet with it.
fn unproven() -> Problem {
    let detail = "this payment does not prove whose it is before it is settled; send an API key with it, or sign in as its wallet \
                  (SIGN-IN-WITH-X)";
    Problem::new(ProblemKind::NoAccess, detail)
}

/// The wallet that pays has a price of its own, which nobody else is told.
fn other_price() -> Problem {
    let detail =
        "credits cost this wallet something else; nothing was taken, sign in as it first (SIGN-IN-WITH-X)";
    Problem::new(ProblemKind::NoAccess, detail)
}
