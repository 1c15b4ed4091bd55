//! What is valid and will surprise its owner: a limit that no request can pass, a price that stock clients do not pay.
//!
//! Nothing here stops a gate. A plan that cannot be read is a fault, and no business of this file.

use serde_json::Value;
use url::Url;

use super::Config;
use super::payment::PaymentConfig;
use super::table::{Faults, member_name};
use crate::limit::bucket::BucketPolicy;
use crate::limit::plan::{Endpoint, OverLimit, Plans, Policy, QueuePolicy, Sale};
use crate::limit::tokens::Tokens;
use crate::limit::units::REQUEST;
use crate::pay::amount::{Amount, Price, PriceError};
use crate::pay::eip712::Address;
use crate::pay::offer::{Tender, TransferMethod};

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
    for (plan, endpoint) in plans.iter().flat_map(|(plan, read)| read.endpoints().map(move |e| (plan, e))) {
        let endpoints = format!("{}.endpoints", member_name(name, plan));
        let full = member_name(&endpoints, endpoint.name.as_str());
        Advice { full: &full, found: &mut found }.on_endpoint(endpoint);
    }
    found
}

/// What will surprise in the settings of a gate and its plans.
#[must_use]
pub fn on_gate(config: &Config) -> Faults {
    let mut found = Faults::default();
    for setting in &config.without_effect {
        found.add(setting, "has no effect in this version");
    }
    if let Some(origin) = &config.origin {
        on_origin("TOLLGATE.origin", origin, &mut found);
    }
    on_endpoint_settings(config, &mut found);
    match &config.payment {
        Some(payment) => on_payment(payment, &mut found),
        None => on_no_payment(&config.plans, &mut found),
    }
    found.extend(on_plans("PLANS", &config.plans));
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

fn on_origin(setting: &str, origin: &Url, found: &mut Faults) {
    let host = origin.host_str().unwrap_or_default();
    if origin.scheme() != "https" {
        found.add(setting, format!("{origin} is this machine: a deployed worker cannot reach it"));
    } else if ["example.com", "example.net", "example.org"].iter().any(|example| is_within(host, example)) {
        found.add(setting, format!("{origin} is an example; write the URL of your API"));
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn on_endpoint_settings(config: &Config, found: &mut Faults) {
    for endpoint in config.endpoints.iter() {
        let full = member_name("TOLLGATE.endpoints", endpoint.name.as_str());
        let is_listed = config.plans.iter().any(|(_, plan)| plan.endpoint(&endpoint.name).is_some());
        if !is_listed && config.plans.iter().next().is_some() {
            found.add(&full, "is listed by no plan: these settings never apply");
        }
        if let Some(origin) = &endpoint.origin {
            on_origin(&member_name(&full, "origin"), origin, found);
        }
    }
}

fn on_payment(payment: &PaymentConfig, found: &mut Faults) {
    for (index, facilitator) in payment.facilitators.iter().enumerate() {
        if facilitator.url.scheme() != "https" {
            let url = &facilitator.url;
            let message = format!(
                "{url} is not HTTPS: payments would go there in the clear, and only from this machine"
            );
            found.add(format!("TOLLGATE.payment.facilitators[{index}]"), message);
        }
    }
    for (index, tender) in payment.tenders.iter().enumerate() {
        let within = match index.checked_sub(1) {
            None => "TOLLGATE.payment".to_owned(),
            Some(nth) => format!("TOLLGATE.payment.offers[{nth}]"),
        };
        if tender.evm().is_some_and(|evm| is_nobody(&evm.pay_to)) {
            let message = format!("{} is nobody's: what is paid to it is lost", tender.payee());
            found.add(format!("{within}.pay_to"), message);
        }
        if tender.v1_name().is_none() && !is_permit2(tender) {
            let network = tender.caip2();
            let message =
                format!("{network} has no name in x402 v1: clients of that version cannot pay there");
            found.add(format!("{within}.network"), message);
        }
    }
}

/// Whether it is offered to clients of version 2 alone.
fn is_permit2(tender: &Tender) -> bool {
    tender.evm().is_some_and(|evm| evm.transfer_method == TransferMethod::Permit2)
}

/// The zero address, and the one that wrangler.toml comes with.
fn is_nobody(address: &Address) -> bool {
    let [leading @ .., high, low] = address.as_bytes();
    leading.iter().all(|byte| *byte == 0) && matches!((high, low), (0, 0) | (0xde, 0xad))
}

/// Without payments, what is for sale blocks.
fn on_no_payment(plans: &Plans, found: &mut Faults) {
    for (plan, endpoint) in plans.iter().flat_map(|(plan, read)| read.endpoints().map(move |e| (plan, e))) {
        if matches!(endpoint.policy.over_limit, OverLimit::Pay(_)) {
            let endpoints = format!("{}.endpoints", member_name("PLANS", plan));
            let full = member_name(&endpoints, endpoint.name.as_str());
            let message =
                "is pay, and [vars.TOLLGATE.payment] is missing: nothing can be bought, and it blocks";
            found.add(format!("{full}.over_limit"), message);
        }
    }
}

/// What a facilitator's `/supported` (x402 v2 §7) lacks of what is sold, in the words that a facilitator uses.
///
/// # Errors
/// The answer is no list of what it supports.
pub fn unsupported(payment: &PaymentConfig, supported: &Value) -> Result<Vec<String>, &'static str> {
    let kinds = supported.get("kinds").and_then(Value::as_array).ok_or("has no list `kinds`")?;
    let lists = |version: u64, scheme: &str, network: &str| {
        kinds.iter().any(|kind| {
            let listed = kind.get("network").and_then(Value::as_str).unwrap_or_default();
            kind.get("x402Version").and_then(Value::as_u64) == Some(version)
                && kind.get("scheme").and_then(Value::as_str) == Some(scheme)
                && (listed == network || (listed == "eip155:*" && network.starts_with("eip155:")))
        })
    };
    let wanted = payment.tenders.iter().flat_map(|tender| {
        let scheme = scheme_of(tender);
        let v1 = tender.v1_name().filter(|_| !is_permit2(tender)).map(|name| (1, scheme, name.to_owned()));
        std::iter::once((2, scheme, tender.caip2())).chain(v1)
    });
    let lacking = wanted.filter(|(version, scheme, network)| !lists(*version, scheme, network));
    Ok(lacking.map(|(version, scheme, network)| format!("{scheme} on {network} (x402 v{version})")).collect())
}

fn scheme_of(tender: &Tender) -> &str {
    match tender {
        Tender::Evm(_) => "exact",
        Tender::Opaque(tender) => &tender.scheme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(found: &Faults) -> Vec<String> {
        found.list().iter().map(ToString::to_string).collect()
    }

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

    fn gate(tollgate: &Value) -> Config {
        let paid = json!({ "free": { "endpoints": { "*": { "bucket": { "capacity": 4, "refill_rate": 1 }, "over_limit": "pay", "price": "0.01" } } } });
        Config::read(tollgate, &paid, false).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn settings_that_surprise_are_told() {
        let config = gate(&json!({
            "origin": "http://localhost:8080", "default_plan": "free",
            "endpoints": { "gpt-4o": { "match": "POST /chat", "origin": "https://api.example.com" }, "*": { "timeout": "60s" } },
            "payment": {
                "pay_to": "0x000000000000000000000000000000000000dEaD", "network": "base-sepolia",
                "facilitators": ["https://x402.org/facilitator", "http://127.0.0.1:4021"],
                "offers": [{ "network": "ethereum", "pay_to": "0x0000000000000000000000000000000000000000" }],
            },
        }));
        assert_eq!(
            said(&on_gate(&config)),
            [
                "TOLLGATE.origin: http://localhost:8080/ is this machine: a deployed worker cannot reach it",
                "TOLLGATE.endpoints.gpt-4o: is listed by no plan: these settings never apply",
                "TOLLGATE.endpoints.gpt-4o.origin: https://api.example.com/ is an example; write the URL of your API",
                "TOLLGATE.payment.facilitators[1]: http://127.0.0.1:4021/ is not HTTPS: payments would go there in the clear, and only from this machine",
                "TOLLGATE.payment.pay_to: 0x000000000000000000000000000000000000dEaD is nobody's: what is paid to it is lost",
                "TOLLGATE.payment.offers[0].pay_to: 0x0000000000000000000000000000000000000000 is nobody's: what is paid to it is lost",
                "TOLLGATE.payment.offers[0].network: eip155:1 has no name in x402 v1: clients of that version cannot pay there",
            ]
        );
    }

    #[test]
    fn what_is_for_sale_without_payments_is_told() {
        let config = gate(&json!({ "origin": "https://api.acme.test", "default_plan": "free" }));
        assert_eq!(
            said(&on_gate(&config)),
            [
                "PLANS.free.endpoints.\"*\".over_limit: is pay, and [vars.TOLLGATE.payment] is missing: nothing can be bought, and it blocks"
            ]
        );
    }

    #[test]
    fn what_a_facilitator_does_not_support_is_told() {
        let config = gate(&json!({
            "origin": "https://api.acme.test", "default_plan": "free",
            "payment": {
                "pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "network": "base",
                "facilitators": ["https://x402.org/facilitator"],
                "offers": [{ "network": "base-sepolia" }, { "network": "ethereum" }],
            },
        }));
        let payment = config.payment.unwrap();
        let kinds = json!({ "kinds": [
            { "x402Version": 2, "scheme": "exact", "network": "eip155:84532" },
            { "x402Version": 1, "scheme": "exact", "network": "base-sepolia" },
            { "x402Version": 2, "scheme": "upto", "network": "eip155:8453" },
            { "x402Version": 1, "scheme": "exact", "network": "base" },
        ]});
        assert_eq!(
            unsupported(&payment, &kinds).unwrap(),
            ["exact on eip155:8453 (x402 v2)", "exact on eip155:1 (x402 v2)"]
        );
        assert!(unsupported(&payment, &json!({ "error": "not found" })).is_err());
        let all = json!({ "kinds": [{ "x402Version": 2, "scheme": "exact", "network": "eip155:*" }] });
        assert_eq!(
            unsupported(&payment, &all).unwrap(),
            ["exact on base (x402 v1)", "exact on base-sepolia (x402 v1)"]
        );
    }
}
