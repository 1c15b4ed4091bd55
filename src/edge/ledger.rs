//! The ledger in D1: usage by the hour, and payments.

use serde::Deserialize;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, Env, Error, Result};

use crate::bill::summary::{LedgerLine, Period};
use crate::bill::usage::{Line, Tally};
use crate::client::AccountId;
use crate::endpoint::EndpointName;
use crate::limit::tokens::Tokens;
use crate::limit::units::Units;
use crate::owner::page::Page;
use crate::pay::purchase::Purchase;
use crate::time::{Hour, Millis};

const LEDGER: &str = "LEDGER";
/// Rows that one statement batch writes; D1 takes up to 1,000 queries in a call.
const BATCH: usize = 100;

/// A row replaces what the same account, in the same life, said before of the same hour: repeating it changes nothing.
const PUT_USAGE: &str = "INSERT INTO usage (account, endpoint, hour, incarnation, calls, payments, paid) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
ON CONFLICT (account, hour, endpoint, incarnation) DO UPDATE SET \
calls = excluded.calls, payments = excluded.payments, paid = excluded.paid \
WHERE excluded.calls >= usage.calls AND excluded.payments >= usage.payments";

/// The same for units; a total of units never falls either.
const PUT_UNITS: &str = "INSERT INTO usage_units (account, endpoint, hour, incarnation, unit, quantity) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
ON CONFLICT (account, hour, endpoint, incarnation, unit) DO UPDATE SET quantity = excluded.quantity \
WHERE excluded.quantity >= usage_units.quantity";

const GET_UNITS: &str = "SELECT endpoint, hour, incarnation, unit, quantity FROM usage_units \
WHERE account = ?1 AND hour >= ?2 AND hour < ?3";

const GET_USAGE: &str = "SELECT endpoint, hour, incarnation, calls, payments, paid FROM usage \
WHERE account = ?1 AND hour >= ?2 AND hour < ?3";

const PUT_PAYMENT: &str = "INSERT INTO payments (id, account, endpoint, state, method, network, asset, payer, recipient, \
amount, nonce, transaction_hash, confirmed, receipt, presented_at, updated_at) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
ON CONFLICT (id) DO UPDATE SET state = excluded.state, transaction_hash = excluded.transaction_hash, \
confirmed = excluded.confirmed, updated_at = excluded.updated_at";

fn database(env: &Env) -> Result<D1Database> {
    env.d1(LEDGER)
}

/// A whole number for D1. A number of the platform would lose digits of a large one, which goes as text; the column
/// makes it a number again.
fn number(n: u64) -> JsValue {
    u32::try_from(n)
        .map_or_else(|_| JsValue::from_str(&n.to_string()), |small| JsValue::from_f64(f64::from(small)))
}

/// Writes the totals of an account, whatever was written before.
pub(super) async fn put_usage(
    env: &Env,
    account: &AccountId,
    incarnation: &str,
    lines: &[Line],
) -> Result<()> {
    let database = database(env)?;
    let statements: Vec<Vec<D1PreparedStatement>> =
        lines.iter().map(|line| statements(&database, account, incarnation, line)).collect::<Result<_>>()?;
    for part in statements.concat().chunks(BATCH) {
        database.batch(part.to_vec()).await?;
    }
    Ok(())
}

/// What writes one line: its calls and payments, and each of its units.
fn statements(
    database: &D1Database,
    account: &AccountId,
    incarnation: &str,
    line: &Line,
) -> Result<Vec<D1PreparedStatement>> {
    let key = [
        JsValue::from_str(account.as_str()),
        line.endpoint.as_str().into(),
        number(line.hour.start().seconds()),
        incarnation.into(),
    ];
    let tally = &line.tally;
    let totals = [number(tally.calls), number(tally.payments), tally.paid.to_string().into()];
    let usage = database.prepare(PUT_USAGE).bind(&[&key[..], &totals].concat());
    let units = tally.units.iter().map(|(unit, quantity)| {
        database.prepare(PUT_UNITS).bind(&[&key[..], &[unit.into(), number(quantity.get())]].concat())
    });
    std::iter::once(usage).chain(units).collect()
}

#[derive(Deserialize)]
struct UsageRow {
    endpoint: String,
    hour: u64,
    incarnation: String,
    calls: u64,
    payments: u64,
    paid: String,
}

#[derive(Deserialize)]
struct UnitsRow {
    endpoint: String,
    hour: u64,
    incarnation: String,
    unit: String,
    quantity: u64,
}

