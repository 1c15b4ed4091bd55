//! What a client may still use at one endpoint: its bucket, windows, quotas and slots, and the requests that wait in its queue.
//!
//! Everything is checked first, then everything is counted: a denied request counts nowhere.

mod denial;
mod memory;
mod need;
mod queue;
mod sold;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::plan::Policy;
use super::quota::{OverQuota, Quota, QuotaPolicy, QuotaUse};
use super::slots::Slots;
use super::standing::Standing;
use super::tokens::Tokens;
use super::units::Units;
use super::window::Window;
use crate::pay::amount::Price;
use crate::time::{Millis, Span};
use queue::Reservation;
use sold::paid_window_left;

pub use denial::{Denier, longest};
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
