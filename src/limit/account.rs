//! The account of one client: all that it may still use, what it has paid for, and what it used.
//!
//! Every decision is one step of a pure value: the account, a request and the rules go in; the next account and the
//! decision come out. Nothing here reads a clock, stores or sends.

mod access;
mod advance;
pub mod credit_sale;
mod further;
mod lifetime;
mod metered;
mod payments;
mod registration;
mod rules;
mod telling;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::rules::Rules;
use self::verdict::{decide, unpaid};
use super::allowance::{Allowance, Need};
use super::bucket::Bucket;
use super::credit::{self, Credits};
use super::decision::{Decision, Denied, Verdict};
use super::failures::Failures;
use super::plan::{Endpoint, Plan};
use super::standing::Standing;
use crate::bill::usage::Usage;
use crate::client::AccountId;
use crate::client::key_ring::KeyRing;
use crate::contract::{Attempt, End};
use crate::endpoint::EndpointName;
use crate::notice::outbox::Outbox;
use crate::pay::amount::Amount;
use crate::pay::x402::PaymentId;
use crate::time::{Millis, Span};

/// The account of one client.
///
/// Invariants: a payment in `credited` is not in `pending`, and was added to a limit exactly once; an endpoint without
/// an allowance is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    id: AccountId,
    /// Tells this life of the account from an earlier one whose storage was deleted: see [`Usage`].
    incarnation: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    allowances: BTreeMap<EndpointName, Allowance>,
    /// Payments that are being settled and whose outcome may be unknown.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pending: BTreeSet<PaymentId>,
    /// Payments that were credited and whose payment object may still repeat it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    credited: BTreeSet<PaymentId>,
    /// Payments that were credited before they are settled.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    advanced: BTreeSet<PaymentId>,
    /// Nonces that this wallet signed in with, until they are no longer good.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    nonces: BTreeMap<String, Millis>,
    /// Lookups of receipts left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lookups: Option<Bucket>,
    /// Admin tokens that may be tried before this address must wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admin_tries: Option<Bucket>,
    /// Payments that may fail before this client must wait with the next one.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    failures: Failures,
    /// The plan that the owner gave this account, in place of the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// The keys that are good for this account.
    #[serde(default, skip_serializing_if = "KeyRing::is_empty")]
    keys: KeyRing,
    /// What was prepaid.
    #[serde(default, skip_serializing_if = "Credits::is_empty")]
    credits: Credits,
    /// What was used.
    #[serde(default)]
    usage: Usage,
    /// What the owner is still to be told.
    #[serde(default, skip_serializing_if = "Outbox::is_empty")]
    outbox: Outbox,
}

/// The account as it is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredAccount {
    /// The first form.
    V1(Account),
}

impl Account {
    /// A new account. `incarnation` must never have been used for this client before.
    #[must_use]
    pub fn new(id: AccountId, incarnation: String) -> Self {
        Self {
            id,
            incarnation,
            allowances: BTreeMap::new(),
            pending: BTreeSet::new(),
            credited: BTreeSet::new(),
            advanced: BTreeSet::new(),
            nonces: BTreeMap::new(),
            lookups: None,
            admin_tries: None,
            failures: Failures::default(),
            plan: None,
            keys: KeyRing::default(),
            credits: Credits::default(),
            usage: Usage::default(),
            outbox: Outbox::default(),
        }
    }

    /// Whose account it is.
    #[must_use]
    pub const fn id(&self) -> &AccountId {
        &self.id
    }

    /// Which life of the account this is.
    #[must_use]
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// What was used and the ledger may not have.
    #[must_use]
    pub const fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Decides about a request: everything is checked, then everything is counted.
    #[must_use]
    pub fn attempt(mut self, rules: &Rules<'_>, attempt: &Attempt, now: Millis) -> (Self, Decision) {
        let plan = rules.plan.to_owned();
        let Some(endpoint) = rules.plan().and_then(|found| found.find(&attempt.target)) else {
            let endpoint = EndpointName::new(attempt.target.display());
            return (
                self,
                Decision { plan, endpoint, verdict: Verdict::NoAccess, standings: Vec::new(), at: now },
            );
        };
        let policy = &endpoint.policy;
        let allowance = self.take_allowance(endpoint, rules, now);
        let need = Need::of_request(policy, &attempt.units);
        let purse = self.purse(policy, &allowance, rules, now);
        let beyond = allowance.beyond(policy, &need.units);
        let (allowance, mut verdict) = match policy.per_call {
            Some(price) if !attempt.paid => {
                let verdict = unpaid(&allowance, policy, price, &need, purse.as_ref(), now);
                (allowance, verdict)
            }
            _ => decide(allowance, policy, &need, purse.as_ref(), &attempt.request, now),
        };
        if let Verdict::Admitted(admitted) = &mut verdict {
            // Of one that waits, its turn will tell.
            let passes_now = !admitted.degraded && admitted.wait == Span::ZERO;
            admitted.beyond = passes_now && !beyond.is_empty();
        }
        let verdict = self.with_terms(verdict, rules, now);
        match &verdict {
            Verdict::Admitted(admitted) if admitted.wait == Span::ZERO => {
                self.usage.count_call(&endpoint.name, now);
                self.usage.count_units(&endpoint.name, &need.units, now);
                if !admitted.degraded {
                    self.count_beyond(&endpoint.name, &beyond, true, rules, now);
                    self.charge(&endpoint.name, need.credits, now);
                }
            }
            Verdict::Denied(_) => self.usage.count_blocked(&endpoint.name, now),
            Verdict::Admitted(_) | Verdict::NoAccess => {}
        }
        let standings = allowance.standings(policy, now);
        if let Verdict::Denied(denied) = &verdict {
            self.tell_exceeded(rules, &endpoint.name, denied, &standings, now);
        }
        self.allowances.insert(endpoint.name.clone(), allowance);
        if matches!(verdict, Verdict::Admitted(_)) {
            self.tell_metered(rules, endpoint, now);
        }
        (self, Decision { plan, endpoint: endpoint.name.clone(), verdict, standings, at: now })
    }

