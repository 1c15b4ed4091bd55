//! The 402: what is for sale in every form at once, and what was wrong with a payment that was refused.

use worker::{Result, web_sys};

use super::Counter;
use super::denial::limit_members;
use crate::edge::exchange::Outcome;
use crate::edge::{attest, identity, mpp, pay_page, payment_names, session};
use crate::pages::pay;
use crate::pay::mpp::CredentialFault;
use crate::pay::offer::Tender;
use crate::pay::x402::payment_identifier::Naming;
use crate::pay::x402::{PaymentRefused, SettlementResponse, Version, v1, v2};
use crate::problem::{Problem, ProblemKind};

/// What an older gate said beside a context that is to be signed.
const PLEASE_SIGN: &str = "Please sign the payment context";

/// A refusal, in the words of the payment's own form and for people.
pub(super) struct Refusal {
    pub(super) kind: ProblemKind,
    pub(super) reason: String,
    pub(super) detail: String,
    pub(super) payer: Option<String>,
    pub(super) tender: Option<Tender>,
    pub(super) version: Version,
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

/// A refusal by the checks made here.
pub(super) fn refused_here(refused: &PaymentRefused, version: Version) -> Refusal {
    Refusal {
        kind: ProblemKind::VerificationFailed,
        reason: refused.reason().to_owned(),
        detail: refused.to_string(),
        payer: None,
        tender: None,
        version,
    }
}

impl Counter<'_> {
    /// The 402 that every stock client can pay.
    pub(super) fn offer(&self) -> Outcome<web_sys::Response> {
        let price = self.price();
        if self.terms.one_call {
            let detail = format!("each call of {} costs {price}", self.decision.endpoint);
            return self.challenge(Problem::new(ProblemKind::PaymentRequired, detail), None);
        }
        if self.sells_credits() {
            return self.challenge(self.credit_offer(), None);
        }
        let detail = format!(
            "the limit of {} is used up; {price} buys {} more, or wait{}",
            self.decision.endpoint,
            self.terms.grants.first().map(|grant| grant.quantity).unwrap_or_default(),
            self.denied.wait.map(|wait| format!(" {wait}")).unwrap_or_default()
        );
        self.challenge(Problem::new(ProblemKind::PaymentRequired, detail), None)
    }

    pub(super) fn price(&self) -> String {
        self.offers
            .first()
            .map(|offer| format!("{} {}", offer.price(), offer.tender.symbol()))
            .unwrap_or_default()
    }

    /// The 402 again, with why the payment was refused.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Outcome<web_sys::Response> {
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
        let context = if self.sells_credits() { None } else { self.exchange.ours(self.desk().offer())? };
        let problem = match context {
            Some(context) => problem.with("paymentContext", context.to_json()).with("message", PLEASE_SIGN),
            None => problem,
        };
        self.exchange.ours((|| -> Result<web_sys::Response> {
            let answer =
                pay_page::answer(self.exchange, &problem, Some((self.decision, &self.for_people())))?;
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

    /// What is for sale, as the pay page shows it.
    fn for_people(&self) -> pay::Sale<'_> {
        let payment = self.exchange.settings.config.payment.as_ref();
        pay::Sale {
            offers: &self.offers,
            resource: &self.resource,
            one_call: self.terms.one_call,
            grants: &self.terms.grants,
            single: &self.terms.single,
            named: payment.is_some_and(|payment| payment.naming == Some(Naming::Required)),
        }
    }

    fn sale(&self) -> mpp::Sale<'_> {
        mpp::Sale {
            account: self.account,
            endpoint: self.decision.endpoint.as_str(),
            offers: &self.offers,
            // A session buys no credits.
            session: session::config(self.exchange)
                .filter(|_| !self.sells_credits())
                .and_then(|session| Some(session.escrow.terms(session.escrow.cost(self.terms)?))),
            // Of one call that is sold nobody asks who buys it; who buys credits is known.
            answers_credential: self.answers_credential || self.terms.one_call || self.sells_credits(),
        }
    }
}

/// Tells the payer what became of the settlement, in the form of its version and in the name of the network it paid on.
pub(super) fn put_settlement(
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
