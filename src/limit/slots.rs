//! Slots: how many requests may run at the same time. A slot is free again when its request has ended, and lapses by
//! itself where that is never told.

use serde::{Deserialize, Serialize};

use super::bucket::Wait;
use crate::time::{Millis, Span};

/// What a plan says of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotPolicy {
    /// How many requests may run at the same time; never zero.
    pub max: u64,
    /// How long a slot is held at most.
    pub expiry: Span,
}

/// A slot and the request that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    request: String,
    until: Millis,
}

/// The slots of an endpoint that are held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slots(Vec<Slot>);

impl Slots {
    /// The slots that are still held at `now`.
    #[must_use]
    pub fn at(mut self, now: Millis) -> Self {
        self.0.retain(|slot| now < slot.until);
        self
    }

    /// How many are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one more may be held, of slots brought up to `now`; if not, how long until one has lapsed at the latest.
    #[must_use]
    pub fn check(&self, policy: &SlotPolicy, now: Millis) -> Option<Wait> {
        let surplus = self.held().checked_sub(policy.max)?;
        let mut ends: Vec<Millis> = self.0.iter().map(|slot| slot.until).collect();
        ends.sort_unstable();
        let end = usize::try_from(surplus).ok().and_then(|nth| ends.get(nth).copied());
        Some(end.map_or(Wait::Never, |end| Wait::For(end.since(now))))
    }

    /// Holds a slot for a request that starts at `from`.
    #[must_use]
    pub fn hold(mut self, request: &str, policy: &SlotPolicy, from: Millis) -> Self {
        self.0.push(Slot { request: request.to_owned(), until: from.plus(policy.expiry) });
        self
    }

    /// Frees the slot that a request holds.
    #[must_use]
    pub fn free(mut self, request: &str) -> Self {
        self.0.retain(|slot| slot.request != request);
        self
    }

    /// How long until all have lapsed.
    #[must_use]
    pub fn until_lapsed(&self, now: Millis) -> Span {
        self.0.iter().map(|slot| slot.until.since(now)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: SlotPolicy = SlotPolicy { max: 4, expiry: Span::seconds(60) };

    fn four() -> Slots {
        (0..4_u64).fold(Slots::default(), |slots, n| slots.hold(&n.to_string(), &POLICY, Millis::new(n)))
    }

    #[test]
    fn a_fifth_waits_until_one_ends_or_lapses() {
        assert_eq!(four().check(&POLICY, Millis::new(10)), Some(Wait::For(Span::millis(59_990))));
        assert_eq!(four().free("2").check(&POLICY, Millis::new(10)), None);
        assert!(four().at(Millis::new(59_999)).check(&POLICY, Millis::new(59_999)).is_some());
        assert_eq!(four().at(Millis::new(60_000)).check(&POLICY, Millis::new(60_000)), None);
    }

    #[test]
    fn where_a_plan_came_to_allow_fewer_all_above_it_must_end() {
        let fewer = SlotPolicy { max: 2, ..POLICY };
        assert_eq!(four().check(&fewer, Millis::new(10)), Some(Wait::For(Span::millis(59_992))));
    }
}
