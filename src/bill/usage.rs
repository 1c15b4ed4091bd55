//! What an account used, by hour and endpoint, until the ledger has it.
//!
//! The ledger is sent absolute totals under a key that names the hour and this incarnation of the account, so that a
//! flush repeated, reordered or half done counts nothing twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::{Line, Overage, Tally};
use crate::endpoint::EndpointName;
use crate::limit::tokens::Tokens;
use crate::limit::units::{REQUEST, Units};
use crate::pay::amount::{Amount, Price};
use crate::time::{Hour, Millis};

/// What an account used and the ledger may not have yet.
///
/// Invariants: an hour is held until it has ended and the ledger has its final totals, and nothing is counted in it any
/// more from then on; `revision` grows with every count, so that of two totals of a line the one of the higher revision
/// is newer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    hours: BTreeMap<Hour, BTreeMap<EndpointName, Tally>>,
    revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unflushed_since: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flushed_at: Option<Millis>,
    /// Credits that were given back when the hour in which they were spent was closed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unspent: BTreeMap<EndpointName, Tokens>,
}

impl Usage {
    /// Counts an admitted request.
    pub fn count_call(&mut self, endpoint: &EndpointName, now: Millis) {
        self.add(endpoint, &Tally { calls: 1, last: Some(now), ..Tally::default() }, now);
    }

    /// Counts a request that was denied because a limit was reached.
    pub fn count_blocked(&mut self, endpoint: &EndpointName, now: Millis) {
        self.add(endpoint, &Tally { blocked: 1, last: Some(now), ..Tally::default() }, now);
    }

    /// Takes back that a request was denied: the payment that it brought lets it pass.
    pub fn uncount_blocked(&mut self, endpoint: &EndpointName) {
        let lines = self.hours.values_mut().rev().filter_map(|endpoints| endpoints.get_mut(endpoint));
        if let Some(tally) = lines.into_iter().find(|tally| tally.blocked > 0) {
            tally.blocked = tally.blocked.saturating_sub(1);
            self.revision = self.revision.saturating_add(1);
        }
    }

    /// Counts units that a request used beside itself.
    pub fn count_units(&mut self, endpoint: &EndpointName, units: &Units, now: Millis) {
        let beside = units.iter().filter(|(unit, quantity)| *unit != REQUEST && *quantity > Tokens::ZERO);
        let beside = beside.fold(Units::default(), |sum, (unit, quantity)| sum.with(unit, quantity));
        if !beside.is_empty() {
            self.add(endpoint, &Tally { units: beside, ..Tally::default() }, now);
        }
    }

    /// Counts what went beyond a quota that lets it pass for a price.
    pub fn count_overage(&mut self, endpoint: &EndpointName, overage: Overage, now: Millis) {
        self.add(endpoint, &Tally { overage, ..Tally::default() }, now);
    }

    /// Counts so much of a unit that went beyond a quota, at this price for each in an asset of so many decimals. What an
    /// hour's units come to is exact, and rounded up to an atomic unit once, however many requests used them.
    pub fn count_excess(
        &mut self,
        endpoint: &EndpointName,
        (unit, quantity): (&str, Tokens),
        (price, decimals): (Price, u8),
        now: Millis,
    ) {
        let line = self.hours.get(&self.open_hour(now)).and_then(|endpoints| endpoints.get(endpoint));
        let before =
            line.and_then(|tally| tally.overage.units.get(unit)).copied().unwrap_or_default().quantity;
        let cost = |quantity| price.of(quantity, decimals).unwrap_or_default().atomic();
        let charge = Amount::new(cost(before.plus(quantity)).saturating_sub(cost(before)));
        self.count_overage(endpoint, Overage::of(unit, quantity, charge), now);
    }

    /// Counts a credited payment.
    pub fn count_payment(&mut self, endpoint: &EndpointName, amount: Amount, now: Millis) {
        self.add(endpoint, &Tally { payments: 1, paid: amount, ..Tally::default() }, now);
    }

