//! The origin behind the gate: sends it a request and brings back its answer, streaming both ways. What the request looks
//! like is `outgoing`'s business.

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{console_error, js_sys, web_sys};

use super::body::read_up_to;
use super::deadline::within;
use super::exchange::{Exchange, Outcome};
use super::outgoing::{Outgoing, names};
use crate::client::AccountId;
use crate::fields::is_withheld;
use crate::limit::decision::Decision;
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;

/// When to ask again an origin that was too slow.
const SOON: Span = Span::seconds(1);

/// Who the gate tells the origin is calling, and the body if it was read already.
pub(super) struct Introduction<'a> {
    pub(super) client: &'a AccountId,
    pub(super) plan: &'a str,
    pub(super) payer: Option<String>,
    body: Option<Vec<u8>>,
}

impl<'a> Introduction<'a> {
    /// Of a request that was not paid for just now. Its body streams, unless it was read to find the endpoint.
    pub(super) fn free(client: &'a AccountId, decision: &'a Decision) -> Self {
        Self { client, plan: &decision.plan, payer: None, body: None }
    }

    /// Of a request whose body was read.
    pub(super) fn read(
        client: &'a AccountId,
        decision: &'a Decision,
        payer: Option<String>,
        body: Vec<u8>,
    ) -> Self {
        Self { client, plan: &decision.plan, payer, body: Some(body) }
    }

    /// The request's body, where it was read for the payment.
    pub(super) fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }
}

/// Refuses a request that says itself that its body is too large.
pub(super) fn check_length(exchange: &Exchange) -> Outcome<()> {
    let length = exchange.header("Content-Length").and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > exchange.settings.config.max_body => Err(too_large(exchange)),
        _ => Ok(()),
    }
}

/// The problem of a body that is too large.
pub(super) fn too_large(exchange: &Exchange) -> Problem {
    let max = exchange.settings.config.max_body;
    Problem::new(ProblemKind::BodyTooLarge, format!("the body is larger than {max} bytes"))
        .with("max_body", max)
}

/// Forwards the request and answers with what the origin answers.
pub(super) async fn forward(outgoing: &Outgoing<'_>) -> Outcome<web_sys::Response> {
    let Outgoing { exchange, route, .. } = *outgoing;
    let controller = exchange.ours(web_sys::AbortController::new().map_err(Into::into))?;
    let destination = outgoing.destination();
    let request = exchange.ours(outgoing.request(&destination, &controller))?;
    let signal = controller.signal();
    let to_binding = route.is_binding && !destination.elsewhere;
    let answer = within(route.timeout, send(exchange, request, to_binding, &signal)).await;
    if exchange.body_too_large.get() {
        return Err(too_large(exchange));
    }
    match answer {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => {
            console_error!("{} origin: {error}", exchange.request_id);
            Err(Problem::new(ProblemKind::OriginUnreachable, "the API behind the gate could not be reached"))
        }
        None => {
            controller.abort();
            let detail = format!("the API behind the gate did not answer within {}", route.timeout);
            Err(Problem::new(ProblemKind::OriginTimeout, detail).retry_after(Some(SOON)))
        }
    }
}

async fn send(
    exchange: &Exchange,
    request: web_sys::Request,
    to_binding: bool,
    signal: &web_sys::AbortSignal,
) -> worker::Result<web_sys::Response> {
    if to_binding {
        return Ok(exchange.env.service("ORIGIN")?.fetch_request(request).await?.into());
    }
    // As it comes from the platform: the crate's own type would be made from it, and it again from that.
    let init = web_sys::RequestInit::new();
    init.set_signal(Some(signal));
    let platform: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = JsFuture::from(platform.fetch_with_request_and_init(&request, &init)).await?;
    Ok(answer.dyn_into()?)
}

/// The origin's answer with fields that may be changed, and without those that may not pass. Its body still streams.
pub(super) fn incoming(answer: &web_sys::Response) -> worker::Result<web_sys::Response> {
    let body = answer.body();
    // A response stands in for the settings of another: status and fields are taken from it.
    let copy =
        web_sys::Response::new_with_opt_readable_stream_and_init(body.as_ref(), answer.unchecked_ref())?;
    let fields = copy.headers();
    let connection = fields.get("connection")?;
    for name in names(&fields).iter().filter(|name| is_withheld(name, connection.as_deref())) {
        fields.delete(name)?;
    }
    Ok(copy)
}

/// Reads the request's body, up to the largest allowed; or takes it, where it was read before.
pub(super) async fn read_body(exchange: &Exchange) -> Outcome<Vec<u8>> {
    if let Some(body) = exchange.body.get() {
        return Ok(body.clone());
    }
    let Some(stream) = exchange.request.body() else { return Ok(Vec::new()) };
    let max = usize::try_from(exchange.settings.config.max_body).unwrap_or(usize::MAX);
    let (body, rest) = exchange.ours(read_up_to(&stream, max).await)?;
    if rest.is_some() { Err(too_large(exchange)) } else { Ok(body) }
}
