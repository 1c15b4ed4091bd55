//! Facilitators over `fetch`: bounded in time and size, never redirected, and read body first (both dialects).

use std::cell::RefCell;

use serde_json::Value;
use worker::wasm_bindgen::JsValue;
use worker::{AbortController, AbortSignal, Fetch, Request, Result, web_sys};

use super::body::read_up_to;
use super::deadline::within;
use super::settings::Settings;
use super::{clock, webcrypto};
use crate::config::payment::PaymentConfig;
use crate::config::payment::facilitator::{Auth, Facilitator};
use crate::pay::facilitators::{Budget, FacilitatorHealth, cdp};
use crate::pay::x402::Payment;
use crate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer, read_settle, read_verify, request_body};
use crate::time::Span;

/// The largest answer that is read: 64 KiB.
const MAX_ANSWER: usize = 64 * 1024;

/// A status and a body, or why neither came.
type Answer = std::result::Result<(u16, Vec<u8>), String>;

thread_local! {
    /// Which facilitators gave this isolate no answer lately.
    static HEALTH: RefCell<FacilitatorHealth> = const { RefCell::new(FacilitatorHealth::new()) };
}

/// Asks the facilitators until one answers, in order of preference, those that lately did not answer last; says which.
pub(super) async fn verify(
    settings: &Settings,
    config: &PaymentConfig,
    payment: &Payment,
) -> (Option<String>, VerifyAnswer) {
    let budget = Budget::new(config.verify_timeout, clock::now());
    let mut why = Vec::new();
    for facilitator in in_order(config) {
        let Some(timeout) = budget.next(clock::now()) else { break };
        let answer = match post(settings, facilitator, "verify", payment, timeout).await {
            Ok((status, body)) => read_verify(status, &body),
            Err(error) => VerifyAnswer::NoAnswer { why: error },
        };
        let url = facilitator.url.as_str();
        note(url, !matches!(answer, VerifyAnswer::NoAnswer { .. }));
        match answer {
            VerifyAnswer::NoAnswer { why: error } => why.push(format!("{url}: {error}")),
            VerifyAnswer::Valid { .. } | VerifyAnswer::Invalid { .. } => {
                return (Some(url.to_owned()), answer);
            }
        }
    }
    (None, VerifyAnswer::NoAnswer { why: why.join("; ") })
}

/// Has the facilitator that verified the payment settle it, and no other, whatever comes of it.
pub(super) async fn settle(
    settings: &Settings,
    config: &PaymentConfig,
    url: &str,
    payment: &Payment,
) -> SettleAnswer {
    let Some(facilitator) = config.facilitators.iter().find(|one| one.url.as_str() == url) else {
        let why = format!("{url} is no longer among the facilitators in the settings");
        return SettleAnswer::Unknown { why, transaction: None };
    };
    let answer = post(settings, facilitator, "settle", payment, config.settle_timeout).await;
    note(url, answer.is_ok());
    match answer {
        Ok((status, body)) => read_settle(status, &body, payment),
        Err(why) => SettleAnswer::Unknown { why, transaction: None },
    }
}

/// What a facilitator says that it supports (x402 v2 §7.3).
pub(super) async fn supported(
    settings: &Settings,
    facilitator: &Facilitator,
    timeout: Span,
) -> std::result::Result<Value, String> {
    let (status, body) = call(settings, facilitator, ("GET", "supported"), None, timeout).await?;
    if status != 200 {
        return Err(format!("answers {status}"));
    }
    serde_json::from_slice(&body).map_err(|_| "answers with no JSON".to_owned())
}

/// The configured facilitators in the order in which they are asked now.
fn in_order(config: &PaymentConfig) -> Vec<&Facilitator> {
    let preferred: Vec<&str> = config.facilitators.iter().map(|one| one.url.as_str()).collect();
    let order = HEALTH.with_borrow(|health| health.order(&preferred, clock::now()));
    let named = |url: &str| config.facilitators.iter().find(|one| one.url.as_str() == url);
    order.into_iter().filter_map(named).collect()
}

fn note(url: &str, answered: bool) {
    HEALTH.with_borrow_mut(|health| health.note(url, answered, clock::now()));
}

async fn post(
    settings: &Settings,
    facilitator: &Facilitator,
    name: &str,
    payment: &Payment,
    timeout: Span,
) -> Answer {
    call(settings, facilitator, ("POST", name), Some(request_body(payment)), timeout).await
}

/// Calls a facilitator; what it takes to prove who asks is part of the time.
async fn call(
    settings: &Settings,
    facilitator: &Facilitator,
    (method, name): (&str, &str),
    body: Option<String>,
    timeout: Span,
) -> Answer {
    let controller = AbortController::default();
    let signal = controller.signal();
    let answer = within(timeout, async {
        let request = outgoing(settings, facilitator, (method, name), body).await?;
        send(request, &signal).await
    });
    if let Some(answer) = answer.await {
        answer.map_err(|error| error.to_string())
    } else {
        controller.abort();
        Err(format!("no answer to /{name} within {timeout}"))
    }
}

async fn outgoing(
    settings: &Settings,
    facilitator: &Facilitator,
    (method, name): (&str, &str),
    body: Option<String>,
) -> Result<web_sys::Request> {
    let url = facilitator.at(name);
    let init = web_sys::RequestInit::new();
    init.set_method(method);
    init.set_redirect(web_sys::RequestRedirect::Manual);
    if let Some(body) = &body {
        init.set_body(&JsValue::from_str(body));
    }
    let request = web_sys::Request::new_with_str_and_init(&url, &init)?;
    if body.is_some() {
        request.headers().set("Content-Type", "application/json")?;
    }
    if let Some(token) = token(settings, facilitator.auth, method, &url).await? {
        request.headers().set("Authorization", &format!("Bearer {token}"))?;
    }
    Ok(request)
}

/// What proves to the facilitator who asks. That the secrets are there was checked with the settings.
async fn token(settings: &Settings, auth: Auth, method: &str, url: &str) -> Result<Option<String>> {
    match auth {
        Auth::None => Ok(None),
        Auth::Bearer => Ok(settings.secrets.facilitator_token.clone()),
        Auth::Cdp => {
            let Some(key) = &settings.secrets.cdp_key else { return Ok(None) };
            let unsigned = key.unsigned(method, url, clock::random_bytes()?, clock::now());
            let signature = webcrypto::sign(key.secret(), &unsigned).await?;
            Ok(Some(cdp::signed(&unsigned, &signature)))
        }
    }
}

async fn send(request: web_sys::Request, signal: &AbortSignal) -> Result<(u16, Vec<u8>)> {
    let answer: web_sys::Response =
        Fetch::Request(Request::from(request)).send_with_signal(signal).await?.into();
    let body = match answer.body() {
        Some(stream) => read_up_to(&stream, MAX_ANSWER).await?.0,
        None => Vec::new(),
    };
    Ok((answer.status(), body))
}