/// The totals of an account in a period.
pub(super) async fn usage(env: &Env, account: &AccountId, period: Period) -> Result<Vec<LedgerLine>> {
    let (from, to) = (period.from.start().seconds(), period.to.start().seconds());
    let key = [JsValue::from_str(account.as_str()), number(from), number(to)];
    let database = database(env)?;
    let reads = [database.prepare(GET_USAGE).bind(&key)?, database.prepare(GET_UNITS).bind(&key)?];
    let answers = database.batch(reads.to_vec()).await?;
    let [usage, units] = answers.as_slice() else {
        return Err(Error::RustError("ledger: not every question was answered".to_owned()));
    };
    let mut lines: Vec<LedgerLine> =
        usage.results::<UsageRow>()?.into_iter().map(ledger_line).collect::<Result<_>>()?;
    for row in units.results::<UnitsRow>()? {
        let hour = hour_at(row.hour);
        let of = |line: &&mut LedgerLine| {
            line.incarnation == row.incarnation
                && line.line.hour == hour
                && line.line.endpoint.as_str() == row.endpoint
        };
        if let Some(line) = lines.iter_mut().find(of) {
            line.line.tally.units =
                line.line.tally.units.clone().with(&row.unit, Tokens::micro(row.quantity));
        }
    }
    Ok(lines)
}

/// The hour that starts at that second.
fn hour_at(seconds: u64) -> Hour {
    Millis::new(seconds.saturating_mul(1000)).hour()
}

fn ledger_line(row: UsageRow) -> Result<LedgerLine> {
    let paid =
        row.paid.parse().map_err(|_| Error::RustError(format!("ledger: `{}` is not an amount", row.paid)))?;
    let hour = hour_at(row.hour);
    let tally = Tally { calls: row.calls, units: Units::default(), payments: row.payments, paid };
    Ok(LedgerLine {
        incarnation: row.incarnation,
        line: Line { hour, endpoint: EndpointName::new(row.endpoint), tally },
    })
}

/// Writes where a payment is, whatever was written before.
pub(super) async fn put_payment(env: &Env, purchase: &Purchase, now: Millis) -> Result<()> {
    let payment = purchase.payment();
    let offer = payment.offer();
    let settlement = purchase.settlement();
    let confirmed = settlement.is_some_and(|settlement| settlement.confirmed);
    let statement = database(env)?.prepare(PUT_PAYMENT).bind(&[
        purchase.id().to_string().into(),
        purchase.owner().as_str().into(),
        purchase.goods().0.as_str().into(),
        purchase.state().name().into(),
        "x402".into(),
        offer.network.caip2().into(),
        offer.asset.address.to_string().into(),
        payment.payer().to_string().into(),
        offer.pay_to.to_string().into(),
        offer.amount.to_string().into(),
        payment.authorization().nonce.to_string().into(),
        settlement.map(|settlement| settlement.transaction.clone()).unwrap_or_default().into(),
        JsValue::from_f64(f64::from(u8::from(confirmed))),
        purchase.receipt_id().into(),
        purchase.presented_at().rfc3339().into(),
        now.rfc3339().into(),
    ])?;
    statement.run().await.map(|_| ())
}

/// The hour that an RFC 3339 text names.
pub(super) fn hour_of(text: &str) -> Option<Hour> {
    Millis::parse_rfc3339(text).map(Millis::hour)
}

/// A payment, as the ledger has it.
#[derive(Deserialize)]
pub(super) struct PaymentRow {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) endpoint: String,
    pub(super) state: String,
    pub(super) method: String,
    pub(super) network: String,
    pub(super) asset: String,
    pub(super) payer: String,
    pub(super) recipient: String,
    pub(super) amount: String,
    pub(super) nonce: String,
    pub(super) transaction_hash: String,
    pub(super) confirmed: u8,
    pub(super) receipt: String,
    pub(super) presented_at: String,
    pub(super) updated_at: String,
}

const GET_PAYMENT: &str = "SELECT * FROM payments WHERE id = ?1";
const LIST_PAYMENTS: &str = "SELECT * FROM payments \
WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR account = ?2) \
AND (?3 = '' OR (presented_at, id) < (?3, ?4)) ORDER BY presented_at DESC, id DESC LIMIT ?5";

/// The payment of that id.
pub(super) async fn payment(env: &Env, id: &str) -> Result<Option<PaymentRow>> {
    database(env)?.prepare(GET_PAYMENT).bind(&[id.into()])?.first(None).await
}

/// Payments, the last first.
pub(super) async fn payments(
    env: &Env,
    state: Option<&str>,
    account: Option<&str>,
    page: &Page,
) -> Result<Vec<PaymentRow>> {
    let optional = |text: Option<&str>| text.map_or(JsValue::NULL, JsValue::from_str);
    let place = [page.after(0).into(), page.after(1).into(), number(page.limit)];
    let values = [&[optional(state), optional(account)], &place[..]].concat();
    database(env)?.prepare(LIST_PAYMENTS).bind(&values)?.all().await?.results()
}
