//! What is seen of a purchase from outside: by the owner, by whoever presented it, by the storage.

use serde::{Deserialize, Serialize};

use super::Purchase;
use super::advance::Advance;
use super::settlement::Settlement;
use super::stage::Stage;

/// The name of a stage, as the owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Presented, nothing begun.
    Received,
    /// Being settled.
    Settling,
    /// Settling began and its outcome is not known.
    Unknown,
    /// Settled and not yet credited.
    Settled,
    /// Credited.
    Credited,
    /// Refused; no money moved.
    Refused,
    /// Refused; no money moved, and what was credited before was taken back.
    TakenBack,
    /// Held for the owner.
    Held,
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Settling => "settling",
            Self::Unknown => "unknown",
            Self::Settled => "settled",
            Self::Credited => "credited",
            Self::Refused => "refused",
            Self::TakenBack => "taken-back",
            Self::Held => "held",
        }
    }
}

/// What a presenter is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It was credited, by this settlement.
    Credited(&'a Settlement),
    /// It was credited before it is settled.
    Advanced,
    /// It was refused for certain.
    Refused(&'a str),
    /// The origin is being called for it.
    Serving,
    /// The origin answered with this status, and nothing was taken.
    NotSold(u16),
    /// No facilitator answered; nothing was begun.
    Unavailable(&'a str),
    /// It is on its way, or its outcome is unknown.
    Pending,
}

impl Purchase {
    /// Where it is, as the owner sees it.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Received | Stage::Unverified { .. } | Stage::Verified | Stage::Serving => State::Received,
            Stage::Advancing | Stage::Advanced { .. } | Stage::Settling { .. } => State::Settling,
            Stage::Unknown { .. } | Stage::Asking { .. } => State::Unknown,
            Stage::Claiming { .. } | Stage::Crediting { .. } => State::Settled,
            Stage::Credited { .. } => State::Credited,
            Stage::Spent { .. } if self.has(Advance::TakenBack) => State::TakenBack,
            Stage::Withdrawing { .. } | Stage::Refused { .. } | Stage::Spent { .. } => State::Refused,
            Stage::Held { .. } => State::Held,
        }
    }

    /// What a presenter is told.
    #[must_use]
    pub fn progress(&self) -> Progress<'_> {
        match &self.stage {
            Stage::Credited { settlement, .. } => Progress::Credited(settlement),
            Stage::Serving => Progress::Serving,
            Stage::Refused { reason } => Progress::Refused(reason),
            Stage::Unverified { why } => Progress::Unavailable(why),
            Stage::Withdrawing { end } | Stage::Spent { end } => end.progress(),
            Stage::Advanced { .. }
            | Stage::Settling { .. }
            | Stage::Unknown { .. }
            | Stage::Asking { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Held { .. }
                if self.is_advanced() =>
            {
                Progress::Advanced
            }
            Stage::Received
            | Stage::Verified
            | Stage::Advancing
            | Stage::Advanced { .. }
            | Stage::Settling { .. }
            | Stage::Unknown { .. }
            | Stage::Asking { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Held { .. } => Progress::Pending,
        }
    }

    /// Whether its state must be stored before the next step. Before it is found valid nothing has happened that could
    /// be lost, and a refused payment leaves nothing behind.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        match &self.stage {
            Stage::Received | Stage::Unverified { .. } | Stage::Refused { .. } => false,
            Stage::Verified
            | Stage::Advancing
            | Stage::Advanced { .. }
            | Stage::Serving
            | Stage::Settling { .. }
            | Stage::Unknown { .. }
            | Stage::Asking { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Credited { .. }
            | Stage::Withdrawing { .. }
            | Stage::Spent { .. }
            | Stage::Held { .. } => true,
        }
    }
    /// Whether the presenter's answer is known, or will not come soon: the rest can be done later, by alarm.
    #[must_use]
    pub fn can_answer(&self) -> bool {
        match &self.stage {
            Stage::Unknown { .. } => self.is_announced(),
            Stage::Credited { .. }
            | Stage::Refused { .. }
            | Stage::Unverified { .. }
            | Stage::Advanced { .. }
            | Stage::Serving
            | Stage::Spent { .. }
            | Stage::Held { .. } => true,
            Stage::Received
            | Stage::Verified
            | Stage::Advancing
            | Stage::Asking { .. }
            | Stage::Settling { .. }
            | Stage::Claiming { .. }
            | Stage::Crediting { .. }
            | Stage::Withdrawing { .. } => false,
        }
    }
}
