//! Amounts of money: what an owner writes (`Price`) and what a token counts (`Amount`). Nothing here rounds, and no float holds money.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limit::tokens::Tokens;

/// An amount in a token's atomic units (USDC: 1 000 000 to the dollar). Text and JSON form: a canonical decimal integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(u128);

/// Why a text is not an [`Amount`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not a decimal integer in its one canonical form: a sign, a leading zero, a space, another base, or nothing.
    NotCanonical,
    /// More than 2^128 - 1.
    TooLarge,
}

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// So many atomic units.
    #[must_use]
    pub const fn new(atomic: u128) -> Self {
        Self(atomic)
    }

    /// The number of atomic units.
    #[must_use]
    pub const fn atomic(self) -> u128 {
        self.0
    }

    /// The sum, or `None` where it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The same number of whole tokens where one has other decimals. What those cannot express is rounded up; what does not
    /// fit stops at the largest amount.
    #[must_use]
    pub fn rescaled(self, from: u8, to: u8) -> Self {
        let factor = 10_u128.checked_pow(u32::from(from.abs_diff(to)));
        Self(match factor {
            Some(factor) if to < from => self.0.div_ceil(factor),
            Some(factor) => self.0.saturating_mul(factor),
            None if to < from => u128::from(self.0 > 0),
            None => self.0.saturating_mul(u128::MAX),
        })
    }

    /// The amount in whole tokens of `decimals` decimals, without trailing zeros: 1000 of 6 decimals is `0.001`.
    #[must_use]
    pub fn to_decimal(self, decimals: u8) -> String {
        let fraction_digits = usize::from(decimals);
        let digits = format!("{:0>width$}", self.0, width = fraction_digits.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(fraction_digits));
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        if !is_canonical_integer(text) {
            return Err(AmountError::NotCanonical);
        }
        text.parse().map(Self).map_err(|_: ParseIntError| AmountError::TooLarge)
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCanonical => "must be a decimal integer without sign, leading zeros or spaces",
            Self::TooLarge => "is more than 2^128 - 1",
        })
    }
}

impl std::error::Error for AmountError {}

/// Whether this is the one canonical decimal form of a non-negative integer.
pub(crate) fn is_canonical_integer(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// A price as an owner writes it (`0.001`, `$0.001`, `1_000.5`), in whole tokens, exact.
///
/// Text and JSON form: canonical, `0.001`. Which asset it is paid in, and so how many atomic units it is, is not its business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price {
    /// The digits without their point, and without trailing zeros behind it.
    digits: u128,
    /// How many of the digits stand behind the point.
    scale: u8,
}

/// Why a text is not a [`Price`], or a price not an amount of some asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceError {
    /// Not a decimal number.
    Malformed(String),
    /// It needs more decimals than the asset has.
    TooPrecise {
        /// The price.
        price: Price,
        /// The decimals of the asset.
        decimals: u8,
    },
    /// It does not fit in 128 bits.
    TooLarge,
    /// Zero, where something must be paid.
    Zero,
}

impl Price {
    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// What so many units cost at this price, rounded up to an atomic unit of an asset of `decimals` decimals.
    ///
    /// # Errors
    /// As [`Self::to_amount`], and where nothing is bought.
    pub fn of(self, quantity: Tokens, decimals: u8) -> Result<Amount, PriceError> {
        let millionths = self
            .to_amount(decimals)?
            .0
            .checked_mul(u128::from(quantity.get()))
            .ok_or(PriceError::TooLarge)?;
        if millionths == 0 { Err(PriceError::Zero) } else { Ok(Amount(millionths.div_ceil(1_000_000))) }
    }

    /// What so many cost of which one costs this.
    ///
    /// # Errors
    /// It does not fit.
    pub fn times(self, count: u64) -> Result<Self, PriceError> {
        let mut digits = self.digits.checked_mul(u128::from(count)).ok_or(PriceError::TooLarge)?;
        let mut scale = self.scale;
        // 2 × 0.5 is 1, which is written without a point.
        while scale > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            scale = scale.saturating_sub(1);
        }
        Ok(Self { digits, scale })
    }

    /// The price in atomic units of an asset of `decimals` decimals.
    ///
    /// # Errors
    /// The price is zero, finer than the asset's smallest unit, or does not fit.
    pub fn to_amount(self, decimals: u8) -> Result<Amount, PriceError> {
        if self.digits == 0 {
            return Err(PriceError::Zero);
        }
        let missing_zeros =
            decimals.checked_sub(self.scale).ok_or(PriceError::TooPrecise { price: self, decimals })?;
        10u128
            .checked_pow(u32::from(missing_zeros))
            .and_then(|factor| self.digits.checked_mul(factor))
            .map(Amount::new)
            .ok_or(PriceError::TooLarge)
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let malformed = || PriceError::Malformed(text.to_owned());
        let number = text.strip_prefix('$').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let whole = without_separators(whole).ok_or_else(malformed)?;
        // "0001" is more often a lost point than a one.
        if !is_canonical_integer(&whole) {
            return Err(malformed());
        }
        let fraction = without_separators(fraction).ok_or_else(malformed)?;
        let fraction = fraction.trim_end_matches('0');
        let scale = u8::try_from(fraction.len()).map_err(|_| PriceError::TooLarge)?;
        let digits = format!("{whole}{fraction}").parse().map_err(|_| PriceError::TooLarge)?;
        Ok(Self { digits, scale })
    }
}

/// The digits without `_`, which may stand between digits only.
fn without_separators(text: &str) -> Option<String> {
    let groups_are_digits =
        text.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    groups_are_digits.then(|| text.replace('_', ""))
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Amount::new(self.digits).to_decimal(self.scale))
    }
}

