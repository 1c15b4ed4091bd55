//! A purchase of a trusted wallet: its account is credited before it is settled, and the credit is taken back if it fails.
//!
//! Only a refill that is paid by x402 comes here, and only where the owner asked for it; see [`crate::pay::trust`] for who
//! is trusted, and with how much.

use serde::{Deserialize, Serialize};

use super::Purchase;
use super::stage::{End, Stage};
use crate::pay::trust::News;

/// What trust has to do with a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trusting {
    pub(super) advance: Advance,
    /// What the trust was told of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<News>,
    /// The hash of the answer, once it has ended: the receipt is made when the payment is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response_hash: Option<String>,
}

/// Whether it is credited before it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Advance {
    /// It is to be asked whether the wallet is trusted.
    Due,
    /// It is settled first, as everybody's.
    Denied,
    /// The account has the credit, or is about to.
    Given,
    /// The settlement failed, and the credit was taken back.
    TakenBack,
}

impl Purchase {
    /// The same payment, of a wallet that may be trusted.
    #[must_use]
    pub fn on_trust(self) -> Self {
        let trusting = Trusting { advance: Advance::Due, told: None, response_hash: None };
        Self { trusting: Some(trusting), ..self }
    }

    /// The hash of the answer that it was credited for before it was settled, once that has ended.
    #[must_use]
    pub fn response_hash(&self) -> Option<&str> {
        self.trusting.as_ref()?.response_hash.as_deref()
    }

    /// Whether its account was credited before it was settled, and the credit was not taken back.
    #[must_use]
    pub fn is_advanced(&self) -> bool {
        self.has(Advance::Given)
    }

    /// Whether its account was credited and the ledger knows nothing of it. It is told while the payment is being settled, which
    /// waits for nothing.
    #[must_use]
    pub fn is_to_be_shown(&self) -> bool {
        self.is_advanced() && self.recorded.is_none()
    }

    pub(super) fn has(&self, advance: Advance) -> bool {
        self.trusting.as_ref().is_some_and(|trusting| trusting.advance == advance)
    }

    pub(super) fn note_trust(&mut self, note: impl FnOnce(&mut Trusting)) {
        if let Some(trusting) = &mut self.trusting {
            note(trusting);
        }
    }

    /// What the trust in the wallet does not know of it yet.
    pub(super) fn news(&self) -> Option<News> {
        let news = match &self.stage {
            Stage::Unknown { .. } | Stage::Held { .. } => News::Unknown,
            Stage::Credited { settlement, .. } if settlement.confirmed => News::Settled,
            Stage::Credited { .. } | Stage::Withdrawing { end: End::NotBegun(_) } => News::Ended,
            Stage::Withdrawing { .. } => News::Failed,
            Stage::Received
            | Stage::Unverified { .. }
            | Stage::Verified
            | Stage::Advancing
            | Stage::Advanced { .. }
            | Stage::Settling { .. }
            | Stage::Serving
            | Stage::Asking { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Refused { .. }
            | Stage::Spent { .. } => return None,
        };
        self.trusting.as_ref().is_some_and(|trusting| trusting.told != Some(news)).then_some(news)
    }
}
