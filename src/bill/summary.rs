//! The bill of a client for a period: what `GET /usage` answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::tally::{Line, Overage, Tally};
use crate::contract::LiveUsage;
use crate::endpoint::EndpointName;
use crate::limit::tokens::Tokens;
use crate::limit::units::REQUEST;
use crate::time::{Hour, Millis};

/// A line as the ledger has it, with the life of the account that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// The life of the account.
    pub incarnation: String,
    /// The totals.
    pub line: Line,
}

/// A period of time, from the start of one hour to the start of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first hour.
    pub from: Hour,
    /// The hour after the last.
    pub to: Hour,
}

impl Period {
    /// Whether it holds that hour.
    #[must_use]
    pub fn holds(&self, hour: Hour) -> bool {
        self.from <= hour && hour < self.to
    }

    /// The calendar month in UTC that holds `now`, as far as it has come.
    #[must_use]
    pub fn month_so_far(now: Millis) -> Self {
        let month = now.rfc3339();
        let first = month.get(..7).and_then(|month| Millis::parse_rfc3339(&format!("{month}-01")));
        Self { from: first.unwrap_or_default().hour(), to: now.hour().next() }
    }

    /// The last 24 hours, the one that has begun among them.
    #[must_use]
    pub fn last_day(now: Millis) -> Self {
        let to = now.hour().next();
        Self { from: Hour::new(to.get().saturating_sub(24)), to }
    }

    /// The period with other ends, where `from` and `to` are given: RFC 3339, to the hour.
    ///
    /// # Errors
    /// Which of them is not a time.
    pub fn between(self, from: Option<&str>, to: Option<&str>) -> Result<Self, String> {
        let hour = |name: &str, text: &str| {
            Millis::parse_rfc3339(text).map(Millis::hour).ok_or_else(|| {
                format!("`{name}={text}` is not a time; write RFC 3339 in UTC, such as 2026-01-06T10:00:00Z or 2026-01-06")
            })
        };
        Ok(Self {
            from: from.map_or(Ok(self.from), |text| hour("from", text))?,
            to: to.map_or(Ok(self.to), |text| hour("to", text))?,
        })
    }
}

/// The totals of an account in a period: the ledger's lines, but for those that the live account still holds, which
/// are newer. What is counted equals what was enforced, to the call, before and after a flush.
#[must_use]
pub fn total(ledger: &[LedgerLine], live: &LiveUsage, period: Period) -> Tally {
    let mut lines: BTreeMap<(&str, Hour, &EndpointName), &Tally> = BTreeMap::new();
    for LedgerLine { incarnation, line } in ledger {
        lines.insert((incarnation, line.hour, &line.endpoint), &line.tally);
    }
    for line in &live.lines {
        lines.insert((&live.incarnation, line.hour, &line.endpoint), &line.tally);
    }
    let within = lines.iter().filter(|((_, hour, _), _)| period.holds(*hour));
    within.fold(Tally::default(), |sum, (_, tally)| sum.plus(tally))
}

/// The answer to `GET /usage`. `currency` is the symbol and the decimals of what is paid with.
#[must_use]
pub fn bill(
    account: &str,
    live: &LiveUsage,
    period: Period,
    total: &Tally,
    (currency, decimals): (&str, u8),
) -> Value {
    json!({
        "account": account,
        "plan": live.plan,
        "period": { "from": period.from.start().rfc3339(), "to": period.to.start().rfc3339() },
        "calls": total.calls,
        "units": units(total),
        "quotas": quotas(live, period),
        "overage": overage(&total.overage, decimals),
        "paid": { "count": total.payments, "amount": total.paid.to_decimal(decimals) },
        "credits": { "balance": live.credits.to_string(), "spent": total.credits.to_string() },
        "owed": total.owed.to_decimal(decimals),
        "currency": currency,
    })
}

/// Where quotas stood at the end of the period, or stand now: in the day or month that holds that moment.
fn quotas(live: &LiveUsage, period: Period) -> Vec<Value> {
    let last = Millis::new(period.to.start().get().saturating_sub(1)).min(live.at);
    let of_then = live.quotas.iter().filter(|(_, quota)| quota.period.around(last).0 == quota.start);
    let told = of_then.map(|(endpoint, quota)| {
        json!({
            "endpoint": endpoint.as_str(),
            "unit": quota.unit,
            "period": quota.period.name(),
            "limit": number(quota.limit),
            "used": number(quota.used),
            "remaining": number(quota.limit.minus(quota.used).unwrap_or_default()),
        })
    });
    told.collect()
}

/// The units of a period, the requests among them, as numbers.
fn units(total: &Tally) -> Value {
    let request = (REQUEST.to_owned(), Value::from(total.calls));
    let others = total.units.iter().map(|(unit, quantity)| (unit.to_owned(), number(quantity)));
    Value::Object(std::iter::once(request).chain(others).collect())
}

/// What went beyond quotas, and what it costs.
fn overage(overage: &Overage, decimals: u8) -> Value {
    let units = overage.units.iter().map(|(unit, excess)| (unit.clone(), number(excess.quantity)));
    json!({
        "calls": overage.calls,
        "units": Value::Object(units.collect()),
        "charge": overage.charge().to_decimal(decimals),
    })
}

