//! What a chain says of an authorization whose settlement is in doubt (EIP-3009, over Ethereum's JSON-RPC).
//!
//! An authorization is used once, and the token's log says by which transaction. Who asks, asks in this order: the
//! latest block and an earlier one, the logs since the payment was presented, and then the transaction that used it, or
//! whether it can still be used. Nothing here calls anybody.

use serde::Deserialize;
use serde_json::{Value, json};

use super::amount::Amount;
use super::eip712::{Address, Hash32, TransferWithAuthorization, keccak256};

/// A transaction counts when its block is this old, two blocks of Base: 4 s. A facilitator's word needs one block.
const SETTLED_AFTER_SECONDS: u64 = 4;
/// An authorization can no longer be used when the chain's clock is this far past its last second: a minute.
const EXPIRED_AFTER_SECONDS: u64 = 60;
/// Logs are looked for from this long before the payment was presented: ten minutes.
const BEFORE_SECONDS: u64 = 600;
/// The most blocks that one question for logs covers; public nodes refuse many more.
pub const MAX_BLOCKS: u64 = 2_000;
/// How far back the block lies from which the time between blocks is told.
pub const SAMPLE_BLOCKS: u64 = 1_000;
/// The most questions for logs: 100,000 blocks, more than two days of Base.
pub const MAX_QUESTIONS: u64 = 50;

/// What the chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// This transaction paid, by that authorization.
    Paid {
        /// Its hash.
        transaction: Hash32,
    },
    /// It did not pay and never will.
    Never {
        /// Why, as a payer is told.
        why: String,
    },
    /// It was used a moment ago: that may be undone yet.
    TooFresh,
    /// It was not used, and may still be.
    Unused,
    /// Nothing can be concluded.
    Unclear {
        /// What was wrong, for logs.
        why: String,
    },
}

/// An authorization, and the token that it is for.
#[derive(Clone, Copy, Debug)]
pub struct Authorized<'a> {
    /// The chain that it is for (EIP-155).
    pub chain_id: u64,
    /// The token.
    pub asset: Address,
    /// What was signed.
    pub authorization: &'a TransferWithAuthorization,
}

/// A block, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A log of the token: what it says, and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    address: String,
    topics: Vec<String>,
    data: String,
    transaction_hash: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: String,
    block_number: String,
    transaction_hash: String,
    logs: Vec<Log>,
}

/// Whether a node is one of the chain: what it answers to `eth_chainId`.
#[must_use]
pub fn is_of_chain(authorized: &Authorized<'_>, result: &Value) -> bool {
    result.as_str().and_then(read_quantity) == Some(authorized.chain_id)
}

/// `eth_getBlockByNumber`: the parameters for that block, or for the latest.
#[must_use]
pub fn block_query(number: Option<u64>) -> Value {
    json!([number.map_or_else(|| "latest".to_owned(), quantity), false])
}

/// Reads a block.
///
/// # Errors
/// It has no number or time.
pub fn read_block(result: &Value) -> Result<Block, String> {
    let member = |name: &str| result.get(name).and_then(Value::as_str).and_then(read_quantity);
    match (member("number"), member("timestamp")) {
        (Some(number), Some(timestamp)) => Ok(Block { number, timestamp }),
        _ => Err("a block without number or timestamp".to_owned()),
    }
}

/// The block from which logs are looked for, of a payment that was presented at that unix second: by the time between
/// blocks, a quarter more.
#[must_use]
pub fn first_block(latest: Block, earlier: Block, presented_at: u64) -> u64 {
    let seconds = latest.timestamp.saturating_sub(presented_at.saturating_sub(BEFORE_SECONDS));
    let blocks = u128::from(latest.number.saturating_sub(earlier.number));
    let passed = u128::from(latest.timestamp.saturating_sub(earlier.timestamp)).max(1);
    let back =
        u128::from(seconds).saturating_mul(blocks).saturating_mul(5).div_ceil(passed.saturating_mul(4));
    latest.number.saturating_sub(u64::try_from(back).unwrap_or(u64::MAX))
}

/// `eth_getLogs`: who used or cancelled the authorization, in these blocks.
#[must_use]
pub fn logs_query(authorized: &Authorized<'_>, from: u64, to: u64) -> Value {
    let TransferWithAuthorization { from: payer, nonce, .. } = authorized.authorization;
    json!([{
        "address": authorized.asset.to_string(),
        "fromBlock": quantity(from),
        "toBlock": quantity(to),
        "topics": [[used_topic(), canceled_topic()], topic(*payer), nonce.to_string()],
    }])
}

/// The transaction that used or cancelled it, in a list of logs.
///
/// # Errors
/// The list cannot be read.
pub fn read_logs(result: Value) -> Result<Option<String>, String> {
    let logs: Vec<Log> = serde_json::from_value(result).map_err(|error| error.to_string())?;
    Ok(logs.into_iter().next().map(|log| log.transaction_hash))
}

/// The block that a transaction is in.
#[must_use]
pub fn block_of_receipt(result: &Value) -> Option<u64> {
    result.get("blockNumber").and_then(Value::as_str).and_then(read_quantity)
}

