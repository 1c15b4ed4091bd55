//! What a client may still use at one endpoint: its bucket, windows, quotas and slots, and the requests that wait in its queue.
//!
//! Everything is checked first, then everything is counted: a denied request counts nowhere.

mod memory;
mod need;
mod queue;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, Wait};
use super::decision::Grant;
use super::plan::Policy;
use super::quota::{OverQuota, Quota, QuotaPolicy, QuotaUse};
use super::slots::Slots;
use super::standing::Standing;
use super::tokens::Tokens;
use super::units::Units;
use super::window::{Window, WindowPolicy};
use crate::pay::amount::Price;
use crate::time::{Millis, Span};
use queue::Reservation;

pub use need::Need;
pub use queue::{NoTurn, Turn};

/// The moment at which a request may pass is looked for in at most so many steps; each one passes a limit that denies.
pub(super) const LOOKS_AHEAD: u32 = 64;

/// How long the end of a request that went beyond a quota is waited for: an hour.
const ENDS_WITHIN: Span = Span::seconds(3600);

/// What goes beyond a quota that lets it pass for a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Of which unit.
    pub unit: String,
    /// How much.
    pub quantity: Tokens,
    /// What each unit costs.
    pub price: Price,
}

/// What a client may still use at one endpoint.
///
/// Invariants: the queue is in the order of its turns, and nothing of it is counted before its turn; an absent bucket
/// is full, an absent window unused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<Bucket>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    windows: BTreeMap<String, Window>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    quotas: BTreeMap<String, Quota>,
    #[serde(default, skip_serializing_if = "Slots::is_empty")]
    slots: Slots,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    queue: Vec<Reservation>,
    /// Requests that waited for their turn, went beyond a quota at it, and have not ended: when their turn was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    beyond: BTreeMap<String, Millis>,
}

/// A limit that denies, by name, and how long it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denier {
    /// The limit's name: that of its [`Standing`].
    pub limit: String,
    /// How long it denies.
    pub wait: Wait,
}

/// The name of the bucket among the limits of an endpoint.
pub const BUCKET: &str = "bucket";
/// The name of the slots among the limits of an endpoint.
pub const CONCURRENT: &str = "concurrent";

impl Allowance {
    /// The allowance at `now`: what came back has come back, and queued requests whose turn has come are counted.
    #[must_use]
    pub fn at(self, policy: &Policy, now: Millis) -> Self {
        self.settled(policy, now).0
    }

    /// The same, with the turns that have come.
    #[must_use]
    pub fn settled(mut self, policy: &Policy, now: Millis) -> (Self, Vec<Turn>) {
        let due = self.queue.iter().take_while(|reservation| reservation.turn <= now).count();
        let mut turns = Vec::with_capacity(due);
        for Reservation { request, turn, need } in self.queue.drain(..due).collect::<Vec<_>>() {
            self = self.brought_to(policy, turn);
            let beyond = self.beyond(policy, &need.units);
            self = self.counted(policy, &need, turn);
            if !beyond.is_empty() && policy.counts_ends() {
                self.beyond.insert(request.clone(), turn);
            }
            turns.push(Turn { request, at: turn, need, beyond });
        }
        (self.brought_to(policy, now), turns)
    }

    fn brought_to(mut self, policy: &Policy, now: Millis) -> Self {
        self.bucket = match (self.bucket, &policy.bucket) {
            (Some(bucket), Some(policy)) => Some(bucket.at(policy, now)),
            (None, Some(policy)) => Some(Bucket::full(policy, now)),
            // The plan has no bucket here now: what was paid for is kept for when it has one again.
            (bucket, None) => bucket,
        };
        for window in &policy.windows {
            let state = self.windows.remove(&window.name).unwrap_or_default();
            self.windows.insert(window.name.clone(), state.at(window, now));
        }
        // What was paid for in a window that the plan does not have now counts should it have it again before it ends.
        let of_plan = |name: &str| policy.windows.iter().any(|window| window.name == name);
        self.windows.retain(|name, window| of_plan(name) || paid_window_left(name, window, now) > Span::ZERO);
        for quota in &policy.quotas {
            self.quotas.entry(quota.name.clone()).or_insert(quota.unused());
        }
        // What was used of a quota counts again when the plan has it again in the same period.
        self.quotas = std::mem::take(&mut self.quotas)
            .into_iter()
            .map(|(name, quota)| (name, quota.at(now)))
            .filter(|(name, quota)| quota.until_forgotten(now) > Span::ZERO || policy.quota(name).is_some())
            .collect();
        self.slots = self.slots.at(now);
        self.beyond.retain(|_, turn| now.since(*turn) < ENDS_WITHIN);
        self
    }

