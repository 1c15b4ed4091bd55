//! Quotas: so many units in each calendar day or month in UTC. Pure values with time as an argument.
//!
//! What was used in a period stays with the account when its plan changes, and the period before stays readable for a
//! whole period more.

use serde::{Deserialize, Serialize};

use super::bought::Bought;
use super::bucket::Wait;
use super::plan::Sale;
use super::tokens::Tokens;
use crate::pay::amount::Price;
use crate::time::{Millis, Span};

/// After what a quota starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// At midnight.
    Day,
    /// At midnight before the first of a month.
    Month,
}

impl Period {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The day or month that holds `now`: when it starts, and when the next one does.
    #[must_use]
    pub fn around(self, now: Millis) -> (Millis, Millis) {
        match self {
            Self::Day => now.day(),
            Self::Month => now.month(),
        }
    }
}

/// What happens to a request over a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// It is refused with 429.
    Block,
    /// It may be paid for.
    Pay(Sale),
    /// It passes, and each unit beyond the quota is billed later at this price.
    Overage(Price),
}

/// What a plan says of a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaPolicy {
    /// Its name among the limits of an endpoint, such as `image-day`.
    pub name: String,
    /// What is counted.
    pub unit: String,
    /// When it starts anew.
    pub period: Period,
    /// What may be used in a period.
    pub limit: Tokens,
    /// What happens over it.
    pub over: OverQuota,
}

/// The state of a quota.
///
/// Invariant: `start` never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    period: Period,
    /// When the period that is counted started.
    start: Millis,
    /// What was used in it; final units and overage may take it past the limit.
    used: Tokens,
    /// What was bought on top of the limit, until the period ends.
    #[serde(flatten)]
    bought: Bought,
    /// The period that was counted before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Ended>,
}

/// A period that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    start: Millis,
    used: Tokens,
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    extra: Tokens,
}

/// What was used of a quota in one period: what `GET /usage` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaUse {
    /// What is counted.
    pub unit: String,
    /// A day or a month.
    pub period: Period,
    /// When it started.
    pub start: Millis,
    /// What may be used in it, with what was paid for.
    pub limit: Tokens,
    /// What was used.
    pub used: Tokens,
}

impl QuotaPolicy {
    /// Where nothing was used yet.
    #[must_use]
    pub const fn unused(&self) -> Quota {
        Quota::unused(self.period)
    }
}

impl Quota {
    const fn unused(period: Period) -> Self {
        Self { period, start: Millis::new(0), used: Tokens::ZERO, bought: Bought::NOTHING, before: None }
    }

    /// A quota of that name where nothing was used yet; `None` for another limit's name.
    #[must_use]
    pub fn named(limit: &str) -> Option<Self> {
        let period = [Period::Day, Period::Month].into_iter();
        let named = |period: &Period| limit.rsplit_once('-').is_some_and(|(_, name)| name == period.name());
        period.into_iter().find(named).map(Self::unused)
    }

    /// The quota at `now`. A clock that stepped back neither ends nor renews a period.
    #[must_use]
    pub fn at(self, now: Millis) -> Self {
        let (start, _) = self.period.around(now);
        if start <= self.start {
            return self;
        }
        let Self { period, used, bought, .. } = self;
        // What is longer ago than one period is the ledger's to tell.
        let follows = period.around(self.start).1 == start;
        let before =
            (follows && self.is_used()).then_some(Ended { start: self.start, used, extra: bought.extra() });
        Self { start, before, ..Self::unused(period) }
    }

    fn is_used(&self) -> bool {
        self.used > Tokens::ZERO || !self.bought.is_nothing()
    }

    /// Whether `need` more may be used, of a quota brought up to `now`; if not, how long until it may.
    #[must_use]
    pub fn check(&self, need: Tokens, policy: &QuotaPolicy, now: Millis) -> Option<Wait> {
        if matches!(policy.over, OverQuota::Overage(_)) {
            return None;
        }
        // A request whose units are told at its end uses some: where nothing is left, it waits.
        let need = need.max(Tokens::micro(1));
        if self.used.plus(need) <= self.limit(policy) {
            return None;
        }
        // What was paid for ends with the period.
        Some(if need > policy.limit { Wait::Never } else { Wait::For(self.left(now)) })
    }

    /// How much of `need` more the quota has no room for; nothing where it lets more pass for a price.
    #[must_use]
    pub fn shortfall(&self, need: Tokens, policy: &QuotaPolicy) -> Tokens {
        if matches!(policy.over, OverQuota::Overage(_)) {
            return Tokens::ZERO;
        }
        self.used.plus(need).minus(self.limit(policy)).unwrap_or_default()
    }

    /// Counts `quantity`, past the limit if need be.
    #[must_use]
    pub const fn count(self, quantity: Tokens) -> Self {
        Self { used: self.used.plus(quantity), ..self }
    }

