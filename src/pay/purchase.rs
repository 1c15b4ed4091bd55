//! A purchase: one payment on its way from a client's header to tokens in an account.
//!
//! A state machine without I/O. [`Purchase::step`] says what has to be done now, the edge does it and reports what
//! happened as an [`Event`], and [`Purchase::apply`] gives the next state. The edge stores the state after each event
//! and before the next step, so that a process may die anywhere: what was stored says by itself how to go on.
//!
//! What must stay true, whatever fails or is repeated, and in whatever order:
//! - nothing is credited that was not settled (or, in doubt, within the owner's limit), but to a trusted wallet;
//! - what a trusted wallet was credited is taken back, once, if and only if its settlement is refused for certain;
//! - a settled payment is credited exactly once: `Credit` is repeated until it is confirmed, and the account adds each
//!   payment once;
//! - once settling began, the payment never goes to another facilitator, and its outcome is never called a refusal
//!   unless that is certain;
//! - a payment for one call (`payment: always`) is settled only when the origin answered below 400, and the origin is
//!   called once for it; again only for a payment that was settled and whose answer reached nobody.

pub mod call;

mod advance;
mod event;
mod progress;
mod serving;
mod settlement;
mod settling;
mod stage;
mod step;

pub use event::Event;
pub use progress::{Progress, State};
pub use settlement::Settlement;
pub use stage::{ANSWER_LOST, ORIGIN_FAILED};
pub use step::Step;

use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::receipt::SignedReceipt;
use super::x402::{Payment, PaymentId};
use crate::client::AccountId;
use crate::endpoint::EndpointName;
use crate::limit::credit::sale;
use crate::limit::decision::Grant;
use crate::time::{Millis, Span};
use advance::Trusting;
use call::Call;
use stage::{Announced, Stage};

/// What the owner's settings say about settling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlementPolicy {
    /// The most that is credited when the chain cannot be asked, in atomic units.
    pub unconfirmed_limit: Amount,
    /// How long an unknown outcome is retried before it is held for the owner.
    pub give_up_after: Span,
    /// How long the gate has to bring the receipt of an answer before one is made without it.
    pub receipt_patience: Span,
    /// Whether a chain can be asked about doubts: then it decides, and not the limit.
    pub asks_chain: bool,
}

/// What was asked for with the payment, for its receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The path that was called.
    pub path: String,
    /// `sha256:…` of the request's body.
    pub request_hash: String,
}

/// A purchase. See the module for what must stay true of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    payment: Payment,
    owner: AccountId,
    endpoint: EndpointName,
    grants: Vec<Grant>,
    service: Service,
    receipt_id: String,
    presented_at: Millis,
    /// The facilitator that verified it, as a place in the settings' list and a URL: the only one that settles it.
    facilitator: Option<String>,
    stage: Stage,
    /// The state that the ledger has, to tell whether it must be told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded: Option<State>,
    /// The one call that it pays for, where it buys no refill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<Call>,
    /// The hash of what is asked for with a payment for one call: it answers no other question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    question: Option<String>,
    /// Whether the account knows of a payment for one call: it is told only when the outcome is in doubt.
    #[serde(default, skip_serializing_if = "Announced::is_not")]
    announced: Announced,
    /// Whether it is credited before it is settled, where its wallet may be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trusting: Option<Trusting>,
}

/// How a purchase is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredPurchase {
    /// The first form.
    V1(Purchase),
}

impl Purchase {
    /// A payment that `owner` presented for these additions to limits of an endpoint.
    #[must_use]
    pub fn new(
        payment: Payment,
        owner: AccountId,
        (endpoint, grants): (EndpointName, Vec<Grant>),
        service: Service,
        receipt_id: String,
        now: Millis,
    ) -> Self {
        Self {
            payment,
            owner,
            endpoint,
            grants,
            service,
            receipt_id,
            presented_at: now,
            facilitator: None,
            stage: Stage::Received,
            recorded: None,
            call: None,
            question: None,
            announced: Announced::No,
            trusting: None,
        }
    }

    /// The same payment, for the answer to one question and not for a refill.
    #[must_use]
    pub fn for_one_call(self, question: String) -> Self {
        Self { call: Some(Call::Due), question: Some(question), ..self }
    }

    /// Whether it pays for the answer to that question.
    #[must_use]
    pub fn answers(&self, question: &str) -> bool {
        self.question.as_deref() == Some(question)
    }

    /// The one call that it pays for, where it buys no refill.
    #[must_use]
    pub const fn call(&self) -> Option<Call> {
        self.call
    }

    /// Whether it is settled and its answer reached nobody: its owner is owed the call.
    #[must_use]
    pub fn owes_call(&self) -> bool {
        matches!(self.stage, Stage::Credited { .. }) && self.call == Some(Call::Owed)
    }

    /// The payment.
    #[must_use]
    pub const fn payment(&self) -> &Payment {
        &self.payment
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> PaymentId {
        self.payment.id()
    }

    /// The account that presented it first, and is credited.
    #[must_use]
    pub const fn owner(&self) -> &AccountId {
        &self.owner
    }

    /// What it buys: additions to limits of an endpoint.
    #[must_use]
    pub fn goods(&self) -> (&EndpointName, &[Grant]) {
        (&self.endpoint, &self.grants)
    }

    /// Whether it may be presented for this. Whatever limits a refill was for, the same payment is good for its requests;
    /// credits are bought by the number, and never stand in for anything else.
    #[must_use]
    pub fn is_for(&self, endpoint: &EndpointName, grants: &[Grant]) -> bool {
        let sells_credits = sale::is_of(&self.endpoint) || sale::is_of(endpoint);
        !sells_credits || (self.endpoint == *endpoint && self.grants == grants)
    }

    /// What was asked for with it.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// The id of its receipt.
    #[must_use]
    pub fn receipt_id(&self) -> &str {
        &self.receipt_id
    }

    /// The URL of the facilitator that settles it, once one verified it.
    #[must_use]
    pub fn facilitator(&self) -> Option<&str> {
        self.facilitator.as_deref()
    }

    /// When it was presented first.
    #[must_use]
    pub const fn presented_at(&self) -> Millis {
        self.presented_at
    }

    /// The receipt, once it was made.
    #[must_use]
    pub const fn receipt(&self) -> Option<&SignedReceipt> {
        match &self.stage {
            Stage::Credited { closing, .. } => closing.receipt.as_ref(),
            _ => None,
        }
    }

    /// How it was settled, once that is known.
    #[must_use]
    pub const fn settlement(&self) -> Option<&Settlement> {
        match &self.stage {
            Stage::Claiming { settlement, .. }
            | Stage::Crediting { settlement }
            | Stage::Credited { settlement, .. } => Some(settlement),
            _ => None,
        }
    }
}
