//! Tokens in fixed point, and the rate at which they come back. No float ever holds a token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::{Millis, Span};

/// Micro-tokens in a token.
const MICRO: u64 = 1_000_000;
/// Decimal places of a token that are kept: log10 of [`MICRO`].
const PLACES: usize = 6;

/// An amount of tokens, counted in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(u64);

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self(0);
    /// One token.
    pub const ONE: Self = Self(MICRO);

    /// `n` whole tokens.
    #[must_use]
    pub const fn whole(n: u64) -> Self {
        Self(n.saturating_mul(MICRO))
    }

    /// `n` millionths of a token.
    #[must_use]
    pub const fn micro(n: u64) -> Self {
        Self(n)
    }

    /// The amount in millionths of a token.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whole tokens, rounded down.
    #[must_use]
    pub const fn floor(self) -> u64 {
        self.0 / MICRO
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// Both amounts together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left after `other` is taken, if that much is there.
    #[must_use]
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(left) => Some(Self(left)),
            None => None,
        }
    }

    /// What is left after `other` is taken as far as it is there.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Why a text is not an amount of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensError(String);

impl fmt::Display for TokensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a number of tokens; write a number from 0 with at most {PLACES} decimals",
            self.0
        )
    }
}

impl std::error::Error for TokensError {}

impl FromStr for Tokens {
    type Err = TokensError;

    /// Reads `4`, `0.001`, `40_000`.
    fn from_str(text: &str) -> Result<Self, TokensError> {
        let error = || TokensError(text.to_owned());
        let plain = text.replace('_', "");
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > PLACES {
            return Err(error());
        }
        let whole: u64 = whole.parse().map_err(|_| error())?;
        let fraction: u64 = format!("{fraction:0<PLACES$}").parse().map_err(|_| error())?;
        whole.checked_mul(MICRO).and_then(|micro| micro.checked_add(fraction)).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = self.0 % MICRO;
        if fraction == 0 {
            return write!(f, "{}", self.floor());
        }
        let digits = format!("{fraction:0PLACES$}");
        write!(f, "{}.{}", self.floor(), digits.trim_end_matches('0'))
    }
}

/// How fast tokens come back: so many millionths of a token in so many milliseconds, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    micro: u64,
    per: u64,
}

impl Rate {
    /// `tokens` in each second.
    #[must_use]
    pub const fn per_second(tokens: Tokens) -> Self {
        Self { micro: tokens.0, per: 1000 }
    }

    /// `tokens` in each minute: `rpm` of a plan.
    #[must_use]
    pub const fn per_minute(tokens: Tokens) -> Self {
        Self { micro: tokens.0, per: 60_000 }
    }

    /// Tokens made in `span`, with the fraction `carry` left over from before; and the fraction left now.
    /// A carry is counted in `1/per` of a millionth, so that nothing is lost between two looks.
    pub(crate) fn made_in(self, span: Span, carry: u64) -> (Tokens, u64) {
        let total =
            u128::from(span.get()).saturating_mul(u128::from(self.micro)).saturating_add(u128::from(carry));
        let per = u128::from(self.per);
        let made = total.checked_div(per).unwrap_or(0);
        let left = total.checked_rem(per).unwrap_or(0);
        (Tokens(u64::try_from(made).unwrap_or(u64::MAX)), u64::try_from(left).unwrap_or(0))
    }

    /// The shortest span in which `tokens` are made when `carry` is there already; `None` if nothing is ever made.
    pub(crate) fn time_for(self, tokens: Tokens, carry: u64) -> Option<Span> {
        if self.micro == 0 {
            return None;
        }
        let needed =
            u128::from(tokens.0).saturating_mul(u128::from(self.per)).saturating_sub(u128::from(carry));
        let milliseconds = needed.div_ceil(u128::from(self.micro));
        u64::try_from(milliseconds).ok().map(Span::millis)
    }
}

/// The later of two instants.
pub(crate) fn later(a: Millis, b: Millis) -> Millis {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_and_shown_exactly() {
        for (text, micro, shown) in [
            ("4", 4_000_000, "4"),
            ("0.001", 1_000, "0.001"),
            ("40_000", 40_000_000_000, "40000"),
            ("4.84", 4_840_000, "4.84"),
            ("0.000001", 1, "0.000001"),
        ] {
            let tokens: Tokens = text.parse().unwrap();
            assert_eq!((tokens.get(), tokens.to_string().as_str()), (micro, shown));
        }
        for bad in ["", "-1", "1.", ".5", "1e3", "0.0000001", "NaN", "99999999999999999999"] {
            assert!(bad.parse::<Tokens>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ten_a_minute_loses_no_fraction_between_looks() {
        let rate = Rate::per_minute(Tokens::whole(10));
        let (mut sum, mut carry) = (Tokens::ZERO, 0);
        for _ in 0..6_000 {
            let (made, left) = rate.made_in(Span::millis(1), carry);
            (sum, carry) = (sum.plus(made), left);
        }
        assert_eq!((sum, carry), (Tokens::ONE, 0));
    }
}
