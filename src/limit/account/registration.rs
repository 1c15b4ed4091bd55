//! What the owner gave an account: a plan of its own, and keys.

use std::collections::BTreeSet;

use super::Account;
use crate::client::key::{KeyHash, Scope};
use crate::client::key_ring::KeyRing;
use crate::time::Millis;

impl Account {
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

    /// Whether it was given a plan, keys or credits.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.plan.is_some() || !self.keys.is_empty() || !self.credits.is_empty()
    }
}
