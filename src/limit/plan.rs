//! A plan: which endpoints a client may use, how much, and what more costs.

mod quotas;

use std::collections::BTreeMap;

use serde_json::Value;

use super::allowance::BUCKET;
use super::bucket::BucketPolicy;
use super::credit::CREDITS;
use super::quota::{OverQuota, QuotaPolicy};
use super::slots::SlotPolicy;
use super::tokens::{Rate, Tokens};
use super::units::{REQUEST, Units, is_unit_name};
use super::window::{Motion, WindowPolicy};
use crate::config::table::{Faults, Table, count, number, parsed, text};
use crate::config::{base_url, list, positive_span};
use crate::endpoint::{CanonicalPath, EndpointName, Pattern, Target};
use crate::pay::amount::Price;
use crate::time::Span;

/// The plans by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans(BTreeMap<String, Plan>);

/// One plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The name that people see; the plan's own name unless the owner gave another.
    pub title: String,
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
}

/// What holds at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The token bucket, if there is one.
    pub bucket: Option<BucketPolicy>,
    /// Tokens that a request takes from the bucket.
    pub cost: Tokens,
    /// Windows, fixed and sliding, in the order of the plan.
    pub windows: Vec<WindowPolicy>,
    /// Quotas of days and months.
    pub quotas: Vec<QuotaPolicy>,
    /// What of which unit costs how many prepaid credits.
    pub credits: Units,
    /// How many requests may run at the same time, if that is limited.
    pub slots: Option<SlotPolicy>,
    /// What happens over the limit.
    pub over_limit: OverLimit,
    /// What each call costs, where each one is paid (`payment: always`).
    pub per_call: Option<Price>,
}

/// What happens to a request over the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// It is refused with 429.
    Block,
    /// It may be paid for.
    Pay(Sale),
    /// It waits for its turn.
    Queue(QueuePolicy),
    /// It passes degraded: to this path or URL, if there is one.
    Degrade(Option<String>),
}

/// What is for sale at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// What one refill costs.
    pub price: Price,
    /// What one refill adds to the limit that denied; as much as the limit itself where the plan does not say.
    pub refill: Option<Tokens>,
}

/// How requests wait for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// How long a request may wait.
    pub max_wait: Span,
    /// How many may wait at the same time.
    pub max_queue: u64,
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
        if table.value("credit_price").is_some() {
            faults.add(table.name_of("credit_price"), "is not supported by this version");
        }
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
        Some(Self { title, endpoints })
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
        self.endpoints.iter().filter_map(|endpoint| {
            let price = endpoint.policy.per_call.as_ref().or_else(|| Some(&endpoint.policy.sale()?.price));
            Some((format!("endpoints.\"{}\".price", endpoint.name), price?))
        })
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
        let policy = Policy::read(full, value, faults);
        Some(Self { name: EndpointName::new(name), pattern: pattern?, policy: policy? })
    }
}

const DEFAULT_EXPIRY: Span = Span::seconds(60);
/// How long and how many requests wait where the plan does not say.
const DEFAULT_QUEUE: QueuePolicy = QueuePolicy { max_wait: Span::seconds(10), max_queue: 20 };

impl Policy {
    fn read(full: &str, value: &Value, faults: &mut Faults) -> Option<Self> {
        let mut table = Table::open(full, value, faults)?;
        let bucket = table.table("bucket", faults).and_then(|bucket| read_bucket(bucket, faults));
        let cost = table.optional("cost", number, faults).unwrap_or(Tokens::ONE);
        let mut windows = read_windows(&mut table, "fixed_windows", Motion::Fixed, faults);
        windows.extend(read_windows(&mut table, "sliding_windows", Motion::Sliding, faults));
        check_names(table.name(), &windows, faults);
        let slots = read_slots(&mut table, faults);
        let per_call = read_per_call(&mut table, faults);
        let credits = quotas::read_credits(&mut table, faults);
        let has_quota =
            table.value("quotas").and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        let has_limit = bucket.is_some() || !windows.is_empty() || has_quota || !credits.is_empty();
        let over_limit = read_over_limit(&mut table, has_limit, faults);
        let quotas = quotas::read(&mut table, over_limit.as_ref().unwrap_or(&OverLimit::Block), faults);
        if per_call.is_some() && quotas.iter().any(|quota| matches!(quota.over, OverQuota::Pay(_))) {
            let message = "cannot be sold (402) where `payment: always` sells each call; let them block";
            faults.add(table.name_of("quotas"), message);
        }
        table.finish(faults);
        Some(Self { bucket, cost, windows, quotas, credits, slots, over_limit: over_limit?, per_call })
    }