    /// How many of `quantity` more would be beyond the quota.
    #[must_use]
    pub fn beyond(&self, quantity: Tokens, policy: &QuotaPolicy) -> Tokens {
        let over = |used: Tokens| used.less(self.limit(policy));
        over(self.used.plus(quantity)).minus(over(self.used)).unwrap_or_default()
    }

    /// What was bought on top of the limit.
    #[must_use]
    pub const fn bought(&self) -> Bought {
        self.bought
    }

    /// The quota with what was bought changed, until the period ends; what ended with an earlier period is owed in this one.
    #[must_use]
    pub fn with_bought(self, change: impl FnOnce(Bought) -> Bought) -> Self {
        Self { bought: change(self.bought), ..self }
    }

    /// What may be used in the period, with what was paid for.
    #[must_use]
    pub const fn limit(&self, policy: &QuotaPolicy) -> Tokens {
        self.bought.on(policy.limit)
    }

    /// What may still be used.
    #[must_use]
    pub fn remaining(&self, policy: &QuotaPolicy) -> Tokens {
        self.limit(policy).minus(self.used).unwrap_or_default()
    }

    /// How long the period is.
    #[must_use]
    pub fn length(&self) -> Span {
        self.period.around(self.start).1.since(self.start)
    }

    /// How long until the period ends.
    #[must_use]
    pub fn left(&self, now: Millis) -> Span {
        self.period.around(self.start).1.since(now)
    }

    /// Whether anything was used of it that is remembered.
    #[must_use]
    pub fn holds_anything(&self) -> bool {
        self.is_used() || self.before.is_some()
    }

    /// How long until nothing of it is left to remember: the period after a used one has ended, too.
    #[must_use]
    pub fn until_forgotten(&self, now: Millis) -> Span {
        let (_, end) = self.period.around(self.start);
        match (self.is_used(), self.before) {
            (true, _) => self.period.around(end).1.since(now),
            (false, Some(_)) => end.since(now),
            (false, None) => Span::ZERO,
        }
    }

