//! What a simulated run came to.

use std::collections::BTreeMap;

use super::{DECIMALS, Event, Outcome};
use crate::pay::amount::{Amount, Price};
use crate::time::Span;

/// How many requests came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They passed.
    pub admitted: u64,
    /// They passed after a wait.
    pub queued: u64,
    /// They passed degraded.
    pub degraded: u64,
    /// They passed after a payment.
    pub paid: u64,
    /// They were refused.
    pub refused: u64,
}

impl Counts {
    fn count(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Admitted => &mut self.admitted,
            Outcome::Queued(_) => &mut self.queued,
            Outcome::Degraded => &mut self.degraded,
            Outcome::Paid(_) => &mut self.paid,
            Outcome::Refused { .. } => &mut self.refused,
        };
        *counter = counter.saturating_add(1);
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.queued, self.degraded, self.paid, self.refused]
            .iter()
            .fold(self.admitted, |sum, n| sum.saturating_add(*n))
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How long it was.
    pub length: Span,
    /// All requests.
    pub counts: Counts,
    /// The same for each of equally long parts of the time, in order.
    pub parts: Vec<Counts>,
    /// What one payment cost, where there was any.
    pub price: Option<Price>,
    /// The longest wait in the queue.
    pub longest_wait: Span,
    /// How many requests each limit refused, by its name.
    pub refused_by: BTreeMap<String, u64>,
}

impl Summary {
    /// Of no requests, over `length` in so many parts.
    #[must_use]
    pub fn new(length: Span, parts: usize) -> Self {
        Self {
            length,
            counts: Counts::default(),
            parts: vec![Counts::default(); parts],
            price: None,
            longest_wait: Span::ZERO,
            refused_by: BTreeMap::new(),
        }
    }

    /// Counts a request.
    pub fn count(&mut self, event: &Event) {
        self.counts.count(&event.outcome);
        let part = u128::from(event.at.get()).saturating_mul(u128::try_from(self.parts.len()).unwrap_or(0));
        let part = part.checked_div(u128::from(self.length.get())).unwrap_or(0);
        if let Some(part) = usize::try_from(part).ok().and_then(|part| self.parts.get_mut(part)) {
            part.count(&event.outcome);
        }
        match &event.outcome {
            Outcome::Paid(price) => self.price = Some(*price),
            Outcome::Queued(wait) => self.longest_wait = self.longest_wait.max(*wait),
            Outcome::Refused { limit, .. } => {
                let count = self.refused_by.entry(limit.clone()).or_default();
                *count = count.saturating_add(1);
            }
            Outcome::Admitted | Outcome::Degraded => {}
        }
    }

    /// What all payments cost together; `None` where there was none.
    #[must_use]
    pub fn spent(&self) -> Option<String> {
        let once = self.price?.to_amount(DECIMALS).ok()?.atomic();
        let all = once.checked_mul(u128::from(self.counts.paid))?;
        Some(Amount::new(all).to_decimal(DECIMALS))
    }
}
