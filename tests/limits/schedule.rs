//! Random plans of an endpoint, and random schedules of what a client does under them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use proptest::prelude::*;
use tollgate::contract::{Attempt, Credit, End};
use tollgate::limit::account::{Account, Rules};
use tollgate::limit::decision::{Decision, Grant, Verdict};
use tollgate::limit::tokens::Tokens;
use tollgate::limit::units::Units;
use tollgate::time::Millis;

use crate::client;
use crate::model::{BucketLimit, Limits, ONE, Over, Uses, WindowLimit};

const START: u64 = 1_700_000_123_456;

fn buckets() -> impl Strategy<Value = BucketLimit> {
    let rate = prop_oneof![
        1 => Just(0),
        4 => 1..200 * ONE,
        4 => (1..60_u64).prop_map(|whole| whole * ONE),
    ];
    (1..6_u64, rate, any::<bool>()).prop_map(|(capacity, rate, by_minute)| BucketLimit {
        capacity: capacity * ONE,
        rate: if by_minute { rate * 30 } else { rate },
        by_minute,
    })
}

fn windows() -> impl Strategy<Value = Vec<WindowLimit>> {
    let quantity = prop_oneof![4 => (1..7_u64).prop_map(|whole| whole * ONE), 1 => ONE / 2..8 * ONE];
    let window = (
        prop::sample::select(vec!["request", "token", "image"]),
        prop::sample::select(vec![20, 70, 100, 250, 1000]),
        quantity,
        any::<bool>(),
    );
    let window =
        window.prop_map(|(unit, length, limit, sliding)| WindowLimit { unit, length, limit, sliding });
    prop::collection::vec(window, 0..5).prop_map(|mut windows| {
        windows.sort_by_key(|window| (window.sliding, window.name()));
        windows.dedup_by_key(|window| window.name());
        windows
    })
}

pub(crate) fn blocks() -> impl Strategy<Value = Over> {
    Just(Over::Block)
}

pub(crate) fn sales() -> impl Strategy<Value = Over> {
    prop::option::of(ONE / 2..6 * ONE).prop_map(|refill| Over::Pay { refill })
}

pub(crate) fn queues() -> impl Strategy<Value = Over> {
    (10..600_u64, 0..6_usize).prop_map(|(max_wait, max_queue)| Over::Queue { max_wait, max_queue })
}

/// Any strategy over the limit.
pub(crate) fn any_over() -> impl Strategy<Value = Over> {
    prop_oneof![1 => blocks(), 3 => sales(), 3 => queues(), 1 => Just(Over::Degrade)]
}

/// Plans with any limits and such a strategy.
pub(crate) fn limits(over: impl Strategy<Value = Over>) -> impl Strategy<Value = Limits> {
    let cost = prop_oneof![6 => Just(ONE), 1 => Just(0), 2 => ONE / 4..3 * ONE];
    let slots = prop::option::weighted(0.4, (1..5_usize, 10..400_u64));
    let all = (prop::option::weighted(0.6, buckets()), cost, windows(), slots, over);
    // Where there is nothing else, a plan that sells or queues has one window.
    all.prop_map(|(bucket, cost, mut windows, slots, over)| {
        if bucket.is_none() && windows.is_empty() {
            windows.push(WindowLimit { unit: "request", length: 250, limit: 3 * ONE, sliding: false });
        }
        Limits { bucket, cost, windows, slots, over }
    })
}

/// What a client does. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Ask(Uses),
    End(usize, Uses),
    Leave(usize),
    /// Pays for what was offered last, at once or later.
    Pay,
    Look,
}

/// How the clock moves before an act.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tick {
    Forward(u64),
    /// To the start of the next window of this length, and so many milliseconds back.
    Boundary(u64, u64),
    Back(u64),
}

/// A unit that is not named at all is told at the end only.
fn uses(most: u64) -> impl Strategy<Value = Uses> {
    let quantity = prop_oneof![3 => (1..=most).prop_map(|whole| whole * ONE), 1 => 1..=most * ONE];
    let one = (prop::sample::select(vec!["token", "token", "image", "request"]), quantity);
    prop::collection::vec(one, 0..3).prop_map(|uses| uses.into_iter().collect())
}

