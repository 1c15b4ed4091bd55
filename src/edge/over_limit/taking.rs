//! A payment that passed every check made at the gate: taken to its object, and the request answered as that says.

use serde_json::Value;
use worker::{console_error, console_log, web_sys};

use super::Counter;
use super::denial::{SOON, pending, rate_limited, too_many_failures};
use super::offering::{Refusal, put_settlement, refused_here};
use crate::client::Kind;
use crate::contract::{
    AccountCall, Attempt, Buys, PaymentCall, Presentation, Presented, payment_object, receipt_id,
};
use crate::edge::exchange::Outcome;
use crate::edge::paid_answer::{self, Bill, ReadAhead, Sold};
use crate::edge::paid_call::{Alive, PaidCall, read_kept};
use crate::edge::{attest, clock, gate, mpp, objects, origin, payment_names};
use crate::endpoint::site::scheme_and_host;
use crate::limit::decision::{Decision, Verdict};
use crate::pay::mpp::challenge::Challenge;
use crate::pay::purchase::{ANSWER_LOST, ORIGIN_FAILED, Service, Settlement};
use crate::pay::receipt::sha256_label;
use crate::pay::x402::{Moment, Payment, PaymentRefused, SettlementResponse};
use crate::problem::{Problem, ProblemKind};

/// Random bytes at the end of a receipt's id.
const RECEIPT_SUFFIX_BYTES: usize = 8;

/// A payment that is taken, and what for.
struct Taken {
    payment: Payment,
    /// What it answers, where it came by MPP.
    challenge: Option<Challenge>,
    service: Service,
}

impl Taken {
    fn sold(self, settlement: Settlement, receipt_id: String) -> (Sold, Option<Challenge>) {
        let Self { payment, challenge, service } = self;
        (Sold { payment, settlement, receipt_id, service }, challenge)
    }
}

