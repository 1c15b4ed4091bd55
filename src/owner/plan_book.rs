//! The plans that an owner has set while the gate runs, over those of the settings; every change is a step to the next
//! version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Plans and default plan as the owner set them, over the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanBook {
    /// Grows by one with every change; zero where nothing was ever changed.
    pub version: u64,
    /// Plans by name, in place of those of the settings; `None` takes that one away.
    pub plans: BTreeMap<String, Option<Value>>,
    /// In place of the setting `default_plan`.
    pub default_plan: Option<String>,
}

/// The book as an object stores it, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredBook {
    /// The first form.
    V1(PlanBook),
}

/// A change to the book.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// These plans, over those of the same name; with `replace`, all others go.
    Put {
        /// The plans by name.
        plans: Map<String, Value>,
        /// Whether plans that are not named go.
        replace: bool,
    },
    /// Without that plan.
    Remove(String),
    /// That plan for everybody who has no other.
    Default(String),
}

/// A change as it would be in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The next version.
    pub book: PlanBook,
    /// The plans that the change writes or takes away.
    pub written: Vec<String>,
    /// Those that it takes away: nobody may use them.
    pub removed: Vec<String>,
}

impl PlanBook {
    /// The documents of all plans: those of the settings, with the book over them.
    #[must_use]
    pub fn over(&self, settings: &Map<String, Value>) -> Map<String, Value> {
        let mut plans = settings.clone();
        for (name, plan) in &self.plans {
            match plan {
                Some(plan) => plans.insert(name.clone(), plan.clone()),
                None => plans.remove(name),
            };
        }
        plans
    }

    /// The book after a change. `settings` are the plans that it stands over.
    #[must_use]
    pub fn changed(&self, settings: &Map<String, Value>, change: Change) -> Changed {
        let before = self.over(settings);
        let mut book = Self { version: self.version.saturating_add(1), ..self.clone() };
        let mut written = Vec::new();
        let mut removed = Vec::new();
        match change {
            Change::Put { plans, replace } => {
                if replace {
                    removed.extend(before.keys().filter(|name| !plans.contains_key(*name)).cloned());
                }
                written.extend(plans.keys().cloned());
                book.plans.extend(plans.into_iter().map(|(name, plan)| (name, Some(plan))));
            }
            Change::Remove(name) => removed.push(name),
            Change::Default(name) => book.default_plan = Some(name),
        }
        book.plans.extend(removed.iter().map(|name| (name.clone(), None)));
        written.extend(removed.iter().cloned());
        Changed { book, written, removed }
    }
}

/// The entity tag (RFC 9110 §8.8.3) of a document: the same for the same content.
#[must_use]
pub fn entity_tag(document: &Value) -> String {
    let digest = hex::encode(Sha256::digest(document.to_string().as_bytes()));
    format!("\"{}\"", digest.get(..32).unwrap_or_default())
}

/// Whether `If-Match` (RFC 9110 §13.1.1) lets a change to what has that tag pass. `None` stands for what is not there.
#[must_use]
pub fn if_match(field: &str, current: Option<&str>) -> bool {
    let Some(current) = current else { return false };
    field.trim() == "*" || field.split(',').any(|tag| tag.trim() == current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no table"),
        }
    }

    fn put(plans: Value, replace: bool) -> Change {
        Change::Put { plans: map(plans), replace }
    }

    #[test]
    fn the_book_stands_over_the_settings() {
        let settings = map(json!({ "free": { "a": 1 }, "pro": { "a": 2 } }));
        let book = PlanBook::default();
        assert_eq!(book.over(&settings), settings);
        let book = book.changed(&settings, put(json!({ "pro": { "b": 1 }, "team": {} }), false)).book;
        assert_eq!(book.over(&settings), map(json!({ "free": { "a": 1 }, "pro": { "b": 1 }, "team": {} })));
        assert_eq!(book.version, 1);
    }

    #[test]
    fn a_plan_of_the_settings_can_be_taken_away_and_put_back() {
        let settings = map(json!({ "free": {}, "pro": {} }));
        let changed = PlanBook::default().changed(&settings, Change::Remove("pro".to_owned()));
        assert_eq!(changed.removed, ["pro"]);
        assert_eq!(changed.book.over(&settings), map(json!({ "free": {} })));
        let back = changed.book.changed(&settings, put(json!({ "pro": { "a": 1 } }), false));
        assert_eq!(back.book.over(&settings), map(json!({ "free": {}, "pro": { "a": 1 } })));
        assert_eq!(back.book.version, 2);
    }

    #[test]
    fn replacing_takes_away_what_is_not_named() {
        let settings = map(json!({ "free": {}, "pro": {} }));
        let changed = PlanBook::default().changed(&settings, put(json!({ "free": {}, "team": {} }), true));
        assert_eq!(changed.removed, ["pro"]);
        assert_eq!(changed.written, ["free", "team", "pro"]);
        assert_eq!(changed.book.over(&settings), map(json!({ "free": {}, "team": {} })));
    }

    #[test]
    fn only_who_saw_the_current_document_may_change_it() {
        let tag = entity_tag(&json!({ "a": 1 }));
        assert_ne!(tag, entity_tag(&json!({ "a": 2 })));
        assert!(if_match(&tag, Some(&tag)) && if_match("*", Some(&tag)));
        assert!(if_match(&format!("\"x\", {tag}"), Some(&tag)));
        assert!(!if_match("\"x\"", Some(&tag)) && !if_match("*", None));
        // A weak tag never matches (§13.1.1).
        assert!(!if_match(&format!("W/{tag}"), Some(&tag)));
    }
}
