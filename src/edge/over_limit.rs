//! A request over its limit: offered what is for sale, or its payment taken and the request let through.

mod credits;
mod denial;
mod offering;
mod taking;

use worker::web_sys;

use super::exchange::{Exchange, Outcome};
use super::presented::{self, Presented, bad_payment};
use super::signed_context::Desk;
use super::{clock, gate, mpp, origin};
use crate::client::AccountId;
use crate::config::payment::PaymentConfig;
use crate::contract::AccountCall;
use crate::endpoint::Target;
use crate::fields::{PAYMENT_SIGNATURE, X_PAYMENT};
use crate::limit::decision::{Decision, Denied, DeniedBy, SaleTerms, Verdict};
use crate::pay::mpp::credential::Credential;
use crate::pay::mpp::{CredentialFault, proof, session};
use crate::pay::offer::{Flow, Offer, Resource};
use crate::pay::x402::{BadPayment, Moment, Payment, PaymentRefused, Version, v1, v2};
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;
use denial::pending;
pub(super) use denial::too_many_failures;
use offering::{Refusal, refused_here};

pub(super) use denial::rate_limited;

/// What is for sale here, and to whom.
struct Counter<'a> {
    exchange: &'a Exchange,
    account: &'a AccountId,
    target: &'a Target,
    decision: &'a Decision,
    denied: &'a Denied,
    terms: &'a SaleTerms,
    offers: Vec<Offer>,
    resource: Resource,
    /// Whether the request brought a credential of MPP.
    answers_credential: bool,
    /// Whether the account is told by nothing but the payment: whoever brings that is not let in.
    is_payers: bool,
}

/// Answers a request over its limit.
pub(super) async fn answer(
    exchange: &Exchange,
    account: &AccountId,
    target: &Target,
    decision: &Decision,
    denied: &Denied,
) -> Outcome<web_sys::Response> {
    let (Some(payment), Some(terms)) = (&exchange.settings.config.payment, &denied.offer) else {
        return Err(rate_limited(decision, denied));
    };
    let presented = presented::read(exchange);
    if let Some(wait) = denied.failures_wait
        && !matches!(presented, Ok(Presented::Nothing))
    {
        return Err(too_many_failures(wait));
    }
    let counter = Counter {
        exchange,
        account,
        target,
        decision,
        denied,
        terms,
        offers: offers(payment, terms),
        resource: resource(exchange, target),
        answers_credential: matches!(presented, Ok(Presented::Mpp(_))),
        is_payers: false,
    };
    match presented {
        Ok(presented) => counter.answer(presented).await,
        Err(problem) => counter.turn_away(problem).await,
    }
}

/// One call is settled when it was answered, a refill before.
fn offers(payment: &PaymentConfig, terms: &SaleTerms) -> Vec<Offer> {
    let flow = if terms.one_call { Flow::Authorization } else { Flow::Upfront };
    payment.offers(&terms.price).into_iter().map(|offer| offer.settled(flow)).collect()
}

/// The resource that is sold: taken from the request's own URL, never from what a payment or a forwarding field says.
fn resource(exchange: &Exchange, target: &Target) -> Resource {
    let url = format!("{}{}", exchange.site(), target.path.as_str());
    Resource {
        url,
        description: format!("{} {}", target.method, target.path.as_str()),
        mime_type: String::new(),
    }
}

