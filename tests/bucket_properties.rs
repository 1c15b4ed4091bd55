//! The token bucket against what is promised of it, over random policies and schedules.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use proptest::prelude::*;
use tollgate::limit::bucket::{Bucket, BucketPolicy, Wait};
use tollgate::limit::tokens::{Rate, Tokens};
use tollgate::time::{Millis, Span};

const START: u64 = 1_700_000_000_000;

fn policies() -> impl Strategy<Value = BucketPolicy> {
    let rate = prop_oneof![
        (1..20_000_000_u64).prop_map(|micro| Rate::per_second(Tokens::micro(micro))),
        (1..600_u64).prop_map(|rpm| Rate::per_minute(Tokens::whole(rpm))),
    ];
    (1..50_u64, rate).prop_map(|(capacity, rate)| BucketPolicy {
        capacity: Tokens::whole(capacity),
        rate,
        shown_limit: capacity,
    })
}

#[derive(Clone, Debug)]
enum Act {
    Take(u64),
    Pay(u64),
    Look,
}

/// Acts, each after a step of the clock that may go back.
fn schedules() -> impl Strategy<Value = Vec<(i64, Act)>> {
    let act = prop_oneof![
        6 => (1..3_000_000_u64).prop_map(Act::Take),
        1 => (1..8_u64).prop_map(Act::Pay),
        2 => Just(Act::Look),
    ];
    prop::collection::vec((prop_oneof![8 => 0..3_000_i64, 1 => -5_000..0_i64], act), 1..60)
}

fn at(offset: i64) -> Millis {
    Millis::new(START.saturating_add_signed(offset))
}

proptest! {
    /// Never over plan: what was taken is at most a full bucket, what was paid for, and what the rate makes in the
    /// time that passed (as far as the clock ever went forward).
    #[test]
    fn never_more_is_taken_than_the_plan_and_the_payments_give(policy in policies(), schedule in schedules()) {
        let mut bucket = Bucket::full(&policy, at(0));
        let (mut clock, mut latest) = (0_i64, 0_i64);
        let (mut taken, mut paid) = (Tokens::ZERO, Tokens::ZERO);
        for (step, act) in schedule {
            clock += step;
            latest = latest.max(clock);
            bucket = bucket.at(&policy, at(clock));
            match act {
                Act::Take(micro) => if let Ok(next) = bucket.take(Tokens::micro(micro), &policy, at(clock)) {
                    taken = taken.plus(Tokens::micro(micro));
                    bucket = next;
                },
                Act::Pay(tokens) => {
                    paid = paid.plus(Tokens::whole(tokens));
                    bucket = bucket.add_paid(Tokens::whole(tokens));
                }
                Act::Look => {}
            }
            prop_assert!(bucket.paid() <= bucket.level());
        }
        let empty = Bucket::holding(Tokens::ZERO, at(0));
        let unbounded = BucketPolicy { capacity: Tokens::whole(u64::MAX / 2_000_000), ..policy };
        let made = empty.at(&unbounded, at(latest)).level();
        prop_assert!(taken <= policy.capacity.plus(paid).plus(made), "{taken} taken of {made} made and {paid} paid");
    }

    /// Retry-After is a promise: the millisecond before denies, that moment admits.
    #[test]
    fn the_wait_is_exact(policy in policies(), level in 0..50_000_000_u64, cost in 1..50_000_000_u64, looked in 0..10_000_i64) {
        let bucket = Bucket::holding(Tokens::micro(level), at(0)).at(&policy, at(looked));
        let cost = Tokens::micro(cost);
        match bucket.take(cost, &policy, at(looked)) {
            Ok(_) => {}
            Err(Wait::Never) => prop_assert!(cost > policy.capacity),
            Err(Wait::For(span)) => {
                prop_assert!(span > Span::ZERO);
                let moment = at(looked).plus(span);
                let before = Millis::new(moment.get() - 1);
                prop_assert!(bucket.at(&policy, moment).take(cost, &policy, moment).is_ok());
                prop_assert_eq!(bucket.at(&policy, before).take(cost, &policy, before), Err(Wait::For(Span::millis(1))));
            }
        }
    }

    /// Looking changes nothing: a bucket looked at on the way is the bucket nobody looked at.
    #[test]
    fn looking_changes_nothing(policy in policies(), level in 0..50_000_000_u64, looks in prop::collection::vec(0..100_000_i64, 0..20)) {
        let start = Bucket::holding(Tokens::micro(level), at(0));
        let mut looks = looks;
        looks.sort_unstable();
        let seen = looks.iter().fold(start, |bucket, look| bucket.at(&policy, at(*look)));
        prop_assert_eq!(seen.at(&policy, at(100_000)), start.at(&policy, at(100_000)));
    }

    /// A clock that steps back adds and removes nothing.
    #[test]
    fn a_clock_that_steps_back_adds_and_removes_nothing(policy in policies(), level in 0..50_000_000_u64, forward in 0..100_000_i64, back in 0..200_000_i64) {
        let bucket = Bucket::holding(Tokens::micro(level), at(0)).at(&policy, at(forward));
        let stepped = bucket.at(&policy, at(forward - back));
        prop_assert_eq!(stepped.level(), bucket.level());
        prop_assert_eq!(stepped.at(&policy, at(forward)), bucket);
    }

    /// Paid tokens are never lost: without a request, whatever time passes, all of them are there.
    #[test]
    fn paid_tokens_are_never_lost(policy in policies(), level in 0..50_000_000_u64, paid in 1..100_u64, idle in 0..1_000_000_000_i64) {
        let bucket = Bucket::holding(Tokens::micro(level), at(0)).at(&policy, at(0)).add_paid(Tokens::whole(paid));
        let later = bucket.at(&policy, at(idle));
        prop_assert!(later.level() >= bucket.level());
        prop_assert_eq!(later.paid(), Tokens::whole(paid));
        let stored: Bucket = serde_json::from_str(&serde_json::to_string(&bucket).unwrap()).unwrap();
        prop_assert_eq!(stored, bucket);
    }
}