    /// Counts prepaid credits that were spent.
    pub fn count_credits(&mut self, endpoint: &EndpointName, spent: Tokens, now: Millis) {
        let before = self.take_unspent(endpoint, spent);
        let credits = spent.minus(before).unwrap_or_default();
        self.add(endpoint, &Tally { credits, ..Tally::default() }, now);
    }

    /// Takes back that credits were spent. What the ledger has the last word of is taken off what is spent next.
    pub fn uncount_credits(&mut self, endpoint: &EndpointName, credits: Tokens, now: Millis) {
        self.unflushed_since.get_or_insert(now);
        let mut left = credits;
        let lines = self.hours.values_mut().rev().filter_map(|endpoints| endpoints.get_mut(endpoint));
        for tally in lines {
            let back = tally.credits.min(left);
            tally.credits = tally.credits.minus(back).unwrap_or_default();
            left = left.minus(back).unwrap_or_default();
        }
        self.revision = self.revision.saturating_add(1);
        if left > Tokens::ZERO {
            let owed = self.unspent.entry(endpoint.clone()).or_default();
            *owed = owed.plus(left);
        }
    }

    /// What of credits that are spent now was spent before, in an hour that is closed, and taken back since.
    fn take_unspent(&mut self, endpoint: &EndpointName, spent: Tokens) -> Tokens {
        let Some(owed) = self.unspent.remove(endpoint) else { return Tokens::ZERO };
        match owed.minus(spent) {
            Some(rest) if rest > Tokens::ZERO => {
                self.unspent.insert(endpoint.clone(), rest);
                spent
            }
            Some(_) => spent,
            None => owed,
        }
    }

    /// Counts what was promised and is to be paid later.
    pub fn count_owed(&mut self, endpoint: &EndpointName, amount: Amount, now: Millis) {
        self.add(endpoint, &Tally { owed: amount, ..Tally::default() }, now);
    }

    fn add(&mut self, endpoint: &EndpointName, more: &Tally, now: Millis) {
        self.revision = self.revision.saturating_add(1);
        self.unflushed_since.get_or_insert(now);
        let hour = self.hours.entry(self.open_hour(now)).or_default();
        match hour.get_mut(endpoint) {
            Some(tally) => *tally = std::mem::take(tally).plus(more),
            None => drop(hour.insert(endpoint.clone(), more.clone())),
        }
    }

