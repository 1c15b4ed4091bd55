//! Spans of time in settings.

use serde_json::Value;

use super::table::{number, parsed};
use crate::time::Span;

/// Reads a span of time that is not zero.
pub(crate) fn positive_span(value: &Value) -> Result<Span, String> {
    match span(value)? {
        Span::ZERO => Err("must be longer than nothing".to_owned()),
        span => Ok(span),
    }
}

/// Reads a span of time. A plain number has no unit, and is told so.
fn span(value: &Value) -> Result<Span, String> {
    match value {
        Value::Number(_) => number(value),
        other => parsed(other),
    }
}

/// Reads how long receipts are kept.
pub(super) fn receipt_ttl(value: &Value) -> Result<Span, String> {
    match span(value)? {
        short if short < Span::seconds(60) => {
            Err("must be at least 60s, the shortest that Workers KV keeps".to_owned())
        }
        span => Ok(span),
    }
}
