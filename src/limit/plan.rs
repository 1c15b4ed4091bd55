//! A plan: which endpoints a client may use, how much, and what more costs.

mod limits;
mod policy;
mod quotas;
mod strategy;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::policy::{OverLimit, Policy, QueuePolicy, Sale};
use super::quota::OverQuota;
use crate::config::table::{Faults, Table, text};
use crate::endpoint::{EndpointName, Pattern, Target};
use crate::pay::amount::Price;

/// The plans by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans(BTreeMap<String, Plan>);

/// One plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The name that people see; the plan's own name unless the owner gave another.
    pub title: String,
    /// What one prepaid credit costs, where clients may buy some.
    pub credit_price: Option<Price>,
    endpoints: Vec<Endpoint>,
}

/// An endpoint of a plan and what holds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name, as the plan writes it.
    pub name: EndpointName,
    pattern: Pattern,
    /// What holds there.
    pub policy: Policy,
    /// What is written there and does nothing, each with what it would need.
    pub without_effect: Vec<(&'static str, &'static str)>,
}

impl Plans {
    /// Reads the plans by name: what stands under `plans:` in a plan file.
    #[must_use]
    pub fn read(name: &str, value: &Value, faults: &mut Faults) -> Self {
        let Some(table) = Table::open(name, value, faults) else {
            return Self::default();
        };
        let plans = table.entries().filter_map(|(plan, full, value)| {
            Plan::read(plan, &full, value, faults).map(|read| (plan.to_owned(), read))
        });
        Self(plans.collect())
    }

    /// The plan of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Plan> {
        self.0.get(name)
    }

    /// All plans with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Plan)> {
        self.0.iter().map(|(name, plan)| (name.as_str(), plan))
    }

    /// The names of all plans, for messages.
    #[must_use]
    pub fn names(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

impl Plan {
    fn read(name: &str, full: &str, value: &Value, faults: &mut Faults) -> Option<Self> {
        let mut table = Table::open(full, value, faults)?;
        let title = table.optional("name", text, faults).unwrap_or(name).to_owned();
        let credit_price = table.optional("credit_price", strategy::price, faults);
        let mut endpoints = Vec::new();
        match table.table("endpoints", faults) {
            Some(listed) => {
                endpoints.extend(
                    listed
                        .entries()
                        .filter_map(|(name, full, value)| Endpoint::read(name, &full, value, faults)),
                );
            }
            None if table.value("endpoints").is_none() => {
                faults.add(
                    table.name_of("endpoints"),
                    "is missing; a plan lists the endpoints it gives access to",
                );
            }
            None => {}
        }
        table.finish(faults);
        Some(Self { title, credit_price, endpoints })
    }

    /// The endpoint that a request falls under: the most specific that matches.
    #[must_use]
    pub fn find(&self, target: &Target) -> Option<&Endpoint> {
        let matches = self.endpoints.iter().filter_map(|e| Some((e.pattern.specificity(target)?, e)));
        matches.max_by_key(|(specificity, _)| *specificity).map(|(_, endpoint)| endpoint)
    }

    /// The endpoint of that name.
    #[must_use]
    pub fn endpoint(&self, name: &EndpointName) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == *name)
    }

    /// The prices that clients are asked for, with where each is written.
    pub fn sold(&self) -> impl Iterator<Item = (String, &Price)> {
        let credits = self.credit_price.iter().map(|price| ("credit_price".to_owned(), price));
        credits.chain(self.endpoints.iter().filter_map(|endpoint| {
            let price = endpoint.policy.per_call.as_ref().or_else(|| Some(&endpoint.policy.sale()?.price));
            Some((format!("endpoints.\"{}\".price", endpoint.name), price?))
        }))
    }

    /// Where it is written that each call is paid.
    pub fn paid_by_call(&self) -> impl Iterator<Item = String> {
        let endpoints = self.endpoints.iter().filter(|endpoint| endpoint.policy.per_call.is_some());
        endpoints.map(|endpoint| format!("endpoints.\"{}\".payment", endpoint.name))
    }

    /// The prices that are billed later, with where each is written.
    pub fn billed(&self) -> impl Iterator<Item = (String, &Price)> {
        self.endpoints.iter().flat_map(|endpoint| {
            endpoint.policy.quotas.iter().enumerate().filter_map(|(nth, quota)| match &quota.over {
                OverQuota::Overage(price) => {
                    let written = format!("endpoints.\"{}\".quotas[{nth}].overage_price", endpoint.name);
                    Some((written, price))
                }
                OverQuota::Block | OverQuota::Pay(_) => None,
            })
        })
    }

    /// All endpoints, in the order of their names.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter()
    }
}

