//! A channel's object looks at the chain now and then, and gets there what its vouchers say, where the settings have the
//! payee's key. Each step finds out anew how the channel stands: one that was lost is taken again, and one taken twice is
//! refused by the escrow.

use std::cell::Cell;

use worker::{Result, console_error, console_log};

use super::record::Storage;
use super::{channel, clock, escrow_chain};
use crate::config::payment::SessionConfig;
use crate::pay::eip712::SigningKey;
use crate::pay::mpp::session::channel::{Channel, Redemption};
use crate::pay::mpp::session::voucher::Voucher;
use crate::time::{Millis, Span};

/// The chain is asked about a channel that is in use at most so often.
const BETWEEN_LOOKS: Span = Span::seconds(60);
/// How often a channel is looked at that is not in use: several times while a payer who closes it must wait.
const WATCH: Span = Span::seconds(300);
/// How long to wait after the node refused or did not answer.
const RETRY: Span = Span::seconds(60);

/// Does what is to be done about the channel on the chain, and answers how soon to look again, if it need be.
pub(super) async fn look(
    (session, payee): (&SessionConfig, Option<&SigningKey>),
    store: &impl Storage,
    looked_at: &Cell<Millis>,
) -> Result<Option<Span>> {
    let now = clock::now();
    let Some(known) = channel::load(store)?.filter(|channel| !channel.is_finalized()) else {
        return Ok(None);
    };
    let since = now.since(looked_at.get());
    if !known.is_closed() && since < BETWEEN_LOOKS {
        return Ok(Some(BETWEEN_LOOKS.minus(since)));
    }
    let Ok(on_chain) = escrow_chain::read(session, &known.standing().channel).await else {
        return Ok(payee.map(|_| RETRY));
    };
    looked_at.set(now);
    // Something may have been asked of it meanwhile.
    let Some(channel) = channel::load(store)?.map(|channel| channel.seen(&on_chain)) else { return Ok(None) };
    channel::save(store, channel.clone())?;
    let Some(payee) = payee else { return Ok(None) };
    match channel.redemption(session.close_after, clock::now()) {
        Redemption::None => Ok(None),
        Redemption::Watch => Ok(Some(WATCH)),
        Redemption::Close(last) => {
            channel::save(store, channel.given_up())?;
            close((session, payee), store, &last).await.map(Some)
        }
    }
}

/// Closes it on the chain, and answers how soon to look what came of that.
async fn close(
    (session, payee): (&SessionConfig, &SigningKey),
    store: &impl Storage,
    last: &Voucher,
) -> Result<Span> {
    if let Err(none) = escrow_chain::close(session, payee, last).await {
        console_error!("channel {} is not closed on the chain: {none}", last.channel);
        return Ok(RETRY);
    }
    console_log!("channel {}: closed on the chain with {}", last.channel, last.cumulative);
    let Some(sent) = channel::load(store)?.map(Channel::closing_sent) else { return Ok(RETRY) };
    let until_confirmed = sent.until_confirmed();
    channel::save(store, sent)?;
    Ok(until_confirmed)
}
