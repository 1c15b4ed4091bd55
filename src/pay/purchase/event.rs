//! What happens to a purchase, and what follows from it.

use super::advance::Advance;
use super::serving::{call_at, next_call, verified_for_call};
use super::settling::{Doubt, asking, claiming, settling, tried_again, unknown};
use super::stage::{Announced, Closing, End, Stage};
use super::{Purchase, Settlement, SettlementPolicy, State, call::Told};
use crate::pay::chain::Finding;
use crate::pay::receipt::SignedReceipt;
use crate::pay::trust::News;
use crate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer};
use crate::time::Millis;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was presented again, or the process came back and found it stored.
    Resumed,
    /// The process came back, or a driver is done, and the owner wants it tried again now.
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
    /// Whether the wallet is trusted.
    Trusted(bool),
    /// The trust in the wallet knows this of it.
    TrustTold(News),
    /// The answer that it was credited for before it was settled has ended; its hash.
    AnswerHashed(String),
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
impl Purchase {
    /// The purchase after something happened. An event that does not fit where it is changes nothing.
    #[must_use]
    pub fn apply(self, event: Event, policy: &SettlementPolicy, now: Millis) -> Self {
        if event == Event::Retried {
            // Nobody drives it then: what a process that died had begun has begun, whoever comes first.
            return self.take_in(Event::Resumed, policy, now).take_in(event, policy, now);
        }
        self.take_in(event, policy, now)
    }

    fn take_in(mut self, event: Event, policy: &SettlementPolicy, now: Millis) -> Self {
        let Some(event) = self.note(event) else { return self };
        self.call = self.call.map(|call| next_call(call, &self.stage, &event, now));
        let stage = std::mem::replace(&mut self.stage, Stage::Received);
        self.stage = match self.next_stage(stage, event, policy, now) {
            // An account that was told nothing need not be told of the end.
            Stage::Withdrawing { end } if self.call.is_some() && self.announced.is_not() => self.over(end),
            next => next,
        };
        if matches!(self.stage, Stage::Unknown { .. }) && self.announced.is_not() {
            self.announced = Announced::Maybe;
        }
        if matches!(self.stage, Stage::Spent { .. }) && self.has(Advance::Given) {
            self.note_trust(|trusting| trusting.advance = Advance::TakenBack);
        }
        self.call = self.call.map(|call| call_at(call, &self.stage, now));
        self
    }

    /// Notes what is known beside the stage; the event, if there is more to it.
    fn note(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Recorded(state) => self.recorded = Some(state),
            Event::TrustTold(news) => self.note_trust(|trusting| trusting.told = Some(news)),
            Event::AnswerHashed(hash) => self.note_trust(|trusting| trusting.response_hash = Some(hash)),
            Event::Verified(Some(facilitator), VerifyAnswer::Valid { .. })
                if self.stage == Stage::Received =>
            {
                self.facilitator = Some(facilitator);
                self.stage = Stage::Verified;
            }
            Event::Trusted(_) | Event::StepFailed(_)
                if self.stage == Stage::Verified && self.has(Advance::Due) =>
            {
                self.trust_answered(event == Event::Trusted(true));
            }
            Event::Announced if matches!(self.stage, Stage::Unknown { .. }) => {
                self.announced = Announced::Yes;
            }
            event => return Some(event),
        }
        None
    }

    fn next_stage(&self, stage: Stage, event: Event, policy: &SettlementPolicy, now: Millis) -> Stage {
        let doubt = self.doubt(policy, now);
        match stage {
            Stage::Received => received(event),
            Stage::Unverified { .. } if event == Event::Resumed => Stage::Received,
            Stage::Verified if self.call.is_some() => verified_for_call(event),
            Stage::Verified => verified(event, now),
            Stage::Advancing if event == Event::Credited => Stage::Advanced { at: now },
            Stage::Advanced { .. } if event == Event::Resumed => Stage::Settling { retries: 0, since: now },
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
        }
    }

    /// Who is not trusted, or of whom nobody can tell, is settled first.
    fn trust_answered(&mut self, is_trusted: bool) {
        let advance = if is_trusted { Advance::Given } else { Advance::Denied };
        self.note_trust(|trusting| trusting.advance = advance);
        if is_trusted {
            self.stage = Stage::Advancing;
        }
    }

    const fn doubt<'a>(&self, policy: &'a SettlementPolicy, now: Millis) -> Doubt<'a> {
        // Of a payment that is not understood nobody knows; its refusals are then as doubtful as an expired one's.
        let expired = match self.payment.valid_before() {
            Some(end) => now.seconds() > end,
            None => true,
        };
        Doubt { amount: self.payment.offer().amount, expired, policy }
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
