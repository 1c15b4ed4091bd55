//! The requests that wait for their turn: each is counted at its turn, in order.

use serde::{Deserialize, Serialize};

use super::{Allowance, Beyond, LOOKS_AHEAD, Need, longest};
use crate::limit::bucket::Wait;
use crate::limit::plan::{Policy, QueuePolicy};
use crate::limit::tokens::Tokens;
use crate::time::{Millis, Span};

/// Queued requests start at least this long after one another, so that timers keep their order: 5 ms.
const QUEUE_STEP: Span = Span::millis(5);

/// A queued request whose turn has come and that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The request.
    pub request: String,
    /// When it came.
    pub at: Millis,
    /// What the request used.
    pub need: Need,
    /// What of it went beyond quotas.
    pub beyond: Vec<Beyond>,
}

/// A request that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reservation {
    pub(super) request: String,
    pub(super) turn: Millis,
    pub(super) need: Need,
}

/// Why a request cannot wait for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTurn {
    /// As many as may are waiting; after this time it may wait too.
    QueueFull(Span),
    /// It would have to wait for longer than it may; after this time it no longer would.
    TooLong(Span),
    /// Its turn would never come.
    Never,
}

impl Allowance {
    /// The credits that queued requests will cost at their turns.
    pub fn reserved_credits(&self) -> impl Iterator<Item = (Millis, Tokens)> {
        let costly = self.queue.iter().filter(|reservation| reservation.need.credits > Tokens::ZERO);
        costly.map(|reservation| (reservation.turn, reservation.need.credits))
    }

    /// Whether a queued request's turn has come and it is not counted yet.
    #[must_use]
    pub fn is_due(&self, now: Millis) -> bool {
        self.queue.first().is_some_and(|reservation| reservation.turn <= now)
    }

    /// How many requests wait for their turn.
    #[must_use]
    pub fn queued(&self) -> u64 {
        u64::try_from(self.queue.len()).unwrap_or(u64::MAX)
    }

    /// When a request that cannot pass now would have its turn, after all that wait already.
    ///
    /// # Errors
    /// Why it cannot wait.
    pub fn turn(
        &self,
        policy: &Policy,
        queue: &QueuePolicy,
        need: &Need,
        now: Millis,
    ) -> Result<Millis, NoTurn> {
        let mut turn = self.queue.last().map_or(now, |last| last.turn.plus(QUEUE_STEP));
        for _ in 0..LOOKS_AHEAD {
            let then = self.clone().at(policy, turn);
            match longest(&then.check(policy, need, turn)) {
                Some(Wait::For(span)) if span > Span::ZERO => turn = turn.plus(span),
                Some(Wait::Never) => return Err(NoTurn::Never),
                Some(Wait::For(_)) | None => return self.place(queue, turn, now),
            }
        }
        Err(NoTurn::TooLong(turn.since(now).minus(queue.max_wait)))
    }

    /// Whether a request may wait for its `turn`; if not, it may when a place is free and its turn is near enough.
    fn place(&self, queue: &QueuePolicy, turn: Millis, now: Millis) -> Result<Millis, NoTurn> {
        let near_enough = turn.since(now).minus(queue.max_wait);
        if self.queued() >= queue.max_queue {
            let free = self.queue.first().map_or(turn, |first| first.turn).since(now);
            return Err(NoTurn::QueueFull(free.max(near_enough)));
        }
        if near_enough > Span::ZERO { Err(NoTurn::TooLong(near_enough)) } else { Ok(turn) }
    }

    /// Puts a request into the queue.
    #[must_use]
    pub fn reserved(mut self, request: &str, turn: Millis, need: Need) -> Self {
        self.queue.push(Reservation { request: request.to_owned(), turn, need });
        self
    }
}
