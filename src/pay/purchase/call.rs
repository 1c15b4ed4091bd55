//! The one call to the origin that a payment pays for, where it buys no refill (`payment: always`).

use serde::{Deserialize, Serialize};

use crate::time::{Millis, Span};

/// How long the gate may be silent about a call that it makes before the call counts as lost: 10 s. It says every
/// [`HEARTBEAT`] that it is still there.
pub const CALL_PATIENCE: Span = Span::seconds(10);
/// How often the gate says that it still makes a call: every 3 s.
pub const HEARTBEAT: Span = Span::seconds(3);
/// How long an answer is kept with its payment once it may be handed out: 10 min.
pub const ANSWER_LIFE: Span = Span::seconds(600);
/// The largest answer that is kept: 1 MiB.
pub const MAX_KEPT: usize = 1 << 20;

/// Where the call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// To be made; the origin was not called.
    Due,
    /// It was made and its answer reached nobody: to be made again once it is paid for.
    Owed,
    /// The gate makes it, and was heard of last at that instant.
    Running {
        /// When.
        heard: Millis,
    },
    /// The origin answered, and the answer is kept with the payment until then; while settling is under way, for as
    /// long as that takes.
    Kept {
        /// The status of the answer.
        status: u16,
        /// Until when, once that is known.
        until: Option<Millis>,
    },
    /// The origin answered, and the gate holds the answer until the payment is settled: it is too large to keep, or a
    /// stream.
    Unkept {
        /// The status of the answer.
        status: u16,
    },
    /// The answer was handed on, or is kept no longer.
    Passed {
        /// The status of the answer.
        status: u16,
    },
    /// The gate fell silent: nobody knows what the origin answered.
    Lost,
}

/// What the gate tells of the origin's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The status of the answer.
    pub status: u16,
    /// Whether the answer is kept with the payment.
    pub kept: bool,
}

impl Told {
    /// Whether the answer is sold: below 400.
    #[must_use]
    pub const fn is_sold(self) -> bool {
        self.status < 400
    }

    /// Where the call is then.
    #[must_use]
    pub const fn call(self, until: Option<Millis>) -> Call {
        if self.kept {
            Call::Kept { status: self.status, until }
        } else {
            Call::Unkept { status: self.status }
        }
    }
}

impl Call {
    /// Whether the origin was called, for certain or perhaps.
    #[must_use]
    pub const fn was_made(self) -> bool {
        !matches!(self, Self::Due)
    }

    /// Whether a gate has been silent about it for too long.
    #[must_use]
    pub fn is_lost(self, now: Millis) -> bool {
        self.lost_at().is_some_and(|at| now >= at)
    }

    /// When the gate's silence about it means that it is lost.
    #[must_use]
    pub const fn lost_at(self) -> Option<Millis> {
        match self {
            Self::Running { heard } => Some(heard.plus(CALL_PATIENCE)),
            Self::Due
            | Self::Owed
            | Self::Kept { .. }
            | Self::Unkept { .. }
            | Self::Passed { .. }
            | Self::Lost => None,
        }
    }

    /// Until when its answer is kept, where that is known.
    #[must_use]
    pub const fn kept_until(self) -> Option<Millis> {
        match self {
            Self::Kept { until, .. } => until,
            Self::Due
            | Self::Owed
            | Self::Running { .. }
            | Self::Unkept { .. }
            | Self::Passed { .. }
            | Self::Lost => None,
        }
    }

    /// A kept answer is kept until then.
    #[must_use]
    pub const fn kept_to(self, until: Millis) -> Self {
        match self {
            Self::Kept { status, until: None } => Self::Kept { status, until: Some(until) },
            other => other,
        }
    }

    /// The answer was handed on, or is kept no longer.
    #[must_use]
    pub const fn passed(self) -> Self {
        match self {
            Self::Kept { status, .. } | Self::Unkept { status } => Self::Passed { status },
            other => other,
        }
    }

    /// What the gate held was handed to nobody: the call is to be made again once it is paid for.
    #[must_use]
    pub const fn undelivered(self) -> Self {
        match self {
            Self::Unkept { .. } => Self::Owed,
            other => other,
        }
    }
}
