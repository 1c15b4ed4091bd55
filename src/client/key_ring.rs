//! The keys that are good for an account, kept in the account itself: a revoked key is refused from that moment on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::key::{KeyHash, Scope};
use crate::time::{Millis, Span};

/// Uses are told apart to the minute: each request changes nothing.
const MINUTE: Span = Span::seconds(60);

/// The keys of an account.
///
/// Invariant: it holds exactly the keys that were added and not removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyRing(BTreeMap<KeyHash, KeyUse>);

/// What a key may do, and when it last did something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyUse {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    scopes: BTreeSet<Scope>,
    /// The minute of its last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used: Option<Millis>,
    /// The last use that the ledger has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<Millis>,
}

impl KeyRing {
    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in that a request brings that key; is it good?
    pub fn present(&mut self, key: &KeyHash, now: Millis) -> bool {
        let Some(key) = self.0.get_mut(key) else { return false };
        if key.used.is_none_or(|used| now.since(used) >= MINUTE) {
            key.used = Some(now);
        }
        true
    }

    /// Whether that key may do that.
    #[must_use]
    pub fn allows(&self, key: &KeyHash, scope: Scope) -> bool {
        self.0.get(key).is_some_and(|key| key.scopes.contains(&scope))
    }

    /// Adds a key; one that is there already keeps when it was used.
    pub fn add(&mut self, key: KeyHash, scopes: BTreeSet<Scope>) {
        self.0.entry(key).or_default().scopes = scopes;
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &KeyHash) {
        self.0.remove(key);
    }

    /// The last uses, to the minute, that the ledger does not have.
    #[must_use]
    pub fn untold(&self) -> Vec<(KeyHash, Millis)> {
        let untold = self.0.iter().filter(|(_, key)| key.used != key.told);
        untold.filter_map(|(hash, key)| Some((hash.clone(), key.used?))).collect()
    }

    /// Notes that the ledger has those uses.
    pub fn told(&mut self, uses: &[(KeyHash, Millis)]) {
        for (hash, used) in uses {
            if let Some(key) = self.0.get_mut(hash) {
                key.told = Some(*used);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::key::ApiKey;

    #[test]
    fn a_key_is_good_from_its_adding_to_its_removal() {
        let (key, other) = (ApiKey::new([1; 32]).hash(), ApiKey::new([2; 32]).hash());
        let mut ring = KeyRing::default();
        assert!(!ring.present(&key, Millis::new(0)));
        ring.add(key.clone(), BTreeSet::from([Scope::Decide]));
        ring.add(other.clone(), BTreeSet::new());
        assert!(ring.present(&key, Millis::new(0)) && ring.present(&other, Millis::new(0)));
        assert!(ring.allows(&key, Scope::Decide) && !ring.allows(&other, Scope::Decide));
        ring.remove(&key);
        assert!(!ring.present(&key, Millis::new(1)) && !ring.allows(&key, Scope::Decide));
        assert!(ring.present(&other, Millis::new(1)));
    }

    #[test]
    fn its_last_use_is_known_to_the_minute_and_told_once() {
        let key = ApiKey::new([1; 32]).hash();
        let mut ring = KeyRing::default();
        ring.add(key.clone(), BTreeSet::new());
        assert_eq!(ring.untold(), []);
        ring.present(&key, Millis::new(1_000));
        let before = ring.clone();
        ring.present(&key, Millis::new(60_999));
        assert_eq!(ring, before, "a use within the minute changes nothing");
        let untold = ring.untold();
        assert_eq!(untold, [(key.clone(), Millis::new(1_000))]);
        ring.present(&key, Millis::new(61_000));
        ring.told(&untold);
        assert_eq!(ring.untold(), [(key, Millis::new(61_000))], "the use meanwhile is still to be told");
    }
}
