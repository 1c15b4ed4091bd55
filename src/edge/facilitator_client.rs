//! Facilitators over `fetch`: bounded in time and size, never redirected, and read body first (both dialects).

use worker::wasm_bindgen::JsValue;
use worker::{AbortController, AbortSignal, Fetch, Request, Result, web_sys};

use super::body::read_up_to;
use super::deadline::within;
use super::settings::Settings;
use crate::config::payment::PaymentConfig;
use crate::pay::x402::Payment;
use crate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer, read_settle, read_verify, request_body};
use crate::time::Span;

/// The largest answer that is read: 64 KiB.
const MAX_ANSWER: usize = 64 * 1024;

/// Asks the facilitators in order of preference until one answers; says which.
pub(super) async fn verify(
    settings: &Settings,
    config: &PaymentConfig,
    payment: &Payment,
) -> (Option<String>, VerifyAnswer) {
    let mut why = Vec::new();
    for facilitator in &config.facilitators {
        let url = facilitator.url.as_str();
        let answer = match post(settings, url, "verify", payment, config.verify_timeout).await {
            Ok((status, body)) => read_verify(status, &body),
            Err(error) => VerifyAnswer::NoAnswer { why: error },
        };
        match answer {
            VerifyAnswer::NoAnswer { why: error } => why.push(format!("{url}: {error}")),
            VerifyAnswer::Valid { .. } | VerifyAnswer::Invalid { .. } => {
                return (Some(url.to_owned()), answer);
            }
        }
    }
    (None, VerifyAnswer::NoAnswer { why: why.join("; ") })
}

/// Has the facilitator that verified the payment settle it.
pub(super) async fn settle(
    settings: &Settings,
    config: &PaymentConfig,
    url: &str,
    payment: &Payment,
) -> SettleAnswer {
    match post(settings, url, "settle", payment, config.settle_timeout).await {
        Ok((status, body)) => read_settle(status, &body, payment),
        Err(why) => SettleAnswer::Unknown { why, transaction: None },
    }
}

/// The status and body that came; or why nothing did.
async fn post(
    settings: &Settings,
    base: &str,
    call: &str,
    payment: &Payment,
    timeout: Span,
) -> std::result::Result<(u16, Vec<u8>), String> {
    let request = outgoing(settings, base, call, payment).map_err(|error| error.to_string())?;
    let controller = AbortController::default();
    let signal = controller.signal();
    let answer = within(timeout, send(request, &signal)).await;
    if let Some(answer) = answer {
        answer.map_err(|error| error.to_string())
    } else {
        controller.abort();
        Err(format!("no answer to /{call} within {timeout}"))
    }
}

fn outgoing(settings: &Settings, base: &str, call: &str, payment: &Payment) -> Result<web_sys::Request> {
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_redirect(web_sys::RequestRedirect::Manual);
    init.set_body(&JsValue::from_str(&request_body(payment)));
    let url = format!("{}/{call}", base.trim_end_matches('/'));
    let request = web_sys::Request::new_with_str_and_init(&url, &init)?;
    request.headers().set("Content-Type", "application/json")?;
    let configured = settings.config.payment.iter().flat_map(|payment| &payment.facilitators);
    let bearer = configured
        .filter(|facilitator| facilitator.bearer)
        .any(|facilitator| facilitator.url.as_str() == base);
    if let Some(token) = settings.facilitator_token.as_ref().filter(|_| bearer) {
        request.headers().set("Authorization", &format!("Bearer {token}"))?;
    }
    Ok(request)
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
