//! What of an allowance must be remembered, and until when.

use std::collections::BTreeMap;

use super::Allowance;
use super::sold::paid_window_left;
use crate::limit::bucket::Wait;
use crate::limit::plan::Policy;
use crate::limit::quota::Quota;
use crate::limit::tokens::Tokens;
use crate::time::{Millis, Span};

impl Allowance {
    /// Whether it holds what must not be lost: what was paid for or is owed, quotas, slots, or places in the queue.
    #[must_use]
    pub fn is_precious(&self, policy: Option<&Policy>) -> bool {
        let capacity = policy.and_then(|policy| policy.bucket.as_ref()).map(|bucket| bucket.capacity);
        let owes = self.bucket.is_some_and(|bucket| bucket.owed() > Tokens::ZERO)
            || self.windows.values().any(|window| window.bought().owed() > Tokens::ZERO);
        let bucket = self.bucket.is_some_and(|bucket| match capacity {
            Some(capacity) => bucket.paid() > Tokens::ZERO || bucket.level() > capacity,
            None => bucket.paid() > Tokens::ZERO,
        });
        let quota = self.quotas.values().any(Quota::holds_anything);
        owes || bucket || self.was_extended() || quota || !self.slots.is_empty() || !self.queue.is_empty()
    }

    /// Whether more of a window or quota was bought that is not over.
    #[must_use]
    pub fn was_extended(&self) -> bool {
        self.windows.values().any(|window| window.bought().extra() > Tokens::ZERO)
            || self.quotas.values().any(|quota| quota.bought().extra() > Tokens::ZERO)
    }

    /// How long until nothing of it is left to remember where the plan does not have the endpoint any more.
    #[must_use]
    pub fn until_forgotten(&self, now: Millis) -> Wait {
        let quotas = self.quotas.values().map(|quota| quota.until_forgotten(now));
        let windows = self.windows.iter().map(|(name, window)| paid_window_left(name, window, now));
        let ends = quotas.chain(windows).max().unwrap_or_default();
        let lasting = Self { quotas: BTreeMap::new(), windows: BTreeMap::new(), ..self.clone() };
        if lasting.is_precious(None) { Wait::Never } else { Wait::For(ends) }
    }

    /// How long until every limit is whole again, of an allowance brought up to `now`; never while tokens are paid for.
    #[must_use]
    pub fn until_whole(&self, policy: &Policy, now: Millis) -> Wait {
        if self.paid() > Tokens::ZERO {
            return Wait::Never;
        }
        let bucket = self.bucket.as_ref().zip(policy.bucket.as_ref());
        let bucket = bucket.map_or(Wait::For(Span::ZERO), |(bucket, policy)| bucket.until_whole(policy, now));
        let windows = policy.windows.iter().filter(|window| !self.window(&window.name).is_whole());
        let windows = windows.map(|window| self.window(&window.name).reset_after(window, now));
        let gone = self.windows.iter().map(|(name, window)| paid_window_left(name, window, now));
        let quotas = self.quotas.values().map(|quota| quota.until_forgotten(now));
        let queue = self.queue.iter().map(|reservation| reservation.turn.since(now));
        let others = windows
            .chain(gone)
            .chain(quotas)
            .chain(queue)
            .chain([self.slots.until_lapsed(now)])
            .max()
            .unwrap_or_default();
        match bucket {
            Wait::For(span) => Wait::For(span.max(others)),
            Wait::Never => Wait::Never,
        }
    }
}
