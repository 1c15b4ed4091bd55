//! What a plan says of requests over the limit and of prices, as an owner writes it.

use serde_json::Value;

use super::limits::positive;
use super::policy::{OverLimit, Policy, QueuePolicy, Sale};
use crate::config::table::{Faults, Table, count, parsed, text};
use crate::config::{base_url, positive_span};
use crate::endpoint::CanonicalPath;
use crate::limit::tokens::Tokens;
use crate::pay::amount::Price;
use crate::time::Span;

/// How long and how many requests wait where the plan does not say.
const DEFAULT_QUEUE: QueuePolicy = QueuePolicy { max_wait: Span::seconds(10), max_queue: 20 };

/// `payment: always` and its price: what each call costs, where each one is paid.
pub(super) fn read_per_call(table: &mut Table<'_>, faults: &mut Faults) -> Option<Price> {
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

pub(super) fn read_over_limit(
    table: &mut Table<'_>,
    has_limit: bool,
    faults: &mut Faults,
) -> Option<OverLimit> {
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

/// The members of an endpoint that do nothing, each with what it would need.
pub(super) fn without_effect(written: &Value, policy: &Policy) -> Vec<(&'static str, &'static str)> {
    let sells = policy.sale().is_some();
    let queues = matches!(policy.over_limit, OverLimit::Queue(_));
    let degrades = matches!(policy.over_limit, OverLimit::Degrade(_));
    let members = [
        ("cost", policy.bucket.is_some(), "a bucket"),
        ("price", sells || policy.per_call.is_some(), "`over_limit: pay`"),
        ("refill", sells, "`over_limit: pay`"),
        ("max_wait", queues, "`over_limit: queue`"),
        ("max_queue", queues, "`over_limit: queue`"),
        ("degrade_to", degrades, "`over_limit: degrade`"),
    ];
    let idle = members.into_iter().filter(|(member, works, _)| !works && written.get(member).is_some());
    idle.map(|(member, _, needs)| (member, needs)).collect()
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

pub(super) fn price(value: &Value) -> Result<Price, String> {
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
