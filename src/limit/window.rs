//! Windows: so many units in each span of time, fixed or sliding. Pure values with time as an argument.
//!
//! Fixed windows are aligned to the epoch: window `n` of length `w` is `[n·w, (n+1)·w)`. A sliding window weighs the
//! window before by what of it is still within reach, and counts the present one whole.

use serde::{Deserialize, Serialize};

use super::bought::Bought;
use super::bucket::Wait;
use super::tokens::Tokens;
use crate::time::{Millis, Span};

/// Whether a window jumps or slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// It starts anew at each multiple of its length.
    Fixed,
    /// It weighs the window before.
    Sliding,
}

impl Motion {
    /// The member of a plan's endpoint that lists windows of this kind.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Fixed => "fixed_windows",
            Self::Sliding => "sliding_windows",
        }
    }
}

/// What a plan says of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowPolicy {
    /// Its name among the limits of an endpoint, such as `request-60s`.
    pub name: String,
    /// What is counted.
    pub unit: String,
    /// Its length; never zero.
    pub length: Span,
    /// What may be used in it.
    pub limit: Tokens,
    /// Whether it jumps or slides.
    pub motion: Motion,
}

impl WindowPolicy {
    /// A window of a plan: its name says what it counts, how long it is, and whether it slides.
    #[must_use]
    pub fn new(unit: &str, length: Span, limit: Tokens, motion: Motion) -> Self {
        let suffix = if motion == Motion::Sliding { SLIDING } else { "" };
        Self { name: format!("{unit}-{length}{suffix}"), unit: unit.to_owned(), length, limit, motion }
    }

    /// The window of that name where the plan has none: it allows nothing beside what was paid for. `None` for another
    /// limit's name.
    #[must_use]
    pub fn named(limit: &str) -> Option<Self> {
        let (name, motion) = match limit.strip_suffix(SLIDING) {
            Some(name) => (name, Motion::Sliding),
            None => (limit, Motion::Fixed),
        };
        let (unit, length) = name.rsplit_once('-')?;
        let length: Span = length.parse().ok().filter(|length| *length > Span::ZERO)?;
        Some(Self::new(unit, length, Tokens::ZERO, motion))
    }
}

/// How the name of a sliding window ends.
const SLIDING: &str = "-sliding";

/// The state of a window.
///
/// Invariant: `index` never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Which window since the epoch this is.
    index: u64,
    /// What was used in it; final units may take it past the limit.
    used: Tokens,
    /// What was used in the one before; kept for sliding windows only.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    before: Tokens,
    /// What was bought on top of the limit, until the window ends.
    #[serde(flatten)]
    bought: Bought,
}

impl Window {
    /// The window at `now`. A clock that stepped back neither ends nor renews one.
    #[must_use]
    pub fn at(self, policy: &WindowPolicy, now: Millis) -> Self {
        let index = now.get().checked_div(policy.length.get()).unwrap_or(0);
        if index <= self.index {
            return self;
        }
        let follows = self.index.checked_add(1) == Some(index);
        let before = if follows && policy.motion == Motion::Sliding { self.used } else { Tokens::ZERO };
        Self { index, before, ..Self::default() }
    }

    /// Whether `need` more may be used in a window brought up to `now`; if not, how long until it may.
    #[must_use]
    pub fn check(&self, need: Tokens, policy: &WindowPolicy, now: Millis) -> Option<Wait> {
        // A request whose units are told at its end uses some: where nothing is left, it waits.
        let need = need.max(Tokens::micro(1));
        let limit = self.bought.on(policy.limit);
        let (length, left) = (wide(policy.length.get()), wide(self.left(policy, now).get()));
        let weighed = wide(self.before.get()).saturating_mul(left.min(length));
        let wanted = weighed.saturating_add(wide(self.used.plus(need).get()).saturating_mul(length));
        if wanted <= wide(limit.get()).saturating_mul(length) {
            return None;
        }
        Some(self.wait(need, policy, now))
    }

    /// How much of `need` more the window has no room for, of a window brought up to `now`.
    #[must_use]
    pub fn shortfall(&self, need: Tokens, policy: &WindowPolicy, now: Millis) -> Tokens {
        let length = wide(policy.length.get());
        let weighed = wide(self.before.get()).saturating_mul(wide(self.left(policy, now).get()).min(length));
        let wanted = weighed.saturating_add(wide(self.used.plus(need).get()).saturating_mul(length));
        let has = wide(self.bought.on(policy.limit).get()).saturating_mul(length);
        let short = wanted.saturating_sub(has).div_ceil(length.max(1));
        Tokens::micro(u64::try_from(short).unwrap_or(u64::MAX))
    }