/// A quantity as a JSON number.
pub(crate) fn number(quantity: Tokens) -> Value {
    serde_json::from_str(&quantity.to_string()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::quota::QuotaUse;
    use crate::limit::units::Units;
    use crate::pay::amount::Amount;

    fn line(hour: u64, calls: u64) -> Line {
        let units = Units::default().with("token", Tokens::whole(5));
        let tally = Tally { calls, units, payments: 1, paid: Amount::new(1000), ..Tally::default() };
        Line { hour: Hour::new(hour), endpoint: EndpointName::new("GET /cpu"), tally }
    }

    /// An account that is asked in the first hour of 1970-01-02, with a quota of the day and of the day before.
    fn live(lines: Vec<Line>) -> LiveUsage {
        let quota = |day: u64, used| {
            let start = Hour::new(day.saturating_mul(24)).start();
            let (unit, period) = ("image".to_owned(), crate::limit::quota::Period::Day);
            let used = Tokens::micro(used);
            (EndpointName::new("GET /cpu"), QuotaUse { unit, period, start, limit: Tokens::whole(5), used })
        };
        LiveUsage {
            plan: "free".into(),
            incarnation: "b".into(),
            lines,
            quotas: vec![quota(1, 1_000_000), quota(0, 7_500_000)],
            credits: Tokens::micro(2_500_000),
            at: Millis::new(86_400_001),
        }
    }

    #[test]
    fn quotas_are_told_as_they_stood_at_the_end_of_the_period() {
        let used = |from: u64, to: u64| -> Vec<Value> {
            let period = Period { from: Hour::new(from), to: Hour::new(to) };
            quotas(&live(Vec::new()), period).iter().map(|quota| quota["used"].clone()).collect()
        };
        assert_eq!(
            (used(0, 24), used(0, 25), used(24, 48)),
            (vec![json!(7.5)], vec![json!(1)], vec![json!(1)])
        );
    }

    #[test]
    fn the_live_account_is_newer_than_the_ledger_and_nothing_counts_twice() {
        let ledger = [
            LedgerLine { incarnation: "a".into(), line: line(1, 10) },
            LedgerLine { incarnation: "b".into(), line: line(1, 5) },
            LedgerLine { incarnation: "b".into(), line: line(9, 100) },
        ];
        let live = live(vec![line(1, 7), line(2, 1)]);
        let period = Period { from: Hour::new(1), to: Hour::new(3) };
        let total = total(&ledger, &live, period);
        assert_eq!((total.calls, total.payments, total.paid), (18, 3, Amount::new(3000)));
        assert_eq!(units(&total), json!({ "request": 18, "token": 15 }));
    }

    #[test]
    fn the_bill_has_every_member() {
        let total = Tally {
            overage: Overage { calls: 2, ..Overage::of("image", Tokens::whole(3), Amount::new(6000)) },
            credits: Tokens::micro(1_500_000),
            owed: Amount::new(250_000),
            blocked: 9,
            ..line(1, 7).tally
        };
        let period = Period { from: Hour::new(0), to: Hour::new(2) };
        assert_eq!(
            bill("key:acme", &live(Vec::new()), period, &total, ("USDC", 6)),
            json!({
                "account": "key:acme",
                "plan": "free",
                "period": { "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T02:00:00Z" },
                "calls": 7,
                "units": { "request": 7, "token": 5 },
                "quotas": [
                    { "endpoint": "GET /cpu", "unit": "image", "period": "day", "limit": 5, "used": 7.5, "remaining": 0 },
                ],
                "overage": { "calls": 2, "units": { "image": 3 }, "charge": "0.006" },
                "paid": { "count": 1, "amount": "0.001" },
                "credits": { "balance": "2.5", "spent": "1.5" },
                "owed": "0.25",
                "currency": "USDC",
            })
        );
    }

    #[test]
    fn the_default_period_is_this_month_so_far() {
        let period = Period::month_so_far(Millis::new(1_767_695_400_000));
        assert_eq!(period.from.start().rfc3339(), "2026-01-01T00:00:00Z");
        assert_eq!(period.to.start().rfc3339(), "2026-01-06T11:00:00Z");
        let day = Period::last_day(Millis::new(1_767_695_400_000));
        assert_eq!(day.from.start().rfc3339(), "2026-01-05T11:00:00Z");
        assert_eq!(day.to, period.to);
    }

    #[test]
    fn a_period_is_read_to_the_hour() {
        let month = Period::month_so_far(Millis::new(1_767_695_400_000));
        let period = month.between(Some("2025-12-01T10:59:59Z"), Some("2026-01-01")).unwrap();
        assert_eq!(period.from.start().rfc3339(), "2025-12-01T10:00:00Z");
        assert_eq!(period.to.start().rfc3339(), "2026-01-01T00:00:00Z");
        assert_eq!(month.between(None, None), Ok(month));
        let said =
            "`to=soon` is not a time; write RFC 3339 in UTC, such as 2026-01-06T10:00:00Z or 2026-01-06";
        assert_eq!(month.between(None, Some("soon")), Err(said.to_owned()));
    }
}
