//! What a request would use of the limits of its endpoint.

use serde::{Deserialize, Serialize};

use crate::limit::credit;
use crate::limit::plan::Policy;
use crate::limit::tokens::Tokens;
use crate::limit::units::{REQUEST, Units};

/// What a request would use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Tokens of the bucket.
    pub cost: Tokens,
    /// Units, the request itself among them.
    pub units: Units,
    /// Prepaid credits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credits: Tokens,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(tokens: &Tokens) -> bool {
    *tokens == Tokens::ZERO
}

impl Need {
    /// What a request at an endpoint of that policy uses, with the units it tells beforehand.
    #[must_use]
    pub fn of_request(policy: &Policy, units: &Units) -> Self {
        let units = if units.of(REQUEST) > Tokens::ZERO {
            units.clone()
        } else {
            units.clone().with(REQUEST, Tokens::ONE)
        };
        let credits = credit::cost(&policy.credits, &units);
        Self { cost: policy.cost, units, credits }
    }
}