    fn wait(&self, need: Tokens, policy: &WindowPolicy, now: Millis) -> Wait {
        let left = self.left(policy, now);
        let limit = self.bought.on(policy.limit);
        if let Some(room) = limit.minus(self.used.plus(need))
            && self.before > Tokens::ZERO
        {
            // It passes as soon as the window before weighs no more than the room that is left.
            let bearable = Self::bearable(room, self.before, policy.length);
            // Only at the end of this window would it weigh so little, and what was paid for ends then too.
            if bearable > Span::ZERO {
                return Wait::For(left.minus(bearable));
            }
        }
        let Some(room) = policy.limit.minus(need) else { return Wait::Never };
        match policy.motion {
            Motion::Fixed => Wait::For(left),
            // In the next window, this one is the one before.
            Motion::Sliding => {
                Wait::For(left.plus(policy.length.minus(Self::bearable(room, self.used, policy.length))))
            }
        }
    }

    /// How much of a window before may still be within reach when it held `before` and there is `room` for it.
    fn bearable(room: Tokens, before: Tokens, length: Span) -> Span {
        let most = wide(room.get()).saturating_mul(wide(length.get())).checked_div(wide(before.get()));
        most.and_then(|most| u64::try_from(most).ok()).map_or(length, |most| Span::millis(most).min(length))
    }

    /// Counts `quantity`, past the limit if need be.
    #[must_use]
    pub const fn count(self, quantity: Tokens) -> Self {
        Self { used: self.used.plus(quantity), ..self }
    }

    /// What was bought on top of the limit.
    #[must_use]
    pub const fn bought(&self) -> Bought {
        self.bought
    }

    /// The window with what was bought changed, until the window ends; what ended with an earlier window is owed in this one.
    #[must_use]
    pub fn with_bought(self, change: impl FnOnce(Bought) -> Bought) -> Self {
        Self { bought: change(self.bought), ..self }
    }

    /// How long until this window ends.
    #[must_use]
    pub fn left(&self, policy: &WindowPolicy, now: Millis) -> Span {
        let end = self.index.saturating_add(1).saturating_mul(policy.length.get());
        Millis::new(end).since(now)
    }

    /// What may still be used now.
    #[must_use]
    pub fn remaining(&self, policy: &WindowPolicy, now: Millis) -> Tokens {
        let length = wide(policy.length.get());
        let left = wide(self.left(policy, now).get()).min(length);
        let weighed = wide(self.before.get()).saturating_mul(left).div_ceil(length.max(1));
        let used = weighed.saturating_add(wide(self.used.get()));
        let remaining = wide(self.bought.on(policy.limit).get()).saturating_sub(used);
        Tokens::micro(u64::try_from(remaining).unwrap_or(u64::MAX))
    }

    /// How long until the window is whole again.
    #[must_use]
    pub fn reset_after(&self, policy: &WindowPolicy, now: Millis) -> Span {
        let left = self.left(policy, now);
        if policy.motion == Motion::Sliding && self.used > Tokens::ZERO {
            left.plus(policy.length)
        } else {
            left
        }
    }

    /// Whether nothing in it is used, weighed, paid for or owed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.used == Tokens::ZERO && self.before == Tokens::ZERO && self.bought.is_nothing()
    }
}

