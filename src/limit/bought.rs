//! What was bought on top of the limit of a window or a quota, until that ends.

use serde::{Deserialize, Serialize};

use super::owed;
use super::tokens::Tokens;

/// What was bought on top of a limit, or what is missing from it because that was taken back after it had been used.
///
/// Invariant: one of the two is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    extra: Tokens,
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    owed: Tokens,
}

impl Bought {
    /// Nothing.
    pub const NOTHING: Self = Self { extra: Tokens::ZERO, owed: Tokens::ZERO };

    /// So much, of which nothing was taken back.
    pub(super) const fn of(extra: Tokens) -> Self {
        Self { extra, owed: Tokens::ZERO }
    }

    /// What was bought and not taken back.
    #[must_use]
    pub const fn extra(&self) -> Tokens {
        self.extra
    }

    /// What was taken back and is not there: that much less may be used.
    #[must_use]
    pub const fn owed(&self) -> Tokens {
        self.owed
    }

    /// Adds what was paid for.
    #[must_use]
    pub const fn plus(self, quantity: Tokens) -> Self {
        let (extra, owed) = owed::added((self.extra, self.owed), quantity);
        Self { extra, owed }
    }

    /// Takes back what was added; what is not there any more is owed.
    #[must_use]
    pub const fn less(self, quantity: Tokens) -> Self {
        let (extra, owed) = owed::taken_back((self.extra, self.owed), quantity);
        Self { extra, owed }
    }

    /// The same as if nothing were owed.
    #[must_use]
    pub const fn forgiven(self) -> Self {
        Self { owed: Tokens::ZERO, ..self }
    }

    /// A limit with it.
    #[must_use]
    pub const fn on(&self, limit: Tokens) -> Tokens {
        limit.plus(self.extra).less(self.owed)
    }

    /// Whether nothing was bought, and nothing is owed.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.extra.is_zero() && self.owed.is_zero()
    }
}
