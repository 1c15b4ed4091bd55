//! What has to be done next for a purchase.

use super::Purchase;
use super::advance::Advance;
use super::call::Call;
use super::stage::{Announced, Closing, Stage};
use crate::pay::trust::News;
use crate::time::{Millis, Span};

/// What buys nothing more is forgotten when its authorization has expired, if that is within a day; one that is good for
/// longer is remembered for good.
const LONGEST_MEMORY: Span = Span::seconds(24 * 3600);

/// What has to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask a facilitator whether the payment is valid.
    Verify,
    /// Ask the account whether the call that is paid for may pass its other limits.
    Admit,
    /// Ask the chain what became of the authorization.
    AskChain,
    /// Delete the answer that was kept.
    ForgetAnswer,
    /// Tell the account that it is about to be settled.
    Announce,
    /// Ask whether the wallet is trusted.
    AskTrust,
    /// Credit the account before it is settled.
    Advance,
    /// Take back what the account was credited before it was settled.
    TakeBack,
    /// Tell the trust in the wallet what became of it.
    TellTrust(News),
    /// Have the facilitator settle it.
    Settle,
    /// Claim the transaction for this payment.
    ClaimTransaction(String),
    /// Credit the account.
    Credit,
    /// Tell the account that it was refused.
    Withdraw,
    /// Tell the account that the credit will not be repeated.
    Acknowledge,
    /// Write it into the ledger.
    Record,
    /// Make the receipt that the gate did not bring.
    SignReceipt,
    /// Put the receipt where it is read.
    KeepReceipt,
    /// Nothing until then; nothing at all when there is no instant.
    Rest(Option<Millis>),
}

impl Purchase {
    /// What has to be done now. What a client waits for comes first, the rest after it.
    #[must_use]
    pub fn step(&self, now: Millis) -> Step {
        match &self.stage {
            Stage::Received => Step::Verify,
            Stage::Verified if self.call.is_some() => Step::Admit,
            Stage::Verified if self.has(Advance::Due) => Step::AskTrust,
            Stage::Verified => Step::Announce,
            Stage::Advancing => Step::Advance,
            // The client has its answer: the alarm begins to settle.
            Stage::Advanced { at } => Step::Rest(Some(*at)),
            Stage::Serving => Step::Rest(self.call.and_then(Call::lost_at)),
            Stage::Settling { .. } => Step::Settle,
            // Nobody may be asked to pay again from now on.
            Stage::Unknown { .. } if !self.is_announced() => Step::Announce,
            Stage::Unknown { retry_at, .. } => self.tell_or_record_or(Step::Rest(Some(*retry_at))),
            Stage::Asking { .. } => Step::AskChain,
            Stage::Claiming { settlement, .. } => Step::ClaimTransaction(settlement.transaction.clone()),
            Stage::Crediting { .. } => Step::Credit,
            Stage::Withdrawing { .. } => self.withdrawing_step(),
            Stage::Credited { closing, .. } => self.closing_step(closing, now),
            Stage::Spent { .. } => self.spent_step(now),
            Stage::Held { .. } => self.tell_or_record_or(Step::Rest(None)),
            Stage::Unverified { .. } | Stage::Refused { .. } => Step::Rest(None),
        }
    }

    /// Whether the account knows of it: of a refill since before it is settled, of one call since it is in doubt.
    pub(super) const fn is_announced(&self) -> bool {
        self.call.is_none() || matches!(self.announced, Announced::Yes)
    }

    /// What is left to do once it buys nothing more: its answer is deleted, and then it is forgotten itself.
    fn spent_step(&self, now: Millis) -> Step {
        match self.call.and_then(Call::kept_until) {
            Some(until) if now < until => Step::Rest(Some(until)),
            Some(_) => Step::ForgetAnswer,
            None => {
                let rest = Step::Rest(self.expires().filter(|at| at.since(now) <= LONGEST_MEMORY));
                if self.has(Advance::TakenBack) { self.record_or(rest) } else { rest }
            }
        }
    }

    /// When its authorization can no longer be settled, where that is understood.
    pub(super) fn expires(&self) -> Option<Millis> {
        let end = self.payment.valid_before()?;
        Some(Millis::new(end.saturating_add(1).saturating_mul(1_000)))
    }

    fn record_or(&self, step: Step) -> Step {
        if self.recorded == Some(self.state()) { step } else { Step::Record }
    }

    /// The trust hears first: until it does, it may give more.
    fn tell_or_record_or(&self, step: Step) -> Step {
        self.news().map_or_else(|| self.record_or(step), Step::TellTrust)
    }

    fn withdrawing_step(&self) -> Step {
        let end = if self.is_advanced() { Step::TakeBack } else { Step::Withdraw };
        self.news().map_or(end, Step::TellTrust)
    }

    fn closing_step(&self, closing: &Closing, now: Millis) -> Step {
        if !closing.acknowledged {
            return Step::Acknowledge;
        }
        let Step::Rest(_) = self.tell_or_record_or(Step::Rest(None)) else {
            return self.tell_or_record_or(Step::Rest(None));
        };
        if closing.receipt.is_some() && !closing.receipt_kept {
            return Step::KeepReceipt;
        }
        if closing.receipt.is_none() && (now >= closing.receipt_due || self.response_hash().is_some()) {
            return Step::SignReceipt;
        }
        let receipt_due = Some(closing.receipt_due).filter(|_| closing.receipt.is_none());
        match self.call.and_then(Call::kept_until) {
            Some(until) if now >= until => Step::ForgetAnswer,
            until => {
                let lost_at = self.call.and_then(Call::lost_at);
                Step::Rest([receipt_due, until, lost_at].into_iter().flatten().min())
            }
        }
    }
}