fn wide(n: u64) -> u128 {
    u128::from(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(limit: u64, seconds: u64, motion: Motion) -> WindowPolicy {
        WindowPolicy {
            name: "w".to_owned(),
            unit: "request".to_owned(),
            length: Span::seconds(seconds),
            limit: Tokens::whole(limit),
            motion,
        }
    }

    #[test]
    fn windows_are_aligned_to_the_epoch() {
        let now = Millis::new(1_700_000_123_000);
        for (seconds, left) in [(60, 37), (86_400, 6_277)] {
            let policy = policy(3, seconds, Motion::Fixed);
            assert_eq!(Window::default().at(&policy, now).left(&policy, now), Span::seconds(left));
        }
    }

    #[test]
    fn a_fixed_window_admits_its_limit_and_again_at_its_end() {
        let policy = policy(3, 60, Motion::Fixed);
        let now = Millis::new(1_700_000_123_000);
        let full = (0..3).fold(Window::default().at(&policy, now), |window, _| {
            assert_eq!(window.check(Tokens::ONE, &policy, now), None);
            window.count(Tokens::ONE)
        });
        assert_eq!(full.check(Tokens::ONE, &policy, now), Some(Wait::For(Span::seconds(37))));
        let end = Millis::new(1_700_000_160_000);
        assert_eq!(full.at(&policy, end).check(Tokens::ONE, &policy, end), None);
        assert_eq!(full.check(Tokens::whole(4), &policy, now), Some(Wait::Never));
    }

    #[test]
    fn where_units_went_past_the_limit_the_next_request_waits_though_it_asks_for_none() {
        let policy = policy(100, 60, Motion::Fixed);
        let now = Millis::new(1_700_000_123_000);
        let window = Window::default().at(&policy, now).count(Tokens::whole(210));
        assert_eq!(window.check(Tokens::ZERO, &policy, now), Some(Wait::For(Span::seconds(37))));
        assert_eq!(window.remaining(&policy, now), Tokens::ZERO);
    }

    #[test]
    fn a_sliding_window_weighs_the_one_before() {
        let policy = policy(10, 60, Motion::Sliding);
        let first = Window::default().at(&policy, Millis::new(0)).count(Tokens::whole(10));
        // A quarter into the next window, three quarters of the ten still count.
        let now = Millis::new(75_000);
        let window = first.at(&policy, now);
        assert_eq!(window.remaining(&policy, now), Tokens::micro(2_500_000));
        assert_eq!(window.check(Tokens::whole(2), &policy, now), None);
        assert_eq!(window.check(Tokens::whole(3), &policy, now), Some(Wait::For(Span::seconds(3))));
    }

    #[test]
    fn a_clock_that_steps_back_renews_nothing() {
        let policy = policy(3, 60, Motion::Fixed);
        let window = Window::default().at(&policy, Millis::new(120_000)).count(Tokens::whole(3));
        let back = window.at(&policy, Millis::new(60_000));
        assert_eq!(back, window);
        assert_eq!(
            back.check(Tokens::ONE, &policy, Millis::new(60_000)),
            Some(Wait::For(Span::seconds(120)))
        );
    }

    #[test]
    fn what_is_paid_for_lasts_until_the_window_ends() {
        let policy = policy(3, 60, Motion::Fixed);
        let window = Window::default()
            .at(&policy, Millis::new(0))
            .count(Tokens::whole(3))
            .with_bought(|bought| bought.plus(Tokens::whole(2)));
        assert_eq!(window.check(Tokens::whole(2), &policy, Millis::new(0)), None);
        assert_eq!(window.at(&policy, Millis::new(60_000)).bought.extra(), Tokens::ZERO);
    }

    #[test]
    fn what_is_taken_back_lowers_the_window_until_it_ends_and_is_filled_first() {
        let policy = policy(3, 60, Motion::Fixed);
        let sold = Window::default()
            .at(&policy, Millis::new(0))
            .with_bought(|bought| bought.plus(Tokens::whole(2)))
            .count(Tokens::whole(4));
        let over = sold.with_bought(|bought| bought.less(Tokens::whole(2)));
        assert_eq!(
            (over.remaining(&policy, Millis::new(0)), over.bought.owed()),
            (Tokens::ZERO, Tokens::ZERO)
        );
        assert!(
            over.with_bought(|bought| bought.plus(Tokens::ONE))
                .check(Tokens::ONE, &policy, Millis::new(0))
                .is_some()
        );
        let next = Millis::new(60_000);
        let owing = sold.at(&policy, next).with_bought(|bought| bought.less(Tokens::whole(2)));
        assert_eq!((owing.remaining(&policy, next), owing.bought.owed()), (Tokens::ONE, Tokens::whole(2)));
        assert_eq!(owing.check(Tokens::whole(2), &policy, next), Some(Wait::For(Span::seconds(60))));
        assert_eq!(
            owing.with_bought(|bought| bought.plus(Tokens::ONE)).check(Tokens::whole(2), &policy, next),
            None
        );
        assert!(!owing.is_whole() && owing.at(&policy, Millis::new(120_000)).is_whole());
    }

    #[test]
    fn stored_form_is_pinned() {
        let window = Window { index: 7, used: Tokens::ONE, ..Window::default() };
        assert_eq!(serde_json::to_string(&window).unwrap(), r#"{"index":7,"used":1000000}"#);
        let full = Window { before: Tokens::micro(2), bought: Bought::of(Tokens::micro(3)), ..window };
        let stored = r#"{"index":7,"used":1000000,"before":2,"extra":3}"#;
        assert_eq!(serde_json::to_string(&full).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Window>(stored).unwrap(), full);
        let owing = Window { bought: Bought::NOTHING.less(Tokens::micro(4)), ..window };
        let stored = r#"{"index":7,"used":1000000,"owed":4}"#;
        assert_eq!(serde_json::to_string(&owing).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Window>(stored).unwrap(), owing);
        assert!(serde_json::from_str::<Window>(r#"{"index":7,"used":1000000,"owned":4}"#).is_err());
    }
}
