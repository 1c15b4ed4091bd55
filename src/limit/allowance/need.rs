//! What a request would use of the limits of its endpoint.

use serde::{Deserialize, Serialize};

use crate::limit::credit;
use crate::limit::decision::Grant;
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
    /// The part of a refill of one of its limits that the request itself uses, at most the whole.
    #[must_use]
    pub fn grant(&self, policy: &Policy, refill: &Grant) -> Grant {
        let windows = policy.windows.iter().map(|window| (&window.name, &window.unit));
        let quotas = policy.quotas.iter().map(|quota| (&quota.name, &quota.unit));
        let unit = windows.chain(quotas).find(|(name, _)| **name == refill.limit).map(|(_, unit)| unit);
        let quantity = unit.map_or(self.cost, |unit| self.units.of(unit));
        Grant { limit: refill.limit.clone(), quantity: quantity.min(refill.quantity) }
    }

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
