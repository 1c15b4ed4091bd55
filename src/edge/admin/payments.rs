//! `/admin/payments`: payments whose settlement began, and another look at one whose outcome is open.

use serde_json::{Value, json};
use worker::web_sys;

use super::Order;
use crate::contract::{PaymentCall, payment_object};
use crate::edge::asked::bad;
use crate::edge::exchange::Outcome;
use crate::edge::objects;
use crate::edge::payment_ledger::{self, PaymentRow};
use crate::pay::amount::Amount;
use crate::pay::offer::Tender;
use crate::pay::x402::PaymentId;
use crate::problem::{Problem, ProblemKind};

/// The states that a payment in the ledger can have.
const STATES: [&str; 6] = ["settling", "unknown", "settled", "credited", "held", "taken-back"];

/// `GET /admin/payments?state=&account=`, the last first.
pub(super) async fn list(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let (state, account) = (order.parameter("state"), order.parameter("account"));
    if let Some(state) = state.as_deref().filter(|state| !STATES.contains(state)) {
        return Err(bad(format!("`state={state}` is none of {}", STATES.join(", "))));
    }
    let page = order.page()?;
    let env = &order.exchange.env;
    let rows = payment_ledger::payments(env, state.as_deref(), account.as_deref(), &page).await;
    let rows = order.exchange.ledger(rows)?;
    let place = |row: &PaymentRow| vec![row.presented_at.clone(), row.id.clone()];
    order.json(200, &page.body(rows, place, |row| item(order, row)))
}

/// `GET /admin/payments/{id}`.
pub(super) async fn get(order: &Order<'_>, id: &str) -> Outcome<web_sys::Response> {
    let row = order.exchange.ledger(payment_ledger::payment(&order.exchange.env, id).await)?;
    order.json(200, &item(order, &row.ok_or_else(|| none(id))?))
}

/// `POST /admin/payments/{id}/retry`.
pub(super) async fn retry(order: &Order<'_>, id: &str) -> Outcome<web_sys::Response> {
    let exchange = order.exchange;
    let payment: PaymentId = id.parse().map_err(|_| none(id))?;
    let state: Option<String> = exchange
        .ours(objects::payment(&exchange.env, &payment_object(&payment), &PaymentCall::Retry).await)?;
    let state = state.ok_or_else(|| none(id))?;
    order.note("payment.retry", id, json!({ "state": state })).await;
    order.json(200, &json!({ "id": id, "state": state }))
}

fn none(id: &str) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("there is no payment `{id}` whose settlement began"))
}

fn item(order: &Order<'_>, row: &PaymentRow) -> Value {
    let mut tenders = order.exchange.settings.config.payment.iter().flat_map(|payment| &payment.tenders);
    let tender = tenders.find(|tender| tender.caip2() == row.network && tender.asset() == row.asset);
    let amount: Option<Amount> = row.amount.parse().ok();
    json!({
        "id": row.id,
        "account": row.account,
        "endpoint": row.endpoint,
        "state": row.state,
        "method": row.method,
        "network": row.network,
        "asset": row.asset,
        "currency": tender.map(Tender::symbol),
        "amount": amount.zip(tender).map(|(amount, tender)| amount.to_decimal(tender.decimals())),
        "amount_atomic": row.amount,
        "payer": row.payer,
        "recipient": row.recipient,
        "nonce": row.nonce,
        "transaction": row.transaction_hash,
        "confirmed": row.confirmed != 0,
        "receipt": row.receipt,
        "presented_at": row.presented_at,
        "updated_at": row.updated_at,
    })
}
