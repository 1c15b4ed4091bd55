//! What a request to the gate's own endpoints asks for: its query and its JSON.

use serde_json::Value;

use super::exchange::{Exchange, Outcome};
use super::origin;
use crate::config::table::{Faults, Table};
use crate::problem::{Problem, ProblemKind};

/// The largest body: 64 kB.
pub(super) const MAX_BODY: usize = 64_000;

/// A parameter of the query, decoded.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The request's body, at most `max` bytes.
pub(super) async fn body(exchange: &Exchange, max: usize) -> Outcome<Vec<u8>> {
    let body = origin::read_body(exchange).await?;
    if body.len() > max {
        let detail = format!("the body is larger than {max} bytes");
        return Err(Problem::new(ProblemKind::BodyTooLarge, detail));
    }
    Ok(body)
}

/// The request's body as JSON, at most 64 kB.
pub(super) async fn json_body(exchange: &Exchange) -> Outcome<Value> {
    json(&body(exchange, MAX_BODY).await?)
}

/// A body as JSON.
pub(super) fn json(body: &[u8]) -> Outcome<Value> {
    serde_json::from_slice(body).map_err(|error| bad(format!("the body is not JSON: {error}")))
}

/// Reads a JSON table strictly.
pub(super) fn read<T>(body: &Value, read: impl FnOnce(Table<'_>, &mut Faults) -> Option<T>) -> Outcome<T> {
    let mut faults = Faults::default();
    let value = Table::open("body", body, &mut faults).and_then(|table| read(table, &mut faults));
    match value {
        Some(value) if faults.is_empty() => Ok(value),
        _ => Err(bad(faults.to_string())),
    }
}

/// A request that cannot be read.
pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::BadRequest, detail)
}