    /// Whether the end of an admitted request matters: it holds a slot, or units are counted that only its end tells.
    #[must_use]
    pub fn counts_ends(&self) -> bool {
        let windows = self.windows.iter().map(|window| window.unit.as_str());
        let quotas = self.quotas.iter().map(|quota| quota.unit.as_str());
        let credits = self.credits.iter().map(|(unit, _)| unit);
        self.slots.is_some() || windows.chain(quotas).chain(credits).any(|unit| unit != REQUEST)
    }

    /// The quota of that name.
    #[must_use]
    pub fn quota(&self, limit: &str) -> Option<&QuotaPolicy> {
        self.quotas.iter().find(|quota| quota.name == limit)
    }

    /// What is for sale here: the price is that of the endpoint, whatever of it is sold.
    #[must_use]
    pub fn sale(&self) -> Option<&Sale> {
        let quotas = self.quotas.iter().find_map(|quota| match &quota.over {
            OverQuota::Pay(sale) => Some(sale),
            OverQuota::Block | OverQuota::Overage(_) => None,
        });
        match &self.over_limit {
            OverLimit::Pay(sale) => Some(sale),
            OverLimit::Block | OverLimit::Queue(_) | OverLimit::Degrade(_) => quotas,
        }
    }

    /// The name of the first limit: the one to tell of where only the queue denies.
    #[must_use]
    pub fn first_limit(&self) -> String {
        self.windows
            .first()
            .filter(|_| self.bucket.is_none())
            .map_or_else(|| BUCKET.to_owned(), |window| window.name.clone())
    }

    /// What a payment adds to a limit that denies a request which costs `credits`: the plan's refill, else as much as the
    /// limit itself; of credits, as many as the request costs. Nothing where the limit is not for sale.
    #[must_use]
    pub fn refill_of(&self, limit: &str, credits: Tokens) -> Option<Tokens> {
        if let Some(quota) = self.quota(limit) {
            let OverQuota::Pay(sale) = &quota.over else { return None };
            return Some(sale.refill.unwrap_or(quota.limit));
        }
        let OverLimit::Pay(sale) = &self.over_limit else { return None };
        let own = match limit {
            BUCKET => self.bucket.as_ref().map(|bucket| bucket.capacity),
            CREDITS => Some(credits.max(Tokens::ONE)),
            _ => self.windows.iter().find(|window| window.name == limit).map(|window| window.limit),
        };
        own.map(|own| sale.refill.unwrap_or(own))
    }
}

fn read_windows(
    table: &mut Table<'_>,
    member: &'static str,
    motion: Motion,
    faults: &mut Faults,
) -> Vec<WindowPolicy> {
    let name = table.name_of(member);
    let items = table.optional(member, list, faults).unwrap_or_default();
    let windows = items.iter().enumerate().filter_map(|(index, value)| {
        Table::open(format!("{name}[{index}]"), value, faults)
            .and_then(|table| read_window(table, motion, faults))
    });
    windows.collect()
}

fn read_window(mut table: Table<'_>, motion: Motion, faults: &mut Faults) -> Option<WindowPolicy> {
    let length = table.required("window", positive_span, faults);
    let limit = table.required("limit", positive, faults);
    let unit = read_unit(&mut table, faults).to_owned();
    table.finish(faults);
    let length = length?;
    let suffix = if motion == Motion::Sliding { "-sliding" } else { "" };
    Some(WindowPolicy { name: format!("{unit}-{length}{suffix}"), unit, length, limit: limit?, motion })
}

/// Reads what a limit counts; requests where it does not say.
fn read_unit<'a>(table: &mut Table<'a>, faults: &mut Faults) -> &'a str {
    let unit = table.optional("unit_type", unit_name, faults);
    let alias = table.optional("unit_kind", unit_name, faults);
    if unit.is_some() && alias.is_some() {
        faults.add(table.name_of("unit_kind"), "is the same as unit_type; write one of them");
    }
    unit.or(alias).unwrap_or(REQUEST)
}

fn check_names(full: &str, windows: &[WindowPolicy], faults: &mut Faults) {
    for (index, window) in windows.iter().enumerate() {
        if windows.iter().take(index).any(|other| other.name == window.name) {
            faults.add(
                full,
                format!(
                    "has two windows of {} for the unit {}; keep the smaller",
                    window.length, window.unit
                ),
            );
        }
    }
}

fn unit_name(value: &Value) -> Result<&str, String> {
    match text(value)? {
        name if is_unit_name(name) => Ok(name),
        other => Err(format!("`{other}` is not a unit; write letters, digits, - and _, such as token")),
    }
}

fn read_slots(table: &mut Table<'_>, faults: &mut Faults) -> Option<SlotPolicy> {
    let expiry = table.optional("concurrency_expiry", positive_span, faults);
    let Some(max) = table.optional("max_concurrent", count, faults) else {
        if expiry.is_some() && table.value("max_concurrent").is_none() {
            faults.add(table.name_of("concurrency_expiry"), "has no effect without max_concurrent");
        }
        return None;
    };
    if max == 0 {
        faults.add(table.name_of("max_concurrent"), "must be more than 0");
        return None;
    }
    Some(SlotPolicy { max, expiry: expiry.unwrap_or(DEFAULT_EXPIRY) })
}

