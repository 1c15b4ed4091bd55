//! A naive model of an endpoint's limits: lists of what happened and when, from which everything is worked out anew at
//! each request. It shares no code with the crate; quantities are millionths, time is milliseconds.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One token or unit in millionths.
pub(crate) const ONE: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub(crate) struct BucketLimit {
    pub(crate) capacity: u64,
    /// Millionths in a second, or in a minute.
    pub(crate) rate: u64,
    pub(crate) by_minute: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct WindowLimit {
    pub(crate) unit: &'static str,
    pub(crate) length: u64,
    pub(crate) limit: u64,
    pub(crate) sliding: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Over {
    Block,
    Pay { refill: Option<u64> },
    Queue { max_wait: u64, max_queue: usize },
    Degrade,
}

/// What a plan says of the endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) bucket: Option<BucketLimit>,
    pub(crate) cost: u64,
    /// Fixed ones first, none twice.
    pub(crate) windows: Vec<WindowLimit>,
    /// How many at once, and for how long each at most.
    pub(crate) slots: Option<(usize, u64)>,
    pub(crate) over: Over,
}

fn decimal(millionths: u64) -> String {
    format!("{}.{:06}", millionths / ONE, millionths % ONE)
}

impl WindowLimit {
    pub(crate) fn name(&self) -> String {
        let length = if self.length.is_multiple_of(1000) {
            format!("{}s", self.length / 1000)
        } else {
            format!("{}ms", self.length)
        };
        format!("{}-{length}{}", self.unit, if self.sliding { "-sliding" } else { "" })
    }
}

impl Limits {
    /// The same as an owner writes it.
    pub(crate) fn written(&self) -> Value {
        let windows = |sliding: bool| -> Vec<Value> {
            let windows = self.windows.iter().filter(|window| window.sliding == sliding);
            let written = windows.map(|w| {
                json!({ "window": format!("{}ms", w.length), "limit": decimal(w.limit), "unit_type": w.unit })
            });
            written.collect()
        };
        let mut endpoint = json!({
            "cost": decimal(self.cost),
            "fixed_windows": windows(false),
            "sliding_windows": windows(true),
        });
        if let Some(BucketLimit { capacity, rate, by_minute }) = &self.bucket {
            let (most, speed) = if *by_minute { ("burst", "rpm") } else { ("capacity", "refill_rate") };
            endpoint["bucket"] = json!({ most: decimal(*capacity), speed: decimal(*rate) });
        }
        if let Some((max, expiry)) = self.slots {
            endpoint["max_concurrent"] = json!(max);
            endpoint["concurrency_expiry"] = json!(format!("{expiry}ms"));
        }
        match &self.over {
            Over::Block => endpoint["over_limit"] = json!("block"),
            Over::Degrade => endpoint["over_limit"] = json!("degrade"),
            Over::Pay { refill } => {
                endpoint["over_limit"] = json!("pay");
                endpoint["price"] = json!("0.001");
                endpoint["refill"] = refill.map_or(Value::Null, |refill| json!(decimal(refill)));
            }
            Over::Queue { max_wait, max_queue } => {
                endpoint["over_limit"] = json!("queue");
                endpoint["max_wait"] = json!(format!("{max_wait}ms"));
                endpoint["max_queue"] = json!(max_queue);
            }
        }
        endpoint
    }
}

/// Units by name.
pub(crate) type Uses = BTreeMap<&'static str, u64>;

#[derive(Clone, Debug)]
enum Event {
    /// A request passed and used this, beside the cost.
    Passed(Uses),
    /// A request's end told of more.
    Told(Uses),
    /// A limit was paid for.
    Paid(String, u64),
}

#[derive(Clone, Debug)]
struct Held {
    request: String,
    until: u64,
}

/// What the model says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It passes now; so much of its cost was paid for.
    Passes { paid: u64 },
    /// It passes over the limit.
    Degraded,
    /// It passes after so long.
    Waits(u64),
    /// All slots are held, and nothing else is in its way.
    Slots,
    /// As many wait as may.
    QueueFull,
    /// One of these limits denies; a payment would add so much to each, if there is an offer.
    Limit(Vec<String>, Option<Vec<(String, u64)>>),
}

/// All that ever happened.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    limits: Limits,
    events: Vec<(u64, String, Event)>,
    held: Vec<Held>,
}

/// Requests that wait start this long after one another at least.
const STEP: u64 = 5;

