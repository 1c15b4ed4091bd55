//! A request over its limit: offered what is for sale, or its payment taken and the request let through.

mod taking;

use worker::{Result, web_sys};

use super::exchange::{Exchange, Outcome};
use super::presented::{self, Presented, bad_payment};
use super::signed_context::Desk;
use super::{attest, clock, gate, identity, mpp, origin, payment_names};
use crate::client::{AccountId, Kind};
use crate::config::payment::PaymentConfig;
use crate::contract::AccountCall;
use crate::endpoint::Target;
use crate::fields::{PAYMENT_SIGNATURE, X_PAYMENT};
use crate::limit::decision::{Decision, Denied, DeniedBy, SaleTerms, Verdict};
use crate::pay::mpp::credential::Credential;
use crate::pay::mpp::{CredentialFault, proof, session};
use crate::pay::offer::{Flow, Offer, Resource, Tender};
use crate::pay::x402::{BadPayment, Payment, PaymentRefused, SettlementResponse, Version, v1, v2};
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;

/// How soon to ask again while a payment is being settled.
const SOON: Span = Span::seconds(1);

/// What an older gate said beside a context that is to be signed.
const PLEASE_SIGN: &str = "Please sign the payment context";

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

fn too_many_failures(wait: Span) -> Problem {
    let detail = "too many payments of this client failed; this one was not looked at, and nothing was taken";
    Problem::new(ProblemKind::TooManyFailures, detail).retry_after(Some(wait))
}

pub(super) fn rate_limited(decision: &Decision, denied: &Denied) -> Problem {
    let (name, limit) = (&decision.endpoint, &denied.limit);
    let what = match denied.by {
        DeniedBy::Limit => format!("the limit {limit} of {name} is used up"),
        DeniedBy::Quota => format!("the quota {limit} of {name} is used up"),
        DeniedBy::Credits => {
            let detail = format!("the prepaid credits do not suffice for this request to {name}");
            return limit_members(Problem::new(denied.by.problem(), detail), decision, denied);
        }
        DeniedBy::Slots => format!("as many requests to {name} are running as may"),
        DeniedBy::QueueFull => format!("as many requests to {name} are waiting as may"),
        DeniedBy::Price => format!("each call of {name} is paid"),
    };
    let detail = match denied.wait {
        Some(wait) => format!("{what}; this request passes in {wait}"),
        None => format!("this request asks for more than the limit {limit} of {name} can ever give"),
    };
    limit_members(Problem::new(denied.by.problem(), detail).retry_after(denied.wait), decision, denied)
}

fn limit_members(problem: Problem, decision: &Decision, denied: &Denied) -> Problem {
    let problem = problem.with("endpoint", decision.endpoint.as_str());
    match decision.standings.iter().find(|standing| standing.name == denied.limit) {
        Some(standing) => problem
            .with("unit", standing.unit.clone())
            .with("limit", standing.limit)
            .with("remaining", standing.remaining),
        None => problem,
    }
}

fn pending() -> Problem {
    let detail = "a payment of this client is being settled; send the request again, and do not pay again";
    Problem::new(ProblemKind::PaymentPending, detail).retry_after(Some(SOON))
}

/// The resource that is sold: taken from the request's own URL, never from what a payment or a forwarding field says.
fn resource(exchange: &Exchange, target: &Target) -> Resource {
    let url = format!("{}{}", origin::scheme_and_host(&exchange.request.url()), target.path.as_str());
    Resource {
        url,
        description: format!("{} {}", target.method, target.path.as_str()),
        mime_type: String::new(),
    }
}

/// A refusal, in the words of the payment's own form and for people.
struct Refusal {
    kind: ProblemKind,
    reason: String,
    detail: String,
    payer: Option<String>,
    tender: Option<Tender>,
    version: Version,
}

impl From<CredentialFault> for Refusal {
    fn from(fault: CredentialFault) -> Self {
        Self {
            kind: fault.problem(),
            reason: fault.reason().to_owned(),
            detail: fault.to_string(),
            payer: None,
            tender: None,
            version: Version::Mpp,
        }
    }
}

