//! Random plans of an endpoint, and random schedules of what a client does under them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use proptest::prelude::*;
use serde_json::Value;
use tollgate::contract::{Attempt, Credit, End};
use tollgate::limit::account::{Account, Rules};
use tollgate::limit::credit::BlockId;
use tollgate::limit::credit::order::{Gift, Order};
use tollgate::limit::decision::{Decision, Grant, Verdict};
use tollgate::limit::tokens::Tokens;
use tollgate::limit::units::Units;
use tollgate::time::Millis;

use crate::client;
use crate::model::{BucketLimit, Limits, ONE, Over, OverQuota, QuotaLimit, Uses, WindowLimit};

const DAY: u64 = 86_400_000;
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

/// Quotas; at most one of a unit bills what goes beyond it.
fn quotas() -> impl Strategy<Value = Vec<QuotaLimit>> {
    let over = prop::sample::select(vec![OverQuota::Block, OverQuota::Pay, OverQuota::Overage]);
    let unit = prop::sample::select(vec!["request", "token", "image"]);
    let quota = (unit, any::<bool>(), ONE / 2..15 * ONE, over)
        .prop_map(|(unit, by_month, limit, over)| QuotaLimit { unit, by_month, limit, over });
    prop::collection::vec(quota, 0..4).prop_map(|mut quotas| {
        quotas.sort_by_key(QuotaLimit::name);
        quotas.dedup_by_key(|quota| quota.name());
        let mut billed = Vec::new();
        for quota in &mut quotas {
            if quota.over == OverQuota::Overage && billed.contains(&quota.unit) {
                quota.over = OverQuota::Block;
            }
            billed.push(quota.unit);
        }
        quotas
    })
}

fn credits() -> impl Strategy<Value = Uses> {
    let price = prop_oneof![2 => Just(ONE), 1 => 1..2 * ONE];
    let one = (prop::sample::select(vec!["request", "token"]), price);
    prop_oneof![2 => Just(Uses::new()), 1 => prop::collection::btree_map(one.0, one.1, 1..3)]
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
    let metered = (prop_oneof![1 => Just(Vec::new()), 1 => quotas()], credits());
    let all = (prop::option::weighted(0.6, buckets()), cost, windows(), metered, slots, over);
    // Where there is nothing else, a plan that sells or queues has one window.
    all.prop_map(|(bucket, cost, mut windows, (mut quotas, credits), slots, over)| {
        if bucket.is_none() && windows.is_empty() {
            windows.push(WindowLimit { unit: "request", length: 250, limit: 3 * ONE, sliding: false });
        }
        // What was paid for ends with its period: who waits in line past it is not the model's matter.
        for quota in quotas.iter_mut().filter(|quota| quota.over == OverQuota::Pay) {
            quota.over = if matches!(over, Over::Queue { .. }) { OverQuota::Block } else { OverQuota::Pay };
        }
        Limits { bucket, cost, windows, quotas, credits, slots, over }
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
    /// Is granted credits, for ever or so long.
    Grant(u64, Option<u64>),
    Look,
}

/// How the clock moves before an act.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tick {
    Forward(u64),
    /// To the start of the next window of this length, and so many milliseconds back.
    Boundary(u64, u64),
    /// To the start of the next month, and so many milliseconds back.
    Month(u64),
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
        1 => (0..2_u64).prop_map(|short| Tick::Boundary(DAY, short)),
        1 => (0..2_u64).prop_map(Tick::Month),
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
        2 => (ONE / 2..9 * ONE, prop::option::of(0..3_000_u64)).prop_map(|(amount, life)| Act::Grant(amount, life)),
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
    Order(Order, u64, Option<u64>),
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
        Call::Order(order, ..) => (account.ordered(rules, order, now).0, None),
        Call::Look => (account.tidied(rules, now), None),
    }
}

/// Midnight before the first of the next month, looked for day by day.
fn next_month(now: u64) -> u64 {
    let mut midnight = (now / DAY + 1) * DAY;
    while &Millis::new(midnight).rfc3339()[8..10] != "01" {
        midnight += DAY;
    }
    midnight
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
            Tick::Month(short) => (next_month(self.now) - short).max(self.now),
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
            Act::Grant(amount, life) => {
                self.paid += 1;
                let end = life.map(|life| self.now + life);
                let gift = Gift {
                    amount: Tokens::micro(*amount),
                    expires_at: end.map(Millis::new),
                    metadata: Value::Null,
                };
                Call::Order(Order::Grant(BlockId::new(&self.paid.to_string()), gift, None), *amount, end)
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
