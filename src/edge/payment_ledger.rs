//! Payments in the ledger, as their objects tell it.

use serde::Deserialize;
use worker::Env;
use worker::wasm_bindgen::JsValue;

use super::ledger::{Answered, Ledger, number, optional};
use crate::owner::page::Page;
use crate::pay::purchase::Purchase;
use crate::time::Millis;

const PUT_PAYMENT: &str = "INSERT INTO payments (id, account, endpoint, state, method, network, asset, payer, recipient, \
amount, nonce, transaction_hash, confirmed, receipt, presented_at, updated_at) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
ON CONFLICT (id) DO UPDATE SET state = excluded.state, transaction_hash = excluded.transaction_hash, \
confirmed = excluded.confirmed, updated_at = excluded.updated_at WHERE excluded.updated_at >= payments.updated_at";

/// Writes where a payment is, unless something later was written: a write that was given up may still arrive.
pub(super) async fn put_payment(env: &Env, purchase: &Purchase, now: Millis) -> Answered<()> {
    let payment = purchase.payment();
    let offer = payment.offer();
    let settlement = purchase.settlement();
    let confirmed = settlement.is_some_and(|settlement| settlement.confirmed);
    let evm = offer.tender.evm();
    let recipient = evm.map_or_else(|| offer.tender.payee(), |tender| tender.pay_to.to_string());
    let signed = || payment.payer().map(|payer| payer.to_string()).unwrap_or_default();
    let payer = settlement.map_or_else(signed, |settlement| settlement.payer_of(payment));
    let ledger = Ledger::open(env)?;
    let values = [
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
    ];
    ledger.change(vec![ledger.ask(PUT_PAYMENT, &values)?]).await.map(|_| ())
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
pub(super) async fn payment(env: &Env, id: &str) -> Answered<Option<PaymentRow>> {
    Ledger::open(env)?.row(GET_PAYMENT, &[id.into()]).await
}

/// Payments, the last first.
pub(super) async fn payments(
    env: &Env,
    state: Option<&str>,
    account: Option<&str>,
    page: &Page,
) -> Answered<Vec<PaymentRow>> {
    let place = [page.after(0).into(), page.after(1).into(), number(page.look_for())];
    let values = [&[optional(state), optional(account)], &place[..]].concat();
    Ledger::open(env)?.rows(LIST_PAYMENTS, &values).await
}