impl Counter<'_> {
    /// Where a signed context is taken in place of a payment.
    fn desk(&self) -> Desk<'_> {
        let Self { exchange, account, target, .. } = *self;
        Desk { exchange, account, target, endpoint: &self.decision.endpoint, offers: &self.offers }
    }

    async fn answer(&self, presented: Presented) -> Outcome<web_sys::Response> {
        let now = clock::now().seconds();
        match presented {
            Presented::Nothing => self.ask(),
            Presented::X402V2(value) => {
                let checked = v2::decode(&value).map(|payment| v2::check(&payment, &self.offers, now));
                self.answer_x402((PAYMENT_SIGNATURE, Version::V2), checked).await
            }
            Presented::X402V1(value) => {
                let checked =
                    v1::decode(&value).map(|payment| v1::check(&payment, &self.offers, &self.resource, now));
                self.answer_x402((X_PAYMENT, Version::V1), checked).await
            }
            Presented::Mpp(credential) => self.answer_credential(credential).await,
            Presented::SignedContext(brought) => self.desk().take(brought).await,
        }
    }

    /// Answers a payment of x402 that came in the field of that name: takes it if it is good as far as can be told here.
    async fn answer_x402(
        &self,
        (field, version): (&str, Version),
        checked: std::result::Result<std::result::Result<Payment, PaymentRefused>, BadPayment>,
    ) -> Outcome<web_sys::Response> {
        match checked {
            Ok(Ok(payment)) => self.take(payment, None).await,
            Ok(Err(refused)) => {
                self.refuse_here(&Refusal {
                    kind: ProblemKind::VerificationFailed,
                    reason: refused.reason().to_owned(),
                    detail: refused.to_string(),
                    payer: None,
                    tender: None,
                    version,
                })
                .await
            }
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
                    None if self.account.kind() == Kind::Session => Box::pin(self.charge(&credential)).await,
                    None => self.ask(),
                };
            }
            Ok(credential) => credential,
            Err(fault) => return self.refuse_here(&fault.into()).await,
        };
        let sale = (self.decision.endpoint.as_str(), self.offers.as_slice());
        match mpp::payment(self.exchange, &credential, sale).await? {
            Ok(payment) => self.take(payment, Some(credential.challenge)).await,
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

    /// The 402 that every stock client can pay.
    fn offer(&self) -> Outcome<web_sys::Response> {
        let price = self.price();
        if self.terms.one_call {
            let detail = format!("each call of {} costs {price}", self.decision.endpoint);
            return self.challenge(Problem::new(ProblemKind::PaymentRequired, detail), None);
        }
        let detail = format!(
            "the limit of {} is used up; {price} buys {} more, or wait{}",
            self.decision.endpoint,
            self.terms.grants.first().map(|grant| grant.quantity).unwrap_or_default(),
            self.denied.wait.map(|wait| format!(" {wait}")).unwrap_or_default()
        );
        self.challenge(Problem::new(ProblemKind::PaymentRequired, detail), None)
    }

    fn price(&self) -> String {
        self.offers
            .first()
            .map(|offer| format!("{} {}", offer.price(), offer.tender.symbol()))
            .unwrap_or_default()
    }

    /// The 402 again, with why the payment was refused.
    fn refuse(&self, refusal: &Refusal) -> Outcome<web_sys::Response> {
        let detail = format!("the payment was refused: {}; no money moved", refusal.detail);
        let problem = Problem::new(refusal.kind, detail).with("reason", refusal.reason.clone());
        let answer = self.challenge(problem, Some(&refusal.reason))?;
        let failed =
            SettlementResponse::Failed { reason: refusal.reason.clone(), payer: refusal.payer.clone() };
        // What matched no offer of ours is answered in the name of the first.
        let tender = refusal.tender.as_ref().or(self.offers.first().map(|offer| &offer.tender));
        if let Some(tender) = tender {
            let none = v2::Extensions::new();
            self.exchange.ours(put_settlement(&answer, refusal.version, tender, &failed, &none))?;
        }
        Ok(answer)
    }

    /// A problem and every form's challenges in one answer: x402's v2 and MPP's in header fields, x402's v1 in the body.
    fn challenge(&self, problem: Problem, refused: Option<&str>) -> Outcome<web_sys::Response> {
        let problem = limit_members(problem, self.decision, self.denied)
            .retry_after(self.denied.wait)
            .with("price", self.price())
            .with("x402Version", 1)
            .with("error", refused.unwrap_or("X-PAYMENT header is required"))
            .with("accepts", v1::accepts(&self.offers, &self.resource));
        let problem = match self.exchange.sign_in_error() {
            Some(error) => problem.with("sign_in_error", error),
            None => problem,
        };
        let problem = match self.exchange.ours(self.desk().offer())? {
            Some(context) => problem.with("paymentContext", context.to_json()).with("message", PLEASE_SIGN),
            None => problem,
        };
        self.exchange.ours((|| -> Result<web_sys::Response> {
            let answer = gate::problem_answer(self.exchange, &problem)?;
            let mut extensions = identity::extensions(self.exchange)?;
            attest::offers(self.exchange, &self.offers, &self.resource, &mut extensions);
            payment_names::declare(self.exchange, &mut extensions);
            let required = v2::payment_required_header(
                &self.offers,
                &self.resource,
                refused.unwrap_or("PAYMENT-SIGNATURE header is required"),
                &extensions,
            );
            answer.headers().set("PAYMENT-REQUIRED", &required)?;
            for challenge in mpp::challenges(self.exchange, &self.sale())? {
                answer.headers().append("WWW-Authenticate", &challenge)?;
            }
            Ok(answer)
        })())
    }

    fn sale(&self) -> mpp::Sale<'_> {
        mpp::Sale {
            account: self.account,
            endpoint: self.decision.endpoint.as_str(),
            offers: &self.offers,
            session: super::session::config(self.exchange)
                .and_then(|session| Some(session.escrow.terms(session.escrow.cost(self.terms)?))),
            // Of one call that is sold nobody asks who buys it.
            answers_credential: self.answers_credential || self.terms.one_call,
        }
    }
}

/// Tells the payer what became of the settlement, in the form of its version and in the name of the network it paid on.
fn put_settlement(
    answer: &web_sys::Response,
    version: Version,
    tender: &Tender,
    response: &SettlementResponse,
    extensions: &v2::Extensions,
) -> Result<()> {
    let (field, value) = match version {
        Version::V2 => ("PAYMENT-RESPONSE", v2::payment_response_header(response, tender, extensions)),
        Version::V1 => ("X-PAYMENT-RESPONSE", v1::payment_response_header(response, tender)),
        // MPP says it in the body of a refusal, and in the receipt of a success.
        Version::Mpp => return Ok(()),
    };
    Ok(answer.headers().set(field, &value)?)
}
