//! What a plan does with a steady stream of requests of one client: the decisions of [`super::account`], run over a
//! schedule with a clock that is passed. Nothing is estimated.

mod pace;
mod summary;

use std::collections::VecDeque;

pub use pace::{Pace, PaceError};
pub use summary::{Counts, Summary};

use super::account::{Account, Rules};
use super::decision::{Decision, Denied, DeniedBy, SaleTerms, Verdict};
use super::plan::{Endpoint, Plan, Plans};
use super::units::Units;
use crate::client::AccountId;
use crate::contract::{Attempt, Credit, End};
use crate::endpoint::{EndpointName, Target};
use crate::notice::Kinds;
use crate::pay::amount::Price;
use crate::time::{Millis, Span};

/// Enough decimals for every price: those of Ether.
const DECIMALS: u8 = 18;

/// The stream of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// How often they come.
    pub pace: Pace,
    /// For how long.
    pub length: Span,
    /// How long each of them takes, from when it passes.
    pub takes: Span,
    /// What each of them uses beside the request, told at its end.
    pub units: Units,
    /// Whether the client pays whenever that helps.
    pub pays: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Admitted,
    /// It passed after a wait in the queue.
    Queued(Span),
    /// It passed degraded.
    Degraded,
    /// It passed after a payment of that price.
    Paid(Price),
    /// It was refused by that limit.
    Refused {
        /// The limit's name.
        limit: String,
        /// After which time it would have passed; `None` when waiting never helps.
        wait: Option<Span>,
    },
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it came, from the start.
    pub at: Span,
    /// What became of it.
    pub outcome: Outcome,
}

/// Which endpoint of a plan a name asks for: the one of that name, or the one that a request for it falls under.
#[must_use]
pub fn endpoint_named<'a>(plan: &'a Plan, name: &str) -> Option<&'a Endpoint> {
    let named = plan.endpoint(&EndpointName::new(name));
    named.or_else(|| plan.find(&Target::named(name).ok()?))
}

/// A run of the decisions. Its iterator decides about one request at each step.
#[derive(Debug)]
pub struct Simulation<'a> {
    rules: Rules<'a>,
    target: Target,
    load: &'a Load,
    start: Millis,
    account: Option<Account>,
    /// The ends of requests that run, in the order of their times.
    running: VecDeque<(Millis, End)>,
    next: u64,
}

impl<'a> Simulation<'a> {
    /// A run of a new client of that plan, which asks for `endpoint`; `None` where it cannot be asked for. It begins at
    /// `start`: windows are aligned to the epoch.
    #[must_use]
    pub fn new(
        plans: &'a Plans,
        plan: &'a str,
        endpoint: &EndpointName,
        load: &'a Load,
        start: Millis,
    ) -> Option<Self> {
        let account: AccountId = "key:simulated".parse().ok()?;
        // What a plan lists is found by its own name, whatever else that name could match.
        let path = Target::named("/").ok()?.path;
        let target = Target { method: "GET".to_owned(), path, logical: Some(endpoint.clone()) };
        Some(Self {
            rules: Rules { plans, plan, payment: load.pays, decimals: 6, notices: Kinds::NONE },
            target,
            load,
            start,
            account: Some(Account::new(account, "simulated".to_owned())),
            running: VecDeque::new(),
            next: 0,
        })
    }

    fn step(&mut self, account: Account, now: Millis) -> (Account, Outcome) {
        let attempt = Attempt {
            request: self.next.to_string(),
            target: self.target.clone(),
            units: Units::default(),
            paid: false,
        };
        let (account, decision) = account.attempt(&self.rules, &attempt, now);
        match offer_of(&decision) {
            Some(terms) => self.pay(account, &decision.endpoint, terms, &attempt, now),
            None => (account, self.outcome(&decision, &attempt)),
        }
    }

    /// Pays, and asks again.
    fn pay(
        &mut self,
        account: Account,
        endpoint: &EndpointName,
        terms: &SaleTerms,
        attempt: &Attempt,
        now: Millis,
    ) -> (Account, Outcome) {
        let Some(credit) = self.credit(endpoint, terms) else {
            return (account, Outcome::Refused { limit: "payment".to_owned(), wait: None });
        };
        let paid = account.credit(&self.rules, &credit, now).acknowledge(&credit.payment);
        let again = Attempt { paid: terms.one_call, ..attempt.clone() };
        let (account, decision) = paid.attempt(&self.rules, &again, now);
        match self.outcome(&decision, attempt) {
            Outcome::Refused { limit, wait } => (account, Outcome::Refused { limit, wait }),
            _ => (account, Outcome::Paid(terms.price)),
        }
    }

    /// A settled payment of those terms, its id made of the request's number.
    fn credit(&self, endpoint: &EndpointName, terms: &SaleTerms) -> Option<Credit> {
        Some(Credit {
            payment: format!("pay_{:032x}", self.next).parse().ok()?,
            endpoint: endpoint.clone(),
            grants: terms.grants.clone(),
            amount: terms.price.to_amount(DECIMALS).ok()?,
        })
    }

    fn outcome(&mut self, decision: &Decision, attempt: &Attempt) -> Outcome {
        match &decision.verdict {
            Verdict::Admitted(admitted) => {
                if admitted.tell_end {
                    self.will_end(decision, attempt, decision.at.plus(admitted.wait).plus(self.load.takes));
                }
                match (admitted.wait, admitted.degraded) {
                    (Span::ZERO, true) => Outcome::Degraded,
                    (Span::ZERO, false) => Outcome::Admitted,
                    (wait, _) => Outcome::Queued(wait),
                }
            }
            Verdict::NoAccess => Outcome::Refused { limit: "no-access".to_owned(), wait: None },
            Verdict::Denied(Denied { limit, wait, .. }) => {
                Outcome::Refused { limit: limit.clone(), wait: *wait }
            }
        }
    }

