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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverQuota {
    Block,
    Pay,
    Overage,
}

#[derive(Clone, Debug)]
pub(crate) struct QuotaLimit {
    pub(crate) unit: &'static str,
    pub(crate) by_month: bool,
    pub(crate) limit: u64,
    pub(crate) over: OverQuota,
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
    /// None twice.
    pub(crate) quotas: Vec<QuotaLimit>,
    /// What each unit costs in credits.
    pub(crate) credits: Uses,
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

impl QuotaLimit {
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.unit, if self.by_month { "month" } else { "day" })
    }

    fn written(&self) -> Value {
        let period = if self.by_month { "month" } else { "day" };
        let mut quota = json!({ "period": period, "limit": decimal(self.limit), "unit_type": self.unit });
        quota["over_quota"] = json!(match self.over {
            OverQuota::Block => "block",
            OverQuota::Pay => "402",
            OverQuota::Overage => "overage",
        });
        if self.over == OverQuota::Overage {
            quota["overage_price"] = json!("0.001");
        }
        quota
    }

    /// Which day or month since 1970 holds `t`.
    fn period(&self, t: u64) -> u64 {
        let mut days = t / 86_400_000;
        if !self.by_month {
            return days;
        }
        for month in 0.. {
            let (year, nth) = (1970 + month / 12, month % 12);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match nth {
                1 => 28 + u64::from(leap),
                3 | 5 | 8 | 10 => 30,
                _ => 31,
            };
            if days < length {
                return month;
            }
            days -= length;
        }
        0
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
        endpoint["quotas"] = self.quotas.iter().map(QuotaLimit::written).collect();
        if !self.credits.is_empty() {
            endpoint["credits"] = self.credits.iter().map(|(unit, price)| (*unit, decimal(*price))).collect();
        }
        if self.quotas.iter().any(|quota| quota.over == OverQuota::Pay) {
            endpoint["price"] = json!("0.001");
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
    /// Credits were granted, until then.
    Granted(u64, Option<u64>),
}

/// Naive credits: what is left of each block with its end, and what is owed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wallet {
    blocks: Vec<(Option<u64>, u64)>,
    pub(crate) debt: u64,
    /// What requests cost so far.
    pub(crate) spent: u64,
}

impl Wallet {
    /// Takes one millionth after the other would be naive; one block after the other is naive enough.
    fn pay(&mut self, mut cost: u64, t: u64) {
        while cost > 0 {
            let good = (0..self.blocks.len()).filter(|nth| {
                let (end, left) = self.blocks[*nth];
                left > 0 && end.is_none_or(|end| t < end)
            });
            let Some(next) = good.min_by_key(|nth| self.blocks[*nth].0.unwrap_or(u64::MAX)) else { break };
            let taken = cost.min(self.blocks[next].1);
            self.blocks[next].1 -= taken;
            cost -= taken;
        }
        self.debt += cost;
    }

    fn grant(&mut self, amount: u64, end: Option<u64>, t: u64) {
        self.blocks.push((end, amount));
        let debt = std::mem::take(&mut self.debt);
        self.pay(debt, t);
    }

