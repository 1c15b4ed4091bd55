//! Answers of the gate's own: problems, JSON and pages.

use serde_json::Value;
use worker::{Result, web_sys};

use super::outgoing::names;
use crate::fields::{is_for_shared_caches, private_cache_control};
use crate::problem::Problem;

/// JSON with a status.
pub(super) fn json(status: u16, body: &Value) -> Result<web_sys::Response> {
    text(status, "application/json", &body.to_string())
}

/// A problem (RFC 9457).
pub(super) fn problem(problem: &Problem, prefix: &str, request_id: &str) -> Result<web_sys::Response> {
    let body = problem.body(prefix, request_id).to_string();
    let answer = text(problem.status, "application/problem+json", &body)?;
    put_fields(&answer, problem)?;
    Ok(answer)
}

/// Puts on an answer what a problem says in fields, whatever its body is.
pub(super) fn put_fields(answer: &web_sys::Response, problem: &Problem) -> Result<()> {
    if let Some(span) = problem.retry_after {
        answer.headers().set("Retry-After", &span.seconds_up().to_string())?;
    }
    if let Some(allow) = &problem.allow {
        answer.headers().set("Allow", allow)?;
    }
    // A 401 has to say how to authenticate (RFC 9110 §15.5.2).
    if problem.status == 401 {
        answer.headers().set("WWW-Authenticate", "Bearer")?;
    }
    Ok(())
}

/// Text of a media type. Nothing of the gate's own is for a shared cache.
pub(super) fn text(status: u16, media_type: &str, body: &str) -> Result<web_sys::Response> {
    let init = web_sys::ResponseInit::new();
    init.set_status(status);
    let answer = web_sys::Response::new_with_opt_str_and_init(Some(body), &init)?;
    answer.headers().set("Content-Type", media_type)?;
    answer.headers().set("Cache-Control", "no-store")?;
    Ok(answer)
}

/// A page, with the fields that go with it.
pub(super) fn page(status: u16, html: &str, fields: &[(&'static str, String)]) -> Result<web_sys::Response> {
    let answer = text(status, "text/html; charset=utf-8", html)?;
    for (name, value) in fields {
        answer.headers().set(name, value)?;
    }
    Ok(answer)
}

/// No content.
pub(super) fn empty(status: u16) -> Result<web_sys::Response> {
    let init = web_sys::ResponseInit::new();
    init.set_status(status);
    Ok(web_sys::Response::new_with_opt_str_and_init(None, &init)?)
}

/// Keeps an answer out of shared caches, whatever its origin said.
pub(super) fn make_private(fields: &web_sys::Headers) -> Result<()> {
    for name in names(fields).iter().filter(|name| is_for_shared_caches(name)) {
        fields.delete(name)?;
    }
    let cache = fields.get("Cache-Control")?;
    Ok(fields.set("Cache-Control", &private_cache_control(cache.as_deref()))?)
}
