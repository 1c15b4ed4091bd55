//! A purchase: one payment on its way from a client's header to tokens in an account.
//!
//! A state machine without I/O. [`Purchase::step`] says what has to be done now, the edge does it and reports what
//! happened as an [`Event`], and [`Purchase::apply`] gives the next state. The edge stores the state after each event
//! and before the next step, so that a process may die anywhere: what was stored says by itself how to go on.
//!
//! What must stay true, whatever fails or is repeated, and in whatever order:
//! - nothing is credited that was not settled (or, in doubt, within the owner's limit);
//! - a settled payment is credited exactly once: `Credit` is repeated until it is confirmed, and the account adds each
//!   payment once;
//! - once settling began, the payment never goes to another facilitator, and its outcome is never called a refusal
//!   unless that is certain;
//! - a payment for one call (`payment: always`) is settled only when the origin answered below 400, and the origin is
//!   called once for it; again only for a payment that was settled and whose answer reached nobody.

pub mod call;

use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::chain::Finding;
use super::receipt::{PaymentRecord, Receipt, ServiceRecord, SettlementRecord, SignedReceipt};
use super::x402::facilitator::{SettleAnswer, VerifyAnswer};
use super::x402::{Payment, PaymentId};
use crate::client::AccountId;
use crate::endpoint::EndpointName;
use crate::limit::decision::Grant;
use crate::time::{Millis, Span};
use call::{ANSWER_LIFE, Call, Told};

/// The first retry of a settlement whose outcome is unknown comes after a second; each next one waits twice as long.
const FIRST_RETRY: Span = Span::seconds(1);
/// The longest wait between two retries: 5 min.
const LONGEST_RETRY: Span = Span::seconds(300);
/// What buys nothing more is forgotten when its authorization has expired, if that is within a day; one that is good for
/// longer is remembered for good.
const LONGEST_MEMORY: Span = Span::seconds(24 * 3600);

/// Why a payment for one call buys nothing more: the origin was called, and its answer was lost.
pub const ANSWER_LOST: &str = "answer_lost";
/// Why a payment for one call buys nothing more: the origin answered with a failure.
pub const ORIGIN_FAILED: &str = "origin_failed";

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
}

/// Whether the account knows of a payment for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Announced {
    /// It was never told.
    #[default]
    No,
    /// It may have been: whoever told it may have died, or been misinformed. It must be told of the end.
    Maybe,
    /// It confirmed that it knows.
    Yes,
}

impl Announced {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    const fn is_not(&self) -> bool {
        matches!(*self, Self::No)
    }
}

/// How a purchase is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredPurchase {
    /// The first form.
    V1(Purchase),
}

/// Where a purchase is, with what is known there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one is held at a time")]
enum Stage {
    /// Presented; nothing has happened. Never stored.
    Received,
    /// No facilitator answered whether it is valid. Never stored: nothing was begun.
    Unverified { why: String },
    /// Valid, and the account is being told of it. Stored, so that what the account was told is taken back if the
    /// process dies here; settling has not begun.
    Verified,
    /// The account knows of it; settling begins or is repeated. `retries` above zero: it had begun before.
    Settling { retries: u32, since: Millis },
    /// The gate calls the origin; settling begins when it answers below 400.
    Serving,
    /// Settling began and its outcome is not known.
    Unknown { why: String, retries: u32, since: Millis, retry_at: Millis },
    /// Settling began, its outcome is not known, and the chain is asked.
    Asking { why: String, retries: u32, since: Millis },
    /// Settled by this transaction, which no other payment may claim.
    Claiming { settlement: Settlement, retries: u32, since: Millis },
    /// Settled; the account must be credited.
    Crediting { settlement: Settlement },
    /// Credited.
    Credited { settlement: Settlement, closing: Closing },
    /// Ended without money moving, and the account was told of it, which must be told again.
    Withdrawing { end: End },
    /// Refused for certain: no money moved.
    Refused { reason: String },
    /// Ended without money moving, after the origin was called for it: it buys nothing more.
    Spent { end: End },
    /// Its outcome could not be found out; the owner decides.
    Held { why: String, since: Millis },
}

