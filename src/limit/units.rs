//! Units that requests use beside the request itself: tokens of a model, images, GPU seconds, whatever a plan counts.

pub mod meter;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;

/// The unit that every request uses one of.
pub const REQUEST: &str = "request";

/// How many of which unit: `token=123, image=1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Units(BTreeMap<String, Tokens>);

/// Why a text does not tell units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitsError(String);

impl fmt::Display for UnitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` does not tell units; write them as `token=123, image=1`", self.0)
    }
}

impl std::error::Error for UnitsError {}

impl Units {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of `unit`; none where it is not named.
    #[must_use]
    pub fn of(&self, unit: &str) -> Tokens {
        self.0.get(unit).copied().unwrap_or_default()
    }

    /// All units with their quantities, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Tokens)> {
        self.0.iter().map(|(unit, quantity)| (unit.as_str(), *quantity))
    }

    /// The same, with `quantity` more of `unit`.
    #[must_use]
    pub fn with(mut self, unit: &str, quantity: Tokens) -> Self {
        let sum = self.of(unit).plus(quantity);
        self.0.insert(unit.to_owned(), sum);
        self
    }

    /// These units, and of `other` those that are not named here.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (unit, quantity) in other.0 {
            self.0.entry(unit).or_insert(quantity);
        }
        self
    }

    /// What of these units is more than `other`.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let more = |(unit, quantity): (&str, Tokens)| {
            let more = quantity.minus(other.of(unit))?;
            (more > Tokens::ZERO).then(|| (unit.to_owned(), more))
        };
        Self(self.iter().filter_map(more).collect())
    }

    /// These units and those.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        other.iter().fold(self, |sum, (unit, quantity)| sum.with(unit, quantity))
    }

    /// Reads the field `Tollgate-Units`: `token=123, image=1`. Quantities may have up to six decimals.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse_field(text: &str) -> Result<Self, UnitsError> {
        let error = || UnitsError(text.to_owned());
        text.split(',').try_fold(Self::default(), |units, pair| {
            let (unit, quantity) = pair.split_once('=').ok_or_else(error)?;
            let (unit, quantity) = (unit.trim(), quantity.trim().parse().map_err(|_| error())?);
            if is_unit_name(unit) { Ok(units.with(unit, quantity)) } else { Err(error()) }
        })
    }
}

/// Whether a text may name a unit: it stands in header field names.
#[must_use]
pub fn is_unit_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_first_counts() {
        let units = |text| Units::parse_field(text).unwrap();
        assert_eq!(
            units("token=1, image=2").or(units("token=5, second=3")),
            units("token=1, image=2, second=3")
        );
    }

    #[test]
    fn what_is_more_is_told_unit_by_unit() {
        let units = |text| Units::parse_field(text).unwrap();
        let more = units("token=5, image=2").beyond(&units("token=3, image=2, second=9"));
        assert_eq!(more, units("token=2"));
        assert_eq!(units("token=3").and(&units("token=2, image=1")), units("token=5, image=1"));
    }

    #[test]
    fn a_field_tells_units() {
        let units = Units::parse_field("token=123, image=1,gpu-second=0.5").unwrap();
        assert_eq!((units.of("token"), units.of("image")), (Tokens::whole(123), Tokens::ONE));
        assert_eq!(units.of("gpu-second"), Tokens::micro(500_000));
        assert_eq!(units.of("other"), Tokens::ZERO);
        for bad in ["", "token", "token=", "token=x", "token=1;image=2", "to ken=1", "token=-1"] {
            assert!(Units::parse_field(bad).is_err(), "{bad}");
        }
    }
}
