//! What is for sale to a caller without an account of its own: the endpoints of the plan that holds for addresses, what
//! a payment adds there, and how it can be paid.

mod ware;

use serde_json::{Value, json};

use crate::client::Kind;
use crate::config::Config;
use crate::pay::amount::Price;

pub use self::ware::{Gain, OwnedPlace, Ware};

/// How long what is said here may be kept by whoever reads it, in seconds.
pub const MAX_AGE: u32 = 300;

/// What is for sale.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    /// The plan.
    pub plan: String,
    /// What it sells, in the order of the endpoints' names.
    pub wares: Vec<Ware>,
    /// What prepaid credits cost whom.
    pub credits: Vec<CreditPrice>,
}

/// What a prepaid credit costs accounts of a kind that have no plan of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditPrice {
    /// Whose accounts: of keys, or of wallets.
    pub accounts: &'static str,
    /// Their plan.
    pub plan: String,
    /// What one credit costs.
    pub price: Price,
    /// The symbol of what it is paid in.
    pub currency: String,
}

impl Catalogue {
    /// What the plans in force sell.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let rules = config.rules(Kind::Ip, None);
        let sold = config.payment.as_ref().zip(rules.plans.get(rules.plan));
        let wares = sold.into_iter().flat_map(|(payment, plan)| {
            plan.endpoints().filter_map(|endpoint| Ware::of(endpoint, config, payment))
        });
        Self { plan: rules.plan.to_owned(), wares: wares.collect(), credits: CreditPrice::all_of(config) }
    }

    /// Whether nothing is for sale.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wares.is_empty() && self.credits.is_empty()
    }

    /// The answer to `GET /offers`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let items: Vec<Value> = self.wares.iter().map(Ware::to_json).collect();
        let mut offers = json!({ "plan": self.plan, "items": items, "next_cursor": null });
        if let (Value::Object(members), false) = (&mut offers, self.credits.is_empty()) {
            members.insert("credits".to_owned(), self.credits.iter().map(CreditPrice::to_json).collect());
        }
        offers
    }
}

impl CreditPrice {
    fn all_of(config: &Config) -> Vec<Self> {
        let kinds = [("key", Kind::Key), ("wallet", Kind::Wallet)];
        let sold = kinds.into_iter().filter(|_| config.payment.is_some()).filter_map(|(accounts, kind)| {
            let rules = config.rules(kind, None);
            let price = rules.plans.get(rules.plan)?.credit_price?;
            let (plan, currency) = (rules.plan.to_owned(), config.currency().0.to_owned());
            Some(Self { accounts, plan, price, currency })
        });
        sold.collect()
    }

    fn to_json(&self) -> Value {
        json!({ "accounts": self.accounts, "plan": self.plan, "price": self.price, "currency": self.currency })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A gate that sells in every way there is.
    pub(in crate::discovery) fn shop() -> Catalogue {
        let settings = json!({
            "origin": "https://api.example.com",
            "default_plan": "pro",
            "default_plans": { "ip": "free" },
            "payment": {
                "pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
                "network": "base-sepolia",
                "facilitators": ["https://x402.org/facilitator"],
                "offers": [{ "network": "base" }],
            },
            "endpoints": {
                "gpt-4o": { "match": "POST /v1/chat", "json": { "model": "gpt-4o" } },
                "gpt-mini": { "match": "POST /v1/chat", "json": { "model": "gpt-mini" } },
            },
        });
        let bucket = |price: &str| json!({ "bucket": { "capacity": 4, "refill_rate": 1 }, "over_limit": "pay", "price": price });
        let plans = json!({
            "free": { "endpoints": {
                "GET /cpu": bucket("0.001"),
                "gpt-4o": {
                    "fixed_windows": [{ "window": "60s", "limit": 3 }, { "window": "1h", "limit": "40_000", "unit_type": "token" }],
                    "sliding_windows": [{ "window": "60s", "limit": 2 }],
                    "over_limit": "pay", "price": "0.05",
                },
                "gpt-mini": bucket("0.002"),
                "/files/*": { "bucket": { "rpm": 60, "burst": 10 }, "over_limit": "pay", "price": "0.01", "refill": 2.5 },
                "/free": { "bucket": { "capacity": 4, "refill_rate": 1 } },
            } },
            "pro": { "credit_price": "0.01", "endpoints": { "*": bucket("0.9") } },
        });
        Catalogue::of(&Config::read(&settings, &plans, false).unwrap())
    }

    #[test]
    fn what_the_plan_of_an_address_sells_is_listed_and_nothing_else() {
        let shop = shop();
        let endpoints: Vec<&str> = shop.wares.iter().map(|ware| ware.endpoint.as_str()).collect();
        assert_eq!(
            (shop.plan.as_str(), endpoints),
            ("free", vec!["/files/*", "GET /cpu", "gpt-4o", "gpt-mini"])
        );
        let json = shop.to_json();
        let cpu = &json["items"][1];
        assert_eq!(
            (&cpu["price"], &cpu["currency"], &cpu["units"], &cpu["methods"]),
            (&json!("0.001"), &json!("USDC"), &json!({ "request": 4 }), &json!(["x402", "mpp"]))
        );
        assert_eq!(json["items"][0]["units"], json!({ "request": 2.5 }));
        let networks: Vec<&Value> =
            cpu["accepts"].as_array().unwrap().iter().map(|offer| &offer["network"]).collect();
        assert_eq!(networks, ["eip155:84532", "eip155:8453"]);
    }

    #[test]
    fn what_a_credit_costs_keys_and_wallets_is_told() {
        let price =
            |accounts| json!({ "accounts": accounts, "plan": "pro", "price": "0.01", "currency": "USDC" });
        assert_eq!(shop().to_json()["credits"], json!([price("key"), price("wallet")]));
    }

    #[test]
    fn of_a_unit_that_several_limits_count_the_least_is_promised() {
        let gpt = &shop().to_json()["items"][2];
        assert_eq!(gpt["units"], json!({ "request": 2, "token": 40000 }));
        assert_eq!(gpt["limits"][0], json!({ "name": "request-60s", "unit": "request", "adds": 3 }));
    }

    #[test]
    fn a_logical_endpoint_stands_where_the_settings_say() {
        let place = |index: usize| shop().wares[index].place.clone();
        let at = |method: Option<&str>, path: &str, below| OwnedPlace {
            method: method.map(str::to_owned),
            path: path.to_owned(),
            below,
        };
        assert_eq!(place(2), at(Some("POST"), "/v1/chat", false));
        assert_eq!(place(0), at(None, "/files", true));
    }

    #[test]
    fn without_payment_nothing_is_for_sale() {
        let plans = json!({ "free": { "endpoints": {
            "/x": { "bucket": { "capacity": 1, "refill_rate": 1 }, "over_limit": "pay", "price": "1" },
        } } });
        let config =
            Config::read(&json!({ "origin": "https://a.example", "default_plan": "free" }), &plans, false);
        assert_eq!(
            Catalogue::of(&config.unwrap()).to_json(),
            json!({ "plan": "free", "items": [], "next_cursor": null })
        );
    }
}