/// How a purchase ends without money moving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// The facilitator refused to settle it.
    Refused(String),
    /// Settling never began.
    NotBegun(String),
    /// The origin answered with this status, which is not sold.
    NotSold(u16),
    /// The origin was called, and its answer was lost before settling began.
    AnswerLost,
}

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

/// What is left to do once it is credited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closing {
    acknowledged: bool,
    receipt: Option<SignedReceipt>,
    receipt_kept: bool,
    receipt_due: Millis,
}

/// The name of a stage, as the owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Presented, nothing begun.
    Received,
    /// Being settled.
    Settling,
    /// Settling began and its outcome is not known.
    Unknown,
    /// Settled and not yet credited.
    Settled,
    /// Credited.
    Credited,
    /// Refused; no money moved.
    Refused,
    /// Held for the owner.
    Held,
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Settling => "settling",
            Self::Unknown => "unknown",
            Self::Settled => "settled",
            Self::Credited => "credited",
            Self::Refused => "refused",
            Self::Held => "held",
        }
    }
}

/// What has to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask a facilitator whether the payment is valid.
    Verify,
    /// Ask the account whether the call that is paid for may pass its other limits.
    Admit,
    /// Ask the chain what became of the authorization.
    AskChain,
    /// Delete the answer that was kept.
    ForgetAnswer,
    /// Tell the account that it is about to be settled.
    Announce,
    /// Have the facilitator settle it.
    Settle,
    /// Claim the transaction for this payment.
    ClaimTransaction(String),
    /// Credit the account.
    Credit,
    /// Tell the account that it was refused.
    Withdraw,
    /// Tell the account that the credit will not be repeated.
    Acknowledge,
    /// Write it into the ledger.
    Record,
    /// Make the receipt that the gate did not bring.
    SignReceipt,
    /// Put the receipt where it is read.
    KeepReceipt,
    /// Nothing until then; nothing at all when there is no instant.
    Rest(Option<Millis>),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was presented again, or the process came back and found it stored.
    Resumed,
    /// The owner wants it tried again now.
    Retried,
    /// The account said whether the call may pass.
    Admitted(bool),
    /// The gate still makes the call.
    StillServing,
    /// The origin answered.
    Answered(Told),
    /// The answer that the gate held was handed on.
    Delivered,
    /// The answer that the gate held was handed to nobody.
    Undelivered,
    /// The answer that was kept is deleted.
    AnswerForgotten,
    /// What the chain says.
    ChainSaid(Finding),
    /// A facilitator, by its URL, said whether it is valid; or none did.
    Verified(Option<String>, VerifyAnswer),
    /// The account knows of it.
    Announced,
    /// The facilitator answered the settlement.
    Settled(SettleAnswer),
    /// Whether the transaction was free to claim.
    TransactionClaimed(bool),
    /// The account has the credit.
    Credited,
    /// The account knows that it was refused.
    Withdrawn,
    /// The account will not be told to credit it again.
    Acknowledged,
    /// The ledger has this state.
    Recorded(State),
    /// The receipt was made.
    ReceiptSigned(Box<SignedReceipt>),
    /// The receipt can be read.
    ReceiptKept,
    /// The step could not be done; nothing is known of its effect.
    StepFailed(String),
}

