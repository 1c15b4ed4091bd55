//! The nonce of a signed context, in an object of its own: the place where it is used once.

use worker::{Env, Error, Result};

use super::objects;
use super::record::{self, Storage};
use crate::contract::{AccountCall, KeptReceipt, Pledged, Promise};
use crate::limit::decision::Decision;
use crate::pay::context::{Pledge, StoredPledge};
use crate::pay::receipt::SignedReceipt;

/// Lets a registered wallet's request pass for what it signed that it owes, once. A request that its plan denies leaves the
/// nonce as it was.
pub(super) async fn take(env: &Env, store: &impl Storage, promise: Promise) -> Result<Pledged> {
    if load(store)?.is_some() {
        return Ok(Pledged::Used);
    }
    let Promise { account, attempt, amount, receipt_expires_at } = promise;
    if !objects::account::<bool>(env, &account, AccountCall::HasPlan).await? {
        return Ok(Pledged::Unregistered);
    }
    // The nonce is claimed before anything is counted under it: a process that dies here burns it, and nothing is owed.
    save(store, &Pledge { account: account.clone(), receipt: None, receipt_expires_at })?;
    let call = AccountCall::Pledge(attempt, amount);
    let decision: Option<Decision> = objects::account(env, &account, call).await?;
    if !decision.as_ref().is_some_and(Decision::is_admitted) {
        store.erase()?;
    }
    Ok(decision.map_or(Pledged::Unregistered, Pledged::Decided))
}

/// Keeps the receipt of the answer with the nonce that was used for it.
pub(super) fn keep_receipt(store: &impl Storage, receipt: &SignedReceipt) -> Result<KeptReceipt> {
    let Some(pledge) = load(store)? else {
        return Err(Error::RustError("nobody signed under this nonce".to_owned()));
    };
    let expires_at = pledge.receipt_expires_at;
    save(store, &Pledge { receipt: Some(receipt.clone()), ..pledge })?;
    Ok(KeptReceipt { signed: receipt.clone(), expires_at })
}

/// The receipt, if this is the object of a nonce that was used and its answer has ended.
pub(super) fn receipt(store: &impl Storage) -> Result<Option<KeptReceipt>> {
    let Some(Pledge { receipt: Some(signed), receipt_expires_at: expires_at, .. }) = load(store)? else {
        return Ok(None);
    };
    Ok(Some(KeptReceipt { signed, expires_at }))
}

/// Whether a stored record is a pledge.
pub(super) fn is_pledge(stored: &str) -> bool {
    serde_json::from_str::<StoredPledge>(stored).is_ok()
}

fn load(store: &impl Storage) -> Result<Option<Pledge>> {
    Ok(record::load(store)?.map(|StoredPledge::PledgeV1(pledge)| pledge))
}

fn save(store: &impl Storage, pledge: &Pledge) -> Result<()> {
    record::save(store, &StoredPledge::PledgeV1(pledge.clone()))
}
