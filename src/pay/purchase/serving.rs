//! A purchase of one call (`payment: always`): what follows from the call, and from its end without money moving.

use super::call::{ANSWER_LIFE, Call};
use super::stage::{End, Stage};
use super::{Event, Purchase};
use crate::time::Millis;

impl Purchase {
    pub(super) fn serving(&self, event: &Event, now: Millis) -> Stage {
        match event {
            Event::Answered(told) if told.is_sold() => Stage::Settling { retries: 0, since: now },
            Event::Answered(told) => Stage::Withdrawing { end: End::NotSold(told.status) },
            Event::Resumed if self.call == Some(Call::Lost) => Stage::Withdrawing { end: End::AnswerLost },
            _ => Stage::Serving,
        }
    }

    /// Where it stays when it ended without money moving: nowhere, unless something was given for it.
    pub(super) fn over(&self, end: End) -> Stage {
        match end {
            end if self.is_advanced() || self.call.is_some_and(Call::was_made) => Stage::Spent { end },
            End::NotBegun(why) => Stage::Unverified { why },
            end => Stage::Refused { reason: end.reason().to_owned() },
        }
    }

    pub(super) fn spent(&self, end: End, event: &Event, now: Millis) -> Stage {
        let has_answer = self.call.and_then(Call::kept_until).is_some();
        match event {
            Event::Resumed if !has_answer && self.expires().is_some_and(|at| now >= at) => {
                Stage::Refused { reason: end.reason().to_owned() }
            }
            _ => Stage::Spent { end },
        }
    }
}

/// The call after something happened to a purchase in that stage.
pub(super) fn next_call(call: Call, stage: &Stage, event: &Event, now: Millis) -> Call {
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
pub(super) fn call_at(call: Call, stage: &Stage, now: Millis) -> Call {
    match stage {
        Stage::Credited { .. } | Stage::Spent { end: End::NotSold(_) } => call.kept_to(now.plus(ANSWER_LIFE)),
        Stage::Spent { .. } => call.kept_to(now),
        _ => call,
    }
}

pub(super) fn verified_for_call(event: Event) -> Stage {
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