/// What a presenter is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It was credited, by this settlement.
    Credited(&'a Settlement),
    /// It was refused for certain.
    Refused(&'a str),
    /// The origin is being called for it.
    Serving,
    /// The origin answered with this status, and nothing was taken.
    NotSold(u16),
    /// No facilitator answered; nothing was begun.
    Unavailable(&'a str),
    /// It is on its way, or its outcome is unknown.
    Pending,
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

    /// Where it is, as the owner sees it.
    #[must_use]
    pub const fn state(&self) -> State {
        match &self.stage {
            Stage::Received | Stage::Unverified { .. } | Stage::Verified | Stage::Serving => State::Received,
            Stage::Settling { .. } => State::Settling,
            Stage::Unknown { .. } | Stage::Asking { .. } => State::Unknown,
            Stage::Claiming { .. } | Stage::Crediting { .. } => State::Settled,
            Stage::Credited { .. } => State::Credited,
            Stage::Withdrawing { .. } | Stage::Refused { .. } | Stage::Spent { .. } => State::Refused,
            Stage::Held { .. } => State::Held,
        }
    }

    /// What a presenter is told.
    #[must_use]
    pub fn progress(&self) -> Progress<'_> {
        match &self.stage {
            Stage::Credited { settlement, .. } => Progress::Credited(settlement),
            Stage::Serving => Progress::Serving,
            Stage::Refused { reason } => Progress::Refused(reason),
            Stage::Unverified { why } => Progress::Unavailable(why),
            Stage::Withdrawing { end } | Stage::Spent { end } => end.progress(),
            Stage::Received
            | Stage::Verified
            | Stage::Settling { .. }
            | Stage::Unknown { .. }
            | Stage::Asking { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Held { .. } => Progress::Pending,
        }
    }

    /// Whether its state must be stored before the next step. Before it is found valid nothing has happened that could
    /// be lost, and a refused payment leaves nothing behind.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        match &self.stage {
            Stage::Received | Stage::Unverified { .. } | Stage::Refused { .. } => false,
            Stage::Verified
            | Stage::Serving
            | Stage::Settling { .. }
            | Stage::Unknown { .. }
            | Stage::Asking { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Credited { .. }
            | Stage::Withdrawing { .. }
            | Stage::Spent { .. }
            | Stage::Held { .. } => true,
        }
    }

    /// What has to be done now. What a client waits for comes first, the rest after it.
    #[must_use]
    pub fn step(&self, now: Millis) -> Step {
        match &self.stage {
            Stage::Received => Step::Verify,
            Stage::Verified if self.call.is_some() => Step::Admit,
            Stage::Verified => Step::Announce,
            Stage::Serving => Step::Rest(self.call.and_then(Call::lost_at)),
            Stage::Settling { .. } => Step::Settle,
            // Nobody may be asked to pay again from now on.
            Stage::Unknown { .. } if !self.is_announced() => Step::Announce,
            Stage::Unknown { retry_at, .. } => self.record_or(Step::Rest(Some(*retry_at))),
            Stage::Asking { .. } => Step::AskChain,
            Stage::Claiming { settlement, .. } => Step::ClaimTransaction(settlement.transaction.clone()),
            Stage::Crediting { .. } => Step::Credit,
            Stage::Withdrawing { .. } => Step::Withdraw,
            Stage::Credited { closing, .. } => self.closing_step(closing, now),
            Stage::Spent { .. } => self.spent_step(now),
            Stage::Held { .. } => self.record_or(Step::Rest(None)),
            Stage::Unverified { .. } | Stage::Refused { .. } => Step::Rest(None),
        }
    }

    /// Whether the account knows of it: of a refill since before it is settled, of one call since it is in doubt.
    const fn is_announced(&self) -> bool {
        self.call.is_none() || matches!(self.announced, Announced::Yes)
    }

    /// What is left to do once it buys nothing more: its answer is deleted, and then it is forgotten itself.
    fn spent_step(&self, now: Millis) -> Step {
        match self.call.and_then(Call::kept_until) {
            Some(until) if now < until => Step::Rest(Some(until)),
            Some(_) => Step::ForgetAnswer,
            None => Step::Rest(self.expires().filter(|at| at.since(now) <= LONGEST_MEMORY)),
        }
    }

    /// When its authorization can no longer be settled, where that is understood.
    fn expires(&self) -> Option<Millis> {
        let end = self.payment.valid_before()?;
        Some(Millis::new(end.saturating_add(1).saturating_mul(1_000)))
    }

    fn record_or(&self, step: Step) -> Step {
        if self.recorded == Some(self.state()) { step } else { Step::Record }
    }

    fn closing_step(&self, closing: &Closing, now: Millis) -> Step {
        if !closing.acknowledged {
            return Step::Acknowledge;
        }
        let Step::Rest(_) = self.record_or(Step::Rest(None)) else { return Step::Record };
        if closing.receipt.is_some() && !closing.receipt_kept {
            return Step::KeepReceipt;
        }
        if closing.receipt.is_none() && now >= closing.receipt_due {
            return Step::SignReceipt;
        }
        let receipt_due = Some(closing.receipt_due).filter(|_| closing.receipt.is_none());
        match self.call.and_then(Call::kept_until) {
            Some(until) if now >= until => Step::ForgetAnswer,
            until => {
                let lost_at = self.call.and_then(Call::lost_at);
                Step::Rest([receipt_due, until, lost_at].into_iter().flatten().min())
            }
        }
    }

    /// Whether the presenter's answer is known, or will not come soon: the rest can be done later, by alarm.
    #[must_use]
    pub fn can_answer(&self) -> bool {
        match &self.stage {
            Stage::Unknown { .. } => self.is_announced(),
            Stage::Credited { .. }
            | Stage::Refused { .. }
            | Stage::Unverified { .. }
            | Stage::Serving
            | Stage::Spent { .. }
            | Stage::Held { .. } => true,
            Stage::Received
            | Stage::Verified
            | Stage::Asking { .. }
            | Stage::Settling { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Withdrawing { .. } => false,
        }
    }

    /// The purchase after something happened. An event that does not fit where it is changes nothing.
    #[must_use]
    pub fn apply(mut self, event: Event, policy: &SettlementPolicy, now: Millis) -> Self {
        match event {
            Event::Recorded(state) => {
                self.recorded = Some(state);
                return self;
            }
            Event::Verified(Some(facilitator), VerifyAnswer::Valid { .. })
                if self.stage == Stage::Received =>
            {
                self.facilitator = Some(facilitator);
                self.stage = Stage::Verified;
                return self;
            }
            Event::Announced if matches!(self.stage, Stage::Unknown { .. }) => {
                self.announced = Announced::Yes;
                return self;
            }
            _ => {}
        }
        self.call = self.call.map(|call| next_call(call, &self.stage, &event, now));
        let doubt = self.doubt(policy, now);
        let stage = std::mem::replace(&mut self.stage, Stage::Received);
        let next = match stage {
            Stage::Received => received(event),
            Stage::Unverified { .. } if event == Event::Resumed => Stage::Received,
            Stage::Verified if self.call.is_some() => verified_for_call(event),
            Stage::Verified => verified(event, now),
            Stage::Serving => self.serving(&event, now),
            Stage::Settling { retries, since } => settling(event, retries, since, &doubt, now),
            Stage::Unknown { why, retries, since, retry_at } => {
                unknown(&event, (why, retries, since, retry_at), policy, now)
            }
            Stage::Asking { why, retries, since } => asking(event, (why, retries, since), now),
            Stage::Claiming { settlement, retries, since } => {
                claiming(&event, settlement, retries, since, now)
            }
            Stage::Crediting { settlement } if event == Event::Credited => credited(settlement, policy, now),
            Stage::Credited { settlement, closing } => {
                Stage::Credited { settlement, closing: close(closing, event) }
            }
            Stage::Withdrawing { end } if event == Event::Withdrawn => self.over(end),
            Stage::Spent { end } => self.spent(end, &event, now),
            Stage::Held { since: _, why } if event == Event::Retried => tried_again(why, 1, now, policy),
            unchanged => unchanged,
        };
        self.stage = match next {
            // An account that was told nothing need not be told of the end.
            Stage::Withdrawing { end } if self.call.is_some() && self.announced.is_not() => self.over(end),
            next => next,
        };
        if matches!(self.stage, Stage::Unknown { .. }) && self.announced.is_not() {
            self.announced = Announced::Maybe;
        }
        self.call = self.call.map(|call| call_at(call, &self.stage, now));
        self
    }

    const fn doubt<'a>(&self, policy: &'a SettlementPolicy, now: Millis) -> Doubt<'a> {
        // Of a payment that is not understood nobody knows; its refusals are then as doubtful as an expired one's.
        let expired = match self.payment.valid_before() {
            Some(end) => now.seconds() > end,
            None => true,
        };
        Doubt { amount: self.payment.offer().amount, expired, policy }
    }

    fn serving(&self, event: &Event, now: Millis) -> Stage {
        match event {
            Event::Answered(told) if told.is_sold() => Stage::Settling { retries: 0, since: now },
            Event::Answered(told) => Stage::Withdrawing { end: End::NotSold(told.status) },
            Event::Resumed if self.call == Some(Call::Lost) => Stage::Withdrawing { end: End::AnswerLost },
            _ => Stage::Serving,
        }
    }

    /// Where it stays when it ended without money moving: nowhere, unless the origin was called for it.
    fn over(&self, end: End) -> Stage {
        match end {
            end if self.call.is_some_and(Call::was_made) => Stage::Spent { end },
            End::NotBegun(why) => Stage::Unverified { why },
            end => Stage::Refused { reason: end.reason().to_owned() },
        }
    }

    fn spent(&self, end: End, event: &Event, now: Millis) -> Stage {
        let has_answer = self.call.and_then(Call::kept_until).is_some();
        match event {
            Event::Resumed if !has_answer && self.expires().is_some_and(|at| now >= at) => {
                Stage::Refused { reason: end.reason().to_owned() }
            }
            _ => Stage::Spent { end },
        }
    }
}

