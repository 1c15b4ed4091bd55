//! The ledger in D1: payments, and what its other parts have in common.

use serde::Deserialize;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, Env, Error, Result};

use super::deadline::within;
use crate::owner::page::Page;
use crate::pay::purchase::Purchase;
use crate::time::{Millis, Span};

const LEDGER: &str = "LEDGER";
const PUT_PAYMENT: &str = "INSERT INTO payments (id, account, endpoint, state, method, network, asset, payer, recipient, \
amount, nonce, transaction_hash, confirmed, receipt, presented_at, updated_at) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
ON CONFLICT (id) DO UPDATE SET state = excluded.state, transaction_hash = excluded.transaction_hash, \
confirmed = excluded.confirmed, updated_at = excluded.updated_at WHERE excluded.updated_at >= payments.updated_at";

/// How long an answer of D1 is waited for: 5 s. What is told then counts as not told, and is told again.
const PATIENCE: Span = Span::seconds(5);

pub(super) fn database(env: &Env) -> Result<D1Database> {
    env.d1(LEDGER)
}

/// An answer of D1, or a failure where none comes: nothing waits for ever.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Err(Error::RustError(format!("ledger: no answer in {PATIENCE}")));
    within(PATIENCE, answer).await.unwrap_or_else(late)
}

/// A whole number for D1. A number of the platform would lose digits of a large one, which goes as text; the column
/// makes it a number again.
pub(super) fn number(n: u64) -> JsValue {
    u32::try_from(n)
        .map_or_else(|_| JsValue::from_str(&n.to_string()), |small| JsValue::from_f64(f64::from(small)))
}

/// Writes where a payment is, unless something later was written: a write that was given up may still arrive.
pub(super) async fn put_payment(env: &Env, purchase: &Purchase, now: Millis) -> Result<()> {
    let payment = purchase.payment();
    let offer = payment.offer();
    let settlement = purchase.settlement();
    let confirmed = settlement.is_some_and(|settlement| settlement.confirmed);
    let evm = offer.tender.evm();
    let recipient = evm.map_or_else(|| offer.tender.payee(), |tender| tender.pay_to.to_string());
    let signed = || payment.payer().map(|payer| payer.to_string()).unwrap_or_default();
    let payer = settlement.map_or_else(signed, |settlement| settlement.payer_of(payment));
    let statement = database(env)?.prepare(PUT_PAYMENT).bind(&[
        purchase.id().to_string().into(),
        purchase.owner().as_str().into(),
        purchase.goods().0.as_str().into(),
        purchase.state().name().into(),
        payment.version().method().into(),
        offer.tender.caip2().into(),
        offer.tender.asset().into(),
        payer.into(),
        recipient.into(),
        offer.amount.to_string().into(),
        payment.nonce().into(),
        settlement.map(|settlement| settlement.transaction.clone()).unwrap_or_default().into(),
        JsValue::from_f64(f64::from(u8::from(confirmed))),
        purchase.receipt_id().into(),
        purchase.presented_at().rfc3339().into(),
        now.rfc3339().into(),
    ])?;
    in_time(statement.run()).await.map(|_| ())
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
    let place = [page.after(0).into(), page.after(1).into(), number(page.look_for())];
    let values = [&[optional(state), optional(account)], &place[..]].concat();
    database(env)?.prepare(LIST_PAYMENTS).bind(&values)?.all().await?.results()
}
