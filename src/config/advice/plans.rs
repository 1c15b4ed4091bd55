//! What will surprise in plans: a limit that no request can pass, a price that stock clients do not pay.

use crate::config::table::{Faults, member_name};
use crate::limit::bucket::BucketPolicy;
use crate::limit::plan::{Endpoint, OverLimit, Plans, Policy, QueuePolicy, Sale};
use crate::limit::tokens::Tokens;
use crate::limit::units::REQUEST;
use crate::pay::amount::{Amount, Price, PriceError};

/// The most that a stock x402 v1 client pays where nobody told it more: `maxValue` of npm x402-fetch 1.2.0, 0.10 USDC.
const V1_CLIENTS_PAY: Amount = Amount::new(100_000);

/// The same of a v2 client: `spendControls` of npm @x402/core 2.27.0, 1 USDC.
const V2_CLIENTS_PAY: Amount = Amount::new(1_000_000);

/// The decimals of USDC, in which stock clients count.
const USDC_DECIMALS: u8 = 6;

/// What will surprise in plans alone, such as those of a plan file; `name` is what they are called there.
#[must_use]
pub fn on_plans(name: &str, plans: &Plans) -> Faults {
    let mut found = Faults::default();
    for (plan, read) in plans.iter() {
        let spends = read.endpoints().any(|endpoint| !endpoint.policy.credits.is_empty());
        if read.credit_price.is_some() && !spends {
            let full = member_name(&member_name(name, plan), "credit_price");
            found.add(full, "sells credits, and no endpoint of the plan costs any: they buy nothing here");
        }
    }
    for (plan, endpoint) in plans.iter().flat_map(|(plan, read)| read.endpoints().map(move |e| (plan, e))) {
        let endpoints = format!("{}.endpoints", member_name(name, plan));
        let full = member_name(&endpoints, endpoint.name.as_str());
        Advice { full: &full, found: &mut found }.on_endpoint(endpoint);
    }
    found
}

/// Gathers what is found about one endpoint of a plan.
struct Advice<'a> {
    full: &'a str,
    found: &'a mut Faults,
}

