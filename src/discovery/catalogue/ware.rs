//! What is for sale at one endpoint: what a payment adds there, and how it can be paid.

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::config::payment::PaymentConfig;
use crate::endpoint::{EndpointName, Place};
use crate::limit::allowance::BUCKET;
use crate::limit::plan::{Endpoint, Policy};
use crate::limit::tokens::Tokens;
use crate::limit::units::REQUEST;
use crate::pay::context;
use crate::pay::mpp::evm;
use crate::pay::offer::{Flow, Offer};
use crate::pay::x402::v2;

/// What is for sale at an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Ware {
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The requests that fall under it.
    pub place: OwnedPlace,
    /// What a payment adds.
    pub gains: Vec<Gain>,
    /// The offers, never empty.
    pub offers: Vec<Offer>,
    /// Whether they can be paid by MPP, too.
    pub mpp: bool,
    /// Whether a wallet that the owner registered can sign for one in place of paying.
    pub signed_context: bool,
}

/// A [`Place`] that outlives the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedPlace {
    /// The method; `None` for all of them.
    pub method: Option<String>,
    /// The path.
    pub path: String,
    /// Whether everything below the path is meant, too.
    pub below: bool,
}

/// What a payment adds to a limit that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gain {
    /// The limit's name.
    pub limit: String,
    /// What it counts.
    pub unit: String,
    /// How many more.
    pub adds: Tokens,
}

impl Ware {
    pub(super) fn of(endpoint: &Endpoint, config: &Config, payment: &PaymentConfig) -> Option<Self> {
        let (price, gains, flow) = match endpoint.policy.per_call {
            Some(price) => (price, vec![Gain::one_call()], Flow::Authorization),
            None => (endpoint.policy.sale()?.price, gains(&endpoint.policy), Flow::Upfront),
        };
        let offers: Vec<Offer> =
            payment.offers(&price).into_iter().map(|offer| offer.settled(flow)).collect();
        let place = config.endpoints.pattern(&endpoint.name).unwrap_or(endpoint.pattern()).place();
        (!offers.is_empty()).then(|| Self {
            endpoint: endpoint.name.clone(),
            place: OwnedPlace::of(place),
            gains,
            mpp: payment.mpp && offers.iter().any(|offer| evm::terms(offer).is_some()),
            signed_context: payment.signed_context && offers.iter().any(|offer| offer.tender.evm().is_some()),
            offers,
        })
    }

    /// What it costs, for people: `0.001 USDC`.
    #[must_use]
    pub fn price(&self) -> String {
        let Some(offer) = self.offers.first() else { return String::new() };
        format!("{} {}", offer.price(), offer.tender.symbol())
    }

    /// What it buys, for people: `4 more requests, or 40000 more units of token`.
    #[must_use]
    pub fn goods(&self) -> String {
        let of_unit = |(unit, adds): (String, Tokens)| match (unit.as_str(), adds) {
            (REQUEST, Tokens::ONE) => "1 more request".to_owned(),
            (REQUEST, _) => format!("{adds} more requests"),
            _ => format!("{adds} more units of {unit}"),
        };
        let units: Vec<String> = self.units().into_iter().map(of_unit).collect();
        units.join(", or ")
    }

    /// What it buys of each unit: where several limits count it, the least that a payment adds to one of them.
    fn units(&self) -> Vec<(String, Tokens)> {
        let mut units: Vec<(String, Tokens)> = Vec::new();
        for gain in &self.gains {
            match units.iter_mut().find(|(unit, _)| *unit == gain.unit) {
                Some((_, adds)) => *adds = gain.adds.min(*adds),
                None => units.push((gain.unit.clone(), gain.adds)),
            }
        }
        units
    }

    /// The requirements of x402 version 2, for each offer.
    #[must_use]
    pub fn accepts(&self) -> Vec<Value> {
        self.offers.iter().map(|offer| Value::Object(v2::requirements(offer))).collect()
    }

    /// The ways to pay, by the names that the setting `methods` has for them.
    fn methods(&self) -> Vec<&'static str> {
        let mpp = self.mpp.then_some("mpp");
        let signed_context = self.signed_context.then_some(context::METHOD);
        std::iter::once("x402").chain(mpp).chain(signed_context).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let first = self.offers.first();
        let units: Map<String, Value> =
            self.units().into_iter().map(|(unit, adds)| (unit, number(adds))).collect();
        let limits: Vec<Value> = self.gains.iter().map(Gain::to_json).collect();
        json!({
            "endpoint": self.endpoint.as_str(),
            "price": first.map(Offer::price),
            "currency": first.map(|offer| offer.tender.symbol().to_owned()),
            "units": units,
            "limits": limits,
            "methods": self.methods(),
            "accepts": self.accepts(),
        })
    }
}

impl Gain {
    /// Where each call is paid, a payment adds to no limit.
    fn one_call() -> Self {
        Self { limit: "price".to_owned(), unit: REQUEST.to_owned(), adds: Tokens::ONE }
    }

    fn to_json(&self) -> Value {
        json!({ "name": self.limit, "unit": self.unit, "adds": number(self.adds) })
    }
}

impl OwnedPlace {
    fn of(place: Place<'_>) -> Self {
        let method = place.method.map(str::to_owned);
        Self { method, path: place.path.to_owned(), below: place.below }
    }
}

/// What a payment adds to each limit that it may be asked for.
fn gains(policy: &Policy) -> Vec<Gain> {
    let bucket = policy.bucket.iter().map(|_| (BUCKET, REQUEST));
    let windows = policy.windows.iter().map(|window| (window.name.as_str(), window.unit.as_str()));
    let gain = |(limit, unit): (&str, &str)| {
        let adds = policy.refill_of(limit, Tokens::ZERO)?;
        Some(Gain { limit: limit.to_owned(), unit: unit.to_owned(), adds })
    };
    let quotas = policy.quotas.iter().map(|quota| (quota.name.as_str(), quota.unit.as_str()));
    bucket.chain(windows).chain(quotas).filter_map(gain).collect()
}

/// A JSON number, exact.
fn number(tokens: Tokens) -> Value {
    serde_json::from_str(&tokens.to_string()).unwrap_or(Value::Null)
}