    /// Decides anew about a request that was denied until it was looked at what it pays: it is one request, admitted or
    /// denied.
    #[must_use]
    pub fn attempt_again(mut self, rules: &Rules<'_>, attempt: &Attempt, now: Millis) -> (Self, Decision) {
        if let Some(endpoint) = rules.plan().and_then(|plan| plan.find(&attempt.target)) {
            self.usage.uncount_blocked(&endpoint.name);
        }
        self.attempt(rules, attempt, now)
    }

    /// Decides about a request for which this wallet signed that it owes an amount: owed if it passes. `None` where the owner
    /// gave the wallet no plan: anybody can make up a wallet that owes.
    #[must_use]
    pub fn pledge(
        self,
        rules: &Rules<'_>,
        attempt: &Attempt,
        amount: Amount,
        now: Millis,
    ) -> (Self, Option<Decision>) {
        if self.plan.is_none() {
            return (self, None);
        }
        let (mut account, decision) = self.attempt(rules, attempt, now);
        if decision.is_admitted() {
            account.usage.count_owed(&decision.endpoint, amount, now);
        }
        (account, Some(decision))
    }

    /// The allowance of an endpoint at `now`, taken out of the account. Queued requests whose turn has come are counted
    /// as calls of that moment.
    fn take_allowance(&mut self, endpoint: &Endpoint, rules: &Rules<'_>, now: Millis) -> Allowance {
        let allowance = self.allowances.remove(&endpoint.name).unwrap_or_default();
        let (allowance, turns) = allowance.settled(&endpoint.policy, now);
        for turn in turns {
            self.usage.count_call(&endpoint.name, turn.at);
            self.usage.count_units(&endpoint.name, &turn.need.units, turn.at);
            self.count_beyond(&endpoint.name, &turn.beyond, true, rules, turn.at);
            self.charge(&endpoint.name, turn.need.credits, turn.at);
        }
        allowance
    }

    /// What only the account knows of a denial: whether payments are taken, whether one is on its way, and whether too
    /// many have failed.
    fn with_terms(&self, verdict: Verdict, rules: &Rules<'_>, now: Millis) -> Verdict {
        let Verdict::Denied(denied) = verdict else { return verdict };
        let offer = denied.offer.filter(|_| rules.payment);
        let payment_pending = !self.pending.is_empty();
        Verdict::Denied(Denied { offer, payment_pending, failures_wait: self.failures.wait(now), ..denied })
    }

    /// Where the client stands at each endpoint of its plan; nothing is spent.
    #[must_use]
    pub fn survey(&self, rules: &Rules<'_>, now: Millis) -> Vec<(EndpointName, Vec<Standing>)> {
        let endpoints = rules.plan().into_iter().flat_map(Plan::endpoints);
        endpoints.map(|endpoint| (endpoint.name.clone(), self.standings(endpoint, now))).collect()
    }

    /// Where the client stands at one endpoint; nothing is spent.
    #[must_use]
    pub fn standings_at(&self, rules: &Rules<'_>, name: &EndpointName, now: Millis) -> Vec<Standing> {
        rules.endpoint(name).map(|endpoint| self.standings(endpoint, now)).unwrap_or_default()
    }

    fn standings(&self, endpoint: &Endpoint, now: Millis) -> Vec<Standing> {
        let allowance = self.allowances.get(&endpoint.name).cloned().unwrap_or_default();
        allowance.at(&endpoint.policy, now).standings(&endpoint.policy, now)
    }

    /// Takes in that a request has ended: its slot is free, and its further units count, even past the limit.
    #[must_use]
    pub fn end(mut self, rules: &Rules<'_>, end: &End, now: Millis) -> Self {
        self.usage.count_units(&end.endpoint, &end.units, now);
        if let Some(endpoint) = rules.endpoint(&end.endpoint) {
            let allowance = self.take_allowance(endpoint, rules, now);
            let is_counted = end.beyond || allowance.went_beyond(&end.request);
            let allowance = allowance.freed(&end.request);
            let beyond = allowance.beyond(&endpoint.policy, &end.units);
            self.count_beyond(&endpoint.name, &beyond, !is_counted, rules, now);
            self.charge(&endpoint.name, credit::cost(&endpoint.policy.credits, &end.units), now);
            self.allowances.insert(endpoint.name.clone(), allowance.with_units(&endpoint.policy, &end.units));
            self.tell_metered(rules, endpoint, now);
        }
        self
    }

    /// Takes in that a queued request's client went away before its turn: its place and its slot are free.
    #[must_use]
    pub fn leave(mut self, request: &str) -> Self {
        self.allowances =
            self.allowances.into_iter().map(|(name, allowance)| (name, allowance.freed(request))).collect();
        self
    }
}
