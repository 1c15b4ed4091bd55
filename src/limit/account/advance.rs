//! Credit before settlement: what a trusted wallet's payment adds at once, and what is taken back should it fail.

use super::{Account, Rules};
use crate::contract::Credit;
use crate::endpoint::EndpointName;
use crate::limit::credit::CREDITS;
use crate::limit::decision::Grant;
use crate::notice::{Occurrence, Sum};
use crate::pay::x402::PaymentId;
use crate::time::Millis;

impl Account {
    /// The payments that are credited and not settled yet.
    pub fn advanced(&self) -> impl Iterator<Item = &PaymentId> {
        self.advanced.iter()
    }

    /// Adds what a payment will pay for, exactly once, before it is settled. Nothing of it is on the bill until then.
    #[must_use]
    pub fn advance(mut self, rules: &Rules<'_>, credit: &Credit, now: Millis) -> Self {
        if self.credited.contains(&credit.payment) || !self.advanced.insert(credit.payment.clone()) {
            return self;
        }
        self.with_grants(rules, credit, now)
    }

    /// Takes back, exactly once, what was added before a payment failed. What of it was used already is missing from what
    /// comes next.
    #[must_use]
    pub fn take_back(mut self, rules: &Rules<'_>, credit: &Credit, now: Millis) -> Self {
        if !self.advanced.remove(&credit.payment) {
            return self;
        }
        let (payment, endpoint) = (credit.payment.clone(), credit.endpoint.clone());
        self.tell(rules, Occurrence::PaymentFailed(Sum { payment, endpoint, amount: credit.amount }), now);
        credit.grants.iter().fold(self, |account, grant| {
            if grant.limit == CREDITS {
                account.unbought(&credit.payment, grant.quantity, now)
            } else {
                account.taken_from(rules, &credit.endpoint, grant, now)
            }
        })
    }

    fn taken_from(mut self, rules: &Rules<'_>, name: &EndpointName, grant: &Grant, now: Millis) -> Self {
        let allowance = self.take_allowance_of(name, rules, now);
        self.allowances.insert(name.clone(), allowance.taken_back(&grant.limit, grant.quantity, now));
        self
    }
}