impl Advice<'_> {
    fn add(&mut self, member: &str, message: impl Into<String>) {
        self.found.add(member_name(self.full, member), message);
    }

    fn on_endpoint(&mut self, endpoint: &Endpoint) {
        let policy = &endpoint.policy;
        if let Some(bucket) = &policy.bucket {
            self.on_bucket(policy, bucket);
        }
        for (member, needs) in &endpoint.without_effect {
            self.add(member, format!("has no effect without {needs}"));
        }
        self.on_windows(policy);
        if let Some(price) = policy.per_call {
            self.on_price(price, "call");
        }
        match &policy.over_limit {
            OverLimit::Pay(sale) => self.on_sale(policy, sale),
            OverLimit::Queue(queue) => self.on_queue(policy, queue),
            OverLimit::Block | OverLimit::Degrade(_) => {}
        }
        let is_limited = policy.bucket.is_some()
            || !policy.windows.is_empty()
            || !policy.quotas.is_empty()
            || !policy.credits.is_empty()
            || policy.slots.is_some();
        if !is_limited && matches!(policy.over_limit, OverLimit::Queue(_) | OverLimit::Degrade(_)) {
            self.add("over_limit", "has no effect: there is no limit here that a request could be over");
        }
    }

    fn on_bucket(&mut self, policy: &Policy, bucket: &BucketPolicy) {
        let (cost, capacity) = (policy.cost, bucket.capacity);
        let is_sold = matches!(policy.over_limit, OverLimit::Pay(_));
        if cost == Tokens::ZERO {
            self.add("cost", "is 0: requests take nothing, so that the bucket never denies one");
        } else if cost > capacity {
            let unless = if is_sold { " unless it is paid for" } else { "" };
            let message = format!(
                "is more than the bucket ever holds ({cost} of {capacity}): no request passes{unless}"
            );
            self.add("cost", message);
        }
        if !is_sold && bucket.rate.time_for(Tokens::ONE, 0).is_none() {
            self.add("bucket", "never refills: when it is empty, nothing passes ever again");
        }
    }

    fn on_windows(&mut self, policy: &Policy) {
        for window in
            policy.windows.iter().filter(|window| window.unit == REQUEST && window.limit < Tokens::ONE)
        {
            let (limit, length) = (window.limit, window.length);
            let message =
                format!("allows {limit} requests in {length}: no request passes, for each counts 1");
            self.add(window.motion.member(), message);
        }
    }

    /// `buys` is what the price is for.
    fn on_price(&mut self, price: Price, buys: &str) {
        let told = match price.to_amount(USDC_DECIMALS) {
            Ok(amount) if amount > V2_CLIENTS_PAY => {
                Some(too_dear(price, buys, "x402 clients", V2_CLIENTS_PAY))
            }
            Ok(amount) if amount > V1_CLIENTS_PAY => {
                Some(too_dear(price, buys, "x402 v1 clients", V1_CLIENTS_PAY))
            }
            Err(PriceError::Zero) => Some("is nothing; no payment of nothing can be made".to_owned()),
            Ok(_) | Err(_) => None,
        };
        if let Some(told) = told {
            self.add("price", told);
        }
    }

    fn on_sale(&mut self, policy: &Policy, sale: &Sale) {
        self.on_price(sale.price, "refill");
        if let Some(refill) = sale.refill.filter(|refill| policy.bucket.is_some() && *refill < policy.cost) {
            let cost = policy.cost;
            let message = format!(
                "is less than one request takes ({refill} of {cost}): nothing is offered until the bucket holds the rest"
            );
            self.add("refill", message);
        }
    }

    fn on_queue(&mut self, policy: &Policy, queue: &QueuePolicy) {
        if queue.max_queue == 0 {
            self.add("max_queue", "is 0: no request ever waits, all are refused");
        }
        let wait = policy.bucket.as_ref().and_then(|bucket| bucket.rate.time_for(policy.cost, 0));
        if let Some(wait) = wait.filter(|wait| *wait > queue.max_wait && policy.windows.is_empty()) {
            let message = format!(
                "is shorter than the wait for one request ({wait}): whoever finds the bucket empty is refused, not queued"
            );
            self.add("max_wait", message);
        }
    }
}

