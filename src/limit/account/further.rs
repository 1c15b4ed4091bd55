//! Units that a request uses while it is answered, for a client that pays for them as they come.

use super::{Account, Rules};
use crate::endpoint::EndpointName;
use crate::limit::credit;
use crate::limit::decision::{Furthered, Grant, SaleTerms};
use crate::limit::plan::Policy;
use crate::limit::tokens::Tokens;
use crate::limit::units::Units;
use crate::time::Millis;

impl Account {
    /// Decides about further units of a request that passed: everything is checked, then everything is counted. Credits that
    /// they cost are not sold here: what is not there is a debt, as at a request's end.
    #[must_use]
    pub fn further(
        mut self,
        rules: &Rules<'_>,
        name: &EndpointName,
        units: &Units,
        now: Millis,
    ) -> (Self, Furthered) {
        let Some(endpoint) = rules.endpoint(name).filter(|_| rules.payment) else {
            return (self, Furthered::NotSold);
        };
        let policy = &endpoint.policy;
        if policy.per_call.is_some() || policy.sale().is_none() {
            return (self, Furthered::NotSold);
        }
        let allowance = self.take_allowance(endpoint, rules, now);
        let short = allowance.shortfalls(policy, units, now);
        if !allowance.beyond(policy, units).is_empty() {
            // What is billed later is billed once for the whole request: at its end.
            self.allowances.insert(name.clone(), allowance);
            return (self, Furthered::NotSold);
        }
        if short.is_empty() {
            self.usage.count_units(name, units, now);
            self.charge(name, credit::cost(&policy.credits, units), now);
            self.allowances.insert(name.clone(), allowance.with_units(policy, units));
            self.tell_metered(rules, endpoint, now);
            return (self, Furthered::Taken);
        }
        self.allowances.insert(name.clone(), allowance);
        let terms = terms(policy, short);
        (self, terms.map_or(Furthered::NotSold, Furthered::ForSale))
    }
}

/// What it costs to have room for what is short: exactly that much of each limit, at the price of its refill. Nothing where
/// one of the limits is not for sale.
fn terms(policy: &Policy, short: Vec<Grant>) -> Option<SaleTerms> {
    let price = policy.sale()?.price;
    let refill = |grant: &Grant| {
        let quantity = policy.refill_of(&grant.limit, Tokens::ZERO)?;
        Some(Grant { limit: grant.limit.clone(), quantity })
    };
    let grants: Vec<Grant> = short.iter().map(refill).collect::<Option<_>>()?;
    Some(SaleTerms { price, grants, one_call: false, single: short })
}