impl End {
    fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::NotBegun(reason) => reason,
            Self::NotSold(_) => ORIGIN_FAILED,
            Self::AnswerLost => ANSWER_LOST,
        }
    }

    fn progress(&self) -> Progress<'_> {
        match self {
            Self::NotBegun(why) => Progress::Unavailable(why),
            Self::NotSold(status) => Progress::NotSold(*status),
            Self::Refused(_) | Self::AnswerLost => Progress::Refused(self.reason()),
        }
    }
}

/// The call after something happened to a purchase in that stage.
fn next_call(call: Call, stage: &Stage, event: &Event, now: Millis) -> Call {
    let settled = matches!(stage, Stage::Credited { .. });
    match (call, event) {
        (Call::Due, Event::Admitted(true)) if *stage == Stage::Verified => Call::Running { heard: now },
        (Call::Owed, Event::Admitted(true)) if settled => Call::Running { heard: now },
        (Call::Running { .. }, Event::StillServing) => Call::Running { heard: now },
        // Who paid is owed an answer that is sold.
        (Call::Running { .. }, Event::Answered(told)) if settled && !told.is_sold() => Call::Owed,
        (Call::Running { .. }, Event::Answered(told)) => told.call(None),
        (Call::Running { .. }, Event::Resumed) if call.is_lost(now) => {
            if settled {
                Call::Owed
            } else {
                Call::Lost
            }
        }
        (Call::Unkept { .. }, Event::Delivered) if settled => call.passed(),
        (_, Event::Undelivered | Event::Resumed) => call.undelivered(),
        (_, Event::AnswerForgotten) => call.passed(),
        _ => call,
    }
}