fn too_dear(price: Price, buys: &str, who: &str, most: Amount) -> String {
    let most = most.to_decimal(USDC_DECIMALS);
    format!(
        "is {price} for one {buys}, and stock {who} refuse more than {most} USDC unless their users allow it; sell less at a time"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;
    use serde_json::{Value, json};

    fn of_endpoint(endpoint: &Value) -> Vec<String> {
        let mut faults = Faults::default();
        let plans = Plans::read("PLANS", &json!({ "p": { "endpoints": { "/x": endpoint } } }), &mut faults);
        assert_eq!(said(&faults), Vec::<String>::new());
        let prefix = "plans.p.endpoints.\"/x\".";
        said(&on_plans("plans", &plans))
            .iter()
            .map(|line| line.strip_prefix(prefix).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn limits_that_no_request_can_pass_are_told() {
        for (endpoint, told) in [
            (json!({ "bucket": { "capacity": 4, "refill_rate": 1 }, "cost": 4 }), None),
            (
                json!({ "bucket": { "capacity": 4, "refill_rate": 1 }, "cost": 5 }),
                Some("cost: is more than the bucket ever holds (5 of 4): no request passes"),
            ),
            (
                json!({ "bucket": { "capacity": 4, "refill_rate": 1 }, "cost": 5, "over_limit": "pay", "price": "0.01", "refill": 5 }),
                Some(
                    "cost: is more than the bucket ever holds (5 of 4): no request passes unless it is paid for",
                ),
            ),
            (
                json!({ "bucket": { "capacity": 4, "refill_rate": 1 }, "cost": 0 }),
                Some("cost: is 0: requests take nothing, so that the bucket never denies one"),
            ),
            (
                json!({ "bucket": { "capacity": 4, "refill_rate": 0 } }),
                Some("bucket: never refills: when it is empty, nothing passes ever again"),
            ),
            (
                json!({ "bucket": { "capacity": 4, "refill_rate": 0 }, "over_limit": "pay", "price": "0.01" }),
                None,
            ),
            (
                json!({ "fixed_windows": [{ "window": "60s", "limit": 0.5 }] }),
                Some("fixed_windows: allows 0.5 requests in 60s: no request passes, for each counts 1"),
            ),
            (json!({ "sliding_windows": [{ "window": "60s", "limit": 0.5, "unit_type": "token" }] }), None),
            (
                json!({ "over_limit": "queue", "credits": { "image": 1 }, "quotas": [{ "period": "day", "limit": 5 }] }),
                None,
            ),
            (
                json!({ "over_limit": "queue" }),
                Some("over_limit: has no effect: there is no limit here that a request could be over"),
            ),
            (
                json!({ "bucket": { "capacity": 4, "refill_rate": 1 }, "over_limit": "queue", "max_queue": 0 }),
                Some("max_queue: is 0: no request ever waits, all are refused"),
            ),
            (
                json!({ "bucket": { "capacity": 4, "refill_rate": 0.01 }, "over_limit": "queue" }),
                Some(
                    "max_wait: is shorter than the wait for one request (100s): whoever finds the bucket empty is refused, not queued",
                ),
            ),
        ] {
            assert_eq!(of_endpoint(&endpoint), told.into_iter().collect::<Vec<_>>(), "{endpoint}");
        }
    }

    #[test]
    fn what_is_written_and_does_nothing_is_told() {
        let bucket = json!({ "capacity": 4, "refill_rate": 1 });
        assert_eq!(
            of_endpoint(
                &json!({ "bucket": bucket, "price": "0.01", "refill": 4, "max_wait": "5s", "max_queue": 3, "degrade_to": "/x" })
            ),
            [
                "price: has no effect without `over_limit: pay`",
                "refill: has no effect without `over_limit: pay`",
                "max_wait: has no effect without `over_limit: queue`",
                "max_queue: has no effect without `over_limit: queue`",
                "degrade_to: has no effect without `over_limit: degrade`",
            ]
        );
        assert_eq!(
            of_endpoint(&json!({ "max_concurrent": 1, "cost": 2 })),
            ["cost: has no effect without a bucket"]
        );
        for working in [
            json!({ "bucket": bucket, "over_limit": "pay", "price": "0.01", "refill": 4, "cost": 2 }),
            json!({ "payment": "always", "price": "0.01" }),
            json!({ "quotas": [{ "period": "day", "limit": 5, "over_quota": "402" }], "price": "0.01" }),
            json!({ "bucket": bucket, "over_limit": "queue", "max_wait": "5s", "max_queue": 3 }),
            json!({ "bucket": bucket, "over_limit": "degrade", "degrade_to": "/x" }),
        ] {
            assert_eq!(of_endpoint(&working), Vec::<String>::new(), "{working}");
        }
    }

    #[test]
    fn prices_that_stock_clients_do_not_pay_are_told() {
        let at = |price: &str, refill: u64| {
            of_endpoint(
                &json!({ "bucket": { "capacity": 4, "refill_rate": 1 }, "cost": 2, "over_limit": "pay", "price": price, "refill": refill }),
            )
        };
        assert_eq!(at("0.10", 4), Vec::<String>::new());
        assert_eq!(
            at("0.100001", 4),
            [
                "price: is 0.100001 for one refill, and stock x402 v1 clients refuse more than 0.1 USDC unless their users allow it; sell less at a time"
            ]
        );
        assert_eq!(
            at("1.5", 4),
            [
                "price: is 1.5 for one refill, and stock x402 clients refuse more than 1 USDC unless their users allow it; sell less at a time"
            ]
        );
        assert_eq!(
            of_endpoint(&json!({ "payment": "always", "price": "0.2" })),
            [
                "price: is 0.2 for one call, and stock x402 v1 clients refuse more than 0.1 USDC unless their users allow it; sell less at a time"
            ]
        );
        assert_eq!(
            at("0.01", 1),
            [
                "refill: is less than one request takes (1 of 2): nothing is offered until the bucket holds the rest"
            ]
        );
    }
}
