//! Questions across all accounts' usage in D1: bills, statistics, and the pruning of old hours.
//!
//! Sums of money are exact: the integers of SQL hold less than an amount may be, so that amounts are added up in four
//! limbs of ten decimal digits each, and carried at the end. A limb overflows after 900 million rows.

use serde::Deserialize;
use worker::wasm_bindgen::JsValue;
use worker::{Env, Error};

use super::ledger::{Answered, Ledger, number, optional};
use crate::bill::report::{BillLine, Column, Grouping};
use crate::bill::summary::Period;
use crate::limit::tokens::Tokens;
use crate::owner::page::Page;
use crate::pay::amount::Amount;
use crate::time::{Hour, Millis, Span};

/// SQL for the exact sum of amounts that are text.
fn money(column: &str) -> String {
    let limb = |from: u8| {
        format!(
            "SUM(CAST(substr(substr('{:040}', 1, 40 - length({column})) || {column}, {from}, 10) AS INTEGER))",
            0
        )
    };
    let (limb0, limb1, limb2, limb3) = (limb(31), limb(21), limb(11), limb(1));
    let carried1 = format!("({limb1} + {limb0} / 10000000000)");
    let carried2 = format!("({limb2} + {carried1} / 10000000000)");
    let carried3 = format!("({limb3} + {carried2} / 10000000000)");
    let digits = format!(
        "printf('%d%010d%010d%010d', {carried3}, {carried2} % 10000000000, {carried1} % 10000000000, {limb0} % 10000000000)"
    );
    format!("COALESCE(NULLIF(ltrim({digits}, '0'), ''), '0')")
}

/// Each unit of each line as a row of its own; the requests are the unit `request`. What belongs to no unit stands with
/// the requests, so that every sum over any rows is right.
const FACTS: &str = "\
SELECT account, endpoint, 'request' AS unit, hour, calls, calls * 1000000 AS quantity, 0 AS overage, '0' AS charge, \
paid, credits, owed FROM usage WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR account = ?3) \
UNION ALL \
SELECT account, endpoint, unit, hour, 0, quantity, overage, charge, '0', 0, '0' FROM usage_units \
WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR account = ?3)";

const fn expression(column: Column) -> &'static str {
    match column {
        Column::Account => "account",
        Column::Endpoint => "endpoint",
        Column::Unit => "unit",
        Column::Hour => "strftime('%Y-%m-%dT%H:00:00Z', hour, 'unixepoch')",
        Column::Day => "strftime('%Y-%m-%d', hour, 'unixepoch')",
        Column::Month => "strftime('%Y-%m', hour, 'unixepoch')",
    }
}

#[derive(Deserialize)]
struct BillRow {
    /// The values of the group, as JSON.
    line: String,
    calls: u64,
    quantity: String,
    overage: String,
    charge: Amount,
    paid: Amount,
    credits: String,
    owed: Amount,
}

/// Whose bills, for when, and how much of them.
pub(super) struct Wanted<'a> {
    pub(super) account: Option<&'a str>,
    pub(super) period: Period,
    pub(super) grouping: &'a Grouping,
    pub(super) page: &'a Page,
}

/// The lines of the bills, in the order of their groups.
pub(super) async fn bill(env: &Env, wanted: &Wanted<'_>) -> Answered<Vec<BillLine>> {
    let columns: Vec<&str> = wanted.grouping.columns().iter().map(|column| expression(*column)).collect();
    let group = columns.join(", ");
    let mut values = period_values(wanted.period).to_vec();
    values.push(optional(wanted.account));
    values.push(number(wanted.page.look_for()));
    let is_first = wanted.page.after(0).is_empty();
    let mut places = Vec::new();
    if !is_first {
        for part in 0..columns.len() {
            values.push(wanted.page.after(part).into());
            places.push(format!("?{}", values.len()));
        }
    }
    let after = if is_first { String::new() } else { format!("WHERE ({group}) > ({})", places.join(", ")) };
    let sql = format!(
        "SELECT json_array({group}) AS line, SUM(calls) AS calls, CAST(SUM(quantity) AS TEXT) AS quantity, \
         CAST(SUM(overage) AS TEXT) AS overage, {} AS charge, {} AS paid, CAST(SUM(credits) AS TEXT) AS credits, \
         {} AS owed FROM ({FACTS}) {after} GROUP BY {group} ORDER BY {group} LIMIT ?4",
        money("charge"),
        money("paid"),
        money("owed"),
    );
    let rows: Vec<BillRow> = Ledger::open(env)?.rows(&sql, &values).await?;
    rows.into_iter().map(BillRow::line).collect()
}

fn period_values(period: Period) -> [JsValue; 2] {
    [number(period.from.start().seconds()), number(period.to.start().seconds())]
}

impl BillRow {
    fn line(self) -> Answered<BillLine> {
        Ok(BillLine {
            group: serde_json::from_str(&self.line)?,
            calls: self.calls,
            quantity: micro(&self.quantity)?,
            overage_quantity: micro(&self.overage)?,
            overage_charge: self.charge,
            paid: self.paid,
            credits: micro(&self.credits)?,
            owed: self.owed,
        })
    }
}

fn micro(text: &str) -> Answered<Tokens> {
    let fault = |_| Error::RustError(format!("ledger: `{text}` is not a total"));
    Ok(text.parse().map(Tokens::micro).map_err(fault)?)
}

/// What all accounts together used.
#[derive(Deserialize)]
pub(super) struct Totals {
    /// The hour, in Unix seconds; nothing for the whole period.
    pub(super) hour: Option<u64>,
    pub(super) calls: u64,
    pub(super) blocked: u64,
    pub(super) payments: u64,
    pub(super) paid: Amount,
    pub(super) clients: u64,
}

