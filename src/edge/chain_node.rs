//! A chain node over JSON-RPC: sends a client's transaction and reads a channel, bounded in time and size.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use worker::wasm_bindgen::JsValue;
use worker::{AbortController, AbortSignal, Delay, Fetch, Request, Result, console_error, web_sys};

use super::body::read_up_to;
use super::deadline::within;
use crate::config::payment::SessionConfig;
use crate::pay::eip712::Hash32;
use crate::pay::mpp::session::action::RawTransaction;
use crate::pay::mpp::session::channel::ChannelFault;
use crate::pay::mpp::session::escrow::{self, OnChain};
use crate::time::Span;

/// How long a node may take to answer.
const TIMEOUT: Span = Span::seconds(10);
/// The largest answer that is read: 64 KiB.
const MAX_ANSWER: usize = 64 * 1024;
/// How often a transaction's receipt is asked for, and how long between: 15 s in all, many blocks of such chains.
const ASKED: u32 = 30;
const BETWEEN: Duration = Duration::from_millis(500);

/// Why a node was of no help.
enum NoResult {
    /// It did not answer, or not readably.
    NoAnswer(String),
    /// It refused.
    Refused(String),
}

/// Sends the transaction, waits until it is mined, and reads the channel then.
pub(super) async fn carry_out(
    session: &SessionConfig,
    transaction: &RawTransaction,
    channel: &Hash32,
) -> std::result::Result<OnChain, ChannelFault> {
    match call(&session.rpc, "eth_sendRawTransaction", &json!([transaction.as_str()])).await {
        Ok(hash) => wait_for(&session.rpc, &hash).await?,
        Err(NoResult::NoAnswer(why)) => return Err(unavailable(&why)),
        // It may have been sent before: the channel tells.
        Err(NoResult::Refused(why)) => {
            console_error!("channel {channel}: {why}");
            let known = read(session, channel).await?;
            return known
                .check(&session.escrow)
                .map(|()| known)
                .map_err(|_| ChannelFault::TransactionRefused);
        }
    }
    read(session, channel).await
}

async fn wait_for(rpc: &Url, hash: &Value) -> std::result::Result<(), ChannelFault> {
    for _ in 0..ASKED {
        match call(rpc, "eth_getTransactionReceipt", &json!([hash])).await {
            Ok(Value::Null) | Err(NoResult::Refused(_)) => {}
            Ok(receipt) if receipt.get("status").and_then(Value::as_str) == Some("0x1") => return Ok(()),
            Ok(_) => return Err(ChannelFault::TransactionRefused),
            Err(NoResult::NoAnswer(why)) => return Err(unavailable(&why)),
        }
        Delay::from(BETWEEN).await;
    }
    Err(unavailable("no receipt"))
}

async fn read(session: &SessionConfig, channel: &Hash32) -> std::result::Result<OnChain, ChannelFault> {
    match call(&session.rpc, "eth_call", &escrow::query(&session.escrow, channel)).await {
        Ok(result) => escrow::read(&result).map_err(|why| unavailable(&why)),
        Err(NoResult::NoAnswer(why) | NoResult::Refused(why)) => Err(unavailable(&why)),
    }
}

fn unavailable(why: &str) -> ChannelFault {
    console_error!("the chain node of sessions: {why}");
    ChannelFault::ChainUnavailable
}

async fn call(rpc: &Url, method: &str, parameters: &Value) -> std::result::Result<Value, NoResult> {
    let no_answer = |why: String| NoResult::NoAnswer(format!("{method}: {why}"));
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters }).to_string();
    let controller = AbortController::default();
    let signal = controller.signal();
    let request = outgoing(rpc, &body).map_err(|error| no_answer(error.to_string()))?;
    let Some(answer) = within(TIMEOUT, send(request, &signal)).await else {
        controller.abort();
        return Err(no_answer(format!("no answer within {TIMEOUT}")));
    };
    let answer = answer.map_err(|error| no_answer(error.to_string()))?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| no_answer(error.to_string()))?;
    match (answer.get("result"), answer.get("error")) {
        (_, Some(error)) if !error.is_null() => {
            Err(NoResult::Refused(format!("{method}: {error}").chars().take(256).collect()))
        }
        (Some(result), _) => Ok(result.clone()),
        (None, _) => Err(no_answer("neither a result nor an error".to_owned())),
    }
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
        Some(stream) => Ok(read_up_to(&stream, MAX_ANSWER).await?.0),
        None => Ok(Vec::new()),
    }
}
