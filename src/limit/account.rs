//! The account of one client: all that it may still use, what it has paid for, and what it used.
//!
//! Every decision is one step of a pure value: the account, a request and the rules go in; the next account and the
//! decision come out. Nothing here reads a clock, stores or sends.

mod metered;
mod telling;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::allowance::{Allowance, CONCURRENT, Denier, LOOKS_AHEAD, Need, NoTurn};
use super::bucket::{Bucket, BucketPolicy, Wait};
use super::credit::{self, CREDITS, Credits, Purse};
use super::decision::{Admitted, Decision, Denied, DeniedBy, Grant, SaleTerms, Verdict};
use super::failures::Failures;
use super::plan::{Endpoint, OverLimit, Plan, Plans, Policy, QueuePolicy};
use super::standing::Standing;
use super::tokens::{Rate, Tokens};
use crate::bill::usage::Usage;
use crate::client::AccountId;
use crate::client::key::{KeyHash, Scope};
use crate::client::key_ring::KeyRing;
use crate::contract::{Attempt, Credit, End};
use crate::endpoint::EndpointName;
use crate::notice::outbox::Outbox;
use crate::notice::{Kinds, Occurrence, Sum};
use crate::pay::amount::{Amount, Price};
use crate::pay::x402::PaymentId;
use crate::time::{Millis, Span};

/// How long an idle object is kept in memory at least before the platform may evict it: 10 s.
const EVICTION: Span = Span::seconds(10);

/// How often receipts may be looked up: ten a minute.
const RECEIPT_LOOKUPS: BucketPolicy = TEN_A_MINUTE;

/// How often an address may try a wrong admin token: ten a minute.
const ADMIN_TRIES: BucketPolicy = TEN_A_MINUTE;

const TEN_A_MINUTE: BucketPolicy =
    BucketPolicy { capacity: Tokens::whole(10), rate: Rate::per_minute(Tokens::whole(10)), shown_limit: 10 };

/// What holds for every account, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The plans.
    pub plans: &'a Plans,
    /// The plan of the account: its own, or the default of its kind.
    pub plan: &'a str,
    /// Whether payments are taken; without them, `pay` behaves as `block`.
    pub payment: bool,
    /// What the owner is told of.
    pub notices: Kinds,
    /// The decimals of what bills are written in.
    pub decimals: u8,
}

impl<'a> Rules<'a> {
    fn plan(&self) -> Option<&'a Plan> {
        self.plans.get(self.plan)
    }

    fn endpoint(&self, name: &EndpointName) -> Option<&'a Endpoint> {
        self.plan().and_then(|plan| plan.endpoint(name))
    }
}

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
            admitted.beyond = !beyond.is_empty() && !admitted.degraded;
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
            let allowance = self.take_allowance(endpoint, rules, now).freed(&end.request);
            let beyond = allowance.beyond(&endpoint.policy, &end.units);
            self.count_beyond(&endpoint.name, &beyond, !end.beyond, rules, now);
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

    /// Whether a wallet may sign in with that nonce: once, while it is good.
    #[must_use]
    pub fn sign_in(mut self, nonce: String, expires: Millis, now: Millis) -> (Self, bool) {
        self.nonces.retain(|_, expires| now < *expires);
        let unused = now < expires && !self.nonces.contains_key(&nonce);
        if unused {
            self.nonces.insert(nonce, expires);
        }
        (self, unused)
    }

    /// Whether the client may look up one more receipt: ten at once, ten a minute.
    #[must_use]
    pub fn look_up_receipt(mut self, now: Millis) -> (Self, bool) {
        let bucket = self.lookups.unwrap_or(Bucket::full(&RECEIPT_LOOKUPS, now)).at(&RECEIPT_LOOKUPS, now);
        let taken = bucket.take(Tokens::ONE, &RECEIPT_LOOKUPS, now);
        self.lookups = Some(taken.unwrap_or(bucket));
        (self, taken.is_ok())
    }

    /// Whether this address may administer with a token that is right, or try one that is wrong. Who tried too many
    /// wrong ones waits with the right one, too: an answer would tell which it is.
    #[must_use]
    pub fn try_admin(mut self, is_right: bool, now: Millis) -> (Self, bool) {
        let bucket = self.admin_tries.unwrap_or(Bucket::full(&ADMIN_TRIES, now)).at(&ADMIN_TRIES, now);
        let taken = bucket.take(Tokens::ONE, &ADMIN_TRIES, now);
        self.admin_tries = if is_right { self.admin_tries } else { Some(taken.unwrap_or(bucket)) };
        (self, taken.is_ok())
    }

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

    /// The plan that the owner gave this account.
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        self.plan.as_deref()
    }

    /// The account with a plan of its own, or with the default again.
    #[must_use]
    pub fn with_plan(mut self, plan: Option<String>) -> Self {
        self.plan = plan;
        self
    }

    /// The keys that are good for this account.
    #[must_use]
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Takes in that a request brings that key; is it good?
    #[must_use]
    pub fn present_key(mut self, key: &KeyHash, now: Millis) -> (Self, bool) {
        let is_good = self.keys.present(key, now);
        (self, is_good)
    }

    /// The account with a further key.
    #[must_use]
    pub fn with_key(mut self, key: KeyHash, scopes: BTreeSet<Scope>) -> Self {
        self.keys.add(key, scopes);
        self
    }

    /// Notes that the ledger has those uses of keys.
    #[must_use]
    pub fn told_uses(mut self, uses: &[(KeyHash, Millis)]) -> Self {
        self.keys.told(uses);
        self
    }

    /// The account without that key: from now on it is good for nothing.
    #[must_use]
    pub fn without_key(mut self, key: &KeyHash) -> Self {
        self.keys.remove(key);
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
        self.usage.count_payment(&credit.endpoint, credit.amount, now);
        let (payment, endpoint) = (credit.payment.clone(), credit.endpoint.clone());
        self.tell(rules, Occurrence::Paid(Sum { payment, endpoint, amount: credit.amount }), now);
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
        let allowance = match rules.endpoint(name) {
            Some(endpoint) => self.take_allowance(endpoint, rules, now),
            // The plan changed since: what was paid for is kept for when it has the endpoint again.
            None => self.allowances.remove(name).unwrap_or_default(),
        };
        self.allowances.insert(name.clone(), allowance.granted(&grant.limit, grant.quantity, now));
        self
    }

    /// Forgets a credited payment whose object will never repeat it.
    #[must_use]
    pub fn acknowledge(mut self, payment: &PaymentId) -> Self {
        self.credited.remove(payment);
        self
    }

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
        if !self.pending.is_empty() || !self.credited.is_empty() {
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

    /// Whether it was given a plan, keys or credits.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.plan.is_some() || !self.keys.is_empty() || !self.credits.is_empty()
    }

    /// Whether nothing would be lost if its storage were deleted: full, nothing paid, owed, held or unflushed.
    #[must_use]
    pub fn is_whole(&self, rules: &Rules<'_>, now: Millis) -> bool {
        self.usage.unflushed_since().is_none() && self.until_whole(rules, now) == Wait::For(Span::ZERO)
    }
}