    /// What was used in this period, and in the one before it.
    pub fn uses(&self, policy: &QuotaPolicy) -> impl Iterator<Item = QuotaUse> {
        let now = (self.start, self.used, self.bought);
        let before = self.before.map(|ended| (ended.start, ended.used, Bought::of(ended.extra)));
        let told = move |(start, used, bought): (Millis, Tokens, Bought)| {
            let (unit, period) = (policy.unit.clone(), policy.period);
            QuotaUse { unit, period, start, limit: bought.on(policy.limit), used }
        };
        [now].into_iter().chain(before).map(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(limit: u64, period: Period, over: OverQuota) -> QuotaPolicy {
        let (name, unit) = (format!("image-{}", period.name()), "image".to_owned());
        QuotaPolicy { name, unit, period, limit: Tokens::whole(limit), over }
    }

    fn at(text: &str) -> Millis {
        Millis::parse_rfc3339(text).unwrap()
    }

    fn five() -> QuotaPolicy {
        policy(5, Period::Day, OverQuota::Block)
    }

    #[test]
    fn a_day_ends_at_midnight_and_a_month_at_the_first_to_the_millisecond() {
        for (period, now, last, next) in [
            (Period::Day, "2026-01-31T10:00:00Z", "2026-01-31T23:59:59.999Z", "2026-02-01"),
            (Period::Month, "2024-02-10T10:00:00Z", "2024-02-29T23:59:59.999Z", "2024-03-01"),
            (Period::Month, "2025-12-31T10:00:00Z", "2025-12-31T23:59:59.999Z", "2026-01-01"),
        ] {
            let policy = policy(5, period, OverQuota::Block);
            let full = policy.unused().at(at(now)).count(Tokens::whole(5));
            let wait = at(next).since(at(now));
            assert_eq!(full.check(Tokens::ONE, &policy, at(now)), Some(Wait::For(wait)), "{now}");
            assert!(full.at(at(last)).check(Tokens::ONE, &policy, at(last)).is_some());
            assert_eq!(full.at(at(next)).check(Tokens::whole(5), &policy, at(next)), None);
        }
    }

    #[test]
    fn who_asks_for_more_than_the_quota_never_passes_and_told_units_go_past_it() {
        let (policy, now) = (five(), at("2026-01-31T10:00:00Z"));
        let quota = policy.unused().at(now);
        assert_eq!(quota.check(Tokens::whole(6), &policy, now), Some(Wait::Never));
        let past = quota.count(Tokens::whole(9));
        assert_eq!(past.remaining(&policy), Tokens::ZERO);
        assert_eq!(past.check(Tokens::ZERO, &policy, now), Some(Wait::For(past.left(now))));
    }

    #[test]
    fn what_is_paid_for_lasts_until_the_period_ends() {
        let (policy, now) = (five(), at("2026-01-31T10:00:00Z"));
        let quota = policy
            .unused()
            .at(now)
            .count(Tokens::whole(5))
            .with_bought(|bought| bought.plus(Tokens::whole(2)));
        assert_eq!(quota.check(Tokens::whole(2), &policy, now), None);
        let next = at("2026-02-01");
        assert_eq!(quota.at(next).limit(&policy), Tokens::whole(5));
    }

    #[test]
    fn what_is_taken_back_lowers_the_quota_until_the_period_ends_and_is_filled_first() {
        let (policy, now) = (five(), at("2026-01-31T10:00:00Z"));
        let sold = policy
            .unused()
            .at(now)
            .count(Tokens::whole(5))
            .with_bought(|bought| bought.plus(Tokens::whole(2)))
            .count(Tokens::ONE);
        let over = sold.with_bought(|bought| bought.less(Tokens::whole(2)));
        assert_eq!((over.remaining(&policy), over.bought.owed()), (Tokens::ZERO, Tokens::ZERO));
        assert!(
            over.with_bought(|bought| bought.plus(Tokens::ONE)).check(Tokens::ONE, &policy, now).is_some(),
            "six were used"
        );
        assert_eq!(
            over.with_bought(|bought| bought.plus(Tokens::whole(2))).check(Tokens::ONE, &policy, now),
            None
        );
        // The settlement fails after midnight.
        let next = at("2026-02-01");
        let owing = sold.at(next).with_bought(|bought| bought.less(Tokens::whole(2)));
        assert_eq!((owing.bought.owed(), owing.limit(&policy)), (Tokens::whole(2), Tokens::whole(3)));
        assert!(owing.check(Tokens::whole(4), &policy, next).is_some());
        assert_eq!(
            owing.with_bought(|bought| bought.plus(Tokens::ONE)).check(Tokens::whole(4), &policy, next),
            None
        );
        assert_eq!(owing.uses(&policy).next().unwrap().limit, Tokens::whole(3));
        assert!(owing.holds_anything());
        assert_eq!(owing.at(at("2026-02-02")).limit(&policy), Tokens::whole(5));
    }

    #[test]
    fn overage_never_denies_and_is_what_lies_beyond_the_quota() {
        let price = "0.002".parse().unwrap();
        let (policy, now) = (policy(5, Period::Day, OverQuota::Overage(price)), at("2026-01-31"));
        let quota = policy.unused().at(now).count(Tokens::whole(3));
        assert_eq!(quota.check(Tokens::whole(100), &policy, now), None);
        assert_eq!(quota.beyond(Tokens::whole(2), &policy), Tokens::ZERO);
        assert_eq!(quota.beyond(Tokens::whole(3), &policy), Tokens::ONE);
        assert_eq!(quota.count(Tokens::whole(9)).beyond(Tokens::whole(3), &policy), Tokens::whole(3));
    }

    #[test]
    fn the_period_before_stays_readable_for_a_period_and_no_longer() {
        let (policy, day) = (five(), at("2026-01-31"));
        let used =
            policy.unused().at(day).count(Tokens::whole(3)).with_bought(|bought| bought.plus(Tokens::ONE));
        let next = used.at(at("2026-02-01")).count(Tokens::ONE);
        let told: Vec<_> = next.uses(&policy).map(|u| (u.start, u.limit.floor(), u.used.floor())).collect();
        assert_eq!(told, [(at("2026-02-01"), 5, 1), (day, 6, 3)]);
        assert_eq!(used.until_forgotten(day), Span::seconds(2 * 86_400));
        assert_eq!(used.at(at("2026-02-02")).uses(&policy).count(), 1);
        assert_eq!(used.at(at("2026-02-02")).until_forgotten(at("2026-02-02")), Span::ZERO);
    }

    #[test]
    fn a_clock_that_steps_back_renews_nothing() {
        let full = five().unused().at(at("2026-02-01")).count(Tokens::whole(5));
        let back = at("2026-01-31T23:00:00Z");
        assert_eq!(full.at(back), full);
        assert_eq!(full.check(Tokens::ONE, &five(), back), Some(Wait::For(Span::seconds(25 * 3600))));
    }

    #[test]
    fn stored_form_is_pinned() {
        let quota = five().unused().at(Millis::new(86_400_000)).count(Tokens::ONE);
        let stored = r#"{"period":"day","start":86400000,"used":1000000}"#;
        assert_eq!(serde_json::to_string(&quota).unwrap(), stored);
        let full = quota
            .with_bought(|bought| bought.plus(Tokens::micro(2)))
            .at(Millis::new(172_800_000))
            .with_bought(|bought| bought.plus(Tokens::micro(3)));
        let stored = r#"{"period":"day","start":172800000,"used":0,"extra":3,"before":{"start":86400000,"used":1000000,"extra":2}}"#;
        assert_eq!(serde_json::to_string(&full).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Quota>(stored).unwrap(), full);
    }
}
