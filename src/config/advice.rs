//! What is valid and will surprise its owner: a limit that no request can pass, a price that stock clients do not pay.
//!
//! Nothing here stops a gate. A plan that cannot be read is a fault, and no business of this file.

mod payment;
mod plans;
mod support;

use url::Url;

use super::Config;
use super::table::{Faults, member_name};
use payment::{on_no_payment, on_payment};

pub use plans::on_plans;
pub use support::unsupported;

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(super) fn said(found: &Faults) -> Vec<String> {
        found.list().iter().map(ToString::to_string).collect()
    }

    pub(super) fn gate(tollgate: &Value) -> Config {
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
    fn credits_that_nobody_can_buy_or_spend_are_told() {
        let plans = json!({ "free": { "credit_price": "0.01", "endpoints": { "/free": {} } } });
        let tollgate = json!({ "origin": "https://api.acme.test", "default_plan": "free" });
        assert_eq!(
            said(&on_gate(&Config::read(&tollgate, &plans, false).unwrap())),
            [
                "PLANS.free.credit_price: sells credits, and [vars.TOLLGATE.payment] is missing: nothing can be bought",
                "PLANS.free.credit_price: sells credits, and no endpoint of the plan costs any: they buy nothing here",
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
}
