//! The token bucket: a pure value with time as an argument.
//!
//! It starts full and accrues up to its capacity. At or above capacity nothing accrues and nothing is lost, so that
//! what was paid for on top of it stays. Exact to the millisecond and the millionth of a token.

use serde::{Deserialize, Serialize};

use super::owed;
use super::tokens::{Rate, Tokens, later};
use crate::time::{Millis, Span};

/// What a plan says of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketPolicy {
    /// The most that accrual alone can reach.
    pub capacity: Tokens,
    /// How fast tokens come back.
    pub rate: Rate,
    /// The number that `X-RateLimit-Limit` shows: the capacity, or requests per minute for a bucket written so.
    pub shown_limit: u64,
}

/// The state of a bucket.
///
/// Invariants: `paid` is at most `level`; nothing is in it while something is `owed`; `carry` is a fraction of a millionth not yet made into one (see [`Rate`]), and
/// is zero at or above capacity; `at` never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    level: Tokens,
    /// The part of the level that was paid for. It is spent last.
    #[serde(default)]
    paid: Tokens,
    carry: u64,
    at: Millis,
    /// What was taken back and had been used already: accrual and payments fill it first.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    owed: Tokens,
}

/// Why tokens cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// One millisecond before this has passed still denies; that moment admits.
    For(Span),
    /// Waiting alone never helps: more is asked than accrual can ever give.
    Never,
}

