//! Which limits of an endpoint deny a request, for how long, and how much of them it lacks.

use super::{Allowance, BUCKET, CONCURRENT, Need};
use crate::limit::bucket::Wait;
use crate::limit::decision::Grant;
use crate::limit::plan::Policy;
use crate::limit::tokens::Tokens;
use crate::limit::units::Units;
use crate::time::Millis;

/// A limit that denies, by name, and how long it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denier {
    /// The limit's name: that of its [`Standing`](crate::limit::standing::Standing).
    pub limit: String,
    /// How long it denies.
    pub wait: Wait,
}

impl Allowance {
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
}

/// The longest of the waits: what a request must wait for when all of them must be over.
#[must_use]
pub fn longest(deniers: &[Denier]) -> Option<Wait> {
    deniers.iter().map(|denier| denier.wait).reduce(Wait::longer)
}