fn read_bucket(mut table: Table<'_>, faults: &mut Faults) -> Option<BucketPolicy> {
    let by_rpm = table.value("rpm").is_some() || table.value("burst").is_some();
    let by_rate = table.value("capacity").is_some() || table.value("refill_rate").is_some();
    let policy = match (by_rpm, by_rate) {
        (true, false) => {
            let rpm: Option<Tokens> = table.required("rpm", number, faults);
            let burst = table.required("burst", positive, faults);
            rpm.zip(burst).map(|(rpm, burst)| BucketPolicy {
                capacity: burst,
                rate: Rate::per_minute(rpm),
                shown_limit: rpm.floor(),
            })
        }
        (false, true) => {
            let capacity: Option<Tokens> = table.required("capacity", positive, faults);
            let rate = table.required("refill_rate", number, faults);
            capacity.zip(rate).map(|(capacity, rate)| BucketPolicy {
                capacity,
                rate: Rate::per_second(rate),
                shown_limit: capacity.floor(),
            })
        }
        _ => {
            let message = "must be { capacity, refill_rate } (tokens, tokens per second) or { rpm, burst }";
            faults.add(table.name(), message);
            None
        }
    };
    table.finish(faults);
    policy
}

fn positive(value: &Value) -> Result<Tokens, String> {
    match number(value)? {
        Tokens::ZERO => Err("must be more than 0".to_owned()),
        tokens => Ok(tokens),
    }
}

/// `payment: always` and its price: what each call costs, where each one is paid.
fn read_per_call(table: &mut Table<'_>, faults: &mut Faults) -> Option<Price> {
    match table.optional("payment", text, faults)? {
        "always" => {
            let sells_refills = table.value("over_limit") == Some(&Value::from("pay"));
            for (member, is_wrong) in [("refill", true), ("over_limit", sells_refills)] {
                if is_wrong && table.value(member).is_some() {
                    faults
                        .add(table.name_of(member), "has no meaning where `payment: always` sells each call");
                }
            }
            table.required("price", price, faults)
        }
        other => {
            faults.add(table.name_of("payment"), format!("`{other}` is not a way to pay; write always"));
            None
        }
    }
}

fn read_over_limit(table: &mut Table<'_>, has_limit: bool, faults: &mut Faults) -> Option<OverLimit> {
    let price: Option<Price> = table.optional("price", price, faults);
    let refill = table.optional("refill", positive, faults);
    let max_wait = table.optional("max_wait", positive_span, faults).unwrap_or(DEFAULT_QUEUE.max_wait);
    let max_queue = table.optional("max_queue", count, faults).unwrap_or(DEFAULT_QUEUE.max_queue);
    let degrade_to = table.optional("degrade_to", degrade_to, faults);
    match table.optional("over_limit", text, faults).unwrap_or("block") {
        "block" => Some(OverLimit::Block),
        "pay" => read_sale(table, price, refill, has_limit, faults).map(OverLimit::Pay),
        "queue" => Some(OverLimit::Queue(QueuePolicy { max_wait, max_queue })),
        "degrade" => Some(OverLimit::Degrade(degrade_to)),
        other => {
            let message = format!("`{other}` is not a strategy; write block, pay, queue or degrade");
            faults.add(table.name_of("over_limit"), message);
            None
        }
    }
}

fn degrade_to(value: &Value) -> Result<String, String> {
    match text(value)? {
        path if path.starts_with('/') => match CanonicalPath::parse(path) {
            Ok(_) if path.contains(['?', '#']) => Err("must be a path without a query".to_owned()),
            Ok(canonical) => Ok(canonical.as_str().to_owned()),
            Err(fault) => Err(fault.to_string()),
        },
        _ => base_url(value).map(|url| url.to_string()),
    }
}

fn price(value: &Value) -> Result<Price, String> {
    match value {
        Value::Number(_) => {
            Err("must be a text such as \"0.001\", so that no float ever holds money".to_owned())
        }
        other => parsed(other),
    }
}

fn read_sale(
    table: &mut Table<'_>,
    price: Option<Price>,
    refill: Option<Tokens>,
    has_limit: bool,
    faults: &mut Faults,
) -> Option<Sale> {
    if table.value("price").is_none() {
        let message = "is missing; `over_limit: pay` needs the price of a refill, such as \"0.001\"";
        faults.add(table.name_of("price"), message);
    }
    if !has_limit && table.value("bucket").is_none() {
        faults.add(table.name_of("bucket"), "is missing; a payment adds to a bucket, a window or a quota");
    }
    price.map(|price| Sale { price, refill })
}

#[cfg(test)]
mod tests {
    use super::*;
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
