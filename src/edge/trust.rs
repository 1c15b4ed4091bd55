//! The trust in a wallet, in an object of its own: the one place where it is earned, given and lost.

use worker::Result;

use super::clock;
use super::record::{self, Storage};
use crate::pay::amount::Amount;
use crate::pay::trust::{News, StoredTrust, Trust, TrustPolicy};
use crate::pay::x402::PaymentId;
use crate::time::Millis;

/// Whether the payment is credited before it is settled. Nobody is trusted where the owner trusts nobody.
pub(super) fn ask(
    store: &impl Storage,
    policy: Option<&TrustPolicy>,
    (payment, amount): (&PaymentId, Amount),
) -> Result<bool> {
    let Some(policy) = policy else { return Ok(false) };
    let (trust, given) = load(store)?.unwrap_or_default().ask(payment, amount, policy, clock::now());
    // Of a stranger nothing is kept.
    if given {
        save(store, trust)?;
    }
    Ok(given)
}

/// Takes in what became of a payment. Where the owner trusts nobody any more, nothing is kept.
pub(super) fn tell(
    store: &impl Storage,
    policy: Option<&TrustPolicy>,
    (payment, news): (&PaymentId, News),
    about: (Amount, Millis),
) -> Result<()> {
    let known = load(store)?;
    match policy {
        Some(policy) => save(store, known.unwrap_or_default().told(payment, news, about, policy)),
        None if known.is_some() => store.erase(),
        None => Ok(()),
    }
}

/// Whether a stored record is trust.
pub(super) fn is_trust(stored: &str) -> bool {
    serde_json::from_str::<StoredTrust>(stored).is_ok()
}

/// Whether nothing of it is left to remember.
pub(super) fn is_over(store: &impl Storage, policy: Option<&TrustPolicy>) -> Result<bool> {
    let Some(policy) = policy else { return Ok(true) };
    Ok(load(store)?.is_none_or(|trust| trust.is_over(policy, clock::now())))
}

fn load(store: &impl Storage) -> Result<Option<Trust>> {
    Ok(record::load(store)?.map(|StoredTrust::TrustV1(trust)| trust))
}

fn save(store: &impl Storage, trust: Trust) -> Result<()> {
    record::save(store, &StoredTrust::TrustV1(trust))
}