/// The call of a purchase that has come to that stage: its answer is kept for a while from when it may be handed out,
/// and no longer when it never may.
fn call_at(call: Call, stage: &Stage, now: Millis) -> Call {
    match stage {
        Stage::Credited { .. } | Stage::Spent { end: End::NotSold(_) } => call.kept_to(now.plus(ANSWER_LIFE)),
        Stage::Spent { .. } => call.kept_to(now),
        _ => call,
    }
}

fn received(event: Event) -> Stage {
    match event {
        Event::Verified(_, VerifyAnswer::Invalid { reason }) => Stage::Refused { reason },
        Event::Verified(_, VerifyAnswer::NoAnswer { why }) | Event::StepFailed(why) => {
            Stage::Unverified { why }
        }
        _ => Stage::Received,
    }
}

fn verified(event: Event, now: Millis) -> Stage {
    match event {
        Event::Announced => Stage::Settling { retries: 0, since: now },
        // Whether the account heard of it is not known: it is told that nothing will come of it.
        Event::StepFailed(why) => Stage::Withdrawing { end: End::NotBegun(why) },
        Event::Resumed => {
            Stage::Withdrawing { end: End::NotBegun("the process ended before it was settled".to_owned()) }
        }
        _ => Stage::Verified,
    }
}

fn verified_for_call(event: Event) -> Stage {
    match event {
        Event::Admitted(true) => Stage::Serving,
        Event::Admitted(false) => Stage::Unverified { why: "it is over another limit".to_owned() },
        Event::StepFailed(why) => Stage::Unverified { why },
        Event::Resumed => {
            Stage::Unverified { why: "the process ended before the origin was called".to_owned() }
        }
        _ => Stage::Verified,
    }
}