impl Endpoint {
    /// What its name says of method and path.
    #[must_use]
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    fn read(name: &str, full: &str, value: &Value, faults: &mut Faults) -> Option<Self> {
        let pattern = Pattern::parse(name).map_err(|message| faults.add(full, message)).ok();
        let policy = Policy::read(full, value, faults)?;
        let without_effect = strategy::without_effect(value, &policy);
        Some(Self { name: EndpointName::new(name), pattern: pattern?, policy, without_effect })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::CanonicalPath;
    use serde_json::json;

    fn read(value: &Value) -> (Plans, Vec<String>) {
        let mut faults = Faults::default();
        let plans = Plans::read("PLANS", value, &mut faults);
        (plans, faults.list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_plan_is_read_as_it_is_written() {
        let (plans, faults) = read(&json!({ "free": { "name": "Free", "endpoints": {
            "GET /cpu": { "bucket": { "capacity": 4, "refill_rate": 4 }, "over_limit": "pay", "price": "0.001" },
            "*": { "bucket": { "rpm": 10, "burst": 5 }, "cost": "0.5" },
        }}}));
        assert_eq!(faults, Vec::<String>::new());
        let plan = plans.get("free").unwrap();
        let target =
            Target { method: "GET".into(), path: CanonicalPath::parse("/cpu").unwrap(), logical: None };
        let endpoint = plan.find(&target).unwrap();
        assert_eq!(endpoint.name.as_str(), "GET /cpu");
        let OverLimit::Pay(sale) = &endpoint.policy.over_limit else { panic!("is for sale") };
        assert_eq!((sale.refill, sale.price.to_string().as_str()), (None, "0.001"));
        assert_eq!(plan.endpoint(&EndpointName::new("*")).unwrap().policy.bucket.unwrap().shown_limit, 10);
    }

    #[test]
    fn every_fault_of_a_plan_names_plan_endpoint_and_field() {
        let (_, faults) = read(&json!({ "free": { "endpoints": {
            "GET /a": { "bucket": { "capacity": 0, "refill_rate": "x" }, "over_limit": "pay", "price": 0.001 },
            "GET /b": { "bucket": { "capacity": 4 }, "over_limit": "sell" },
            "GET /c": { "bucket": { "capacity": 4, "rpm": 3 }, "costs": 1 },
            "get /d": {},
            "GET /e": { "over_limit": "pay" },
        }}, "empty": {} }));
        assert_eq!(
            faults,
            [
                "PLANS.empty.endpoints: is missing; a plan lists the endpoints it gives access to",
                "PLANS.free.endpoints.\"GET /a\".bucket.capacity: must be more than 0",
                "PLANS.free.endpoints.\"GET /a\".bucket.refill_rate: `x` is not a number of tokens; write a number from 0 with at most 6 decimals",
                "PLANS.free.endpoints.\"GET /a\".price: must be a text such as \"0.001\", so that no float ever holds money",
                "PLANS.free.endpoints.\"GET /b\".bucket.refill_rate: is missing",
                "PLANS.free.endpoints.\"GET /b\".over_limit: `sell` is not a strategy; write block, pay, queue or degrade",
                "PLANS.free.endpoints.\"GET /c\".bucket: must be { capacity, refill_rate } (tokens, tokens per second) or { rpm, burst }",
                "PLANS.free.endpoints.\"GET /c\".costs: is not a setting; did you mean `cost`?",
                "PLANS.free.endpoints.\"GET /e\".price: is missing; `over_limit: pay` needs the price of a refill, such as \"0.001\"",
                "PLANS.free.endpoints.\"GET /e\".bucket: is missing; a payment adds to a bucket, a window or a quota",
                "PLANS.free.endpoints.\"get /d\": is not an endpoint: `get` is not a method; write it in capitals, such as `GET /path`",
            ]
        );
    }
}