/// What the transaction that used the authorization did with it; `block` is the one that it is in.
#[must_use]
pub fn read_receipt(authorized: &Authorized<'_>, result: Value, block: Block, now_seconds: u64) -> Finding {
    let receipt: Receipt = match serde_json::from_value(result) {
        Ok(receipt) => receipt,
        Err(error) => return Finding::Unclear { why: format!("a receipt that cannot be read: {error}") },
    };
    if receipt.status != "0x1" || read_quantity(&receipt.block_number) != Some(block.number) {
        return Finding::Unclear { why: "the transaction that used it failed, or moved".to_owned() };
    }
    if now_seconds.saturating_sub(block.timestamp) < SETTLED_AFTER_SECONDS {
        return Finding::TooFresh;
    }
    let Ok(transaction) = receipt.transaction_hash.parse() else {
        return Finding::Unclear { why: "a transaction without a hash".to_owned() };
    };
    use_of(authorized, &receipt.logs, transaction)
}

/// The token says that the authorization was used, and in its next log what it moved by it.
fn use_of(authorized: &Authorized<'_>, logs: &[Log], transaction: Hash32) -> Finding {
    let TransferWithAuthorization { from, to, value, nonce, .. } = authorized.authorization;
    let ours: Vec<&Log> = logs.iter().filter(|log| is(&log.address, &authorized.asset.to_string())).collect();
    let names_it = |log: &Log| {
        let [kind, payer, used] = log.topics.as_slice() else { return None };
        let of_it = is(payer, &topic(*from)) && is(used, &nonce.to_string());
        of_it.then(|| {
            if is(kind, &used_topic()) { Some(true) } else { is(kind, &canceled_topic()).then_some(false) }
        })?
    };
    let Some((place, was_used)) =
        ours.iter().enumerate().find_map(|(place, log)| Some((place, names_it(log)?)))
    else {
        return Finding::Unclear { why: "the transaction does not name the authorization".to_owned() };
    };
    let elsewhere = |why: &str| Finding::Never { why: why.to_owned() };
    if !was_used {
        return elsewhere("authorization_canceled");
    }
    match ours.get(place.saturating_add(1)).map(|log| (log.topics.as_slice(), log.data.as_str())) {
        Some(([kind, sender, receiver], amount))
            if is(kind, &transfer_topic()) && is(sender, &topic(*from)) =>
        {
            if is(receiver, &topic(*to)) && read_amount(amount) == Some(Amount::new(*value)) {
                Finding::Paid { transaction }
            } else {
                elsewhere("authorization_used_for_another_payment")
            }
        }
        _ => Finding::Unclear { why: "the token does not say what it moved".to_owned() },
    }
}

/// `eth_call` of `authorizationState(authorizer, nonce)`.
#[must_use]
pub fn state_query(authorized: &Authorized<'_>) -> Value {
    let TransferWithAuthorization { from, nonce, .. } = authorized.authorization;
    let selector: String = hash("authorizationState(address,bytes32)").chars().take(10).collect();
    let data = [selector.as_str(), digits(&topic(*from)), digits(&nonce.to_string())].concat();
    json!([{ "to": authorized.asset.to_string(), "data": data }, "latest"])
}

/// What follows from whether an authorization that no log names was used; `latest` is the block that this is true of.
#[must_use]
pub fn read_state(authorized: &Authorized<'_>, result: &Value, latest: Block) -> Finding {
    let used = result.as_str().and_then(read_amount);
    let last_second = authorized.authorization.valid_before.saturating_add(EXPIRED_AFTER_SECONDS);
    match used.map(Amount::atomic) {
        Some(0) if latest.timestamp > last_second => {
            Finding::Never { why: "authorization_expired".to_owned() }
        }
        Some(0) => Finding::Unused,
        Some(_) => Finding::Unclear { why: "it was used, and no log says by what".to_owned() },
        None => Finding::Unclear { why: "the token does not know authorizations".to_owned() },
    }
}

fn is(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn hash(signature: &str) -> String {
    Hash32::new(keccak256(signature.as_bytes())).to_string()
}

fn used_topic() -> String {
    hash("AuthorizationUsed(address,bytes32)")
}

fn canceled_topic() -> String {
    hash("AuthorizationCanceled(address,bytes32)")
}

fn transfer_topic() -> String {
    hash("Transfer(address,address,uint256)")
}

/// An address as a topic: padded on the left to 32 bytes.
fn topic(address: Address) -> String {
    format!("0x{:0>64}", digits(&address.to_string()))
}

fn digits(hex: &str) -> &str {
    hex.strip_prefix("0x").unwrap_or(hex)
}

fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

fn read_quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// A word of 32 bytes as an amount; none where it is larger than any.
fn read_amount(word: &str) -> Option<Amount> {
    let digits = word.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    u128::from_str_radix(digits, 16).ok().map(Amount::new)
}

#[cfg(test)]
#[path = "chain/tests.rs"]
mod tests;