    /// The hour that counts are for at `now`. Of one that was over at a flush the ledger has the last word: what comes
    /// later counts in the next one.
    fn open_hour(&self, now: Millis) -> Hour {
        now.hour().max(self.flushed_at.unwrap_or_default().hour())
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
    fn what_an_hours_excess_comes_to_is_rounded_once() {
        let (mut usage, price) = (Usage::default(), "0.001".parse().unwrap());
        for _ in 0..1000 {
            usage.count_excess(&name(), ("request", Tokens::ONE), (price, 6), Millis::new(10));
        }
        // A thousand times a third of an atomic unit, and a bit: 1000 times 0.000334 units of 1000 each.
        for _ in 0..1000 {
            usage.count_excess(&name(), ("token", Tokens::micro(334)), (price, 6), Millis::new(10));
        }
        let overage = usage.lines().next().unwrap().tally.overage;
        assert_eq!(overage.units["request"].charge, Amount::new(1_000_000));
        assert_eq!(overage.units["token"].charge, Amount::new(334));
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
        let stored = r#"{"hours":{"0":{"GET /cpu":{"calls":1,"payments":1,"paid":"1000","last":10}}},"revision":2,"unflushed_since":10}"#;
        assert_eq!(serde_json::to_string(&usage).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Usage>(stored).unwrap(), usage);
    }

    #[test]
    fn every_member_of_the_stored_form_is_pinned_and_the_earlier_form_reads() {
        let mut usage = Usage::default();
        usage.count_call(&name(), Millis::new(10));
        usage.count_blocked(&name(), Millis::new(20));
        usage.count_units(&name(), &Units::default().with("token", Tokens::whole(3)), Millis::new(20));
        let overage = Overage { calls: 1, ..Overage::of("image", Tokens::ONE, Amount::new(2000)) };
        usage.count_overage(&name(), overage, Millis::new(20));
        usage.count_credits(&name(), Tokens::whole(4), Millis::new(20));
        usage.count_owed(&name(), Amount::new(5), Millis::new(20));
        let stored = concat!(
            r#"{"hours":{"0":{"GET /cpu":{"calls":1,"blocked":1,"units":{"token":3000000},"#,
            r#""overage":{"calls":1,"units":{"image":{"quantity":1000000,"charge":"2000"}}},"#,
            r#""payments":0,"paid":"0","credits":4000000,"owed":"5","last":20}}},"revision":6,"unflushed_since":10}"#
        );
        assert_eq!(serde_json::to_string(&usage).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Usage>(stored).unwrap(), usage);
        let earlier = r#"{"hours":{"0":{"GET /cpu":{"calls":1,"payments":1,"paid":"1000"}}},"revision":2}"#;
        let read: Usage = serde_json::from_str(earlier).unwrap();
        let tally = read.lines().next().unwrap().tally;
        assert_eq!((tally.calls, tally.blocked, tally.last), (1, 0, None));
    }

    #[test]
    fn what_belongs_to_an_hour_that_the_ledger_has_closed_counts_in_the_next() {
        let mut usage = Usage::default();
        usage.count_call(&name(), Millis::new(10));
        usage.flushed(usage.revision(), Millis::new(HOUR), Millis::new(HOUR));
        usage.count_call(&name(), Millis::new(HOUR - 1));
        let line = usage.lines().next().unwrap();
        assert_eq!((line.hour, line.tally.calls), (Hour::new(1), 1));
    }

    #[test]
    fn credits_that_come_back_were_not_spent_whatever_hour_the_ledger_has_closed() {
        let spent =
            |usage: &Usage| usage.lines().fold(Tokens::ZERO, |sum, line| sum.plus(line.tally.credits));
        let mut usage = Usage::default();
        usage.count_credits(&name(), Tokens::whole(5), Millis::new(HOUR - 1));
        usage.count_credits(&name(), Tokens::whole(1), Millis::new(HOUR));
        let revision = usage.revision();
        usage.uncount_credits(&name(), Tokens::whole(4), Millis::new(HOUR));
        assert_eq!((spent(&usage), usage.revision() > revision), (Tokens::whole(2), true));
        usage.flushed(usage.revision(), Millis::new(2 * HOUR), Millis::new(2 * HOUR));
        usage.uncount_credits(&name(), Tokens::whole(2), Millis::new(2 * HOUR));
        usage.count_credits(&name(), Tokens::ONE, Millis::new(2 * HOUR));
        assert_eq!(spent(&usage), Tokens::ZERO);
        let stored = serde_json::to_string(&usage).unwrap();
        assert!(stored.ends_with(r#""unspent":{"GET /cpu":1000000}}"#), "{stored}");
        usage.count_credits(&name(), Tokens::whole(3), Millis::new(2 * HOUR));
        assert_eq!(spent(&usage), Tokens::whole(2));
    }

    #[test]
    fn who_is_denied_and_pays_was_not_blocked() {
        let mut usage = Usage::default();
        usage.count_blocked(&name(), Millis::new(10));
        usage.count_blocked(&name(), Millis::new(HOUR - 1));
        let revision = usage.revision();
        usage.uncount_blocked(&name());
        assert_eq!(usage.lines().next().unwrap().tally.blocked, 1);
        assert!(usage.revision() > revision, "the ledger must hear of it");
        usage.uncount_blocked(&EndpointName::new("*"));
        assert_eq!(usage.lines().count(), 1);
    }
}