/// What all accounts together used in a period, and in each of its hours.
pub(super) async fn totals(env: &Env, period: Period) -> Answered<(Totals, Vec<Totals>)> {
    let sums = format!(
        "COALESCE(SUM(calls), 0) AS calls, COALESCE(SUM(blocked), 0) AS blocked, \
         COALESCE(SUM(payments), 0) AS payments, {} AS paid, COUNT(DISTINCT account) AS clients \
         FROM usage WHERE hour >= ?1 AND hour < ?2",
        money("paid"),
    );
    let ledger = Ledger::open(env)?;
    let values = period_values(period);
    let all = ledger.ask(&format!("SELECT NULL AS hour, {sums}"), &values)?;
    let by_hour = ledger.ask(&format!("SELECT hour, {sums} GROUP BY hour ORDER BY hour"), &values)?;
    let [all, by_hour] = ledger.look([all, by_hour]).await?;
    let all = all.results::<Totals>()?.into_iter().next();
    let all = all.ok_or_else(|| Error::RustError("ledger: no sum".to_owned()))?;
    Ok((all, by_hour.results()?))
}

/// What one account used.
#[derive(Deserialize)]
pub(super) struct TopRow {
    pub(super) account: String,
    pub(super) calls: u64,
    pub(super) blocked: u64,
    /// Unix milliseconds; 0 where it is not known.
    pub(super) last_request: u64,
}

const TOP: &str = "SELECT account, SUM(calls) AS calls, SUM(blocked) AS blocked, MAX(last_request) AS last_request \
FROM usage WHERE hour >= ?1 AND hour < ?2 GROUP BY account \
ORDER BY SUM(calls) + SUM(blocked) DESC, account LIMIT ?3";

/// The accounts with the most requests, admitted or not.
pub(super) async fn top(env: &Env, period: Period, n: u64) -> Answered<Vec<TopRow>> {
    let values = [&period_values(period)[..], &[number(n)]].concat();
    Ledger::open(env)?.rows(TOP, &values).await
}

/// How many days are pruned in one run: what is left is pruned the next day.
const DAYS_A_RUN: usize = 62;
const DAY: Span = Span::seconds(86_400);

const OLDEST: &str = "SELECT MIN(hour) AS hour FROM usage WHERE hour < ?1 AND incarnation <> 'month'";
const DELETE_USAGE: &str = "DELETE FROM usage WHERE hour < ?1 AND incarnation <> 'month'";
const DELETE_UNITS: &str = "DELETE FROM usage_units WHERE hour < ?1 AND incarnation <> 'month'";

/// The month of an hour: the hour at which it starts, in Unix seconds.
const MONTH_OF: &str = "CAST(strftime('%s', hour, 'unixepoch', 'start of month') AS INTEGER)";
/// The hours before `?1` in the months from that of the hour `?2` on, and what is there already of these months.
const FOLDED: &str =
    "hour < ?1 AND hour >= CAST(strftime('%s', ?2, 'unixepoch', 'start of month') AS INTEGER)";
/// A month of which no hour is left needs no new row.
const HAS_HOURS: &str = "HAVING MIN(incarnation) <> 'month' OR MAX(incarnation) <> 'month'";

/// Adds hours to their months, which stand at their first hour as the life `month` of the account. The rows hold absolute
/// totals: what was there before of a month is in the sum.
fn fold_usage() -> String {
    format!(
        "INSERT OR REPLACE INTO usage (account, endpoint, hour, incarnation, revision, calls, blocked, payments, paid, \
         overage_calls, credits, owed, last_request) \
         SELECT account, endpoint, {MONTH_OF}, 'month', 0, SUM(calls), SUM(blocked), SUM(payments), {}, \
         SUM(overage_calls), SUM(credits), {}, MAX(last_request) FROM usage WHERE {FOLDED} \
         GROUP BY account, endpoint, {MONTH_OF} {HAS_HOURS}",
        money("paid"),
        money("owed"),
    )
}

fn fold_units() -> String {
    format!(
        "INSERT OR REPLACE INTO usage_units (account, endpoint, hour, incarnation, unit, revision, quantity, overage, charge) \
         SELECT account, endpoint, {MONTH_OF}, 'month', unit, 0, SUM(quantity), SUM(overage), {} FROM usage_units \
         WHERE {FOLDED} GROUP BY account, endpoint, {MONTH_OF}, unit {HAS_HOURS}",
        money("charge"),
    )
}

#[derive(Deserialize)]
struct OldestRow {
    hour: Option<u64>,
}

/// Makes monthly rows of the hourly ones before `before`. Each step is one transaction: a run that is killed, or repeated,
/// loses nothing and counts nothing twice.
pub(super) async fn prune(env: &Env, before: Hour) -> Answered<()> {
    let ledger = Ledger::open(env)?.patient();
    let before = before.start();
    for _ in 0..DAYS_A_RUN {
        let oldest = ledger.row::<OldestRow>(OLDEST, &[number(before.seconds())]).await?;
        let Some(oldest) = oldest.and_then(|row| row.hour) else { return Ok(()) };
        let end = Millis::new(oldest.saturating_mul(1000)).plus(DAY).min(before);
        let (end, oldest) = (number(end.seconds()), number(oldest));
        let fold = |sql: String| ledger.ask(&sql, &[end.clone(), oldest.clone()]);
        let delete = |sql: &str| ledger.ask(sql, std::slice::from_ref(&end));
        let steps = [fold(fold_usage())?, fold(fold_units())?, delete(DELETE_USAGE)?, delete(DELETE_UNITS)?];
        ledger.change(steps.to_vec()).await?;
    }
    Ok(())
}
