//! `GET /health`: that the gate answers, and with `?deep=1` also whether each facilitator supports what is offered.

use std::cell::RefCell;

use futures_util::future::join_all;
use serde_json::{Value, json};
use worker::web_sys;

use super::asked::{bad, parameter};
use super::exchange::{Exchange, Outcome};
use super::settings::Settings;
use super::{answer, clock, facilitator_client};
use crate::config::advice;
use crate::config::payment::PaymentConfig;
use crate::config::payment::facilitator::Facilitator;
use crate::time::{Millis, Span};

/// How long this isolate repeats what the facilitators said: anybody may ask, and each question costs a call to each.
const REMEMBERED: Span = Span::seconds(30);

thread_local! {
    static FOUND: RefCell<Option<(Millis, Vec<Value>)>> = const { RefCell::new(None) };
}

/// Answers it.
pub(super) async fn answer(exchange: &Exchange, query: Option<&str>) -> Outcome<web_sys::Response> {
    let deep = match parameter(query, "deep").as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(other) => return Err(bad(format!("`deep={other}` is neither 0 nor 1"))),
    };
    let facilitators = if deep { Some(facilitators(&exchange.settings).await) } else { None };
    let is_ok = |facilitator: &Value| facilitator.get("status").is_some_and(|status| status == "ok");
    let healthy = facilitators.iter().flatten().all(is_ok);
    let mut body = json!({ "status": if healthy { "ok" } else { "degraded" }, "service": "tollgate", "version": env!("CARGO_PKG_VERSION") });
    if let (Some(facilitators), Value::Object(members)) = (facilitators, &mut body) {
        members.insert("facilitators".to_owned(), facilitators.into());
    }
    exchange.ours(answer::json(200, &body))
}

/// What is to be said of each facilitator.
async fn facilitators(settings: &Settings) -> Vec<Value> {
    let now = clock::now();
    let remembered = FOUND.with_borrow(Clone::clone);
    if let Some((_, found)) = remembered.filter(|(at, _)| now.since(*at) < REMEMBERED) {
        return found;
    }
    let Some(payment) = &settings.config.payment else { return Vec::new() };
    let found =
        join_all(payment.facilitators.iter().map(|facilitator| look(settings, payment, facilitator))).await;
    FOUND.set(Some((now, found.clone())));
    found
}

async fn look(settings: &Settings, payment: &PaymentConfig, facilitator: &Facilitator) -> Value {
    let url = facilitator.url.as_str();
    let supported = match facilitator_client::supported(settings, facilitator, payment.verify_timeout).await {
        Ok(supported) => supported,
        Err(why) => return json!({ "url": url, "status": "unreachable", "detail": why }),
    };
    match advice::unsupported(payment, &supported) {
        Ok(lacking) if lacking.is_empty() => json!({ "url": url, "status": "ok" }),
        Ok(lacking) => json!({ "url": url, "status": "unsupported", "unsupported": lacking }),
        Err(why) => json!({ "url": url, "status": "unreachable", "detail": format!("/supported {why}") }),
    }
}
