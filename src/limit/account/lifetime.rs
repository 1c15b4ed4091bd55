//! How long an account must be kept: what of it is to be stored, and when it is as whole as a new one.

use super::access::{ADMIN_TRIES, RECEIPT_LOOKUPS};
use super::{Account, Rules};
use crate::endpoint::EndpointName;
use crate::limit::allowance::Allowance;
use crate::limit::bucket::Wait;
use crate::limit::plan::{Endpoint, Plan};
use crate::time::{Millis, Span};

/// How long an idle object is kept in memory at least before the platform may evict it: 10 s.
const EVICTION: Span = Span::seconds(10);

impl Account {
    /// Notes that the ledger has the usage as it was at `revision`, taken at `taken`.
    #[must_use]
    pub fn flushed(mut self, revision: u64, taken: Millis, now: Millis) -> Self {
        self.usage.flushed(revision, taken, now);
        self
    }

    /// The account at `now` without what is whole again: queued requests whose turn has come are counted, and what
    /// nothing can be told from is dropped.
    #[must_use]
    pub fn tidied(mut self, rules: &Rules<'_>, now: Millis) -> Self {
        self.nonces.retain(|_, expires| now < *expires);
        let lookups = self.lookups.map(|bucket| bucket.at(&RECEIPT_LOOKUPS, now));
        self.lookups = lookups.filter(|bucket| bucket.level() < RECEIPT_LOOKUPS.capacity);
        let admin_tries = self.admin_tries.map(|bucket| bucket.at(&ADMIN_TRIES, now));
        self.admin_tries = admin_tries.filter(|bucket| bucket.level() < ADMIN_TRIES.capacity);
        self.tidy_outbox(rules, now);
        self.failures = self.failures.tidied(now);
        for endpoint in rules.plan().into_iter().flat_map(Plan::endpoints) {
            if self.allowances.contains_key(&endpoint.name) {
                let allowance = self.take_allowance(endpoint, rules, now);
                if allowance.until_whole(&endpoint.policy, now) != Wait::For(Span::ZERO) {
                    self.allowances.insert(endpoint.name.clone(), allowance);
                }
            }
        }
        let of_plan = |name: &EndpointName| rules.endpoint(name).is_some();
        self.allowances
            .retain(|name, gone| of_plan(name) || gone.until_forgotten(now) != Wait::For(Span::ZERO));
        self
    }

    /// Whether it holds what must be stored before an answer leaves: what was paid for, quotas, slots, places in a queue,
    /// payments on their way, nonces that may not be used again. (A plan and keys are stored when they are changed.)
    #[must_use]
    pub fn is_precious(&self, rules: &Rules<'_>) -> bool {
        let precious = |(name, allowance): (&EndpointName, &Allowance)| {
            allowance.is_precious(rules.endpoint(name).map(|endpoint| &endpoint.policy))
        };
        !self.pending.is_empty()
            || !self.credited.is_empty()
            || !self.advanced.is_empty()
            || !self.nonces.is_empty()
            || !self.credits.is_empty()
            || self.allowances.iter().any(precious)
    }

    /// Whether losing the free part would show: a limit stays short for longer than an idle object is kept.
    #[must_use]
    pub fn outlives_memory(&self, rules: &Rules<'_>, now: Millis) -> bool {
        match self.until_limits_whole(rules, now) {
            Wait::For(span) => span > EVICTION,
            Wait::Never => true,
        }
    }

    /// How long until every limit is whole and nothing is held, pending or remembered; never while something is paid
    /// for, or the owner gave it something.
    #[must_use]
    pub fn until_whole(&self, rules: &Rules<'_>, now: Millis) -> Wait {
        if self.is_registered() { Wait::Never } else { self.until_limits_whole(rules, now) }
    }

    fn until_limits_whole(&self, rules: &Rules<'_>, now: Millis) -> Wait {
        if !self.pending.is_empty() || !self.credited.is_empty() || !self.advanced.is_empty() {
            return Wait::Never;
        }
        let allowances = self.allowances.iter().map(|(name, allowance)| match rules.endpoint(name) {
            Some(Endpoint { policy, .. }) => allowance.clone().at(policy, now).until_whole(policy, now),
            None => allowance.until_forgotten(now),
        });
        let nonces = self.nonces.values().map(|expires| Wait::For(expires.since(now)));
        let lookups =
            self.lookups.map(|bucket| bucket.at(&RECEIPT_LOOKUPS, now).until_whole(&RECEIPT_LOOKUPS, now));
        let admin_tries =
            self.admin_tries.map(|bucket| bucket.at(&ADMIN_TRIES, now).until_whole(&ADMIN_TRIES, now));
        let others = [self.outbox.until_empty(now), self.failures.until_forgotten(now)];
        allowances
            .chain(others)
            .chain(nonces)
            .chain(lookups)
            .chain(admin_tries)
            .fold(Wait::For(Span::ZERO), Wait::longer)
    }

    /// Whether nothing would be lost if its storage were deleted: full, nothing paid, owed, held or unflushed.
    #[must_use]
    pub fn is_whole(&self, rules: &Rules<'_>, now: Millis) -> bool {
        self.usage.unflushed_since().is_none() && self.until_whole(rules, now) == Wait::For(Span::ZERO)
    }
}