    fn will_end(&mut self, decision: &Decision, attempt: &Attempt, at: Millis) {
        let end = End {
            request: attempt.request.clone(),
            endpoint: decision.endpoint.clone(),
            units: self.load.units.clone(),
            beyond: matches!(&decision.verdict, Verdict::Admitted(admitted) if admitted.beyond),
        };
        let place = self.running.partition_point(|(other, _)| *other <= at);
        self.running.insert(place, (at, end));
    }

    /// Takes in the ends of all requests that have ended by `now`.
    fn ended(&mut self, mut account: Account, now: Millis) -> Account {
        while let Some((at, end)) = self.running.pop_front() {
            if at > now {
                self.running.push_front((at, end));
                break;
            }
            account = account.end(&self.rules, &end, at);
        }
        account
    }
}

fn offer_of(decision: &Decision) -> Option<&SaleTerms> {
    match &decision.verdict {
        // Where each call is paid, no price helps against the other limits.
        Verdict::Denied(denied) => {
            denied.offer.as_ref().filter(|terms| !terms.one_call || denied.by == DeniedBy::Price)
        }
        Verdict::Admitted(_) | Verdict::NoAccess => None,
    }
}

impl Iterator for Simulation<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let at = self.load.pace.moment(self.next);
        if at >= self.load.length {
            return None;
        }
        let now = self.start.plus(at);
        let account = self.account.take()?;
        let account = self.ended(account, now);
        let (account, outcome) = self.step(account, now);
        self.account = Some(account);
        self.next = self.next.saturating_add(1);
        Some(Event { at, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::Faults;
    use serde_json::{Value, json};

    fn run(endpoint: &Value, load: &Load) -> Summary {
        let mut faults = Faults::default();
        let plans = Plans::read("PLANS", &json!({ "p": { "endpoints": { "/x/*": endpoint } } }), &mut faults);
        assert!(faults.is_empty(), "{faults}");
        let name = &endpoint_named(plans.get("p").unwrap(), "/x/y").unwrap().name;
        let mut summary = Summary::new(load.length, 2);
        let start = Millis::parse_rfc3339("2026-01-01").unwrap();
        for event in Simulation::new(&plans, "p", name, load, start).unwrap() {
            summary.count(&event);
        }
        summary
    }

    fn load(pace: &str, length: &str) -> Load {
        Load {
            pace: pace.parse().unwrap(),
            length: length.parse().unwrap(),
            takes: Span::ZERO,
            units: Units::default(),
            pays: true,
        }
    }

    fn bucket(more: &Value) -> Value {
        let mut endpoint = json!({ "bucket": { "capacity": 4, "refill_rate": 4 } });
        endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        endpoint
    }

    #[test]
    fn a_bucket_admits_what_it_holds_and_what_comes_back() {
        // 4, and 3.6 more until the last of them comes; the remainders at 600, 700 and 900 ms are below one.
        let summary = run(&bucket(&json!({})), &load("10/s", "1s"));
        assert_eq!(summary.counts, Counts { admitted: 7, refused: 3, ..Counts::default() });
        assert_eq!(summary.parts[0], Counts { admitted: 5, ..Counts::default() });
        assert_eq!(summary.refused_by, [("bucket".to_owned(), 3)].into());
        assert_eq!((summary.spent(), summary.counts.total()), (None, 10));
    }

    #[test]
    fn who_pays_passes_and_what_it_costs_is_exact() {
        let sold = bucket(&json!({ "over_limit": "pay", "price": "0.001", "refill": 2 }));
        let summary = run(&sold, &load("100/s", "10s"));
        // 1000 requests; 4 were there, 39.96 came back, and two come with each payment.
        assert_eq!(summary.counts.refused, 0);
        assert_eq!(summary.counts.paid, 479);
        assert_eq!(summary.spent().as_deref(), Some("0.479"));
        let unpaid = run(&sold, &Load { pays: false, ..load("100/s", "10s") });
        assert_eq!(unpaid.counts, Counts { admitted: 43, refused: 957, ..Counts::default() });
    }

    #[test]
    fn what_waits_passes_later_and_holds_its_slot_as_long_as_it_takes() {
        let queued = bucket(&json!({ "over_limit": "queue", "max_wait": "500ms" }));
        let summary = run(&queued, &load("10/s", "2s"));
        assert!(summary.counts.queued > 0 && summary.counts.refused > 0);
        assert!(summary.longest_wait > Span::ZERO && summary.longest_wait <= Span::millis(500));
        let slots = json!({ "max_concurrent": 1 });
        let summary = run(&slots, &Load { takes: Span::millis(250), ..load("10/s", "1s") });
        assert_eq!(summary.counts, Counts { admitted: 4, refused: 6, ..Counts::default() });
        assert_eq!(summary.refused_by, [("concurrent".to_owned(), 6)].into());
    }

    #[test]
    fn units_are_told_at_the_end_and_count() {
        let windows = json!({ "fixed_windows": [{ "window": "1s", "limit": 100, "unit_type": "token" }], "over_limit": "degrade" });
        let units = Units::parse_field("token=40").unwrap();
        let summary = run(&windows, &Load { units, ..load("10/s", "1s") });
        // 40, 80, 120: the fourth finds nothing left.
        assert_eq!(summary.counts, Counts { admitted: 3, degraded: 7, ..Counts::default() });
    }
}