/// A call that is to be paid and is not: denied for its price where the limits would let it pass, and else as they deny
/// it. It counts nowhere.
fn unpaid(
    allowance: &Allowance,
    policy: &Policy,
    price: Price,
    need: &Need,
    purse: Option<&Purse>,
    now: Millis,
) -> Verdict {
    let offer = Some(SaleTerms { price, grants: Vec::new(), single: Vec::new(), one_call: true });
    Verdict::Denied(match decide(allowance.clone(), policy, need, purse, "", now).1 {
        Verdict::Denied(denied) => Denied { offer, ..denied },
        Verdict::Admitted(_) | Verdict::NoAccess => {
            Denied::new(DeniedBy::Price, "price".to_owned(), None, offer)
        }
    })
}

/// Decides, and makes of a denial's wait a promise.
fn decide(
    allowance: Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    let (allowance, verdict) = judge(allowance, policy, need, purse, request, now);
    let Verdict::Denied(denied) = verdict else { return (allowance, verdict) };
    let wait = denied.wait.and_then(|wait| promise(&allowance, policy, need, purse, wait, now));
    (allowance, Verdict::Denied(Denied { wait, ..denied }))
}

/// How long a denied request must wait, at least `wait`. What admits now may deny by then: an extension that was paid
/// for ends with its window, and who gets a slot may find the queue too long.
fn promise(
    allowance: &Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    mut wait: Span,
    now: Millis,
) -> Option<Span> {
    for _ in 0..LOOKS_AHEAD {
        let then = now.plus(wait);
        match judge(allowance.clone().at(policy, then), policy, need, purse, "", then).1 {
            Verdict::Denied(Denied { wait: further, .. }) => wait = wait.plus(further?),
            Verdict::Admitted(_) | Verdict::NoAccess => break,
        }
    }
    Some(wait)
}

/// The limits that deny, the account's credits among them.
fn deniers(
    allowance: &Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    now: Millis,
) -> Vec<Denier> {
    let mut deniers = allowance.check(policy, need, now);
    if purse.is_some_and(|purse| !purse.affords(need.credits, now)) {
        deniers.push(Denier { limit: CREDITS.to_owned(), wait: Wait::Never });
    }
    deniers
}

/// Whether nobody gets past that limit by waiting in line or passing degraded. A quota has a strategy of its own.
fn bars(policy: &Policy, limit: &str) -> bool {
    match policy.over_limit {
        OverLimit::Block | OverLimit::Pay(_) => true,
        OverLimit::Queue(_) => [CONCURRENT, CREDITS].contains(&limit) || policy.quota(limit).is_some(),
        OverLimit::Degrade(_) => limit == CONCURRENT || policy.quota(limit).is_some(),
    }
}

