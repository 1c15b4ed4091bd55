//! Settling: what a facilitator and the chain say of it, and what is done while nobody knows.

use super::stage::{End, Stage};
use super::{Event, Settlement, SettlementPolicy};
use crate::pay::amount::Amount;
use crate::pay::chain::Finding;
use crate::pay::x402::facilitator::SettleAnswer;
use crate::time::{Millis, Span};

/// The first retry of a settlement whose outcome is unknown comes after a second; each next one waits twice as long.
const FIRST_RETRY: Span = Span::seconds(1);
/// The longest wait between two retries: 5 min.
const LONGEST_RETRY: Span = Span::seconds(300);

/// What decides a settlement that had begun before and is answered with a refusal.
pub(super) struct Doubt<'a> {
    pub(super) amount: Amount,
    pub(super) expired: bool,
    pub(super) policy: &'a SettlementPolicy,
}

impl Doubt<'_> {
    /// Whether a refusal may come of the payment's own success: it took the nonce, or the last of the money; and an
    /// authorization that has expired is refused for that alone.
    fn covers(&self, reason: &str) -> bool {
        let reason = reason.to_ascii_lowercase();
        self.expired
            || self.policy.asks_chain
            || ["simulation", "funds", "balance"].iter().any(|word| reason.contains(word))
    }
}

pub(super) fn settling(event: Event, retries: u32, since: Millis, doubt: &Doubt<'_>, now: Millis) -> Stage {
    let begun_before = retries > 0;
    match event {
        Event::Settled(SettleAnswer::Settled { transaction, payer }) => {
            let settlement = Settlement { transaction, confirmed: true, at: now, payer };
            Stage::Claiming { settlement, retries, since }
        }
        // Somebody who saw the authorization may have carried it out before us: then we were paid.
        Event::Settled(SettleAnswer::NonceUsed { reason }) if !begun_before && doubt.policy.asks_chain => {
            Stage::Asking { why: reason, retries, since }
        }
        // An answer to our first try is certain: had it gone through, it would have said so.
        Event::Settled(SettleAnswer::Refused { reason } | SettleAnswer::NonceUsed { reason })
            if !begun_before =>
        {
            Stage::Withdrawing { end: End::Refused(reason) }
        }
        Event::Settled(SettleAnswer::NonceUsed { reason }) if !doubt.policy.asks_chain => {
            in_doubt(reason, since, doubt, now)
        }
        Event::Settled(SettleAnswer::NonceUsed { reason }) => retry_later(reason, retries, since, now),
        Event::Settled(SettleAnswer::Refused { reason }) if doubt.covers(&reason) => {
            retry_later(reason, retries, since, now)
        }
        Event::Settled(SettleAnswer::Refused { reason }) => Stage::Withdrawing { end: End::Refused(reason) },
        Event::Settled(SettleAnswer::Unknown { why, .. }) | Event::StepFailed(why) => {
            retry_later(why, retries, since, now)
        }
        Event::Resumed => {
            retry_later("the process ended while it was being settled".to_owned(), retries, since, now)
        }
        _ => Stage::Settling { retries, since },
    }
}

/// "Nonce already used", of a settlement that had begun before: this payment went through, or the payer spent the
/// same nonce on something else. Without a chain to ask, the owner's limit decides (HTTP.md, "Doubt").
fn in_doubt(reason: String, since: Millis, doubt: &Doubt<'_>, now: Millis) -> Stage {
    if doubt.amount <= doubt.policy.unconfirmed_limit {
        let settlement = Settlement { transaction: String::new(), confirmed: false, at: now, payer: None };
        return Stage::Crediting { settlement };
    }
    Stage::Held { why: reason, since }
}

fn retry_later(why: String, retries: u32, since: Millis, now: Millis) -> Stage {
    let factor = 1_u64.checked_shl(retries).unwrap_or(u64::MAX);
    let wait = Span::millis(FIRST_RETRY.get().saturating_mul(factor)).min(LONGEST_RETRY);
    Stage::Unknown { why, retries: retries.saturating_add(1), since, retry_at: now.plus(wait) }
}

pub(super) fn unknown(
    event: &Event,
    (why, retries, since, retry_at): (String, u32, Millis, Millis),
    policy: &SettlementPolicy,
    now: Millis,
) -> Stage {
    match event {
        Event::Resumed if now.since(since) > policy.give_up_after => Stage::Held { why, since },
        Event::Resumed if now >= retry_at => tried_again(why, retries, since, policy),
        Event::Retried => tried_again(why, retries, since, policy),
        _ => Stage::Unknown { why, retries, since, retry_at },
    }
}

/// Another try to find out what became of a settlement: the chain is asked first, if there is one to ask.
pub(super) fn tried_again(why: String, retries: u32, since: Millis, policy: &SettlementPolicy) -> Stage {
    if policy.asks_chain { Stage::Asking { why, retries, since } } else { Stage::Settling { retries, since } }
}

pub(super) fn asking(event: Event, (why, retries, since): (String, u32, Millis), now: Millis) -> Stage {
    match event {
        Event::ChainSaid(Finding::Paid { transaction }) => {
            let settlement =
                Settlement { transaction: transaction.to_string(), confirmed: true, at: now, payer: None };
            Stage::Claiming { settlement, retries, since }
        }
        Event::ChainSaid(Finding::Never { why }) => Stage::Withdrawing { end: End::Refused(why) },
        Event::ChainSaid(Finding::TooFresh) => {
            retry_later("the transaction is too fresh".to_owned(), retries, since, now)
        }
        // To our first try the facilitator said that it was used, and the chain does not know of it.
        Event::ChainSaid(Finding::Unused | Finding::Unclear { .. }) | Event::StepFailed(_)
            if retries == 0 =>
        {
            Stage::Withdrawing { end: End::Refused(why) }
        }
        // It may still be settled, or nobody could tell: the facilitator is asked again.
        Event::ChainSaid(Finding::Unused | Finding::Unclear { .. }) | Event::StepFailed(_) => {
            Stage::Settling { retries, since }
        }
        _ => Stage::Asking { why, retries, since },
    }
}

pub(super) fn claiming(
    event: &Event,
    settlement: Settlement,
    retries: u32,
    since: Millis,
    now: Millis,
) -> Stage {
    match event {
        Event::TransactionClaimed(true) => Stage::Crediting { settlement },
        Event::TransactionClaimed(false) => {
            retry_later("the facilitator named another payment's transaction".to_owned(), retries, since, now)
        }
        _ => Stage::Claiming { settlement, retries, since },
    }
}