/// What decides a settlement that had begun before and is answered with a refusal.
struct Doubt<'a> {
    amount: Amount,
    expired: bool,
    policy: &'a SettlementPolicy,
}

impl Doubt<'_> {
    /// Whether a refusal may come of the payment's own success: it took the nonce, or the last of the money; and an
    /// authorization that has expired is refused for that alone.
    fn covers(&self, reason: &str) -> bool {
        let reason = reason.to_ascii_lowercase();
        self.expired
            || self.policy.asks_chain
            || ["simulation", "funds", "balance"].iter().any(|word| reason.contains(word))
    }
}

fn settling(event: Event, retries: u32, since: Millis, doubt: &Doubt<'_>, now: Millis) -> Stage {
    let begun_before = retries > 0;
    match event {
        Event::Settled(SettleAnswer::Settled { transaction, payer }) => {
            let settlement = Settlement { transaction, confirmed: true, at: now, payer };
            Stage::Claiming { settlement, retries, since }
        }
        // Somebody who saw the authorization may have carried it out before us: then we were paid.
        Event::Settled(SettleAnswer::NonceUsed { reason }) if !begun_before && doubt.policy.asks_chain => {
            Stage::Asking { why: reason, retries, since }
        }
        // An answer to our first try is certain: had it gone through, it would have said so.
        Event::Settled(SettleAnswer::Refused { reason } | SettleAnswer::NonceUsed { reason })
            if !begun_before =>
        {
            Stage::Withdrawing { end: End::Refused(reason) }
        }
        Event::Settled(SettleAnswer::NonceUsed { reason }) if !doubt.policy.asks_chain => {
            in_doubt(reason, since, doubt, now)
        }
        Event::Settled(SettleAnswer::NonceUsed { reason }) => retry_later(reason, retries, since, now),
        Event::Settled(SettleAnswer::Refused { reason }) if doubt.covers(&reason) => {
            retry_later(reason, retries, since, now)
        }
        Event::Settled(SettleAnswer::Refused { reason }) => Stage::Withdrawing { end: End::Refused(reason) },
        Event::Settled(SettleAnswer::Unknown { why, .. }) | Event::StepFailed(why) => {
            retry_later(why, retries, since, now)
        }
        Event::Resumed => {
            retry_later("the process ended while it was being settled".to_owned(), retries, since, now)
        }
        _ => Stage::Settling { retries, since },
    }
}