    /// Whether a request waited for its turn and went beyond a quota at it.
    #[must_use]
    pub fn went_beyond(&self, request: &str) -> bool {
        self.beyond.contains_key(request)
    }

    /// The limits that deny, of an allowance brought up to `now`; none when the request may pass.
    #[must_use]
    pub fn check(&self, policy: &Policy, need: &Need, now: Millis) -> Vec<Denier> {
        let bucket = self.bucket.as_ref().zip(policy.bucket.as_ref());
        let bucket = bucket.and_then(|(bucket, policy)| bucket.take(need.cost, policy, now).err());
        let bucket = bucket.map(|wait| Denier { limit: BUCKET.to_owned(), wait });
        let windows = policy.windows.iter().filter_map(|window| {
            let wait = self.window(&window.name).check(need.units.of(&window.unit), window, now)?;
            Some(Denier { limit: window.name.clone(), wait })
        });
        let quotas = policy.quotas.iter().filter_map(|quota| {
            let wait = self.quota(quota, now).check(need.units.of(&quota.unit), quota, now)?;
            Some(Denier { limit: quota.name.clone(), wait })
        });
        let slots = policy.slots.as_ref().and_then(|slots| self.slots.check(slots, now));
        let slots = slots.map(|wait| Denier { limit: CONCURRENT.to_owned(), wait });
        bucket.into_iter().chain(windows).chain(quotas).chain(slots).collect()
    }

    /// What these units need beyond the windows and quotas that count them, of an allowance brought up to `now`.
    #[must_use]
    pub fn shortfalls(&self, policy: &Policy, units: &Units, now: Millis) -> Vec<Grant> {
        let windows =
            policy.windows.iter().filter(|window| units.of(&window.unit) > Tokens::ZERO).map(|window| {
                let quantity = self.window(&window.name).shortfall(units.of(&window.unit), window, now);
                Grant { limit: window.name.clone(), quantity }
            });
        let quotas = policy.quotas.iter().filter(|quota| units.of(&quota.unit) > Tokens::ZERO).map(|quota| {
            let quantity = self.quota(quota, now).shortfall(units.of(&quota.unit), quota);
            Grant { limit: quota.name.clone(), quantity }
        });
        windows.chain(quotas).filter(|grant| grant.quantity > Tokens::ZERO).collect()
    }

    fn quota(&self, policy: &QuotaPolicy, now: Millis) -> Quota {
        self.quotas.get(&policy.name).copied().unwrap_or_else(|| policy.unused().at(now))
    }

    /// What of these units would go beyond quotas that let it pass for a price.
    #[must_use]
    pub fn beyond(&self, policy: &Policy, units: &Units) -> Vec<Beyond> {
        let beyond = policy.quotas.iter().filter_map(|quota| {
            let OverQuota::Overage(price) = quota.over else { return None };
            let quantity = self.quotas.get(&quota.name)?.beyond(units.of(&quota.unit), quota);
            (quantity > Tokens::ZERO).then(|| Beyond { unit: quota.unit.clone(), quantity, price })
        });
        beyond.collect()
    }

    fn window(&self, name: &str) -> Window {
        self.windows.get(name).copied().unwrap_or_default()
    }

    /// Counts what a request uses; past a limit if need be. Tokens that the bucket does not have are not taken.
    #[must_use]
    pub fn counted(mut self, policy: &Policy, need: &Need, now: Millis) -> Self {
        if let (Some(bucket), Some(policy)) = (self.bucket, &policy.bucket) {
            self.bucket = Some(bucket.take(need.cost, policy, now).unwrap_or(bucket));
        }
        self.with_units(policy, &need.units)
    }

    /// Counts units in every window and quota that counts them, past the limit if need be.
    #[must_use]
    pub fn with_units(mut self, policy: &Policy, units: &Units) -> Self {
        for window in &policy.windows {
            let quantity = units.of(&window.unit);
            if quantity > Tokens::ZERO {
                let counted = self.window(&window.name).count(quantity);
                self.windows.insert(window.name.clone(), counted);
            }
        }
        for policy in &policy.quotas {
            if let Some(quota) = self.quotas.get_mut(&policy.name) {
                *quota = quota.count(units.of(&policy.unit));
            }
        }
        self
    }