impl Counter<'_> {
    /// Takes a payment that passed every local check, and lets the request through once it is credited. One that is late is
    /// answered as it was before, or is now: it may be on its way, or have bought what it was for; one that nobody knows is
    /// refused. `challenge` is what it answers, where it came by MPP.
    pub(super) async fn take(
        &self,
        (payment, moment): (Payment, Moment),
        challenge: Option<Challenge>,
    ) -> Outcome<web_sys::Response> {
        if self.sells_credits() && self.account.kind() == Kind::Ip {
            return Box::pin(self.take_for_payer((payment, moment), challenge)).await;
        }
        // Once a payment is looked at, it is seen through, though its client may be gone.
        let _alive = Alive::keep(self.exchange);
        let body = origin::read_body(self.exchange).await?;
        let late = moment == Moment::Late;
        let presentation = Presentation { late, ..self.presentation(&payment, &body)? };
        let (service, version) = (presentation.service.clone(), payment.version());
        let name = payment_names::claim(self.exchange, self.account, &payment).await?;
        let call = PaymentCall::Present(Box::new(presentation));
        let object = payment_object(&payment.id());
        let presented = self.exchange.ours(objects::payment(&self.exchange.env, &object, &call).await)?;
        if let Some(name) = name {
            name.settle(self.exchange, &presented).await?;
        }
        let taken = Taken { payment, challenge, service };
        match presented {
            Presented::Serve { decision, .. } => self.serve(&object, &decision, taken, body).await,
            Presented::NotKnown if late => {
                self.refuse_here(&refused_here(&PaymentRefused::Expired, version)).await
            }
            presented => self.tell(presented, taken, body).await,
        }
    }

    /// A payment as it is presented in time, and what it is to buy.
    fn presentation(&self, payment: &Payment, body: &[u8]) -> Outcome<Presentation> {
        let service =
            Service { path: self.target.path.as_str().to_owned(), request_hash: sha256_label(body) };
        let suffix = self.exchange.ours(clock::random_hex(RECEIPT_SUFFIX_BYTES))?;
        Ok(Presentation {
            receipt_id: receipt_id(&payment.id(), &suffix),
            payment: payment.clone(),
            account: self.account.clone(),
            endpoint: self.decision.endpoint.clone(),
            grants: self.terms.grants.clone(),
            attempt: Attempt { paid: self.terms.one_call, ..self.exchange.attempt(self.target) },
            buys: self.buys(&service),
            service,
            late: false,
        })
    }

    /// What the payment buys: a refill, or the answer to this very question.
    fn buys(&self, service: &Service) -> Buys {
        if self.sells_credits() {
            return Buys::Credits;
        }
        if !self.terms.one_call {
            return Buys::Refill;
        }
        let (method, url) = (&self.target.method, self.exchange.request.url());
        // The same gate under another name is asked the same.
        let asked = url.strip_prefix(scheme_and_host(&url)).unwrap_or(&url);
        let question = sha256_label(format!("{method} {asked}\n{}", service.request_hash).as_bytes());
        Buys::Call { question, only_known: self.is_limited() }
    }

    /// Has the origin called for a payment that is good, and hands its answer on once it is paid for.
    async fn serve(
        &self,
        name: &str,
        decision: &Decision,
        taken: Taken,
        body: Vec<u8>,
    ) -> Outcome<web_sys::Response> {
        let Self { exchange, account, target, .. } = *self;
        exchange.note(&decision.standings, decision.at);
        let payer = taken.payment.payer().map(|payer| payer.to_string());
        let introduction = origin::Introduction::read(account, decision, payer, body);
        let call = PaidCall { exchange, account, target, decision, payment: name };
        let (ahead, presented) = call.make(&introduction).await?;
        match presented {
            Presented::Sold { settlement, receipt_id } => {
                let (sold, challenge) = taken.sold(settlement, receipt_id);
                self.hand_on(ahead, sold, challenge.as_ref()).await
            }
            Presented::NotSold => exchange.ours(ahead.unread()),
            presented => self.tell(presented, taken, Vec::new()).await,
        }
    }

    /// Answers as the payment's object says.
    async fn tell(&self, presented: Presented, taken: Taken, body: Vec<u8>) -> Outcome<web_sys::Response> {
        match presented {
            Presented::Credited { decision, settlement, receipt_id } => {
                let (sold, challenge) = taken.sold(settlement, receipt_id);
                self.deliver(&decision, sold, challenge.as_ref(), body).await
            }
            Presented::Used { settlement, receipt_id } if self.sells_credits() => {
                let (sold, challenge) = taken.sold(settlement, receipt_id);
                self.hand_over_credits(sold, challenge.as_ref()).await
            }
            Presented::Advanced { decision, receipt_id } => {
                self.deliver_unsettled(&decision, taken, receipt_id, body).await
            }
            Presented::Used { settlement, receipt_id } => {
                let answer = match self.repeat(body, &receipt_id).await {
                    Ok(answer) => answer,
                    Err(problem) => self.exchange.ours(gate::problem_answer(self.exchange, &problem))?,
                };
                // Its first answer may have been lost on the way.
                self.put_payment_fields(&answer, &taken.payment, &settlement)?;
                Ok(answer)
            }
            Presented::Kept { answer, settlement, receipt_id } => {
                let ahead = self.exchange.ours(read_kept(&answer))?;
                match settlement {
                    Some(settlement) => {
                        let (sold, challenge) = taken.sold(settlement, receipt_id);
                        self.hand_on(ahead, sold, challenge.as_ref()).await
                    }
                    None => self.exchange.ours(ahead.unread()),
                }
            }
            Presented::Denied { decision } => Err(match &decision.verdict {
                Verdict::Denied(denied) => rate_limited(&decision, denied),
                Verdict::Admitted(_) | Verdict::NoAccess => rate_limited(self.decision, self.denied),
            }),
            Presented::NotKnown => Err(rate_limited(self.decision, self.denied)),
            Presented::Foreign => {
                let detail = "this payment was presented by another client before";
                self.turn_away(Problem::new(ProblemKind::PaymentUsed, detail)).await
            }
            Presented::ElseBought => {
                let detail = "this payment was presented for something else before; sign a new one for this";
                self.turn_away(Problem::new(ProblemKind::PaymentUsed, detail)).await
            }
            Presented::Refused { reason } => self.refuse(&refusal(reason, &taken.payment)),
            Presented::TooManyFailures { wait } => Err(too_many_failures(wait)),
            Presented::Unavailable { why } => {
                console_error!("{} facilitator: {why}", self.exchange.request_id);
                let detail =
                    "no facilitator could check the payment; nothing was taken, send the same payment again";
                Err(Problem::new(ProblemKind::FacilitatorUnavailable, detail).retry_after(Some(SOON)))
            }
            Presented::Pending | Presented::Serve { .. } | Presented::Sold { .. } | Presented::NotSold => {
                Err(pending())
            }
        }
    }

    /// Lets a request through that was just paid for.
    async fn deliver(
        &self,
        decision: &Decision,
        sold: Sold,
        challenge: Option<&Challenge>,
        body: Vec<u8>,
    ) -> Outcome<web_sys::Response> {
        console_log!(
            "{} credited {} by {}",
            self.exchange.request_id,
            self.account,
            sold.settlement.transaction
        );
        let payer = Some(sold.settlement.payer_of(&sold.payment)).filter(|payer| !payer.is_empty());
        let ahead = self.pass(decision, payer, body).await?;
        self.hand_on(ahead, sold, challenge).await
    }

    /// Lets a request through that a trusted wallet paid for, and whose payment is settled next. There is no transaction to
    /// tell of yet: the answer names the receipt that there will be, and says nothing of a settlement.
    async fn deliver_unsettled(
        &self,
        decision: &Decision,
        taken: Taken,
        receipt_id: String,
        body: Vec<u8>,
    ) -> Outcome<web_sys::Response> {
        console_log!("{} credited {} on trust", self.exchange.request_id, self.account);
        let payer = taken.payment.payer().map(|payer| payer.to_string());
        let ahead = self.pass(decision, payer, body).await?;
        self.let_in();
        let bill = Bill::unsettled(&taken.payment, receipt_id, taken.service);
        self.exchange.ours(paid_answer::with_receipt(self.exchange, ahead, bill).await)
    }

    /// The answer to a request that was just credited, whatever the origin did.
    async fn pass(&self, decision: &Decision, payer: Option<String>, body: Vec<u8>) -> Outcome<ReadAhead> {
        self.exchange.note(&decision.standings, decision.at);
        let introduction = origin::Introduction::read(self.account, decision, payer, body);
        let forwarded = match &decision.verdict {
            Verdict::Admitted(_) => {
                gate::forward(self.exchange, self.account, self.target, decision, &introduction).await
            }
            // A refill smaller than the request's cost: the tokens are there, and the next payment adds to them.
            Verdict::NoAccess | Verdict::Denied(_) => Err(rate_limited(self.decision, self.denied)),
        };
        // Whatever the origin did, the payment was taken: its receipt and what it bought are told in any case.
        let answer = match forwarded {
            Ok(answer) => answer,
            Err(problem) => self.exchange.ours(gate::problem_answer(self.exchange, &problem))?,
        };
        self.exchange.ours(ReadAhead::of(answer).await)
    }

    /// Hands an answer on that is paid for, with all that belongs to a paid answer.
    pub(super) async fn hand_on(
        &self,
        ahead: ReadAhead,
        sold: Sold,
        challenge: Option<&Challenge>,
    ) -> Outcome<web_sys::Response> {
        if let Some(challenge) = challenge {
            let receipt = mpp::receipt(challenge, &sold.payment, &sold.settlement);
            self.exchange.hand_payment_receipt(receipt);
        }
        self.put_payment_fields(&ahead.answer, &sold.payment, &sold.settlement)?;
        self.let_in();
        self.exchange.ours(paid_answer::with_receipt(self.exchange, ahead, sold.into()).await)
    }

    /// Hands out a session of the account that paid, to who is known to have it.
    fn let_in(&self) {
        if !self.is_payers {
            self.exchange.hand_session_to(self.account);
        }
    }

    fn put_payment_fields(
        &self,
        answer: &web_sys::Response,
        payment: &Payment,
        settlement: &Settlement,
    ) -> Outcome<()> {
        let settled = SettlementResponse::Settled {
            transaction: settlement.transaction.clone(),
            payer: settlement.shown_payer(payment).unwrap_or_default(),
        };
        let receipt = attest::receipt(self.exchange, payment, settlement, &self.resource);
        let tender = &payment.offer().tender;
        self.exchange.ours(put_settlement(answer, payment.version(), tender, &settled, &receipt))
    }

    /// The same payment again, credited before: an ordinary request by now, if there are tokens.
    async fn repeat(&self, body: Vec<u8>, receipt_id: &str) -> Outcome<web_sys::Response> {
        let decision: Decision = self
            .exchange
            .ask(self.account, AccountCall::AttemptAgain(self.exchange.attempt(self.target)))
            .await?;
        self.exchange.note(&decision.standings, decision.at);
        if matches!(decision.verdict, Verdict::Admitted(_)) {
            let introduction = origin::Introduction::read(self.account, &decision, None, body);
            return gate::forward(self.exchange, self.account, self.target, &decision, &introduction).await;
        }
        let receipt = format!("{}/receipts/{receipt_id}", self.exchange.settings.config.prefix);
        let detail = "this payment was credited before, and what it bought is used up";
        Err(Problem::new(ProblemKind::PaymentUsed, detail).with("receipt", Value::from(receipt)))
    }
}

fn refusal(reason: String, payment: &Payment) -> Refusal {
    Refusal {
        kind: ProblemKind::VerificationFailed,
        detail: why_refused(&reason),
        reason,
        payer: payment.payer().map(|payer| payer.checksummed()),
        tender: Some(payment.offer().tender.clone()),
        version: payment.version(),
    }
}

/// Why a payment was refused, for people: reasons of ours are explained, others are the facilitator's.
fn why_refused(reason: &str) -> String {
    match reason {
        ANSWER_LOST => "the origin was called for it and its answer was lost; sign a new payment".to_owned(),
        ORIGIN_FAILED => "the origin answered its call with a failure; sign a new payment".to_owned(),
        reason => format!("the facilitator says {reason}"),
    }
}
