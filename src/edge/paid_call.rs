//! A call that is paid for one by one (`payment: always`): the origin is called, its answer told to the payment, and
//! handed on once the payment is settled.
//!
//! The client may go away meanwhile: the call is finished all the same, so that the same payment gets its answer.

use std::future::Future;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use futures_util::pin_mut;
use worker::{Delay, Result, console_warn, web_sys};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::exchange::{Exchange, Outcome};
use super::paid_answer::ReadAhead;
use super::{gate, objects, origin, outgoing};
use crate::client::AccountId;
use crate::contract::{Done, KeptAnswer, OriginAnswer, PaymentCall, Presented};
use crate::endpoint::Target;
use crate::limit::decision::Decision;
use crate::pay::purchase::call::{HEARTBEAT, MAX_KEPT};

/// Keeps the request alive until it is dropped, though its client may be gone (as long as the platform allows: 30 s).
pub(super) struct Alive(#[expect(dead_code, reason = "is dropped")] oneshot::Sender<()>);

impl Alive {
    /// From now on.
    pub(super) fn keep(exchange: &Exchange) -> Self {
        let (open, ended) = oneshot::channel();
        exchange.context.wait_until(async move {
            // Dropped or sent, it is the end.
            let _ = ended.await;
        });
        Self(open)
    }
}

/// A call that is about to be made.
pub(super) struct PaidCall<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) account: &'a AccountId,
    pub(super) target: &'a Target,
    pub(super) decision: &'a Decision,
    /// The name of the payment's object.
    pub(super) payment: &'a str,
}

impl PaidCall<'_> {
    /// Calls the origin and tells the payment; the answer, and what became of the payment.
    pub(super) async fn make(
        &self,
        introduction: &origin::Introduction<'_>,
    ) -> Outcome<(ReadAhead, Presented)> {
        let ahead = self.while_telling(self.ask_origin(introduction)).await?;
        let told = PaymentCall::Answered(Box::new(self.exchange.ours(told(&ahead))?));
        Ok((ahead, self.exchange.ours(self.tell(&told).await)?))
    }

    /// Tells the payment of the answer. Where that breaks off, the payment's object may have died while it had the payment
    /// settled: it is told again, so that the account knows of the doubt before the client hears of it and asks anew.
    async fn tell(&self, told: &PaymentCall) -> Result<Presented> {
        let env = &self.exchange.env;
        match objects::payment(env, self.payment, told).await {
            Ok(presented) => Ok(presented),
            Err(error) => {
                console_warn!("{} answered: {error}; told again", self.exchange.request_id);
                objects::payment(env, self.payment, told).await
            }
        }
    }

    /// A problem of the origin's is an answer, too: that of a call that is not sold.
    async fn ask_origin(&self, introduction: &origin::Introduction<'_>) -> Outcome<ReadAhead> {
        let Self { exchange, account, target, decision, .. } = self;
        let answer = match gate::forward(exchange, account, target, decision, introduction).await {
            Ok(answer) => answer,
            Err(problem) => exchange.ours(gate::problem_answer(exchange, &problem))?,
        };
        exchange.ours(ReadAhead::of(answer).await)
    }

    /// Says every now and then that the call is still being made.
    async fn while_telling<T>(&self, call: impl Future<Output = T>) -> T {
        pin_mut!(call);
        loop {
            let pause = Delay::from(Duration::from_millis(HEARTBEAT.get()));
            pin_mut!(pause);
            call = match select(call, pause).await {
                Either::Left((answer, _)) => return answer,
                Either::Right(((), call)) => call,
            };
            let still =
                objects::payment::<Done>(&self.exchange.env, self.payment, &PaymentCall::StillServing);
            if let Err(error) = still.await {
                console_warn!("{} still serving: {error}", self.exchange.request_id);
            }
        }
    }
}

/// What the payment is told of an answer.
fn told(ahead: &ReadAhead) -> Result<OriginAnswer> {
    let status = ahead.answer.status();
    // Of an upgraded connection there is nothing to keep.
    let fits = ahead.body().is_none_or(|body| body.len() <= MAX_KEPT);
    if !ahead.is_whole() || !fits || status == 101 {
        return Ok(OriginAnswer { status, kept: None });
    }
    let fields = fields_of(&ahead.answer.headers())?;
    let body = ahead.body().map(|body| STANDARD.encode(body));
    Ok(OriginAnswer { status, kept: Some(KeptAnswer { status, fields, body }) })
}

/// All fields with their values. The length is told anew; each cookie is a field of its own.
fn fields_of(headers: &web_sys::Headers) -> Result<Vec<(String, String)>> {
    let mut fields = outgoing::fields(headers);
    fields.retain(|(name, _)| name != "content-length" && name != "set-cookie");
    let cookies = worker::Headers(headers.clone()).get_all("Set-Cookie")?;
    fields.extend(cookies.into_iter().map(|cookie| ("set-cookie".to_owned(), cookie)));
    Ok(fields)
}

/// The answer that was kept, as it was.
pub(super) fn read_kept(kept: &KeptAnswer) -> Result<ReadAhead> {
    let init = web_sys::ResponseInit::new();
    init.set_status(kept.status);
    let answer = web_sys::Response::new_with_opt_str_and_init(None, &init)?;
    let headers = answer.headers();
    for (name, value) in &kept.fields {
        headers.append(name, value)?;
    }
    let body = kept.body.as_ref().map(|body| STANDARD.decode(body)).transpose();
    let body = body.map_err(|error| worker::Error::RustError(format!("a kept answer: {error}")))?;
    Ok(ReadAhead::again(answer, body))
}