impl TryFrom<String> for Price {
    type Error = PriceError;

    fn try_from(text: String) -> Result<Self, PriceError> {
        text.parse()
    }
}

impl From<Price> for String {
    fn from(price: Price) -> Self {
        price.to_string()
    }
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) => write!(f, "{text:?} is not a price such as \"0.001\" or \"$1_000.50\""),
            Self::TooPrecise { price, decimals } => {
                write!(f, "{price} is finer than the asset, which has {decimals} decimals")
            }
            Self::TooLarge => f.write_str("is too large or has too many digits"),
            Self::Zero => f.write_str("must be more than 0"),
        }
    }
}

impl std::error::Error for PriceError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn an_amount_has_one_spelling() {
        assert_eq!("1000".parse(), Ok(Amount::new(1000)));
        assert_eq!("0".parse(), Ok(Amount::ZERO));
        assert_eq!(u128::MAX.to_string().parse(), Ok(Amount::new(u128::MAX)));
        for text in ["", " 1", "1 ", "+1", "-1", "01", "00", "0x10", "1e3", "1.0", "1_000", "١"] {
            assert_eq!(text.parse::<Amount>(), Err(AmountError::NotCanonical), "{text:?}");
        }
        assert_eq!("340282366920938463463374607431768211456".parse::<Amount>(), Err(AmountError::TooLarge));
    }

    #[test]
    fn an_amount_is_stored_as_a_decimal_string() {
        assert_eq!(serde_json::to_string(&Amount::new(u128::MAX)).unwrap(), format!("\"{}\"", u128::MAX));
        assert_eq!(serde_json::from_str::<Amount>("\"1000\"").unwrap(), Amount::new(1000));
        assert!(serde_json::from_str::<Amount>("1000").is_err());
    }

    #[test]
    fn amounts_in_whole_tokens() {
        let table =
            [(1000, 6, "0.001"), (1_000_000, 6, "1"), (0, 6, "0"), (1, 0, "1"), (1_500_000, 6, "1.5")];
        for (atomic, decimals, text) in table {
            assert_eq!(Amount::new(atomic).to_decimal(decimals), text);
        }
        assert_eq!(Amount::new(1).to_decimal(255), format!("0.{}1", "0".repeat(254)));
    }

    #[test]
    fn the_same_money_in_other_decimals() {
        let table = [
            (1000, 6, 18, 1_000_000_000_000_000),
            (1_000_000_000_000_000, 18, 6, 1000),
            (1000, 6, 6, 1000),
            (1001, 6, 4, 11),
            (0, 18, 0, 0),
            (1, 255, 0, 1),
            (1, 0, 255, u128::MAX),
        ];
        for (amount, from, to, same) in table {
            assert_eq!(Amount::new(amount).rescaled(from, to), Amount::new(same), "{amount} {from} {to}");
        }
    }

    #[test]
    fn a_price_is_exact_in_every_spelling_of_an_owner() {
        let table = [
            ("0.001", "0.001", 1000),
            ("$0.001", "0.001", 1000),
            ("0.0010", "0.001", 1000),
            ("1_000.5", "1000.5", 1_000_500_000),
            ("1", "1", 1_000_000),
            ("20", "20", 20_000_000),
            ("0.000001", "0.000001", 1),
        ];
        for (written, canonical, atomic) in table {
            assert_eq!(price(written).to_string(), canonical);
            assert_eq!(price(written).to_amount(6), Ok(Amount::new(atomic)), "{written}");
        }
    }

    #[test]
    fn a_price_that_is_no_number_is_refused() {
        for text in
            ["", "$", ".5", "1.", "1.2.3", "-1", "1e3", "0001", "_1", "1_", "1__0", "1 ", "0.1$", "€1"]
        {
            assert_eq!(text.parse::<Price>(), Err(PriceError::Malformed(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn what_many_units_cost_is_exact_and_fractions_of_an_atomic_unit_are_rounded_up() {
        assert_eq!(price("0.001").of(Tokens::whole(1000), 6), Ok(Amount::new(1_000_000)));
        assert_eq!(price("0.002").of(Tokens::micro(1_500_000), 6), Ok(Amount::new(3000)));
        assert_eq!(price("0.001").of(Tokens::micro(1), 6), Ok(Amount::new(1)));
        assert_eq!(price("0.001").of(Tokens::ZERO, 6), Err(PriceError::Zero));
        assert_eq!(price("20000000000").of(Tokens::micro(u64::MAX), 18), Err(PriceError::TooLarge));
    }

    #[test]
    fn so_many_times_a_price_is_a_price_in_its_one_form() {
        for (one, count, all) in
            [("0.5", 2, "1"), ("0.001", 100, "0.1"), ("0.003", 7, "0.021"), ("20", 5, "100")]
        {
            assert_eq!(price(one).times(count), Ok(price(all)), "{one} times {count}");
        }
        assert_eq!(price("340282366920938463463374607431768211455").times(2), Err(PriceError::TooLarge));
    }

    #[test]
    fn a_price_that_no_amount_equals_is_refused() {
        assert_eq!(
            price("0.0000001").to_amount(6),
            Err(PriceError::TooPrecise { price: price("0.0000001"), decimals: 6 })
        );
        assert_eq!(price("0.000").to_amount(6), Err(PriceError::Zero));
        assert_eq!(price("1").to_amount(39), Err(PriceError::TooLarge));
        assert_eq!(format!("1{}", "0".repeat(39)).parse::<Price>(), Err(PriceError::TooLarge));
    }
}