    /// Holds a slot where the policy has slots.
    #[must_use]
    pub fn holding_slot(mut self, policy: &Policy, request: &str, from: Millis) -> Self {
        if let Some(slots) = &policy.slots {
            self.slots = self.slots.hold(request, slots, from);
        }
        self
    }

    /// Frees the slot of a request, and its place in the queue.
    #[must_use]
    pub fn freed(mut self, request: &str) -> Self {
        self.slots = self.slots.free(request);
        self.queue.retain(|reservation| reservation.request != request);
        self.beyond.remove(request);
        self
    }

    /// The tokens of the bucket that were paid for.
    #[must_use]
    pub fn paid(&self) -> Tokens {
        self.bucket.map(|bucket| bucket.paid()).unwrap_or_default()
    }

    /// Adds what was paid for to a limit: tokens on top of a bucket, units to a window or quota until it ends.
    #[must_use]
    pub fn granted(mut self, limit: &str, quantity: Tokens, now: Millis) -> Self {
        if limit == BUCKET {
            let bucket = self.bucket.unwrap_or(Bucket::holding(Tokens::ZERO, now));
            self.bucket = Some(bucket.add_paid(quantity));
        } else if let Some(window) = self.windows.get_mut(limit) {
            *window = window.extend(quantity);
        } else if let Some(quota) = self.quotas.get_mut(limit) {
            *quota = quota.extend(quantity);
        } else if let Some(gone) = WindowPolicy::named(limit) {
            self.windows.insert(limit.to_owned(), Window::default().at(&gone, now).extend(quantity));
        } else if let Some(unused) = Quota::named(limit) {
            // The plan changed since: what was paid for counts when it has the quota again.
            self.quotas.insert(limit.to_owned(), unused.at(now).extend(quantity));
        }
        self
    }

    /// Takes back what was added to a limit, though it was used: then the limit owes it.
    #[must_use]
    pub fn taken_back(mut self, limit: &str, quantity: Tokens, now: Millis) -> Self {
        if limit == BUCKET {
            let bucket = self.bucket.unwrap_or(Bucket::holding(Tokens::ZERO, now));
            self.bucket = Some(bucket.take_back(quantity));
        } else if let Some(window) = self.windows.get_mut(limit) {
            *window = window.take_back(quantity);
        } else if let Some(quota) = self.quotas.get_mut(limit) {
            *quota = quota.take_back(quantity);
        } else if let Some(unused) = Quota::named(limit) {
            self.quotas.insert(limit.to_owned(), unused.at(now).take_back(quantity));
        }
        self
    }

    /// The allowance as if its limits owed nothing.
    #[must_use]
    pub fn forgiven(mut self) -> Self {
        self.bucket = self.bucket.map(Bucket::forgiven);
        self.windows.values_mut().for_each(|window| *window = window.forgiven());
        self.quotas.values_mut().for_each(|quota| *quota = quota.forgiven());
        self
    }

    /// Where the client stands with each limit, of an allowance brought up to `now`.
    #[must_use]
    pub fn standings(&self, policy: &Policy, now: Millis) -> Vec<Standing> {
        let bucket = self.bucket.as_ref().zip(policy.bucket.as_ref());
        let bucket = bucket.map(|(bucket, policy)| Standing::of_bucket(bucket, policy, now));
        let windows =
            policy.windows.iter().map(|window| Standing::of_window(&self.window(&window.name), window, now));
        let quotas =
            policy.quotas.iter().map(|quota| Standing::of_quota(&self.quota(quota, now), quota, now));
        let slots = policy.slots.as_ref().map(|slots| Standing::of_slots(&self.slots, slots, now));
        bucket.into_iter().chain(windows).chain(quotas).chain(slots).collect()
    }

    /// What was used of each quota, now and in the period before, of an allowance brought up to now.
    #[must_use]
    pub fn quota_uses(&self, policy: &Policy, now: Millis) -> Vec<QuotaUse> {
        policy
            .quotas
            .iter()
            .flat_map(|quota| self.quota(quota, now).uses(quota).collect::<Vec<_>>())
            .collect()
    }
}

/// The longest of the waits: what a request must wait for when all of them must be over.
#[must_use]
pub fn longest(deniers: &[Denier]) -> Option<Wait> {
    deniers.iter().map(|denier| denier.wait).reduce(Wait::longer)
}

/// How long what was paid for in a window can still be used, whatever the plan says of it.
fn paid_window_left(name: &str, window: &Window, now: Millis) -> Span {
    let policy = WindowPolicy::named(name).filter(|_| window.extra() > Tokens::ZERO);
    policy.map_or(Span::ZERO, |policy| window.left(&policy, now))
}
