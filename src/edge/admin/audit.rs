//! `/admin/audit`: who changed what, when.

use serde_json::{Value, json};
use worker::web_sys;

use super::Order;
use crate::edge::exchange::Outcome;
use crate::edge::owner_ledger::{self, AuditRow};

/// `GET /admin/audit`, the last first.
pub(super) async fn list(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let page = order.page()?;
    let rows = order.exchange.ledger(owner_ledger::audit(&order.exchange.env, &page).await)?;
    order.json(200, &page.body(rows, |row| vec![row.id.to_string()], item))
}

fn item(row: &AuditRow) -> Value {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    json!({ "id": row.id, "at": row.at, "who": row.who, "what": row.what, "subject": row.subject, "detail": detail })
}
