//! How often requests come.

use std::fmt;
use std::str::FromStr;

use crate::time::Span;

/// How often requests come: `10/s`, `600/m`, `5/500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    count: u64,
    per: Span,
}

/// A text that is no [`Pace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceError(String);

impl fmt::Display for PaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a rate; write a whole number from 1 and a time, such as 10/s, 600/m or 5/500ms",
            self.0
        )
    }
}

impl std::error::Error for PaceError {}

impl FromStr for Pace {
    type Err = PaceError;

    fn from_str(text: &str) -> Result<Self, PaceError> {
        let error = || PaceError(text.to_owned());
        let (count, per) = text.split_once('/').ok_or_else(error)?;
        let count: u64 = count.replace('_', "").parse().map_err(|_| error())?;
        let starts_with_digit = per.starts_with(|c: char| c.is_ascii_digit());
        let per = if starts_with_digit { per.to_owned() } else { format!("1{per}") };
        let per: Span = per.parse().map_err(|_| error())?;
        if count == 0 || per == Span::ZERO { Err(error()) } else { Ok(Self { count, per }) }
    }
}

impl Pace {
    /// When the `nth` request comes, counted from 0 and rounded down to the millisecond.
    #[must_use]
    pub fn moment(self, nth: u64) -> Span {
        let total = u128::from(nth).saturating_mul(u128::from(self.per.get()));
        let moment = total.checked_div(u128::from(self.count)).unwrap_or(0);
        Span::millis(u64::try_from(moment).unwrap_or(u64::MAX))
    }

    /// How many requests come before `length` is over.
    #[must_use]
    pub fn requests_in(self, length: Span) -> u64 {
        let total = u128::from(length.get()).saturating_mul(u128::from(self.count));
        u64::try_from(total.div_ceil(u128::from(self.per.get()))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_read_and_spreads_evenly() {
        let pace: Pace = "3/s".parse().unwrap();
        let moments: Vec<u64> = (0..5).map(|nth| pace.moment(nth).get()).collect();
        assert_eq!(moments, [0, 333, 666, 1000, 1333]);
        assert_eq!(pace.requests_in(Span::seconds(60)), 180);
        assert_eq!("5/500ms".parse::<Pace>().unwrap().requests_in(Span::seconds(1)), 10);
        assert_eq!("1_000/m".parse::<Pace>().unwrap().moment(1), Span::millis(60));
        for bad in ["", "10", "0/s", "10/", "10/0s", "x/s", "-1/s", "10/week"] {
            assert!(bad.parse::<Pace>().is_err(), "{bad}");
        }
    }
}
