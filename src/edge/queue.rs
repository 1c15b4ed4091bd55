//! A queued request waits for its turn here, and frees its place when its client goes away before.

use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use worker::{Delay, console_error};

use super::exchange::{Exchange, Outcome};
use super::{departure, objects};
use crate::client::AccountId;
use crate::contract::{AccountCall, Done};
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;

/// Waits for the request's turn, if it has to.
///
/// # Errors
/// When the client went away: then the origin must not be called.
pub(super) async fn wait_turn(exchange: &Exchange, account: &AccountId, wait: Span) -> Outcome<()> {
    if wait == Span::ZERO {
        return Ok(());
    }
    let turn = hold_place(exchange, account);
    Delay::from(Duration::from_millis(wait.get())).await;
    // Nobody hears of the turn any more when the place is free already.
    turn.send(()).map_err(|()| Problem::new(ProblemKind::RateLimited, "the client went away before its turn"))
}

/// Frees the place when the client goes away, until the turn is told. What frees it outlives the request, which the
/// platform may end at that moment.
fn hold_place(exchange: &Exchange, account: &AccountId) -> oneshot::Sender<()> {
    let (turn, called) = oneshot::channel();
    let gone = Box::pin(departure::of(exchange));
    let (env, account, request) = (exchange.env.clone(), account.clone(), exchange.request_id.clone());
    exchange.context.wait_until(async move {
        let Either::Right(((), called)) = select(called, gone).await else { return };
        drop(called);
        let call = AccountCall::Leave(request.clone());
        if let Err(error) = objects::account::<Done>(&env, &account, call).await {
            console_error!("{request} leave: {error}");
        }
    });
    turn
}