impl Wait {
    /// The longer of two waits.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        match (self, other) {
            (Self::For(a), Self::For(b)) => Self::For(a.max(b)),
            (Self::Never, _) | (_, Self::Never) => Self::Never,
        }
    }
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(policy: &BucketPolicy, now: Millis) -> Self {
        Self { level: policy.capacity, paid: Tokens::ZERO, carry: 0, at: now, owed: Tokens::ZERO }
    }

    /// A bucket that holds `level` at `now`.
    #[must_use]
    pub const fn holding(level: Tokens, now: Millis) -> Self {
        Self { level, paid: Tokens::ZERO, carry: 0, at: now, owed: Tokens::ZERO }
    }

    /// The tokens it holds, as of the instant it was last brought up to date.
    #[must_use]
    pub const fn level(&self) -> Tokens {
        self.level
    }

    /// The part of them that was paid for.
    #[must_use]
    pub const fn paid(&self) -> Tokens {
        self.paid
    }

    /// The bucket at `now`. A clock that stepped back adds and removes nothing.
    #[must_use]
    pub fn at(self, policy: &BucketPolicy, now: Millis) -> Self {
        let at = later(self.at, now);
        if self.level >= policy.capacity {
            return Self { carry: 0, at, ..self };
        }
        let (made, carry) = policy.rate.made_in(now.since(self.at), self.carry);
        let (level, owed) = owed::added((self.level, self.owed), made);
        if level >= policy.capacity {
            return Self { level: policy.capacity, carry: 0, at, owed, ..self };
        }
        Self { level, carry, at, owed, ..self }
    }

    /// Takes `cost` tokens from a bucket brought up to `now`.
    ///
    /// # Errors
    /// How long to wait when they are not there.
    pub fn take(self, cost: Tokens, policy: &BucketPolicy, now: Millis) -> Result<Self, Wait> {
        match self.level.minus(cost) {
            Some(level) => Ok(Self { level, paid: self.paid.min(level), ..self }),
            None => Err(self.wait_for(cost, policy, now)),
        }
    }

    /// Puts tokens that were paid for on top, past the capacity if need be.
    #[must_use]
    pub const fn add_paid(self, tokens: Tokens) -> Self {
        let (level, owed) = owed::added((self.level, self.owed), tokens);
        Self { level, paid: self.paid.plus(tokens.less(self.owed)), owed, ..self }
    }

    /// Takes back tokens that were put on top; those that were spent already are owed.
    #[must_use]
    pub fn take_back(self, tokens: Tokens) -> Self {
        let (level, owed) = owed::taken_back((self.level, self.owed), tokens);
        Self { level, paid: self.paid.less(tokens).min(level), owed, ..self }
    }

    /// The tokens that were taken back and had been spent.
    #[must_use]
    pub const fn owed(&self) -> Tokens {
        self.owed
    }

    /// The bucket as if nothing were owed.
    #[must_use]
    pub const fn forgiven(self) -> Self {
        Self { owed: Tokens::ZERO, ..self }
    }

    /// How long until it holds `target`, from `now`.
    #[must_use]
    pub fn wait_for(&self, target: Tokens, policy: &BucketPolicy, now: Millis) -> Wait {
        let Some(missing) = target.plus(self.owed).minus(self.level) else {
            return Wait::For(Span::ZERO);
        };
        if missing == Tokens::ZERO {
            return Wait::For(Span::ZERO);
        }
        if target > policy.capacity {
            return Wait::Never;
        }
        match policy.rate.time_for(missing, self.carry) {
            Some(span) => Wait::For(self.at.since(now).plus(span)),
            None => Wait::Never,
        }
    }

    /// How long until it is whole again, from `now`; nothing when it is.
    #[must_use]
    pub fn until_whole(&self, policy: &BucketPolicy, now: Millis) -> Wait {
        self.wait_for(policy.capacity, policy, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BucketPolicy =
        BucketPolicy { capacity: Tokens::whole(4), rate: Rate::per_second(Tokens::whole(4)), shown_limit: 4 };

    fn at(milliseconds: u64) -> Millis {
        Millis::new(1_700_000_000_000).plus(Span::millis(milliseconds))
    }

    fn empty() -> Bucket {
        Bucket::holding(Tokens::ZERO, at(0))
    }

    fn level_after(bucket: Bucket, milliseconds: u64) -> String {
        bucket.at(&POLICY, at(milliseconds)).level().to_string()
    }

    #[test]
    fn four_come_back_in_a_second_and_never_more() {
        assert_eq!(level_after(empty(), 999), "3.996");
        assert_eq!(level_after(empty(), 1_000), "4");
        assert_eq!(level_after(empty(), 600_000), "4");
    }

    #[test]
    fn a_refill_that_settles_late_counts_what_accrued_whether_or_not_anyone_looked() {
        let unseen = empty().at(&POLICY, at(210)).add_paid(Tokens::whole(4));
        let seen =
            (0..=210).fold(empty(), |bucket, ms| bucket.at(&POLICY, at(ms))).add_paid(Tokens::whole(4));
        assert_eq!(unseen, seen);
        assert_eq!(unseen.take(Tokens::ONE, &POLICY, at(210)).unwrap().level().to_string(), "3.84");
    }

    #[test]
    fn paid_tokens_above_capacity_neither_grow_nor_shrink() {
        let bucket = Bucket::holding("4.84".parse().unwrap(), at(0));
        assert_eq!(level_after(bucket, 1_000), "4.84");
        let spent = bucket.at(&POLICY, at(1_000)).take(Tokens::ONE, &POLICY, at(1_000)).unwrap();
        assert_eq!(spent.level().to_string(), "3.84");
        assert_eq!(level_after(spent, 2_000), "4");
        assert_eq!(level_after(Bucket::holding(Tokens::whole(12), at(0)), 600_000), "12");
    }

    #[test]
    fn ten_a_minute_with_a_burst_of_five_admits_one_six_seconds_after_it_was_emptied() {
        let policy = BucketPolicy {
            capacity: Tokens::whole(5),
            rate: Rate::per_minute(Tokens::whole(10)),
            shown_limit: 10,
        };
        assert_eq!(empty().wait_for(Tokens::ONE, &policy, at(0)), Wait::For(Span::millis(6_000)));
        assert_eq!(
            empty().at(&policy, at(5_999)).take(Tokens::ONE, &policy, at(5_999)),
            Err(Wait::For(Span::millis(1)))
        );
        assert!(empty().at(&policy, at(6_000)).take(Tokens::ONE, &policy, at(6_000)).is_ok());
    }

    #[test]
    fn more_than_accrual_can_give_is_never() {
        assert_eq!(empty().take(Tokens::whole(5), &POLICY, at(0)), Err(Wait::Never));
        let still = BucketPolicy { rate: Rate::per_second(Tokens::ZERO), ..POLICY };
        assert_eq!(empty().take(Tokens::ONE, &still, at(0)), Err(Wait::Never));
    }

    #[test]
    fn what_was_paid_for_is_spent_last() {
        let bucket = Bucket::holding(Tokens::whole(1), at(0)).add_paid(Tokens::whole(2));
        let paid_after = |taken: u64| {
            (0..taken).fold(bucket, |b, _| b.take(Tokens::ONE, &POLICY, at(0)).unwrap()).paid().floor()
        };
        assert_eq!([paid_after(0), paid_after(1), paid_after(2), paid_after(3)], [2, 2, 1, 0]);
    }

    #[test]
    fn a_clock_that_steps_back_adds_and_removes_nothing() {
        let bucket = empty().at(&POLICY, at(250));
        let back = bucket.at(&POLICY, at(0));
        assert_eq!(back, bucket);
        assert_eq!(back.wait_for(Tokens::whole(2), &POLICY, at(0)), Wait::For(Span::millis(500)));
        assert_eq!(level_after(back, 500), "2");
    }

    #[test]
    fn stored_form_is_pinned() {
        let bucket =
            Bucket { paid: Tokens::whole(3), carry: 7, ..Bucket::holding(Tokens::micro(3_840_000), at(0)) };
        let stored = r#"{"level":3840000,"paid":3000000,"carry":7,"at":1700000000000}"#;
        assert_eq!(serde_json::to_string(&bucket).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Bucket>(stored).unwrap(), bucket);
        let owing = r#"{"level":0,"paid":0,"carry":0,"at":1700000000000,"owed":1000000}"#;
        let bucket = Bucket { owed: Tokens::ONE, ..empty() };
        assert_eq!(serde_json::to_string(&bucket).unwrap(), owing);
        assert_eq!(serde_json::from_str::<Bucket>(owing).unwrap(), bucket);
    }

    #[test]
    fn what_was_taken_back_after_it_was_spent_is_filled_first() {
        let spent = empty().add_paid(Tokens::whole(4)).take(Tokens::whole(3), &POLICY, at(0)).unwrap();
        let owing = spent.take_back(Tokens::whole(4));
        assert_eq!(
            (owing.level(), owing.paid(), owing.owed()),
            (Tokens::ZERO, Tokens::ZERO, Tokens::whole(3))
        );
        // Four a second: three that are owed and the one that is asked for take exactly a second.
        assert_eq!(owing.take(Tokens::ONE, &POLICY, at(0)), Err(Wait::For(Span::seconds(1))));
        assert!(owing.at(&POLICY, at(999)).take(Tokens::ONE, &POLICY, at(999)).is_err());
        assert!(owing.at(&POLICY, at(1_000)).take(Tokens::ONE, &POLICY, at(1_000)).is_ok());
        assert_eq!(owing.until_whole(&POLICY, at(0)), Wait::For(Span::millis(1_750)));
        let paid = owing.add_paid(Tokens::whole(4));
        assert_eq!((paid.level(), paid.paid(), paid.owed()), (Tokens::ONE, Tokens::ONE, Tokens::ZERO));
    }

    #[test]
    fn what_is_taken_back_unspent_leaves_the_rest_as_it_was() {
        let two = Bucket::holding(Tokens::ONE, at(0)).add_paid(Tokens::whole(2));
        assert_eq!(two.add_paid(Tokens::whole(4)).take_back(Tokens::whole(4)), two);
        let still = BucketPolicy { rate: Rate::per_second(Tokens::ZERO), ..POLICY };
        let owing = empty().take_back(Tokens::ONE);
        assert_eq!(
            owing.until_whole(&still, at(0)),
            Wait::Never,
            "what never accrues is owed until it is paid"
        );
    }
}