impl Counter<'_> {
    /// Where a signed context is taken in place of a payment.
    fn desk(&self) -> Desk<'_> {
        let Self { exchange, account, target, .. } = *self;
        Desk { exchange, account, target, endpoint: &self.decision.endpoint, offers: &self.offers }
    }

    async fn answer(&self, presented: Presented) -> Outcome<web_sys::Response> {
        match presented {
            Presented::Nothing => self.ask(),
            Presented::X402V2(value) => {
                let check =
                    |moment| v2::decode(&value).map(|payment| v2::check(&payment, &self.offers, moment));
                self.answer_x402((PAYMENT_SIGNATURE, Version::V2), check).await
            }
            Presented::X402V1(value) => {
                let check = |moment| {
                    v1::decode(&value)
                        .map(|payment| v1::check(&payment, &self.offers, &self.resource, moment))
                };
                self.answer_x402((X_PAYMENT, Version::V1), check).await
            }
            Presented::Mpp(credential) => self.answer_credential(credential).await,
            Presented::SignedContext(_) if self.sells_credits() => {
                let detail = "a signed context moves no money, and credits are sold for money alone; pay one of the offers";
                Err(Problem::new(ProblemKind::InvalidSignature, detail))
            }
            Presented::SignedContext(brought) => self.desk().take(brought).await,
        }
    }

    /// Answers a payment of x402 that came in the field of that name: takes it if it is good as far as can be told here. One
    /// whose time is over may have been presented before: then nobody is told that it moved no money.
    async fn answer_x402(
        &self,
        (field, version): (&str, Version),
        check: impl Fn(Moment) -> std::result::Result<std::result::Result<Payment, PaymentRefused>, BadPayment>,
    ) -> Outcome<web_sys::Response> {
        let now = Moment::Now(clock::now().seconds());
        let (moment, checked) = match check(now) {
            Ok(Err(PaymentRefused::Expired)) => (Moment::Late, check(Moment::Late)),
            checked => (now, checked),
        };
        match checked {
            Ok(Ok(payment)) => self.take((payment, moment), None).await,
            Ok(Err(refused)) => self.refuse_here(&refused_here(&refused, version)).await,
            Err(fault) => self.turn_away(bad_payment(field, &fault.to_string())).await,
        }
    }

    /// Answers a credential of MPP: it pays, or it proved who asks, or it is refused.
    async fn answer_credential(
        &self,
        credential: std::result::Result<Credential, CredentialFault>,
    ) -> Outcome<web_sys::Response> {
        let credential = match credential {
            Ok(credential) if proof::is_of(&credential) => {
                return match self.exchange.proof_fault() {
                    Some(fault) => self.refuse_here(&fault.into()).await,
                    None => self.ask(),
                };
            }
            Ok(credential) if session::is_of(&credential) => {
                return match self.exchange.proof_fault() {
                    Some(fault) => self.refuse(&fault.into()),
                    None if self.exchange.session().is_some() => Box::pin(self.charge(&credential)).await,
                    None => self.ask(),
                };
            }
            Ok(credential) => credential,
            Err(fault) => return self.refuse_here(&fault.into()).await,
        };
        let sale = (self.decision.endpoint.as_str(), self.offers.as_slice());
        match mpp::payment(self.exchange, &credential, sale).await? {
            // Of MPP a late one is asked again: its challenge has expired, too.
            Ok(payment) => {
                self.take((payment, Moment::Now(clock::now().seconds())), Some(credential.challenge)).await
            }
            Err(fault) => self.refuse_here(&fault.into()).await,
        }
    }

    /// Whether one call is sold, and a limit denies it whatever is paid.
    fn is_limited(&self) -> bool {
        self.terms.one_call && self.denied.by != DeniedBy::Price
    }

    /// Counts a payment that did not pass the checks made here. What a facilitator refuses is counted by the payment.
    async fn count_failure(&self) -> Outcome<()> {
        let _: Option<Span> = self.exchange.ask(self.account, AccountCall::FailPayment).await?;
        Ok(())
    }

    /// Counts a payment that is a problem of its own.
    async fn turn_away(&self, problem: Problem) -> Outcome<web_sys::Response> {
        self.count_failure().await?;
        Err(problem)
    }

    /// Refuses a payment that did not pass the checks made here.
    async fn refuse_here(&self, refusal: &Refusal) -> Outcome<web_sys::Response> {
        self.count_failure().await?;
        self.refuse(refusal)
    }

    /// Charges the request to its session's channel, and lets it through.
    async fn charge(&self, credential: &Credential) -> Outcome<web_sys::Response> {
        let attempt = self.exchange.attempt(self.target);
        let sale = (self.decision, self.terms);
        let (decision, payer) = match super::session::charge(self.exchange, credential, sale, attempt).await?
        {
            Ok(charged) => charged,
            Err(fault) => return self.refuse(&fault.into()),
        };
        self.exchange.note(&decision.standings, decision.at);
        if !matches!(decision.verdict, Verdict::Admitted(_)) {
            return Err(rate_limited(self.decision, self.denied));
        }
        let mut introduction = origin::Introduction::free(self.account, &decision);
        introduction.payer = Some(payer);
        gate::forward(self.exchange, self.account, self.target, &decision, &introduction).await
    }

    /// Asks for a payment, unless one is on its way, or none would help.
    fn ask(&self) -> Outcome<web_sys::Response> {
        if self.is_limited() {
            return Err(rate_limited(self.decision, self.denied));
        }
        if self.denied.payment_pending { Err(pending()) } else { self.offer() }
    }
}
