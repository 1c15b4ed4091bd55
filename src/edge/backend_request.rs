//! A request that a backend asks about, in an object of its own: the place where its id is used once.

use worker::{Env, Result};

use super::objects;
use super::record::{self, Storage};
use crate::client::AccountId;
use crate::contract::{AccountCall, Attempt, Attempted, Done, End};
use crate::limit::decision::{Decision, Verdict};
use crate::limit::request::{RequestRecord, StoredRequest};
use crate::limit::units::Units;

/// Decides about the request, once: an admitted one keeps its answer.
pub(super) async fn attempt(
    env: &Env,
    store: &impl Storage,
    account: AccountId,
    endpoint: String,
    attempt: Attempt,
) -> Result<Attempted> {
    let record = load(store)?.unwrap_or_else(|| RequestRecord::new(account.clone(), endpoint.clone()));
    if !record.is_of(&account, &endpoint) {
        return Ok(Attempted::IdUsed);
    }
    if let Some(decision) = record.admitted() {
        return Ok(Attempted::Decided(decision.clone()));
    }
    // The id is claimed before anything is counted under it.
    save(store, &record)?;
    let decision: Decision = objects::account(env, &account, AccountCall::Attempt(attempt)).await?;
    save(store, &record.decided(&decision))?;
    Ok(Attempted::Decided(decision))
}

/// Tells the account that the request has ended, once; whether the request is known.
pub(super) async fn end(env: &Env, store: &impl Storage, request: &str, units: Units) -> Result<bool> {
    let Some(record) = load(store)? else { return Ok(false) };
    if let Some(decision) = record.to_end() {
        let beyond = matches!(&decision.verdict, Verdict::Admitted(admitted) if admitted.beyond);
        let end = End { request: request.to_owned(), endpoint: decision.endpoint.clone(), units, beyond };
        objects::account::<Done>(env, record.account(), AccountCall::End(end)).await?;
        save(store, &record.ended())?;
    }
    Ok(true)
}

fn load(store: &impl Storage) -> Result<Option<RequestRecord>> {
    Ok(record::load(store)?.map(|StoredRequest::V1(record)| record))
}

fn save(store: &impl Storage, record: &RequestRecord) -> Result<()> {
    record::save(store, &StoredRequest::V1(record.clone()))
}
