//! A request over its limit: offered what is for sale, or its payment taken and the request let through.

use serde_json::Value;
use worker::{Result, console_error, console_log, web_sys};

use super::exchange::{Exchange, Outcome};
use super::presented::{self, Presented, bad_payment};
use super::{clock, gate, identity, mpp, objects, origin, paid_answer};
use crate::client::AccountId;
use crate::contract::{self, AccountCall, PaymentCall, Presentation, payment_object, receipt_id};
use crate::endpoint::Target;
use crate::fields::{PAYMENT_SIGNATURE, X_PAYMENT};
use crate::limit::decision::{Decision, Denied, DeniedBy, SaleTerms, Verdict};
use crate::pay::mpp::challenge::Challenge;
use crate::pay::mpp::credential::Credential;
use crate::pay::mpp::{CredentialFault, proof};
use crate::pay::offer::{Offer, Resource, Tender};
use crate::pay::purchase::{Service, Settlement};
use crate::pay::receipt::sha256_label;
use crate::pay::x402::{BadPayment, Payment, PaymentRefused, SettlementResponse, Version, v1, v2};
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;

/// How soon to ask again while a payment is being settled.
const SOON: Span = Span::seconds(1);
/// Random bytes at the end of a receipt's id.
const RECEIPT_SUFFIX_BYTES: usize = 8;

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
    let presented = presented::read(exchange)?;
    let counter = Counter {
        exchange,
        account,
        target,
        decision,
        denied,
        terms,
        offers: payment.offers(&terms.price),
        resource: resource(exchange, target),
        answers_credential: matches!(presented, Presented::Mpp(_)),
    };
    let now = clock::now().seconds();
    match presented {
        Presented::Nothing => counter.ask(),
        Presented::X402V2(value) => {
            let checked = v2::decode(&value).map(|payment| v2::check(&payment, &counter.offers, now));
            counter.answer_x402((PAYMENT_SIGNATURE, Version::V2), checked).await
        }
        Presented::X402V1(value) => {
            let checked = v1::decode(&value)
                .map(|payment| v1::check(&payment, &counter.offers, &counter.resource, now));
            counter.answer_x402((X_PAYMENT, Version::V1), checked).await
        }
        Presented::Mpp(credential) => counter.answer_credential(credential).await,
    }
}