/// "Nonce already used", of a settlement that had begun before: this payment went through, or the payer spent the
/// same nonce on something else. Without a chain to ask, the owner's limit decides (HTTP.md, "Doubt").
fn in_doubt(reason: String, since: Millis, doubt: &Doubt<'_>, now: Millis) -> Stage {
    if doubt.amount <= doubt.policy.unconfirmed_limit {
        let settlement = Settlement { transaction: String::new(), confirmed: false, at: now, payer: None };
        return Stage::Crediting { settlement };
    }
    Stage::Held { why: reason, since }
}

fn retry_later(why: String, retries: u32, since: Millis, now: Millis) -> Stage {
    let factor = 1_u64.checked_shl(retries).unwrap_or(u64::MAX);
    let wait = Span::millis(FIRST_RETRY.get().saturating_mul(factor)).min(LONGEST_RETRY);
    Stage::Unknown { why, retries: retries.saturating_add(1), since, retry_at: now.plus(wait) }
}

fn unknown(
    event: &Event,
    (why, retries, since, retry_at): (String, u32, Millis, Millis),
    policy: &SettlementPolicy,
    now: Millis,
) -> Stage {
    match event {
        Event::Resumed if now.since(since) > policy.give_up_after => Stage::Held { why, since },
        Event::Resumed if now >= retry_at => tried_again(why, retries, since, policy),
        Event::Retried => tried_again(why, retries, since, policy),
        _ => Stage::Unknown { why, retries, since, retry_at },
    }
}

/// Another try to find out what became of a settlement: the chain is asked first, if there is one to ask.
fn tried_again(why: String, retries: u32, since: Millis, policy: &SettlementPolicy) -> Stage {
    if policy.asks_chain { Stage::Asking { why, retries, since } } else { Stage::Settling { retries, since } }
}

fn asking(event: Event, (why, retries, since): (String, u32, Millis), now: Millis) -> Stage {
    match event {
        Event::ChainSaid(Finding::Paid { transaction }) => {
            let settlement =
                Settlement { transaction: transaction.to_string(), confirmed: true, at: now, payer: None };
            Stage::Claiming { settlement, retries, since }
        }
        Event::ChainSaid(Finding::Never { why }) => Stage::Withdrawing { end: End::Refused(why) },
        Event::ChainSaid(Finding::TooFresh) => {
            retry_later("the transaction is too fresh".to_owned(), retries, since, now)
        }
        // To our first try the facilitator said that it was used, and the chain does not know of it.
        Event::ChainSaid(Finding::Unused | Finding::Unclear { .. }) | Event::StepFailed(_)
            if retries == 0 =>
        {
            Stage::Withdrawing { end: End::Refused(why) }
        }
        // It may still be settled, or nobody could tell: the facilitator is asked again.
        Event::ChainSaid(Finding::Unused | Finding::Unclear { .. }) | Event::StepFailed(_) => {
            Stage::Settling { retries, since }
        }
        _ => Stage::Asking { why, retries, since },
    }
}

fn claiming(event: &Event, settlement: Settlement, retries: u32, since: Millis, now: Millis) -> Stage {
    match event {
        Event::TransactionClaimed(true) => Stage::Crediting { settlement },
        Event::TransactionClaimed(false) => {
            retry_later("the facilitator named another payment's transaction".to_owned(), retries, since, now)
        }
        _ => Stage::Claiming { settlement, retries, since },
    }
}

fn credited(settlement: Settlement, policy: &SettlementPolicy, now: Millis) -> Stage {
    let receipt_due = now.plus(policy.receipt_patience);
    let closing = Closing { acknowledged: false, receipt: None, receipt_kept: false, receipt_due };
    Stage::Credited { settlement, closing }
}

fn close(closing: Closing, event: Event) -> Closing {
    match event {
        Event::Acknowledged => Closing { acknowledged: true, ..closing },
        // The first receipt stands: two of one payment would contradict each other.
        Event::ReceiptSigned(receipt) if closing.receipt.is_none() => {
            Closing { receipt: Some(*receipt), ..closing }
        }
        Event::ReceiptKept => Closing { receipt_kept: true, ..closing },
        _ => closing,
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
