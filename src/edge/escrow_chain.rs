//! The escrow's chain: sends a client's transaction there and reads a channel.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use worker::{Delay, console_error};

use super::node::call;
use crate::config::payment::SessionConfig;
use crate::pay::eip712::{Hash32, SigningKey};
use crate::pay::mpp::session::action::RawTransaction;
use crate::pay::mpp::session::channel::ChannelFault;
use crate::pay::mpp::session::escrow::{self, OnChain};
use crate::pay::mpp::session::redeem::{self, Next};
use crate::pay::mpp::session::voucher::Voucher;
use crate::pay::node::NoResult;

/// How often a transaction's receipt is asked for, and how long between: 15 s in all, many blocks of such chains.
const ASKED: u32 = 30;
const BETWEEN: Duration = Duration::from_millis(500);

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
    console_error!("the chain node of sessions: no receipt of {hash}");
    Err(ChannelFault::Unconfirmed)
}

/// What the escrow says of a channel.
pub(super) async fn read(
    session: &SessionConfig,
    channel: &Hash32,
) -> std::result::Result<OnChain, ChannelFault> {
    match call(&session.rpc, "eth_call", &escrow::query(&session.escrow, channel)).await {
        Ok(result) => escrow::read(&result).map_err(|why| unavailable(&why)),
        Err(NoResult::NoAnswer(why) | NoResult::Refused(why)) => Err(unavailable(&why)),
    }
}

fn unavailable(why: &str) -> ChannelFault {
    console_error!("the chain node of sessions: {why}");
    ChannelFault::ChainUnavailable
}

/// Closes a channel with its last voucher, as its payee.
pub(super) async fn close(
    session: &SessionConfig,
    payee: &SigningKey,
    last: &Voucher,
) -> std::result::Result<(), NoResult> {
    let address = payee.address().to_string();
    let nonce =
        quantity(&call(&session.rpc, "eth_getTransactionCount", &json!([address, "pending"])).await?)?;
    let price = quantity(&call(&session.rpc, "eth_gasPrice", &json!([])).await?)?;
    // Twice what gas costs now: what is not needed is not paid.
    let next = Next { nonce, gas_price: u128::from(price).saturating_mul(2) };
    let transaction = redeem::close(&session.escrow, last, next, payee)
        .ok_or_else(|| NoResult::Refused("a voucher without a signature".to_owned()))?;
    call(&session.rpc, "eth_sendRawTransaction", &json!([transaction.as_str()])).await.map(|_| ())
}

fn quantity(result: &Value) -> std::result::Result<u64, NoResult> {
    let digits = result.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| NoResult::NoAnswer(format!("{result} is no quantity")))
}