impl Model {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), events: Vec::new(), held: Vec::new() }
    }

    /// What has happened until `t`, in order.
    fn history(&self, t: u64) -> Vec<&(u64, String, Event)> {
        let mut past: Vec<_> = self.events.iter().filter(|(at, ..)| *at <= t).collect();
        past.sort_by_key(|(at, ..)| *at);
        past
    }

    /// The bucket's level at `t`, and the part that was paid for, both in 60,000ths of a millionth.
    fn level(&self, bucket: &BucketLimit, t: u64) -> (u128, u128) {
        const SCALE: u128 = 60_000;
        let full = u128::from(bucket.capacity) * SCALE;
        let speed = u128::from(bucket.rate) * if bucket.by_minute { 1 } else { 60 };
        let cost = u128::from(self.limits.cost) * SCALE;
        let (mut level, mut paid, mut looked) = (full, 0, 0);
        let grown = |level: u128, from: u64, to: u64| {
            if level < full { full.min(level + speed * u128::from(to - from)) } else { level }
        };
        for (at, _, event) in self.history(t) {
            level = grown(level, looked, *at);
            looked = *at;
            match event {
                Event::Passed(_) if level >= cost => level -= cost,
                Event::Paid(limit, quantity) if limit == "bucket" => {
                    level += u128::from(*quantity) * SCALE;
                    paid += u128::from(*quantity) * SCALE;
                    // Above the capacity no fraction of a millionth is kept.
                    level -= if level >= full { level % SCALE } else { 0 };
                }
                _ => {}
            }
            // What was paid for is spent last, and is whole millionths.
            paid = paid.min(level - level % SCALE);
        }
        (grown(level, looked, t), paid)
    }

    fn used(&self, window: &WindowLimit, nth: u64, t: u64) -> u128 {
        let here = self.history(t).into_iter().filter(|(at, ..)| at / window.length == nth);
        here.map(|(_, _, event)| match event {
            Event::Passed(uses) | Event::Told(uses) => {
                u128::from(uses.get(window.unit).copied().unwrap_or(0))
            }
            Event::Paid(..) => 0,
        })
        .sum()
    }

    fn bought(&self, window: &WindowLimit, t: u64) -> u128 {
        let name = window.name();
        let here = self.history(t).into_iter().filter(|(at, ..)| at / window.length == t / window.length);
        here.map(|(_, _, event)| match event {
            Event::Paid(limit, quantity) if *limit == name => u128::from(*quantity),
            _ => 0,
        })
        .sum()
    }

    /// What is left of a window at `t`, times its length; below zero where units were told past the limit.
    fn room(&self, window: &WindowLimit, t: u64) -> i128 {
        let (nth, length) = (t / window.length, u128::from(window.length));
        let ahead = u128::from((nth + 1) * window.length - t);
        let mut used = self.used(window, nth, t) * length;
        if window.sliding && nth > 0 {
            used += self.used(window, nth - 1, t) * ahead;
        }
        let limit = (u128::from(window.limit) + self.bought(window, t)) * length;
        i128::try_from(limit).unwrap_or(i128::MAX) - i128::try_from(used).unwrap_or(i128::MAX)
    }

    fn slots_held(&self, t: u64) -> usize {
        self.held.iter().filter(|held| t < held.until).count()
    }

    /// The limits that deny at `t`.
    fn deniers(&self, uses: &Uses, t: u64) -> Vec<String> {
        let mut deniers = Vec::new();
        if let Some(bucket) = &self.limits.bucket
            && self.level(bucket, t).0 < u128::from(self.limits.cost) * 60_000
        {
            deniers.push("bucket".to_owned());
        }
        for window in &self.limits.windows {
            // Who tells its units at the end only still uses some.
            let need = uses.get(window.unit).copied().unwrap_or(0).max(1);
            if self.room(window, t) < i128::from(need) * i128::from(window.length) {
                deniers.push(window.name());
            }
        }
        if self.limits.slots.is_some_and(|(max, _)| self.slots_held(t) >= max) {
            deniers.push("concurrent".to_owned());
        }
        deniers
    }

    /// Turns that have not come at `now`.
    fn turns(&self, now: u64) -> Vec<u64> {
        self.events.iter().map(|(at, ..)| *at).filter(|at| *at > now).collect()
    }

    /// What it says of a request that asks at `now`. Nothing is noted.
    pub(crate) fn judge(&self, uses: &Uses, now: u64) -> Answer {
        let uses = &with_request(uses);
        let deniers = self.deniers(uses, now);
        let full = deniers.iter().any(|limit| limit == "concurrent");
        let turns = self.turns(now);
        match &self.limits.over {
            _ if deniers.is_empty() && turns.is_empty() => self.pass(uses, now),
            Over::Queue { .. } | Over::Degrade if full => Answer::Slots,
            Over::Block | Over::Pay { .. } if full && deniers.len() == 1 => Answer::Slots,
            Over::Degrade => Answer::Degraded,
            Over::Queue { max_wait, max_queue } => {
                let first = turns.iter().max().map_or(now, |last| last + STEP);
                match self.earliest(uses, first, now + max_wait) {
                    _ if !self.ever(uses, first) => Answer::Limit(deniers, None),
                    _ if turns.len() >= *max_queue => Answer::QueueFull,
                    Some(turn) => Answer::Waits(turn - now),
                    None => Answer::Limit(deniers, None),
                }
            }
            Over::Pay { refill } if !full => {
                let offer = self.offer(&deniers, *refill, uses, now);
                Answer::Limit(deniers, offer)
            }
            Over::Block | Over::Pay { .. } => Answer::Limit(deniers, None),
        }
    }

    fn pass(&self, uses: &Uses, now: u64) -> Answer {
        let paid = |model: &Self| model.limits.bucket.as_ref().map_or(0, |bucket| model.level(bucket, now).1);
        let mut after = self.clone();
        after.events.push((now, String::new(), Event::Passed(uses.clone())));
        Answer::Passes { paid: u64::try_from((paid(self) - paid(&after)) / 60_000).unwrap_or(u64::MAX) }
    }

    /// The first moment of `first..=last` at which it would pass, after all that wait. Nothing happens meanwhile, so
    /// that whatever passes at one moment passes at all later ones.
    fn earliest(&self, uses: &Uses, first: u64, last: u64) -> Option<u64> {
        let passes = |t: u64| self.deniers(uses, t).is_empty();
        if first > last || !passes(last) {
            return None;
        }
        let (mut low, mut high) = (first, last);
        while low < high {
            let middle = low.midpoint(high);
            if passes(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(high)
    }

    /// Whether it would ever pass.
    fn ever(&self, uses: &Uses, first: u64) -> bool {
        self.deniers(uses, first + FOR_EVER).is_empty()
    }

    fn offer(
        &self,
        deniers: &[String],
        refill: Option<u64>,
        uses: &Uses,
        now: u64,
    ) -> Option<Vec<(String, u64)>> {
        let own = |limit: &String| match self.limits.windows.iter().find(|window| window.name() == *limit) {
            Some(window) => window.limit,
            None => self.limits.bucket.as_ref().map_or(0, |bucket| bucket.capacity),
        };
        let grants: Vec<_> =
            deniers.iter().map(|limit| (limit.clone(), refill.unwrap_or(own(limit)))).collect();
        let mut after = self.clone();
        after.credited(&grants, now);
        after.deniers(uses, now).is_empty().then_some(grants)
    }

    /// Notes what a request came to.
    pub(crate) fn note(&mut self, request: &str, uses: &Uses, answer: &Answer, now: u64) {
        let start = match answer {
            Answer::Passes { .. } | Answer::Degraded => now,
            Answer::Waits(wait) => now + wait,
            _ => return,
        };
        if *answer != Answer::Degraded {
            self.events.push((start, request.to_owned(), Event::Passed(with_request(uses))));
        }
        if let Some((_, expiry)) = self.limits.slots {
            self.held.push(Held { request: request.to_owned(), until: start + expiry });
        }
    }

    /// Notes that a request ended and told of more units.
    pub(crate) fn ended(&mut self, request: &str, uses: &Uses, now: u64) {
        self.held.retain(|held| held.request != request);
        self.events.push((now, request.to_owned(), Event::Told(uses.clone())));
    }

    /// Notes that a request left before its turn.
    pub(crate) fn left(&mut self, request: &str) {
        self.held.retain(|held| held.request != request);
        self.events.retain(|(_, other, _)| other != request);
    }

    /// Notes a payment.
    pub(crate) fn credited(&mut self, grants: &[(String, u64)], now: u64) {
        let paid = grants
            .iter()
            .map(|(limit, quantity)| (now, String::new(), Event::Paid(limit.clone(), *quantity)));
        self.events.extend(paid);
    }

    /// What is left of each limit at `now`, in whole units.
    pub(crate) fn remaining(&self, now: u64) -> Vec<u64> {
        let bucket =
            self.limits.bucket.as_ref().map(|bucket| self.level(bucket, now).0 / 60_000 / u128::from(ONE));
        let windows = self.limits.windows.iter().map(|window| {
            let room = self.room(window, now).max(0).unsigned_abs();
            room / u128::from(window.length) / u128::from(ONE)
        });
        let slots = self.limits.slots.map(|(max, _)| max.saturating_sub(self.slots_held(now)) as u128);
        let all = bucket.into_iter().chain(windows).chain(slots);
        all.map(|left| u64::try_from(left).unwrap_or(u64::MAX)).collect()
    }
}

/// After this long every limit of a test is whole again, or never will be: 100 million seconds.
pub(crate) const FOR_EVER: u64 = 100_000_000_000;

/// Every request is one, unless it says how many.
fn with_request(uses: &Uses) -> Uses {
    let mut uses = uses.clone();
    if uses.get("request").copied().unwrap_or(0) == 0 {
        uses.insert("request", ONE);
    }
    uses
}
