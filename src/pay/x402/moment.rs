//! The instant at which a payment is looked at, and whether its time has to be on.

use super::exact::{MIN_REMAINING_SECONDS, PaymentRefused};

/// When a payment is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At that unix second, to be settled: it must still be good for [`MIN_REMAINING_SECONDS`].
    Now(u64),
    /// After its time: to be found again, if it was presented before.
    Late,
}

impl From<u64> for Moment {
    fn from(unix_seconds: u64) -> Self {
        Self::Now(unix_seconds)
    }
}

impl Moment {
    /// Whether a payment is looked at in the time that its payer signed for.
    pub(super) const fn is_within(self, valid_after: u64, valid_before: u64) -> Result<(), PaymentRefused> {
        match self {
            Self::Now(now) if valid_after > now => Err(PaymentRefused::NotYetValid),
            Self::Now(now) if valid_before < now.saturating_add(MIN_REMAINING_SECONDS) => {
                Err(PaymentRefused::Expired)
            }
            Self::Now(_) | Self::Late => Ok(()),
        }
    }
}