fn rate_limited(decision: &Decision, denied: &Denied) -> Problem {
    let (name, limit) = (&decision.endpoint, &denied.limit);
    let what = match denied.by {
        DeniedBy::Limit => format!("the limit {limit} of {name} is used up"),
        DeniedBy::Slots => format!("as many requests to {name} are running as may"),
        DeniedBy::QueueFull => format!("as many requests to {name} are waiting as may"),
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
    /// Answers a payment of x402 that came in the field of that name: takes it if it is good as far as can be told here.
    async fn answer_x402(
        &self,
        (field, version): (&str, Version),
        checked: std::result::Result<std::result::Result<Payment, PaymentRefused>, BadPayment>,
    ) -> Outcome<web_sys::Response> {
        match checked.map_err(|fault| bad_payment(field, &fault.to_string()))? {
            Ok(payment) => self.take(payment, None).await,
            Err(refused) => self.refuse(&Refusal {
                kind: ProblemKind::VerificationFailed,
                reason: refused.reason().to_owned(),
                detail: refused.to_string(),
                payer: None,
                tender: None,
                version,
            }),
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
                    Some(fault) => self.refuse(&fault.into()),
                    None => self.ask(),
                };
            }
            Ok(credential) => credential,
            Err(fault) => return self.refuse(&fault.into()),
        };
        let sale = (self.decision.endpoint.as_str(), self.offers.as_slice());
        match mpp::payment(self.exchange, &credential, sale).await? {
            Ok(payment) => self.take(payment, Some(credential.challenge)).await,
            Err(fault) => self.refuse(&fault.into()),
        }
    }

    /// Asks for a payment, unless one is on its way.
    fn ask(&self) -> Outcome<web_sys::Response> {
        if self.denied.payment_pending { Err(pending()) } else { self.offer() }
    }

    /// The 402 that every stock client can pay.
    fn offer(&self) -> Outcome<web_sys::Response> {
        let price = self.price();
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
            self.exchange.ours(put_settlement(&answer, refusal.version, tender, &failed))?;
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
        self.exchange.ours((|| -> Result<web_sys::Response> {
            let answer = gate::problem_answer(self.exchange, &problem)?;
            let required = v2::payment_required_header(
                &self.offers,
                &self.resource,
                refused.unwrap_or("PAYMENT-SIGNATURE header is required"),
                &identity::extensions(self.exchange)?,
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
            answers_credential: self.answers_credential,
        }
    }

    /// Takes a payment that passed every local check, and lets the request through once it is credited. `challenge` is what
    /// it answers, where it came by MPP.
    async fn take(&self, payment: Payment, challenge: Option<Challenge>) -> Outcome<web_sys::Response> {
        let body = origin::read_body(self.exchange).await?;
        let service =
            Service { path: self.target.path.as_str().to_owned(), request_hash: sha256_label(&body) };
        let suffix = self.exchange.ours(clock::random_hex(RECEIPT_SUFFIX_BYTES))?;
        let presentation = Presentation {
            receipt_id: receipt_id(&payment.id(), &suffix),
            payment: payment.clone(),
            account: self.account.clone(),
            endpoint: self.decision.endpoint.clone(),
            grants: self.terms.grants.clone(),
            attempt: self.exchange.attempt(self.target),
            service: service.clone(),
        };
        let call = PaymentCall::Present(Box::new(presentation));
        let name = payment_object(&payment.id());
        let presented: contract::Presented =
            self.exchange.ours(objects::payment(&self.exchange.env, &name, &call).await)?;
        match presented {
            contract::Presented::Credited { decision, settlement, receipt_id } => {
                if let Some(challenge) = &challenge {
                    self.exchange.hand_payment_receipt(mpp::receipt(challenge, &payment, &settlement));
                }
                let sold = paid_answer::Sold { payment, settlement, receipt_id, service };
                self.deliver(&decision, sold, body).await
            }
            contract::Presented::Used { receipt_id } => self.repeat(body, &receipt_id).await,
            contract::Presented::Foreign => Err(Problem::new(
                ProblemKind::PaymentUsed,
                "this payment was presented by another client before",
            )),
            contract::Presented::Refused { reason } => self.refuse(&Refusal {
                kind: ProblemKind::VerificationFailed,
                detail: format!("the facilitator says {reason}"),
                reason,
                payer: payment.payer().map(|payer| payer.checksummed()),
                tender: Some(payment.offer().tender.clone()),
                version: payment.version(),
            }),
            contract::Presented::Unavailable { why } => {
                console_error!("{} facilitator: {why}", self.exchange.request_id);
                let detail =
                    "no facilitator could check the payment; nothing was taken, send the same payment again";
                Err(Problem::new(ProblemKind::FacilitatorUnavailable, detail).retry_after(Some(SOON)))
            }
            contract::Presented::Pending => Err(pending()),
        }
    }

    /// Lets a request through that was just paid for.
    async fn deliver(
        &self,
        decision: &Decision,
        sold: paid_answer::Sold,
        body: Vec<u8>,
    ) -> Outcome<web_sys::Response> {
        console_log!(
            "{} credited {} by {}",
            self.exchange.request_id,
            self.account,
            sold.settlement.transaction
        );
        self.exchange.note(&decision.standings, decision.at);
        let payer = Some(sold.settlement.payer_of(&sold.payment)).filter(|payer| !payer.is_empty());
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
        self.put_payment_fields(&answer, &sold.payment, &sold.settlement)?;
        self.exchange.hand_session_to(self.account);
        self.exchange.ours(paid_answer::with_receipt(self.exchange, answer, sold).await)
    }

    fn put_payment_fields(
        &self,
        answer: &web_sys::Response,
        payment: &Payment,
        settlement: &Settlement,
    ) -> Outcome<()> {
        let settled = SettlementResponse::Settled {
            transaction: settlement.transaction.clone(),
            payer: match payment.payer() {
                Some(payer) => payer.checksummed(),
                None => settlement.payer_of(payment),
            },
        };
        self.exchange.ours(put_settlement(answer, payment.version(), &payment.offer().tender, &settled))
    }

    /// The same payment again, credited before: an ordinary request by now, if there are tokens.
    async fn repeat(&self, body: Vec<u8>, receipt_id: &str) -> Outcome<web_sys::Response> {
        let decision: Decision =
            self.exchange.ask(self.account, AccountCall::Attempt(self.exchange.attempt(self.target))).await?;
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

/// Tells the payer what became of the settlement, in the form of its version and in the name of the network it paid on.
fn put_settlement(
    answer: &web_sys::Response,
    version: Version,
    tender: &Tender,
    response: &SettlementResponse,
) -> Result<()> {
    let (field, value) = match version {
        Version::V2 => {
            ("PAYMENT-RESPONSE", v2::payment_response_header(response, tender, &v2::Extensions::new()))
        }
        Version::V1 => ("X-PAYMENT-RESPONSE", v1::payment_response_header(response, tender)),
        // MPP says it in the body of a refusal, and in the receipt of a success.
        Version::Mpp => return Ok(()),
    };
    Ok(answer.headers().set(field, &value)?)
}
