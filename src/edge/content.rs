//! The content of a request, where it tells the endpoint: its body is read then, and kept to be forwarded as it came.

use serde_json::Value;

use super::body::read_up_to;
use super::exchange::{Exchange, Outcome};
use super::origin;
use crate::endpoint::Target;
use crate::problem::{Problem, ProblemKind};

/// The largest body that is read to find its logical endpoint: 1 MiB.
const MAX_READ: u64 = 1 << 20;

/// The same target with the logical endpoint that the request falls under. No body is read unless one could tell.
pub(super) async fn recognise(exchange: &Exchange, target: Target) -> Outcome<Target> {
    let endpoints = &exchange.settings.config.endpoints;
    let body = if endpoints.need_body(&target) { buffer(exchange, &target).await? } else { None };
    // A body that is no JSON names no logical endpoint.
    let json: Option<Value> = body.and_then(|body| serde_json::from_slice(body).ok());
    let logical = endpoints.recognise(&target, json.as_ref()).cloned();
    Ok(Target { logical, ..target })
}

/// Reads the body and keeps it.
async fn buffer<'a>(exchange: &'a Exchange, target: &Target) -> Outcome<Option<&'a [u8]>> {
    let Some(stream) = exchange.request.body() else { return Ok(None) };
    let max = MAX_READ.min(exchange.settings.config.max_body);
    let length = exchange.header("Content-Length").and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) {
        return Err(too_large(exchange, target, max));
    }
    let bound = usize::try_from(max).unwrap_or(usize::MAX);
    match exchange.ours(read_up_to(&stream, bound).await)? {
        (body, None) => Ok(Some(exchange.body.get_or_init(|| body))),
        (_, Some(_)) => Err(too_large(exchange, target, max)),
    }
}

fn too_large(exchange: &Exchange, target: &Target, max: u64) -> Problem {
    if max == exchange.settings.config.max_body {
        return origin::too_large(exchange);
    }
    let detail = format!(
        "the body is larger than {max} bytes; that of {} tells which endpoint is meant, and must be read whole for it",
        target.display()
    );
    Problem::new(ProblemKind::BodyTooLarge, detail).with("max_body", max)
}
