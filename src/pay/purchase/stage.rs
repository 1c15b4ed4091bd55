//! Where a purchase is: its stages, and what is known in each.

use serde::{Deserialize, Serialize};

use super::progress::Progress;
use super::settlement::Settlement;
use crate::pay::receipt::SignedReceipt;
use crate::time::Millis;

/// Why a payment for one call buys nothing more: the origin was called, and its answer was lost.
pub const ANSWER_LOST: &str = "answer_lost";
/// Why a payment for one call buys nothing more: the origin answered with a failure.
pub const ORIGIN_FAILED: &str = "origin_failed";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Announced {
    /// It was never told.
    #[default]
    No,
    /// It may have been: whoever told it may have died, or been misinformed. It must be told of the end.
    Maybe,
    /// It confirmed that it knows.
    Yes,
}

impl Announced {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(super) const fn is_not(&self) -> bool {
        matches!(*self, Self::No)
    }
}

/// Where a purchase is, with what is known there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one is held at a time")]
pub(super) enum Stage {
    /// Presented; nothing has happened. Never stored.
    Received,
    /// No facilitator answered whether it is valid. Never stored: nothing was begun.
    Unverified { why: String },
    /// Valid, and the account is being told of it. Stored, so that what the account was told is taken back if the
    /// process dies here; settling has not begun.
    Verified,
    /// Valid, and its wallet is trusted: the account must be credited before it is settled.
    Advancing,
    /// Credited, and settling has not begun. Stored, so that the alarm begins it.
    Advanced { at: Millis },
    /// The account knows of it; settling begins or is repeated. `retries` above zero: it had begun before.
    Settling { retries: u32, since: Millis },
    /// The gate calls the origin; settling begins when it answers below 400.
    Serving,
    /// Settling began and its outcome is not known.
    Unknown { why: String, retries: u32, since: Millis, retry_at: Millis },
    /// Settling began, its outcome is not known, and the chain is asked.
    Asking { why: String, retries: u32, since: Millis },
    /// Settled by this transaction, which no other payment may claim.
    Claiming { settlement: Settlement, retries: u32, since: Millis },
    /// Settled; the account must be credited.
    Crediting { settlement: Settlement },
    /// Credited.
    Credited { settlement: Settlement, closing: Closing },
    /// Ended without money moving, and the account was told of it, which must be told again.
    Withdrawing { end: End },
    /// Refused for certain: no money moved.
    Refused { reason: String },
    /// Ended without money moving, after the origin was called for it: it buys nothing more.
    Spent { end: End },
    /// Its outcome could not be found out; the owner decides.
    Held { why: String, since: Millis },
}

/// How a purchase ends without money moving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// The facilitator refused to settle it.
    Refused(String),
    /// Settling never began.
    NotBegun(String),
    /// The origin answered with this status, which is not sold.
    NotSold(u16),
    /// The origin was called, and its answer was lost before settling began.
    AnswerLost,
}

/// What is left to do once it is credited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closing {
    pub(super) acknowledged: bool,
    pub(super) receipt: Option<SignedReceipt>,
    pub(super) receipt_kept: bool,
    pub(super) receipt_due: Millis,
}

impl End {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::NotBegun(reason) => reason,
            Self::NotSold(_) => ORIGIN_FAILED,
            Self::AnswerLost => ANSWER_LOST,
        }
    }

    pub(super) fn progress(&self) -> Progress<'_> {
        match self {
            Self::NotBegun(why) => Progress::Unavailable(why),
            Self::NotSold(status) => Progress::NotSold(*status),
            Self::Refused(_) | Self::AnswerLost => Progress::Refused(self.reason()),
        }
    }
}
