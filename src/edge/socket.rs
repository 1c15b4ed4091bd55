//! Sockets (RFC 6455) whose end must be told: what comes from one side is passed on to the other until one of them closes. A
//! socket whose end matters to nobody is handed over to the client instead, and never seen here.

use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, pin_mut};
use worker::js_sys::{ArrayBuffer, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{
    Delay, Error, EventStream, Result, WebSocket, WebSocketPair, WebsocketEvent, console_warn, web_sys,
};

use super::ending::Ending;
use super::exchange::Exchange;

/// How long the other side may still send when one has closed.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The close code towards the side that is still there when the other broke off (RFC 6455 §7.4.1).
const INTERNAL_ERROR: u16 = 1011;

/// The answer to an upgrade, with a socket of ours in place of the origin's.
pub(super) fn relay(
    exchange: &Exchange,
    answer: web_sys::Response,
    ending: Ending,
) -> Result<web_sys::Response> {
    let origin = Reflect::get(&answer, &JsValue::from_str("webSocket"))?;
    let Ok(origin) = origin.dyn_into::<web_sys::WebSocket>().map(WebSocket::from) else { return Ok(answer) };
    let WebSocketPair { client, server } = WebSocketPair::new()?;
    let init = web_sys::ResponseInit::new();
    init.set_status(101);
    init.set_headers(&answer.headers());
    Reflect::set(&init, &JsValue::from_str("webSocket"), client.as_ref().as_ref())?;
    let request = exchange.request_id.clone();
    exchange.context.wait_until(async move {
        if let Err(error) = pass_both_ways(&origin, &server, ending).await {
            console_warn!("{request} socket: {error}");
        }
    });
    Ok(web_sys::Response::new_with_opt_str_and_init(None, &init)?)
}

async fn pass_both_ways(origin: &WebSocket, client: &WebSocket, ending: Ending) -> Result<()> {
    let (from_origin, from_client) = (open(origin)?, open(client)?);
    let (inward, outward) = (pass(from_origin, client), pass(from_client, origin));
    pin_mut!(inward, outward);
    let (closed, other) = match select(inward, outward).await {
        Either::Left((closed, outward)) => (closed, Either::Left(outward)),
        Either::Right((closed, inward)) => (closed, Either::Right(inward)),
    };
    drop(ending);
    select(other, Delay::from(LAST_WORDS)).await;
    closed
}

/// Begins to listen. Without a type set, binary messages would come as blobs.
fn open(socket: &WebSocket) -> Result<EventStream<'_>> {
    let inner: &web_sys::WebSocket = socket.as_ref();
    inner.set_binary_type(web_sys::BinaryType::Arraybuffer);
    let events = socket.events()?;
    socket.accept()?;
    Ok(events)
}

/// Passes on what comes from one side until it closes.
async fn pass(mut from: EventStream<'_>, to: &WebSocket) -> Result<()> {
    while let Some(event) = from.next().await {
        match event {
            Ok(WebsocketEvent::Message(message)) => send(to, message.as_ref())?,
            Ok(WebsocketEvent::Close(close)) => return end(to, close.code(), &close.reason()),
            Err(error) => {
                end(to, INTERNAL_ERROR, "the other end broke off")?;
                return Err(error);
            }
        }
    }
    Ok(())
}

fn send(to: &WebSocket, message: &web_sys::MessageEvent) -> Result<()> {
    let inner: &web_sys::WebSocket = to.as_ref();
    let data = message.data();
    match data.as_string() {
        Some(text) => inner.send_with_str(&text).map_err(Error::from),
        None => inner.send_with_array_buffer(data.unchecked_ref::<ArrayBuffer>()).map_err(Error::from),
    }
}

fn end(to: &WebSocket, code: u16, reason: &str) -> Result<()> {
    match code {
        // No code was given; it cannot be sent as one.
        1005 => to.close::<&str>(None, None),
        // The connection broke, which cannot be said with its own codes either.
        1004 | 1006 | 1015 => to.close(Some(INTERNAL_ERROR), Some("the other end broke off")),
        code => to.close(Some(code), Some(reason)),
    }
}
