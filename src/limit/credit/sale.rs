//! Credits that clients buy for themselves, where their plan has a price for one (`credit_price`).

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointName;
use crate::limit::decision::Decision;
use crate::time::Span;

/// Where bought credits are offered and billed. No plan can list an endpoint of this name: methods are in capitals.
const ENDPOINT: &str = "buy credits";

/// The most that are bought at a time: 1,000,000,000.
pub const MOST_AT_A_TIME: u64 = 1_000_000_000;

/// Where bought credits are offered and billed: they belong to no endpoint of a plan.
#[must_use]
pub fn endpoint() -> EndpointName {
    EndpointName::new(ENDPOINT)
}

/// Whether it stands for the sale of credits, and for no endpoint of a plan.
#[must_use]
pub fn is_of(endpoint: &EndpointName) -> bool {
    endpoint.as_str() == ENDPOINT
}

/// What an account says to a client that wants to buy credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
#[serde(rename_all = "snake_case")]
pub enum CreditSale {
    /// They are for sale on the terms of this denial.
    Offered(Decision),
    /// The plan of that name sells none, or no payments are taken.
    NotSold(String),
    /// Only the accounts of keys and wallets hold credits: others change hands. So long its payments are not looked at, as
    /// too many failed.
    NotToThisKind {
        /// How long, if so.
        failures_wait: Option<Span>,
    },
    /// So many cost more than can be written.
    TooDear,
    /// The account has as many blocks to spend from as it may.
    TooManyBlocks,
}
