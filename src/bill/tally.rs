//! Totals: what one endpoint was used for in one hour, and what any number of such hours add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointName;
use crate::limit::tokens::Tokens;
use crate::limit::units::Units;
use crate::pay::amount::Amount;
use crate::time::{Hour, Millis};

/// Totals of one endpoint in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Requests that were admitted.
    pub calls: u64,
    /// Requests that were denied because a limit was reached.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blocked: u64,
    /// Units that they used beside the requests themselves.
    #[serde(default, skip_serializing_if = "Units::is_empty")]
    pub units: Units,
    /// What of it went beyond a quota, to be billed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overage: Overage,
    /// Payments that were credited.
    pub payments: u64,
    /// What was paid, in atomic units.
    pub paid: Amount,
    /// Prepaid credits that were spent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub credits: Tokens,
    /// What was promised and not yet paid, in atomic units.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owed: Amount,
    /// When the last request came, admitted or denied.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last: Option<Millis>,
}

/// What went beyond quotas that let it pass, for a price.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overage {
    /// Requests of which some went beyond.
    pub calls: u64,
    /// How much of which unit, the requests themselves among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, Excess>,
}

/// What of one unit went beyond a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excess {
    /// How much.
    pub quantity: Tokens,
    /// What it costs, in atomic units.
    pub charge: Amount,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A sum of money. One that does not fit stops at the largest amount: 2^128 - 1 is beyond any supply.
fn sum(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).unwrap_or(Amount::new(u128::MAX))
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            blocked: self.blocked.saturating_add(other.blocked),
            units: other.units.iter().fold(self.units, |units, (unit, quantity)| units.with(unit, quantity)),
            overage: self.overage.plus(&other.overage),
            payments: self.payments.saturating_add(other.payments),
            paid: sum(self.paid, other.paid),
            credits: self.credits.plus(other.credits),
            owed: sum(self.owed, other.owed),
            last: self.last.max(other.last),
        }
    }
}

impl Overage {
    /// So much of one unit, for a charge.
    #[must_use]
    pub fn of(unit: &str, quantity: Tokens, charge: Amount) -> Self {
        let units = BTreeMap::from([(unit.to_owned(), Excess { quantity, charge })]);
        Self { calls: 0, units }
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (unit, excess) in &other.units {
            let of_unit = self.units.entry(unit.clone()).or_default();
            *of_unit = Excess {
                quantity: of_unit.quantity.plus(excess.quantity),
                charge: sum(of_unit.charge, excess.charge),
            };
        }
        Self { calls: self.calls.saturating_add(other.calls), units: self.units }
    }

    /// What all of it costs, in atomic units.
    #[must_use]
    pub fn charge(&self) -> Amount {
        self.units.values().fold(Amount::ZERO, |charge, excess| sum(charge, excess.charge))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_adds_up() {
        let one = Tally {
            calls: 1,
            blocked: 2,
            units: Units::default().with("token", Tokens::whole(3)),
            overage: Overage { calls: 4, ..Overage::of("image", Tokens::whole(5), Amount::new(6)) },
            payments: 7,
            paid: Amount::new(8),
            credits: Tokens::whole(9),
            owed: Amount::new(10),
            last: Some(Millis::new(11)),
        };
        let other =
            Tally { overage: Overage::of("request", Tokens::ONE, Amount::new(1)), ..Tally::default() };
        let two = one.clone().plus(&one).plus(&other);
        assert_eq!((two.calls, two.blocked, two.payments), (2, 4, 14));
        assert_eq!(two.units.of("token"), Tokens::whole(6));
        assert_eq!((two.paid, two.owed), (Amount::new(16), Amount::new(20)));
        assert_eq!((two.credits, two.last), (Tokens::whole(18), Some(Millis::new(11))));
        assert_eq!((two.overage.calls, two.overage.charge()), (8, Amount::new(13)));
        assert_eq!(two.overage.units["image"].quantity, Tokens::whole(10));
        assert_eq!(two.overage.units["request"].quantity, Tokens::ONE);
    }

    #[test]
    fn a_thousand_calls_at_a_tenth_of_a_cent_are_exactly_one_dollar() {
        let call = Overage { calls: 1, ..Overage::of("request", Tokens::ONE, Amount::new(1000)) };
        let all = (0..1000).fold(Overage::default(), |sum, _| sum.plus(&call));
        assert_eq!((all.calls, all.charge()), (1000, Amount::new(1_000_000)));
    }
}
