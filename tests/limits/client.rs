//! A client of one endpoint: its account, the plan it is under, and the calls that reach the account.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stand outside of test functions, and each test uses its part of them"
)]

use serde_json::{Value, json};
use tollgate::client::AccountId;
use tollgate::config::table::Faults;
use tollgate::contract::{Attempt, Credit, End};
use tollgate::endpoint::{CanonicalPath, EndpointName, Target};
use tollgate::limit::account::{Account, Rules, StoredAccount};
use tollgate::limit::decision::{Admitted, Decision, Denied, Grant, Verdict};
use tollgate::limit::plan::Plans;
use tollgate::limit::standing::Standing;
use tollgate::limit::units::Units;
use tollgate::notice::Kinds;
use tollgate::pay::amount::Amount;
use tollgate::pay::x402::PaymentId;
use tollgate::time::Millis;

/// The endpoint of the plan.
pub(crate) const ENDPOINT: &str = "POST /v1/chat";

/// The plan of one endpoint, read as the owner writes it.
pub(crate) fn plans(endpoint: &Value) -> Plans {
    let mut faults = Faults::default();
    let plans =
        Plans::read("PLANS", &json!({ "free": { "endpoints": { ENDPOINT: endpoint } } }), &mut faults);
    assert!(faults.is_empty(), "{faults}");
    plans
}

/// What holds for the account: that plan, and payments are taken.
pub(crate) fn rules(plans: &Plans) -> Rules<'_> {
    Rules { plans, plan: "free", payment: true, decimals: 6, notices: Kinds::NONE }
}

/// An account that nothing is known of.
pub(crate) fn new_account() -> Account {
    Account::new("ip:203.0.113.7".parse::<AccountId>().unwrap(), "life".to_owned())
}

/// A request at the endpoint.
pub(crate) fn attempt(request: &str, units: &Units) -> Attempt {
    let path = CanonicalPath::parse("/v1/chat").unwrap();
    let target = Target { method: "POST".to_owned(), path, logical: None };
    Attempt { request: request.to_owned(), target, units: units.clone(), paid: false }
}

/// The end of a request at the endpoint.
pub(crate) fn end(request: &str, units: &Units) -> End {
    End {
        request: request.to_owned(),
        endpoint: EndpointName::new(ENDPOINT),
        units: units.clone(),
        beyond: false,
    }
}

/// The `nth` payment, for what was offered.
pub(crate) fn credit(nth: usize, grants: &[Grant]) -> Credit {
    Credit {
        payment: PaymentId::of(&format!("payment {nth}")),
        endpoint: EndpointName::new(ENDPOINT),
        grants: grants.to_vec(),
        amount: Amount::new(1000),
    }
}

/// Units as `Tollgate-Units` writes them; none for an empty text.
pub(crate) fn units(text: &str) -> Units {
    if text.is_empty() { Units::default() } else { Units::parse_field(text).unwrap() }
}

/// The account after storage had it.
pub(crate) fn stored_and_read(account: &Account) -> Account {
    let text = serde_json::to_string(&StoredAccount::V1(account.clone())).unwrap();
    let StoredAccount::V1(read) = serde_json::from_str(&text).unwrap();
    read
}

/// A client whose clock is told, in milliseconds.
pub(crate) struct Client {
    pub(crate) plans: Plans,
    pub(crate) account: Account,
    requests: usize,
    payments: usize,
}

impl Client {
    pub(crate) fn new(endpoint: &Value) -> Self {
        Self { plans: plans(endpoint), account: new_account(), requests: 0, payments: 0 }
    }

    /// Asks at `now` with these units; the id of the request is its number, from 1.
    pub(crate) fn asks(&mut self, now: u64, text: &str) -> Decision {
        self.requests += 1;
        let attempt = attempt(&self.requests.to_string(), &units(text));
        let (account, decision) =
            self.account.clone().attempt(&rules(&self.plans), &attempt, Millis::new(now));
        self.account = account;
        decision
    }

    /// Asks and must pass.
    pub(crate) fn passes(&mut self, now: u64, text: &str) -> Admitted {
        match self.asks(now, text).verdict {
            Verdict::Admitted(admitted) => admitted,
            other => panic!("at {now}: {other:?}"),
        }
    }

    /// Asks and must be denied.
    pub(crate) fn is_denied(&mut self, now: u64, text: &str) -> Denied {
        match self.asks(now, text).verdict {
            Verdict::Denied(denied) => denied,
            other => panic!("at {now}: {other:?}"),
        }
    }

    /// The end of the request of that number.
    pub(crate) fn ends(&mut self, now: u64, request: usize, text: &str) {
        let end = end(&request.to_string(), &units(text));
        self.account = self.account.clone().end(&rules(&self.plans), &end, Millis::new(now));
    }

    /// Pays for what was offered.
    pub(crate) fn pays(&mut self, now: u64, grants: &[Grant]) {
        self.payments += 1;
        let credit = credit(self.payments, grants);
        self.account = self.account.clone().credit(&rules(&self.plans), &credit, Millis::new(now));
    }

    /// Where it stands with the limit of that name.
    pub(crate) fn standing(&self, now: u64, limit: &str) -> Standing {
        let name = EndpointName::new(ENDPOINT);
        let standings = self.account.standings_at(&rules(&self.plans), &name, Millis::new(now));
        standings.into_iter().find(|standing| standing.name == limit).unwrap()
    }
}
