//! Calls a chain node over JSON-RPC, bounded in time and size.

use serde_json::Value;
use url::Url;
use worker::wasm_bindgen::JsValue;
use worker::{AbortController, AbortSignal, Fetch, Request, Result, web_sys};

use super::body::read_up_to;
use super::deadline::within;
use crate::pay::node::{NoResult, read_result, request_body};
use crate::time::Span;

/// How long a node may take to answer.
const TIMEOUT: Span = Span::seconds(10);
/// The largest answer that is read, logs of many blocks: 1 MiB.
const MAX_ANSWER: usize = 1 << 20;

/// The result of a call, or why there is none.
pub(super) async fn call(
    rpc: &Url,
    method: &str,
    parameters: &Value,
) -> std::result::Result<Value, NoResult> {
    let answer = answer(rpc, &request_body(method, parameters)).await;
    answer.and_then(|answer| read_result(&answer)).map_err(|none| none.of(method))
}

async fn answer(rpc: &Url, body: &str) -> std::result::Result<Vec<u8>, NoResult> {
    let failed = |error: worker::Error| NoResult::NoAnswer(error.to_string());
    let controller = AbortController::default();
    let signal = controller.signal();
    let request = outgoing(rpc, body).map_err(failed)?;
    if let Some(answer) = within(TIMEOUT, send(request, &signal)).await {
        return answer.map_err(failed);
    }
    controller.abort();
    Err(NoResult::NoAnswer(format!("no answer within {TIMEOUT}")))
}

fn outgoing(rpc: &Url, body: &str) -> Result<web_sys::Request> {
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_redirect(web_sys::RequestRedirect::Manual);
    init.set_body(&JsValue::from_str(body));
    let request = web_sys::Request::new_with_str_and_init(rpc.as_str(), &init)?;
    request.headers().set("Content-Type", "application/json")?;
    Ok(request)
}

async fn send(request: web_sys::Request, signal: &AbortSignal) -> Result<Vec<u8>> {
    let answer: web_sys::Response =
        Fetch::Request(Request::from(request)).send_with_signal(signal).await?.into();
    match answer.body() {
        Some(stream) => read_up_to(&stream, MAX_ANSWER).await.map(|(body, _)| body),
        None => Ok(Vec::new()),
    }
}
