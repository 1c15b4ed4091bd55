//! Asks a chain node what became of an authorization.

use url::Url;

use super::node::call;
use crate::pay::chain::{
    Authorized, Finding, MAX_BLOCKS, MAX_QUESTIONS, SAMPLE_BLOCKS, block_of_receipt, block_query,
    first_block, is_of_chain, logs_query, read_block, read_logs, read_receipt, read_state, state_query,
};
use crate::time::Millis;

type Answer<T> = std::result::Result<T, String>;

/// What the chain says of an authorization that was presented then.
pub(super) async fn look(rpc: &Url, authorized: &Authorized<'_>, presented: Millis, now: Millis) -> Finding {
    let finding = search(rpc, authorized, presented, now).await;
    finding.unwrap_or_else(|why| Finding::Unclear { why })
}

async fn search(rpc: &Url, authorized: &Authorized<'_>, presented: Millis, now: Millis) -> Answer<Finding> {
    if !is_of_chain(authorized, &call(rpc, "eth_chainId", &serde_json::json!([])).await?) {
        return Err("the node is one of another chain".to_owned());
    }
    let latest = read_block(&call(rpc, "eth_getBlockByNumber", &block_query(None)).await?)?;
    let sample = block_query(Some(latest.number.saturating_sub(SAMPLE_BLOCKS)));
    let earlier = read_block(&call(rpc, "eth_getBlockByNumber", &sample).await?)?;
    let first = first_block(latest, earlier, presented.seconds());
    if let Some(transaction) = transaction_in(rpc, authorized, first, latest.number).await? {
        let receipt = call(rpc, "eth_getTransactionReceipt", &serde_json::json!([transaction])).await?;
        let number = block_of_receipt(&receipt).ok_or("a transaction that is in no block")?;
        let block = read_block(&call(rpc, "eth_getBlockByNumber", &block_query(Some(number))).await?)?;
        return Ok(read_receipt(authorized, receipt, block, now.seconds()));
    }
    let state = call(rpc, "eth_call", &state_query(authorized)).await?;
    Ok(read_state(authorized, &state, latest))
}

/// The transaction that used or cancelled the authorization, if one in those blocks did.
async fn transaction_in(
    rpc: &Url,
    authorized: &Authorized<'_>,
    first: u64,
    latest: u64,
) -> Answer<Option<String>> {
    let mut from = first;
    for _ in 0..MAX_QUESTIONS {
        let to = from.saturating_add(MAX_BLOCKS).saturating_sub(1).min(latest);
        let logs = call(rpc, "eth_getLogs", &logs_query(authorized, from, to)).await?;
        match read_logs(logs)? {
            None if to < latest => from = to.saturating_add(1),
            found => return Ok(found),
        }
    }
    Err("the payment is too many blocks ago".to_owned())
}
