//! The payments of a client that failed: a few are forgiven, then its next payments must wait.
//!
//! A payment that is refused costs a look, and often a call to a facilitator; this bounds how many a client may cause.

use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, BucketPolicy, Wait};
use super::tokens::{Rate, Tokens};
use crate::time::{Millis, Span};

/// How many payments of a client may fail: twenty at once, twenty a minute.
const FAILURES: BucketPolicy =
    BucketPolicy { capacity: Tokens::whole(20), rate: Rate::per_minute(Tokens::whole(20)), shown_limit: 20 };

/// The failed payments of one client; none where nothing is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failures(Option<Bucket>);

impl Failures {
    /// Whether nothing is remembered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn bucket(self, now: Millis) -> Bucket {
        self.0.unwrap_or(Bucket::full(&FAILURES, now)).at(&FAILURES, now)
    }

    /// How long the client's next payment must wait; nothing when it is looked at now.
    #[must_use]
    pub fn wait(self, now: Millis) -> Option<Span> {
        match self.bucket(now).take(Tokens::ONE, &FAILURES, now) {
            Err(Wait::For(span)) => Some(span),
            Ok(_) | Err(Wait::Never) => None,
        }
    }

    /// With one more. One beyond the last that is forgiven counts nowhere: waiting always helps.
    #[must_use]
    pub fn with_one(self, now: Millis) -> Self {
        let bucket = self.bucket(now);
        Self(Some(bucket.take(Tokens::ONE, &FAILURES, now).unwrap_or(bucket)))
    }

    /// With one less: a payment that was counted beforehand did not fail.
    #[must_use]
    pub fn without_one(self, now: Millis) -> Self {
        let level = self.bucket(now).level().plus(Tokens::ONE);
        Self((level < FAILURES.capacity).then(|| Bucket::holding(level, now)))
    }

    /// What is still to be remembered at `now`.
    #[must_use]
    pub fn tidied(self, now: Millis) -> Self {
        Self(self.0.map(|_| self.bucket(now)).filter(|bucket| bucket.level() < FAILURES.capacity))
    }

    /// How long until nothing is remembered.
    #[must_use]
    pub fn until_forgotten(self, now: Millis) -> Wait {
        self.0.map_or(Wait::For(Span::ZERO), |_| self.bucket(now).until_whole(&FAILURES, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn at(milliseconds: u64) -> Millis {
        Millis::new(NOW).plus(Span::millis(milliseconds))
    }

    fn after(failures: usize) -> Failures {
        (0..failures).fold(Failures::default(), |all, _| all.with_one(at(0)))
    }

    #[test]
    fn twenty_are_forgiven_and_the_next_waits_for_three_seconds() {
        assert_eq!(after(19).wait(at(0)), None);
        assert_eq!(after(20).wait(at(0)), Some(Span::seconds(3)));
        assert_eq!(after(20).wait(at(2_999)), Some(Span::millis(1)));
        assert_eq!(after(20).wait(at(3_000)), None);
        assert_eq!(after(1_000).wait(at(3_000)), None, "what was not looked at makes nobody wait longer");
    }

    #[test]
    fn what_did_not_fail_is_taken_back_and_nothing_is_remembered_for_ever() {
        assert_eq!(after(1).without_one(at(0)), Failures::default());
        assert_eq!(after(20).without_one(at(0)), after(19));
        assert_eq!(after(20).until_forgotten(at(0)), Wait::For(Span::seconds(60)));
        assert!(!after(20).tidied(at(59_999)).is_empty());
        assert!(after(20).tidied(at(60_000)).is_empty());
        assert_eq!(Failures::default().until_forgotten(at(0)), Wait::For(Span::ZERO));
    }
}
