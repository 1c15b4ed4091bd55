//! What an owner is told as it happens, by webhook.
//!
//! An account notes what happened to it as a [`Notice`] and keeps it in its [`outbox`] until the owner's server has
//! taken it. The same occurrence has the same id however often it is sent, or noted again after a crash, so that the
//! owner can drop what comes twice.

pub mod delivery;
pub mod outbox;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::client::AccountId;
use crate::endpoint::EndpointName;
use crate::limit::quota::QuotaUse;
use crate::limit::tokens::Tokens;
use crate::pay::amount::Amount;
use crate::pay::x402::PaymentId;
use crate::time::Millis;

/// What kind of thing an owner can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client went over a limit and was denied: told once until the limit is whole again.
    Exceeded,
    /// A payment was credited.
    Paid,
    /// Four fifths of a quota are used: told once in a period.
    Quota80,
    /// A quota is used up: told once in a period.
    Quota100,
    /// A fifth or less is left of the prepaid credits that are still good: told once a day.
    CreditsLow,
    /// It is not known whether a payment went through.
    PaymentUnknown,
    /// A payment that was credited before it was settled failed, and its credit was taken back.
    PaymentFailed,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Exceeded,
        Self::Paid,
        Self::Quota80,
        Self::Quota100,
        Self::CreditsLow,
        Self::PaymentUnknown,
        Self::PaymentFailed,
    ];

    /// Its name in the settings and in what is sent.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::Paid => "paid",
            Self::Quota80 => "quota-80",
            Self::Quota100 => "quota-100",
            Self::CreditsLow => "credits-low",
            Self::PaymentUnknown => "payment-unknown",
            Self::PaymentFailed => "payment-failed",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Exceeded => 1,
            Self::Paid => 2,
            Self::Quota80 => 4,
            Self::Quota100 => 8,
            Self::CreditsLow => 16,
            Self::PaymentUnknown => 32,
            Self::PaymentFailed => 64,
        }
    }
}

/// Kinds that an owner wants to be told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// None of them: where no webhook is set.
    pub const NONE: Self = Self(0);

    /// Whether that one is among them.
    #[must_use]
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | kind.bit()))
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Occurrence {
    /// A client went over a limit and was denied.
    Exceeded {
        /// The endpoint.
        endpoint: EndpointName,
        /// The limit's name, as in the `RateLimit` fields.
        limit: String,
        /// When it is whole again, and told of again.
        resets_at: Millis,
    },
    /// A payment was credited.
    Paid(Sum),
    /// Four fifths of a quota are used.
    Quota80(EndpointName, QuotaUse),
    /// A quota is used up.
    Quota100(EndpointName, QuotaUse),
    /// Prepaid credits run out: that many are left.
    CreditsLow(Tokens, Millis),
    /// It is not known whether a payment went through.
    PaymentUnknown(Sum),
    /// A payment that was credited before it was settled failed, and its credit was taken back.
    PaymentFailed(Sum),
}

/// A payment, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Which payment.
    pub payment: PaymentId,
    /// The endpoint whose limits it adds to.
    pub endpoint: EndpointName,
    /// In atomic units.
    pub amount: Amount,
}

impl Occurrence {
    /// Of which kind it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Exceeded { .. } => Kind::Exceeded,
            Self::Paid(_) => Kind::Paid,
            Self::Quota80(..) => Kind::Quota80,
            Self::Quota100(..) => Kind::Quota100,
            Self::CreditsLow(..) => Kind::CreditsLow,
            Self::PaymentUnknown(_) => Kind::PaymentUnknown,
            Self::PaymentFailed(_) => Kind::PaymentFailed,
        }
    }

    /// What tells it from others of its kind and account.
    fn subject(&self) -> String {
        match self {
            Self::Exceeded { endpoint, limit, resets_at } => {
                format!("{endpoint}\n{limit}\n{}", resets_at.get())
            }
            Self::Paid(sum) | Self::PaymentUnknown(sum) | Self::PaymentFailed(sum) => sum.payment.to_string(),
            Self::Quota80(endpoint, quota) | Self::Quota100(endpoint, quota) => {
                format!("{endpoint}\n{}-{}\n{}", quota.unit, quota.period.name(), quota.start.get())
            }
            Self::CreditsLow(_, at) => at.get().to_string(),
        }
    }
}

/// Something that happened to an account, and that its owner is to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    id: String,
    at: Millis,
    what: Occurrence,
}

impl Notice {
    /// It happened at `at`.
    #[must_use]
    pub fn new(account: &AccountId, what: Occurrence, at: Millis) -> Self {
        let digest = Sha256::digest(format!("{account}\n{}\n{}", what.kind().name(), what.subject()));
        let id = format!("evt_{}", hex::encode(digest.get(..16).unwrap_or_default()));
        Self { id, at, what }
    }

    /// The same for the same occurrence.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Millis {
        self.at
    }

    /// What happened.
    #[must_use]
    pub const fn what(&self) -> &Occurrence {
        &self.what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_occurrence_has_the_same_id_and_others_have_others() {
        let account: AccountId = "key:acme".parse().unwrap();
        let exceeded = |limit: &str, resets_at: u64| Occurrence::Exceeded {
            endpoint: EndpointName::new("*"),
            limit: limit.to_owned(),
            resets_at: Millis::new(resets_at),
        };
        let id = |what, at| Notice::new(&account, what, Millis::new(at)).id().to_owned();
        assert_eq!(id(exceeded("bucket", 5), 1), id(exceeded("bucket", 5), 2));
        assert_eq!(id(exceeded("bucket", 5), 1).len(), "evt_".len() + 32);
        let sum =
            Sum { payment: PaymentId::of("p"), endpoint: EndpointName::new("*"), amount: Amount::new(1) };
        let others = [
            id(exceeded("bucket", 6), 1),
            id(exceeded("request-60s", 5), 1),
            id(Occurrence::Paid(sum.clone()), 1),
            id(Occurrence::PaymentUnknown(sum), 1),
            Notice::new(&"key:other".parse().unwrap(), exceeded("bucket", 5), Millis::new(1)).id().to_owned(),
        ];
        let mut all = vec![id(exceeded("bucket", 5), 1)];
        all.extend(others);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn kinds_are_those_that_were_named() {
        let kinds: Kinds = [Kind::Paid].into_iter().collect();
        assert!(kinds.has(Kind::Paid) && !kinds.has(Kind::Exceeded) && !kinds.is_empty());
        assert!(Kinds::NONE.is_empty());
        let all: Kinds = Kind::ALL.into_iter().collect();
        assert!(Kind::ALL.into_iter().all(|kind| all.has(kind)));
    }
}
