//! Instants and spans as the domain sees them: values that are passed in, never read from a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime};

/// Milliseconds in a day; UTC as computers count it has no leap seconds.
const DAY: u64 = 86_400_000;

/// An instant: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(u64);

impl Millis {
    /// The instant `milliseconds` after the Unix epoch.
    #[must_use]
    pub const fn new(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Whole seconds since the Unix epoch, rounded up.
    #[must_use]
    pub const fn seconds_up(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// How long after `earlier` this is; nothing when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The instant `span` later.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The start of the UTC minute that holds this instant.
    #[must_use]
    pub const fn minute(self) -> Self {
        Self(self.0.saturating_sub(self.0 % 60_000))
    }

    /// The start of the UTC hour that holds this instant.
    #[must_use]
    pub const fn hour(self) -> Hour {
        Hour(self.0 / 3_600_000)
    }

    /// The UTC calendar day that holds this instant: when it starts, and when the next one does.
    #[must_use]
    pub const fn day(self) -> (Self, Self) {
        let start = (self.0 / DAY).saturating_mul(DAY);
        (Self(start), Self(start.saturating_add(DAY)))
    }

    /// The UTC calendar month that holds this instant: when it starts, and when the next one does. After the year 9999
    /// no month ends.
    #[must_use]
    pub fn month(self) -> (Self, Self) {
        let first = i64::try_from(self.seconds())
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|instant| instant.date().replace_day(1).ok());
        let next = first.and_then(|first| {
            let month = first.month().next();
            let year = if month == Month::January { first.year().checked_add(1)? } else { first.year() };
            Date::from_calendar_date(year, month, 1).ok()
        });
        let midnight = |date: Date| {
            let seconds = u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok()?;
            seconds.checked_mul(1000).map(Self)
        };
        (first.and_then(midnight).unwrap_or_default(), next.and_then(midnight).unwrap_or(Self(u64::MAX)))
    }

    /// This instant in RFC 3339, UTC, whole seconds: `2026-01-06T10:30:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        i64::try_from(self.seconds())
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|instant| instant.format(&Rfc3339).ok())
            .unwrap_or_default()
    }

    /// Reads an RFC 3339 date and time, or a date (its midnight in UTC).
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let full =
            if text.len() == "2026-01-06".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let instant = OffsetDateTime::parse(&full, &Rfc3339).ok()?;
        u64::try_from(instant.unix_timestamp_nanos().checked_div(1_000_000)?).ok().map(Self)
    }
}

/// A UTC hour, counted from the Unix epoch. Usage is kept by the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(u64);

impl Hour {
    /// The `n`th hour since the Unix epoch.
    #[must_use]
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// Hours since the Unix epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The instant at which it starts.
    #[must_use]
    pub const fn start(self) -> Millis {
        Millis(self.0.saturating_mul(3_600_000))
    }

    /// The hour after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `milliseconds` of time.
    #[must_use]
    pub const fn millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// `seconds` of time.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Its length in seconds, rounded up, as `Retry-After` wants it.
    #[must_use]
    pub const fn seconds_up(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// What is left of it when `other` has passed.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Both lengths together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanError(String);

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a duration; write a whole number and a unit, such as 500ms, 60s, 5m, 24h or 30d",
            self.0
        )
    }
}

impl std::error::Error for SpanError {}

impl FromStr for Span {
    type Err = SpanError;

    /// Reads `500ms`, `60s`, `5m`, `24h`, `7d`; digits may be grouped: `86_400s`.
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.to_owned());
        let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '_').ok_or_else(error)?;
        let (digits, unit) = text.split_at(unit_at);
        let count: u64 = digits.replace('_', "").parse().map_err(|_| error())?;
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(error()),
        };
        count.checked_mul(milliseconds).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}s", self.0 / 1000) } else { write!(f, "{}ms", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_starts_where_the_clock_says() {
        for (instant, minute) in
            [(0, 0), (59_999, 0), (60_000, 60_000), (1_700_000_123_456, 1_700_000_100_000)]
        {
            assert_eq!(Millis::new(instant).minute(), Millis::new(minute));
        }
    }

    #[test]
    fn durations_are_read_as_the_plan_file_writes_them() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("60s", 60_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("86_400s", 86_400_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(text.parse(), Ok(Span::millis(milliseconds)), "{text}");
        }
        for bad in ["", "60", "s", "-1s", "1.5s", "1 s", "60sec", "99999999999999999999s", "999999999999999d"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn instants_are_written_and_read_in_rfc_3339() {
        let instant = Millis::new(1_767_695_400_000);
        assert_eq!(instant.rfc3339(), "2026-01-06T10:30:00Z");
        assert_eq!(Millis::parse_rfc3339("2026-01-06T10:30:00Z"), Some(instant));
        assert_eq!(Millis::parse_rfc3339("2026-01-06"), Some(Millis::new(1_767_657_600_000)));
        assert_eq!(Millis::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn days_and_months_are_those_of_the_utc_calendar() {
        let at = |text: &str| Millis::parse_rfc3339(text).unwrap();
        for (now, day, month) in [
            ("2026-01-06T10:30:00Z", ("2026-01-06", "2026-01-07"), ("2026-01-01", "2026-02-01")),
            ("2024-02-29T23:59:59Z", ("2024-02-29", "2024-03-01"), ("2024-02-01", "2024-03-01")),
            ("2025-12-31T23:59:59.999Z", ("2025-12-31", "2026-01-01"), ("2025-12-01", "2026-01-01")),
            ("2026-03-01T00:00:00Z", ("2026-03-01", "2026-03-02"), ("2026-03-01", "2026-04-01")),
        ] {
            assert_eq!(at(now).day(), (at(day.0), at(day.1)), "{now}");
            assert_eq!(at(now).month(), (at(month.0), at(month.1)), "{now}");
        }
        assert_eq!(Millis::new(u64::MAX).month(), (Millis::new(0), Millis::new(u64::MAX)));
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_time() {
        assert_eq!(Millis::new(5).since(Millis::new(9)), Span::ZERO);
    }
}
