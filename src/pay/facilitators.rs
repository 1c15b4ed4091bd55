//! Several facilitators: in which order they are asked, for how long altogether, and what proves to one who asks.

pub mod cdp;

use std::collections::BTreeMap;

use crate::time::{Millis, Span};

/// How long a facilitator that gave no answer is asked only after the others.
pub const AVOIDED_FOR: Span = Span::seconds(60);

/// In less time nobody answers.
const WORTH_A_CALL: Span = Span::millis(100);

/// Which facilitators gave no answer lately, by URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacilitatorHealth(BTreeMap<String, Millis>);

impl FacilitatorHealth {
    /// Nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The facilitators in the order in which they are asked: the owner's, but those that gave no answer lately come
    /// last, the one that failed first before the others.
    #[must_use]
    pub fn order<'u>(&self, preferred: &[&'u str], now: Millis) -> Vec<&'u str> {
        let failed_at = |url: &str| self.0.get(url).filter(|at| now.since(**at) < AVOIDED_FOR).copied();
        let mut order = preferred.to_vec();
        // The sort is stable, and `None` comes first.
        order.sort_by_key(|url| failed_at(url));
        order
    }

    /// Notes that one gave an answer, or none.
    pub fn note(&mut self, url: &str, answered: bool, now: Millis) {
        if answered {
            self.0.remove(url);
        } else {
            self.0.insert(url.to_owned(), now);
        }
    }
}

/// How long all facilitators together may take, of which each may take `timeout`: twice that, so that a client of two that
/// fail waits no longer than for one more.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    timeout: Span,
    ends: Millis,
}

impl Budget {
    /// A budget that begins now.
    #[must_use]
    pub const fn new(timeout: Span, now: Millis) -> Self {
        Self { timeout, ends: now.plus(timeout).plus(timeout) }
    }

    /// How long the next one may take; nothing when what is left is not worth a call.
    #[must_use]
    pub fn next(&self, now: Millis) -> Option<Span> {
        let left = self.ends.since(now).min(self.timeout);
        (left >= WORTH_A_CALL.min(self.timeout)).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Millis {
        Millis::new(0).plus(Span::seconds(seconds))
    }

    #[test]
    fn one_that_failed_is_asked_last_for_a_while() {
        let preferred = ["a", "b", "c"];
        let mut health = FacilitatorHealth::new();
        assert_eq!(health.order(&preferred, at(0)), ["a", "b", "c"]);
        health.note("a", false, at(10));
        assert_eq!(health.order(&preferred, at(10)), ["b", "c", "a"]);
        health.note("b", false, at(20));
        assert_eq!(health.order(&preferred, at(20)), ["c", "a", "b"], "who failed first may be back first");
        assert_eq!(health.order(&preferred, at(70)), ["a", "c", "b"], "forgotten after a minute");
        health.note("b", true, at(71));
        assert_eq!(health.order(&preferred, at(71)), preferred);
    }

    #[test]
    fn all_together_take_twice_as_long_as_one_may() {
        let budget = Budget::new(Span::seconds(5), at(100));
        assert_eq!(budget.next(at(100)), Some(Span::seconds(5)));
        assert_eq!(budget.next(at(104)), Some(Span::seconds(5)));
        assert_eq!(budget.next(at(107)), Some(Span::seconds(3)));
        assert_eq!(budget.next(Millis::new(109_901)), None);
    }
}
