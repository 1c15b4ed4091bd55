//! The usage of an account in D1, by the hour: absolute totals, written by its object and read for its bill.

use serde::Deserialize;
use worker::wasm_bindgen::JsValue;
use worker::{D1PreparedStatement, Env};

use super::ledger::{Answered, Ledger, number};
use crate::bill::summary::{LedgerLine, Period};
use crate::bill::tally::{Excess, Line, Overage, Tally};
use crate::client::AccountId;
use crate::endpoint::EndpointName;
use crate::limit::tokens::Tokens;
use crate::limit::units::{REQUEST, Units};
use crate::pay::amount::Amount;
use crate::time::{Hour, Millis};

/// Rows that one statement batch writes; D1 takes up to 1,000 queries in a call.
const BATCH: usize = 100;

/// A row replaces what the same account, in the same life, said before of the same hour, unless that was said later:
/// repeating and reordering change nothing.
const PUT_USAGE: &str = "INSERT INTO usage (account, endpoint, hour, incarnation, revision, calls, blocked, payments, paid, \
overage_calls, credits, owed, last_request) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
ON CONFLICT (account, hour, endpoint, incarnation) DO UPDATE SET \
revision = excluded.revision, calls = excluded.calls, blocked = excluded.blocked, payments = excluded.payments, \
paid = excluded.paid, overage_calls = excluded.overage_calls, credits = excluded.credits, owed = excluded.owed, \
last_request = excluded.last_request WHERE excluded.revision >= usage.revision";

/// The same for units.
const PUT_UNITS: &str = "INSERT INTO usage_units (account, endpoint, hour, incarnation, revision, unit, quantity, overage, charge) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
ON CONFLICT (account, hour, endpoint, incarnation, unit) DO UPDATE SET revision = excluded.revision, \
quantity = excluded.quantity, overage = excluded.overage, charge = excluded.charge \
WHERE excluded.revision >= usage_units.revision";

const GET_USAGE: &str = "SELECT endpoint, hour, incarnation, calls, blocked, payments, paid, overage_calls, credits, owed, \
last_request FROM usage WHERE account = ?1 AND hour >= ?2 AND hour < ?3";

const GET_UNITS: &str = "SELECT endpoint, hour, incarnation, unit, quantity, overage, charge FROM usage_units \
WHERE account = ?1 AND hour >= ?2 AND hour < ?3";

/// Totals that an account's object tells the ledger.
pub(super) struct Told {
    pub(super) account: AccountId,
    /// Which life of the account.
    pub(super) incarnation: String,
    /// The totals.
    pub(super) lines: Vec<Line>,
    /// How new they are.
    pub(super) revision: u64,
}

/// Writes the totals of an account, unless newer ones were written before.
pub(super) async fn put(env: &Env, told: &Told) -> Answered<()> {
    let ledger = Ledger::open(env)?;
    let statements: Vec<Vec<D1PreparedStatement>> =
        told.lines.iter().map(|line| statements(&ledger, told, line)).collect::<Answered<_>>()?;
    for part in statements.concat().chunks(BATCH) {
        ledger.change(part.to_vec()).await?;
    }
    Ok(())
}

/// What writes one line: its totals, and those of each of its units.
fn statements(ledger: &Ledger, told: &Told, line: &Line) -> Answered<Vec<D1PreparedStatement>> {
    let key = [
        JsValue::from_str(told.account.as_str()),
        line.endpoint.as_str().into(),
        number(line.hour.start().seconds()),
        told.incarnation.as_str().into(),
        number(told.revision),
    ];
    let tally = &line.tally;
    let totals = [
        number(tally.calls),
        number(tally.blocked),
        number(tally.payments),
        tally.paid.to_string().into(),
        number(tally.overage.calls),
        number(tally.credits.get()),
        tally.owed.to_string().into(),
        number(tally.last.map_or(0, Millis::get)),
    ];
    let usage = ledger.ask(PUT_USAGE, &[&key[..], &totals].concat());
    let excess = &tally.overage.units;
    let beyond = excess.keys().map(String::as_str).filter(|unit| tally.units.of(unit) == Tokens::ZERO);
    let units = tally.units.iter().map(|(unit, _)| unit).chain(beyond).map(|unit| {
        let Excess { quantity, charge } = excess.get(unit).copied().unwrap_or_default();
        let used = number(tally.units.of(unit).get());
        let totals = [unit.into(), used, number(quantity.get()), charge.to_string().into()];
        ledger.ask(PUT_UNITS, &[&key[..], &totals].concat())
    });
    std::iter::once(usage).chain(units).collect()
}

#[derive(Deserialize)]
struct UsageRow {
    endpoint: String,
    hour: u64,
    incarnation: String,
    calls: u64,
    blocked: u64,
    payments: u64,
    paid: Amount,
    overage_calls: u64,
    credits: u64,
    owed: Amount,
    last_request: u64,
}

#[derive(Deserialize)]
struct UnitsRow {
    endpoint: String,
    hour: u64,
    incarnation: String,
    unit: String,
    quantity: u64,
    overage: u64,
    charge: Amount,
}

/// The totals of an account in a period.
pub(super) async fn of_account(env: &Env, account: &AccountId, period: Period) -> Answered<Vec<LedgerLine>> {
    let (from, to) = (period.from.start().seconds(), period.to.start().seconds());
    let key = [JsValue::from_str(account.as_str()), number(from), number(to)];
    let ledger = Ledger::open(env)?;
    let [usage, units] = ledger.look([ledger.ask(GET_USAGE, &key)?, ledger.ask(GET_UNITS, &key)?]).await?;
    let mut lines: Vec<LedgerLine> = usage.results::<UsageRow>()?.into_iter().map(UsageRow::line).collect();
    for row in units.results::<UnitsRow>()? {
        if let Some(line) = lines.iter_mut().find(|line| row.is_of(line)) {
            line.line.tally = std::mem::take(&mut line.line.tally).plus(&row.tally());
        }
    }
    Ok(lines)
}

/// The hour that starts at that second.
fn hour_at(seconds: u64) -> Hour {
    Millis::new(seconds.saturating_mul(1000)).hour()
}

impl UsageRow {
    fn line(self) -> LedgerLine {
        let tally = Tally {
            calls: self.calls,
            blocked: self.blocked,
            units: Units::default(),
            overage: Overage { calls: self.overage_calls, ..Overage::default() },
            payments: self.payments,
            paid: self.paid,
            credits: Tokens::micro(self.credits),
            owed: self.owed,
            last: (self.last_request > 0).then(|| Millis::new(self.last_request)),
        };
        let endpoint = EndpointName::new(self.endpoint);
        let line = Line { hour: hour_at(self.hour), endpoint, tally };
        LedgerLine { incarnation: self.incarnation, line }
    }
}

impl UnitsRow {
    fn is_of(&self, line: &LedgerLine) -> bool {
        self.incarnation == line.incarnation
            && hour_at(self.hour) == line.line.hour
            && self.endpoint == line.line.endpoint.as_str()
    }

    fn tally(&self) -> Tally {
        let used = if self.unit == REQUEST {
            Units::default()
        } else {
            Units::default().with(&self.unit, Tokens::micro(self.quantity))
        };
        let has_excess = self.overage > 0 || self.charge > Amount::ZERO;
        let beyond = || Overage::of(&self.unit, Tokens::micro(self.overage), self.charge);
        let overage = if has_excess { beyond() } else { Overage::default() };
        Tally { units: used, overage, ..Tally::default() }
    }
}
