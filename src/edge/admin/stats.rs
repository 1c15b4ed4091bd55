//! `GET /admin/stats` and `/admin/top`: what all clients did together, and who did most. Of the last 24 hours, unless the
//! owner says otherwise; as the ledger has it.

use serde_json::{Value, json};
use worker::web_sys;

use super::Order;
use crate::bill::summary::Period;
use crate::edge::asked::bad;
use crate::edge::bill_ledger::{self, TopRow, Totals};
use crate::edge::clock;
use crate::edge::exchange::Outcome;
use crate::time::Millis;

/// How many clients `/admin/top` tells of, where nobody says; and at most.
const USUAL_TOP: u64 = 5;
const MOST_TOP: u64 = 1000;

/// `GET /admin/stats?from=&to=`.
pub(super) async fn all(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let period = order.period(Period::last_day(clock::now()))?;
    let (total, by_hour) = order.exchange.ledger(bill_ledger::totals(&order.exchange.env, period).await)?;
    let (_, decimals) = order.exchange.settings.config.currency();
    let body = json!({
        "total_requests": total.calls.saturating_add(total.blocked),
        "total_blocked": total.blocked,
        "total_paid": total.payments,
        "revenue": total.paid.to_decimal(decimals),
        "active_clients": total.clients,
        "by_hour": by_hour.iter().map(|hour| of_hour(hour, decimals)).collect::<Vec<_>>(),
    });
    order.json(200, &body)
}

fn of_hour(totals: &Totals, decimals: u8) -> Value {
    json!({
        "hour": Millis::new(totals.hour.unwrap_or_default().saturating_mul(1000)).rfc3339(),
        "requests": totals.calls.saturating_add(totals.blocked),
        "blocked": totals.blocked,
        "paid": totals.payments,
        "revenue": totals.paid.to_decimal(decimals),
        "clients": totals.clients,
    })
}

/// `GET /admin/top?n=&from=&to=`.
pub(super) async fn top(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let period = order.period(Period::last_day(clock::now()))?;
    let n = match order.parameter("n") {
        None => USUAL_TOP,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=MOST_TOP).contains(n))
            .ok_or_else(|| bad(format!("`n={text}` is not a whole number from 1 to {MOST_TOP}")))?,
    };
    let rows = order.exchange.ledger(bill_ledger::top(&order.exchange.env, period, n).await)?;
    order.json(200, &Value::Array(rows.iter().map(client).collect()))
}

fn client(row: &TopRow) -> Value {
    json!({
        "client": row.account,
        "request_count": row.calls,
        "blocked_count": row.blocked,
        "total_requests": row.calls.saturating_add(row.blocked),
        "last_request": (row.last_request > 0).then(|| Millis::new(row.last_request).rfc3339()),
    })
}