    pub(crate) fn balance(&self, t: u64) -> u64 {
        self.blocks.iter().filter(|(end, _)| end.is_none_or(|end| t < end)).map(|(_, left)| left).sum()
    }
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
            Event::Paid(..) | Event::Granted(..) => 0,
        })
        .sum()
    }

    /// What is left of a quota at `t`; below zero where units went past it.
    fn quota_left(&self, quota: &QuotaLimit, t: u64) -> i128 {
        let here = self.history(t).into_iter().filter(|(at, ..)| quota.period(*at) == quota.period(t));
        let changes = here.map(|(_, _, event)| match event {
            Event::Passed(uses) | Event::Told(uses) => {
                -i128::from(uses.get(quota.unit).copied().unwrap_or(0))
            }
            Event::Paid(limit, quantity) if *limit == quota.name() => i128::from(*quantity),
            Event::Paid(..) | Event::Granted(..) => 0,
        });
        changes.sum::<i128>() + i128::from(quota.limit)
    }

    /// What went beyond quotas until `t`, and what it costs at a thousand for each unit, rounded up in each hour.
    pub(crate) fn overage(&self, t: u64) -> (u64, u64) {
        let mut hours: BTreeMap<(&str, u64), u64> = BTreeMap::new();
        for quota in self.limits.quotas.iter().filter(|quota| quota.over == OverQuota::Overage) {
            let mut totals: BTreeMap<u64, u64> = BTreeMap::new();
            for (at, _, event) in self.history(t) {
                let (Event::Passed(uses) | Event::Told(uses)) = event else { continue };
                let total = totals.entry(quota.period(*at)).or_default();
                let before = (*total).max(quota.limit);
                *total += uses.get(quota.unit).copied().unwrap_or(0);
                *hours.entry((quota.unit, at / 3_600_000)).or_default() += (*total).max(quota.limit) - before;
            }
        }
        (hours.values().sum(), hours.values().map(|quantity| (quantity * 1000).div_ceil(ONE)).sum())
    }

    fn cost(&self, uses: &Uses) -> u64 {
        let costs =
            self.limits.credits.iter().map(|(unit, price)| price * uses.get(unit).copied().unwrap_or(0));
        costs.sum::<u64>().div_ceil(ONE)
    }

    /// The credits at `t`.
    pub(crate) fn wallet(&self, t: u64) -> Wallet {
        let mut wallet = Wallet::default();
        for (at, _, event) in self.history(t) {
            match event {
                Event::Passed(uses) | Event::Told(uses) => {
                    wallet.spent += self.cost(uses);
                    wallet.pay(self.cost(uses), *at);
                }
                Event::Paid(limit, quantity) if limit == "credits" => wallet.grant(*quantity, None, *at),
                Event::Paid(..) => {}
                Event::Granted(amount, end) => wallet.grant(*amount, *end, *at),
            }
        }
        wallet
    }

    /// Whether the credits do not suffice, with what those who wait will need.
    fn is_poor(&self, uses: &Uses, now: u64) -> bool {
        if self.limits.credits.is_empty() {
            return false;
        }
        let waiting = self.events.iter().filter(|(at, ..)| *at > now).map(|(_, _, event)| match event {
            Event::Passed(uses) => self.cost(uses),
            _ => 0,
        });
        let wallet = self.wallet(now);
        let needed = waiting.sum::<u64>() + wallet.debt + self.cost(uses).max(1);
        wallet.balance(now) < needed
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
        for quota in self.limits.quotas.iter().filter(|quota| quota.over != OverQuota::Overage) {
            let need = uses.get(quota.unit).copied().unwrap_or(0).max(1);
            if self.quota_left(quota, t) < i128::from(need) {
                deniers.push(quota.name());
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
        let mut deniers = self.deniers(uses, now);
        if self.is_poor(uses, now) {
            deniers.push("credits".to_owned());
        }
        let bars: Vec<String> = deniers.iter().filter(|limit| self.bars(limit)).cloned().collect();
        let turns = self.turns(now);
        match &self.limits.over {
            _ if bars == ["concurrent"] => Answer::Slots,
            _ if !bars.is_empty() => {
                let offer = self.offer(&bars, uses, now);
                Answer::Limit(bars, offer)
            }
            _ if deniers.is_empty() && turns.is_empty() => self.pass(uses, now),
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
            Over::Block | Over::Pay { .. } => Answer::Limit(deniers, None),
        }
    }

    /// Whether nobody gets past that limit by waiting or degraded.
    fn bars(&self, limit: &str) -> bool {
        let of_its_own =
            limit == "concurrent" || self.limits.quotas.iter().any(|quota| quota.name() == limit);
        match self.limits.over {
            Over::Block | Over::Pay { .. } => true,
            Over::Queue { .. } => of_its_own || limit == "credits",
            Over::Degrade => of_its_own,
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

    /// What a payment adds to a limit, if it is for sale.
    fn refill(&self, limit: &str, uses: &Uses) -> Option<u64> {
        let all = match self.limits.over {
            Over::Pay { refill } => Some(refill),
            _ => None,
        };
        if let Some(quota) = self.limits.quotas.iter().find(|quota| quota.name() == limit) {
            return (quota.over == OverQuota::Pay).then(|| all.flatten().unwrap_or(quota.limit));
        }
        let own = match limit {
            "concurrent" => return None,
            "credits" => self.cost(uses).max(ONE),
            "bucket" => self.limits.bucket.as_ref().map_or(0, |bucket| bucket.capacity),
            _ => self.limits.windows.iter().find(|window| window.name() == limit)?.limit,
        };
        Some(all?.unwrap_or(own))
    }

    fn offer(&self, deniers: &[String], uses: &Uses, now: u64) -> Option<Vec<(String, u64)>> {
        let grants = deniers.iter().map(|limit| Some((limit.clone(), self.refill(limit, uses)?)));
        let grants: Vec<_> = grants.collect::<Option<_>>()?;
        let mut after = self.clone();
        after.credited(&grants, now);
        (after.deniers(uses, now).is_empty() && !after.is_poor(uses, now)).then_some(grants)
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

    /// Notes that the owner granted credits.
    pub(crate) fn granted(&mut self, amount: u64, end: Option<u64>, now: u64) {
        self.events.push((now, String::new(), Event::Granted(amount, end)));
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
        let quotas = self.limits.quotas.iter().map(|quota| {
            let left = self.quota_left(quota, now).max(0).unsigned_abs();
            left / u128::from(ONE)
        });
        let all = bucket.into_iter().chain(windows).chain(quotas).chain(slots);
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
