//! What is decided about a request, as values that the gate obeys.

use serde::{Deserialize, Serialize};

use super::standing::Standing;
use super::tokens::Tokens;
use crate::endpoint::EndpointName;
use crate::pay::amount::Price;
use crate::problem::ProblemKind;
use crate::time::{Millis, Span};

/// What was decided about a request, and where the client stands after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The plan that was applied.
    pub plan: String,
    /// The endpoint of the plan; as asked for, where the plan has none.
    pub endpoint: EndpointName,
    /// Admitted or not, and why.
    pub verdict: Verdict,
    /// Where the client stands with each limit of the endpoint.
    pub standings: Vec<Standing>,
    /// When it was decided: spans of time count from here.
    pub at: Millis,
}

impl Decision {
    /// Whether the request may pass.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        matches!(self.verdict, Verdict::Admitted(_))
    }
}

/// Admitted or not, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may pass, and was counted.
    Admitted(Admitted),
    /// The plan does not list the endpoint.
    NoAccess,
    /// Over the limit. It was counted nowhere.
    Denied(Denied),
}

/// How an admitted request passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "facts that do not exclude one another")]
pub struct Admitted {
    /// Of its tokens, those that were paid for: given back when the origin fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paid: Tokens,
    /// The prepaid credits that it costs: given back when the origin fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub credits: Tokens,
    /// It is queued: it passes when this time is over, in order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: Span,
    /// It is over the limit and passes degraded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub degraded: bool,
    /// Where a degraded request goes instead: a path at the origin, or a URL.
    #[serde(default, skip_serializing_if = "is_default")]
    pub degrade_to: Option<String>,
    /// Its end must be told, because it holds a slot or its final units count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tell_end: bool,
    /// Some of it went beyond a quota that lets it pass for a price.
    #[serde(default, skip_serializing_if = "is_default")]
    pub beyond: bool,
    /// A window or quota that it counts in is larger than the plan's, because more of it was bought.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bought: bool,
}

impl Admitted {
    /// Whether somebody pays for it, was paid for it, or may owe for it: its answer is that client's alone.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.paid > Tokens::ZERO || self.credits > Tokens::ZERO || self.beyond || self.bought
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What kind of limit denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeniedBy {
    /// A bucket or a window.
    Limit,
    /// All slots are held.
    Slots,
    /// As many requests wait as may.
    QueueFull,
    /// No limit: each call is paid, and this one is not.
    Price,
    /// A quota.
    Quota,
    /// The account has too few prepaid credits.
    Credits,
}

impl DeniedBy {
    /// The problem that a client is told.
    #[must_use]
    pub const fn problem(self) -> ProblemKind {
        match self {
            Self::Limit => ProblemKind::RateLimited,
            Self::Slots => ProblemKind::TooManyConcurrent,
            Self::QueueFull => ProblemKind::QueueFull,
            Self::Price => ProblemKind::PaymentRequired,
            Self::Quota => ProblemKind::QuotaExceeded,
            Self::Credits => ProblemKind::InsufficientCredits,
        }
    }
}

/// Why and for how long a request over the limit is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denied {
    /// What kind of limit denies.
    pub by: DeniedBy,
    /// The name of the limit that denies longest: that of its [`Standing`].
    pub limit: String,
    /// The time after which this very request would be admitted; `None` when waiting never helps.
    pub wait: Option<Span>,
    /// What is for sale, where a payment helps.
    pub offer: Option<SaleTerms>,
    /// A payment of this account is being settled, or its outcome is unknown: nobody may be asked to pay again.
    pub payment_pending: bool,
    /// Too many payments of this account failed: for so long none is looked at.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures_wait: Option<Span>,
}

impl Denied {
    /// A denial as the limits alone decide it.
    #[must_use]
    pub const fn new(by: DeniedBy, limit: String, wait: Option<Span>, offer: Option<SaleTerms>) -> Self {
        Self { by, limit, wait, offer, payment_pending: false, failures_wait: None }
    }
}

/// The terms of a refill, or of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaleTerms {
    /// What it costs.
    pub price: Price,
    /// What it adds, to each limit that denied; nothing where one call is sold.
    pub grants: Vec<Grant>,
    /// Whether it pays for one call, and adds to no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_call: bool,
    /// What this request alone needs of each of them: for who pays by the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub single: Vec<Grant>,
}

/// What was decided about units that a request uses while it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Furthered {
    /// They are within the limits, and were counted.
    Taken,
    /// They are beyond a limit, and were not counted: this is what they cost.
    ForSale(SaleTerms),
    /// Nothing more is for sale, so that they were not counted: they count at the end, past the limit if need be.
    NotSold,
}

/// What a payment adds to a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The limit's name.
    pub limit: String,
    /// Tokens on top of a bucket, units until a window or quota ends, or prepaid credits.
    pub quantity: Tokens,
}
