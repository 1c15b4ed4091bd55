//! What happens to a purchase, and what follows from it.

use super::serving::{call_at, next_call, verified_for_call};
use super::settling::{Doubt, asking, claiming, settling, tried_again, unknown};
use super::stage::{Announced, Closing, End, Stage};
use super::{Purchase, Settlement, SettlementPolicy, State, call::Told};
use crate::pay::chain::Finding;
use crate::pay::receipt::SignedReceipt;
use crate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer};
use crate::time::Millis;

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
impl Purchase {
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
