//! What an account used, by hour and endpoint, until the ledger has it.
//!
//! The ledger is sent absolute totals under a key that names the hour and this incarnation of the account, so that a
//! flush repeated, reordered or half done counts nothing twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointName;
use crate::limit::tokens::Tokens;
use crate::limit::units::{REQUEST, Units};
use crate::pay::amount::Amount;
use crate::time::{Hour, Millis};

/// Totals of one endpoint in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Requests that were admitted.
    pub calls: u64,
    /// Units that they used beside the requests themselves.
    #[serde(default, skip_serializing_if = "Units::is_empty")]
    pub units: Units,
    /// Payments that were credited.
    pub payments: u64,
    /// What was paid, in atomic units.
    pub paid: Amount,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            units: other
                .units
                .iter()
                .fold(self.units.clone(), |sum, (unit, quantity)| sum.with(unit, quantity)),
            payments: self.payments.saturating_add(other.payments),
            paid: self.paid.checked_add(other.paid).unwrap_or(self.paid),
        }
    }
}

/// A line of the ledger: the totals so far of one endpoint in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The hour.
    pub hour: Hour,
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The totals.
    pub tally: Tally,
}

/// What an account used and the ledger may not have yet.
///
/// Invariants: an hour is held until it has ended and the ledger has its final totals; `revision` grows with every
/// count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    hours: BTreeMap<Hour, BTreeMap<EndpointName, Tally>>,
    revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unflushed_since: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flushed_at: Option<Millis>,
}

impl Usage {
    /// Counts an admitted request.
    pub fn count_call(&mut self, endpoint: &EndpointName, now: Millis) {
        let tally = self.tally(endpoint, now);
        tally.calls = tally.calls.saturating_add(1);
    }

    /// Counts units that a request used beside itself.
    pub fn count_units(&mut self, endpoint: &EndpointName, units: &Units, now: Millis) {
        let beside = units.iter().filter(|(unit, quantity)| *unit != REQUEST && *quantity > Tokens::ZERO);
        let beside = beside.fold(Units::default(), |sum, (unit, quantity)| sum.with(unit, quantity));
        if !beside.is_empty() {
            let tally = self.tally(endpoint, now);
            *tally = tally.plus(&Tally { units: beside, ..Tally::default() });
        }
    }

    /// Counts a credited payment.
    pub fn count_payment(&mut self, endpoint: &EndpointName, amount: Amount, now: Millis) {
        let tally = self.tally(endpoint, now);
        *tally = tally.plus(&Tally { payments: 1, paid: amount, ..Tally::default() });
    }

    fn tally(&mut self, endpoint: &EndpointName, now: Millis) -> &mut Tally {
        self.revision = self.revision.saturating_add(1);
        self.unflushed_since.get_or_insert(now);
        self.hours.entry(now.hour()).or_default().entry(endpoint.clone()).or_default()
    }

    /// Since when there is something that the ledger does not have.
    #[must_use]
    pub const fn unflushed_since(&self) -> Option<Millis> {
        self.unflushed_since
    }

    /// When the ledger was last told, if it was.
    #[must_use]
    pub const fn flushed_at(&self) -> Option<Millis> {
        self.flushed_at
    }

    /// Grows with every count, so that a flush can tell whether something was counted meanwhile.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The totals of every hour held.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        self.hours.iter().flat_map(|(hour, endpoints)| {
            endpoints.iter().map(|(endpoint, tally)| Line {
                hour: *hour,
                endpoint: endpoint.clone(),
                tally: tally.clone(),
            })
        })
    }

    /// Notes that the ledger has the lines as they were at `revision`, taken at `taken`.
    pub fn flushed(&mut self, revision: u64, taken: Millis, now: Millis) {
        self.flushed_at = Some(taken);
        if self.revision == revision {
            self.unflushed_since = None;
            // An hour that was over when the lines were taken is final, and the ledger has it.
            self.hours.retain(|hour, _| *hour >= taken.hour());
        } else {
            self.unflushed_since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn name() -> EndpointName {
        EndpointName::new("GET /cpu")
    }

    #[test]
    fn an_hour_is_held_until_it_is_over_and_flushed() {
        let mut usage = Usage::default();
        usage.count_call(&name(), Millis::new(10));
        usage.flushed(usage.revision(), Millis::new(20), Millis::new(20));
        assert_eq!((usage.unflushed_since(), usage.lines().count()), (None, 1));
        usage.count_call(&name(), Millis::new(HOUR - 1));
        assert_eq!(usage.lines().next().unwrap().tally.calls, 2);
        usage.flushed(usage.revision(), Millis::new(HOUR), Millis::new(HOUR));
        assert_eq!(usage.lines().count(), 0);
    }

    #[test]
    fn what_is_counted_during_a_flush_is_flushed_again() {
        let mut usage = Usage::default();
        usage.count_call(&name(), Millis::new(10));
        let revision = usage.revision();
        usage.count_payment(&name(), Amount::new(1000), Millis::new(11));
        usage.flushed(revision, Millis::new(HOUR), Millis::new(HOUR));
        assert_eq!(usage.unflushed_since(), Some(Millis::new(HOUR)));
        let tally = usage.lines().next().unwrap().tally;
        assert_eq!((tally.calls, tally.payments, tally.paid), (1, 1, Amount::new(1000)));
    }

    #[test]
    fn stored_form_is_pinned() {
        let mut usage = Usage::default();
        usage.count_call(&name(), Millis::new(10));
        usage.count_payment(&name(), Amount::new(1000), Millis::new(11));
        let stored = r#"{"hours":{"0":{"GET /cpu":{"calls":1,"payments":1,"paid":"1000"}}},"revision":2,"unflushed_since":10}"#;
        assert_eq!(serde_json::to_string(&usage).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Usage>(stored).unwrap(), usage);
    }
}