/// Checks everything, and counts it when the request may pass.
fn judge(
    allowance: Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    let deniers = deniers(&allowance, policy, need, purse, now);
    let (barring, others): (Vec<Denier>, Vec<Denier>) =
        deniers.into_iter().partition(|denier| bars(policy, &denier.limit));
    match &policy.over_limit {
        _ if !barring.is_empty() => {
            let terms = terms(&allowance, policy, need, purse, &barring, now);
            deny(allowance, policy, &barring, terms)
        }
        // Nobody overtakes those who wait already.
        OverLimit::Queue(queue) if !others.is_empty() || allowance.queued() > 0 => {
            wait_in_line(allowance, policy, queue, need, &others, request, now)
        }
        OverLimit::Degrade(to) if !others.is_empty() => {
            let admitted = Admitted {
                degraded: true,
                degrade_to: to.clone(),
                tell_end: policy.counts_ends(),
                ..Admitted::default()
            };
            (allowance.holding_slot(policy, request, now), Verdict::Admitted(admitted))
        }
        OverLimit::Block | OverLimit::Pay(_) | OverLimit::Queue(_) | OverLimit::Degrade(_) => {
            pass(allowance, policy, need, request, now)
        }
    }
}

fn pass(
    allowance: Allowance,
    policy: &Policy,
    need: &Need,
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    let before = allowance.paid();
    let allowance = allowance.counted(policy, need, now).holding_slot(policy, request, now);
    let paid = before.minus(allowance.paid()).unwrap_or_default();
    let admitted = Admitted { paid, tell_end: policy.counts_ends(), ..Admitted::default() };
    (allowance, Verdict::Admitted(admitted))
}

fn wait_in_line(
    allowance: Allowance,
    policy: &Policy,
    queue: &QueuePolicy,
    need: &Need,
    deniers: &[Denier],
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    match allowance.turn(policy, queue, need, now) {
        Ok(turn) => {
            let admitted =
                Admitted { wait: turn.since(now), tell_end: policy.counts_ends(), ..Admitted::default() };
            let waiting = allowance.holding_slot(policy, request, turn).reserved(request, turn, need.clone());
            (waiting, Verdict::Admitted(admitted))
        }
        Err(no_turn) => {
            let (by, wait) = match no_turn {
                NoTurn::QueueFull(wait) => (DeniedBy::QueueFull, Some(wait)),
                NoTurn::TooLong(wait) => (DeniedBy::Limit, Some(wait)),
                NoTurn::Never => (DeniedBy::Limit, None),
            };
            let limit = deniers.first().map_or_else(|| policy.first_limit(), |denier| denier.limit.clone());
            (allowance, Verdict::Denied(Denied::new(by, limit, wait, None)))
        }
    }
}

fn deny(
    allowance: Allowance,
    policy: &Policy,
    deniers: &[Denier],
    offer: Option<SaleTerms>,
) -> (Allowance, Verdict) {
    // The limit that denies longest is the one to tell of; one that denies for ever before all others.
    let worst = deniers
        .iter()
        .reduce(|worst, next| if Wait::longer(worst.wait, next.wait) == worst.wait { worst } else { next });
    let limit = worst.map(|denier| denier.limit.clone()).unwrap_or_default();
    let by = match limit.as_str() {
        _ if deniers.iter().all(|denier| denier.limit == CONCURRENT) => DeniedBy::Slots,
        CREDITS => DeniedBy::Credits,
        limit if policy.quota(limit).is_some() => DeniedBy::Quota,
        _ => DeniedBy::Limit,
    };
    let wait = match worst.map(|denier| denier.wait) {
        Some(Wait::For(span)) => Some(span),
        Some(Wait::Never) | None => None,
    };
    (allowance, Verdict::Denied(Denied::new(by, limit, wait, offer)))
}

/// What one payment would add to the limits that deny, if the request passes then: nobody pays in vain.
fn terms(
    allowance: &Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    deniers: &[Denier],
    now: Millis,
) -> Option<SaleTerms> {
    let sale = policy.sale()?;
    let grant = |denier: &Denier| {
        let quantity = policy.refill_of(&denier.limit, need.credits)?;
        Some(Grant { limit: denier.limit.clone(), quantity })
    };
    let grants: Vec<Grant> = deniers.iter().map(grant).collect::<Option<_>>()?;
    let paid =
        grants.iter().fold(allowance.clone(), |paid, grant| paid.granted(&grant.limit, grant.quantity, now));
    let credits = grants.iter().find(|grant| grant.limit == CREDITS);
    let credits = credits.map(|grant| grant.quantity).unwrap_or_default();
    let refilled = purse.map(|purse| purse.clone().with(credits));
    let helps = self::deniers(&paid, policy, need, refilled.as_ref(), now).is_empty();
    let single: Vec<Grant> = grants.iter().map(|grant| need.grant(policy, grant)).collect();
    let passes =
        single.iter().fold(allowance.clone(), |paid, grant| paid.granted(&grant.limit, grant.quantity, now));
    // What was used past a limit, by final units, must be bought too; and credits are sold by the refill.
    let suffices = self::deniers(&passes, policy, need, purse, now).is_empty();
    let single = if suffices { single } else { grants.clone() };
    helps.then_some(SaleTerms { price: sale.price, grants, single, one_call: false })
}
