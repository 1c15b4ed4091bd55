//! What an account knows of payments: those on their way, those it was credited, and those that failed.

use super::{Account, Rules};
use crate::contract::{Credit, Refund};
use crate::endpoint::EndpointName;
use crate::limit::allowance::{Allowance, BUCKET};
use crate::limit::credit::CREDITS;
use crate::limit::decision::Grant;
use crate::limit::tokens::Tokens;
use crate::notice::{Occurrence, Sum};
use crate::pay::x402::PaymentId;
use crate::time::{Millis, Span};

impl Account {
    /// Counts a payment that failed, or one that is about to be asked about and may; how long the next one must wait,
    /// when this was one too many.
    #[must_use]
    pub fn fail_payment(mut self, now: Millis) -> (Self, Option<Span>) {
        let wait = self.failures.wait(now);
        self.failures = self.failures.with_one(now);
        (self, wait)
    }

    /// Takes back that a payment was counted as failed: it was good, or nobody could tell.
    #[must_use]
    pub fn unfail_payment(mut self, now: Millis) -> Self {
        self.failures = self.failures.without_one(now);
        self
    }

    /// Notes that a payment is about to be settled: until it is credited or withdrawn, nobody is asked to pay again.
    #[must_use]
    pub fn announce(mut self, payment: PaymentId) -> Self {
        if !self.credited.contains(&payment) {
            self.pending.insert(payment);
        }
        self
    }

    /// Notes that a payment was refused.
    #[must_use]
    pub fn withdraw(mut self, payment: &PaymentId) -> Self {
        self.pending.remove(payment);
        self
    }

    /// Adds what was paid for, exactly once for each payment. What accrued up to `now` counts.
    #[must_use]
    pub fn credit(mut self, rules: &Rules<'_>, credit: &Credit, now: Millis) -> Self {
        self.pending.remove(&credit.payment);
        if !self.credited.insert(credit.payment.clone()) {
            return self;
        }
        // What was credited before it was settled is on the bill from now on.
        let is_there = self.advanced.remove(&credit.payment);
        self.usage.count_payment(&credit.endpoint, credit.amount, now);
        let (payment, endpoint) = (credit.payment.clone(), credit.endpoint.clone());
        self.tell(rules, Occurrence::Paid(Sum { payment, endpoint, amount: credit.amount }), now);
        if is_there { self } else { self.with_grants(rules, credit, now) }
    }

    /// Adds all that a payment buys.
    pub(super) fn with_grants(self, rules: &Rules<'_>, credit: &Credit, now: Millis) -> Self {
        let (credits, limits): (Vec<&Grant>, Vec<&Grant>) =
            credit.grants.iter().partition(|grant| grant.limit == CREDITS);
        let account = credits
            .into_iter()
            .fold(self, |account, grant| account.bought(&credit.payment, grant.quantity, now));
        limits
            .into_iter()
            .fold(account, |account, grant| account.granted(rules, &credit.endpoint, grant, now))
    }

    /// Adds what was paid for to a limit of an endpoint.
    #[must_use]
    pub fn granted(mut self, rules: &Rules<'_>, name: &EndpointName, grant: &Grant, now: Millis) -> Self {
        let allowance = self.take_allowance_of(name, rules, now);
        self.allowances.insert(name.clone(), allowance.granted(&grant.limit, grant.quantity, now));
        self
    }

    /// The allowance of an endpoint of that name, taken out of the account.
    pub(super) fn take_allowance_of(
        &mut self,
        name: &EndpointName,
        rules: &Rules<'_>,
        now: Millis,
    ) -> Allowance {
        match rules.endpoint(name) {
            Some(endpoint) => self.take_allowance(endpoint, rules, now),
            // The plan changed since: what was paid for is kept for when it has the endpoint again.
            None => self.allowances.remove(name).unwrap_or_default(),
        }
    }

    /// Gives back what a request took of what was paid for: the origin failed it.
    #[must_use]
    pub fn given_back(
        mut self,
        rules: &Rules<'_>,
        endpoint: &EndpointName,
        refund: Refund,
        now: Millis,
    ) -> Self {
        if refund.tokens > Tokens::ZERO {
            let grant = Grant { limit: BUCKET.to_owned(), quantity: refund.tokens };
            self = self.granted(rules, endpoint, &grant, now);
        }
        self.uncharge(rules, endpoint, refund.credits, now);
        self
    }

    /// Forgets a credited payment whose object will never repeat it.
    #[must_use]
    pub fn acknowledge(mut self, payment: &PaymentId) -> Self {
        self.credited.remove(payment);
        self
    }
}