fn ticks(back: bool) -> impl Strategy<Value = Tick> {
    prop_oneof![
        6 => Just(Tick::Forward(0)),
        8 => (0..30_u64).prop_map(Tick::Forward),
        3 => (0..400_u64).prop_map(Tick::Forward),
        1 => (0..3_000_u64).prop_map(Tick::Forward),
        2 => (prop::sample::select(vec![20, 70, 100, 250, 1000]), 0..2_u64)
            .prop_map(|(length, short)| Tick::Boundary(length, short)),
        u32::from(back) => (0..700_u64).prop_map(Tick::Back),
    ]
}

/// Schedules on a clock that only goes forward, or may step back.
pub(crate) fn schedules(back: bool) -> impl Strategy<Value = Vec<(Tick, Act)>> {
    let act = prop_oneof![
        12 => uses(4).prop_map(Act::Ask),
        4 => (0..8_usize, uses(9)).prop_map(|(which, uses)| Act::End(which, uses)),
        2 => (0..8_usize).prop_map(Act::Leave),
        3 => Just(Act::Pay),
        1 => Just(Act::Look),
    ];
    prop::collection::vec((ticks(back), act), 1..40)
}

/// A call to the account: an act at its moment.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Attempt(Attempt, Uses),
    End(End, Uses),
    Leave(String),
    Credit(Credit),
    Look,
}

pub(crate) fn told(uses: &Uses) -> Units {
    uses.iter().fold(Units::default(), |units, (unit, quantity)| units.with(unit, Tokens::micro(*quantity)))
}

/// Does a call.
pub(crate) fn call(
    account: Account,
    rules: &Rules<'_>,
    call: &Call,
    now: u64,
) -> (Account, Option<Decision>) {
    let now = Millis::new(now);
    match call {
        Call::Attempt(attempt, _) => {
            let (account, decision) = account.attempt(rules, attempt, now);
            (account, Some(decision))
        }
        Call::End(end, _) => (account.end(rules, end, now), None),
        Call::Leave(request) => (account.leave(request), None),
        Call::Credit(credit) => (account.credit(rules, credit, now), None),
        Call::Look => (account.tidied(rules, now), None),
    }
}

/// A client that follows a schedule, and knows which of its requests run, which wait, and what it was offered.
pub(crate) struct Player {
    pub(crate) now: u64,
    asked: usize,
    paid: usize,
    running: Vec<(String, u64)>,
    offer: Vec<Grant>,
}

impl Player {
    pub(crate) fn new() -> Self {
        Self { now: START, asked: 0, paid: 0, running: Vec::new(), offer: Vec::new() }
    }

    /// What the next act comes to.
    pub(crate) fn next(&mut self, (tick, act): &(Tick, Act)) -> Call {
        self.now = match tick {
            Tick::Forward(step) => self.now + step,
            Tick::Boundary(length, short) => ((self.now / length + 1) * length - short).max(self.now),
            Tick::Back(step) => self.now - step,
        };
        match act {
            Act::Ask(uses) => {
                self.asked += 1;
                Call::Attempt(client::attempt(&format!("req_{}", self.asked), &told(uses)), uses.clone())
            }
            Act::End(which, uses) => match self.take(*which, |turn, now| turn <= now) {
                Some(request) => Call::End(client::end(&request, &told(uses)), uses.clone()),
                None => Call::Look,
            },
            Act::Leave(which) => self.take(*which, |turn, now| turn > now).map_or(Call::Look, Call::Leave),
            Act::Pay => {
                self.paid += 1;
                Call::Credit(client::credit(self.paid, &self.offer))
            }
            Act::Look => Call::Look,
        }
    }

    fn take(&mut self, which: usize, wanted: fn(u64, u64) -> bool) -> Option<String> {
        let now = self.now;
        let there: Vec<usize> =
            (0..self.running.len()).filter(|nth| wanted(self.running[*nth].1, now)).collect();
        let nth = *there.get(which % there.len().max(1))?;
        Some(self.running.remove(nth).0)
    }

    /// Learns what its call came to.
    pub(crate) fn learn(&mut self, call: &Call, decision: Option<&Decision>) {
        let (Call::Attempt(attempt, _), Some(decision)) = (call, decision) else { return };
        match &decision.verdict {
            Verdict::Admitted(admitted) => {
                self.running.push((attempt.request.clone(), self.now + admitted.wait.get()));
            }
            Verdict::Denied(denied) => {
                self.offer = denied.offer.as_ref().map_or_else(Vec::new, |terms| terms.grants.clone());
            }
            Verdict::NoAccess => {}
        }
    }
}
