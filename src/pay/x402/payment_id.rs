//! The id of a payment, made from what can happen once.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The id of a payment: `pay_` and 32 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaymentId(String);

/// A text that is not a [`PaymentId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentIdError;

impl PaymentId {
    /// The id of the payment with this replay identity: the first 128 bits of its SHA-256.
    #[must_use]
    pub fn of(replay_identity: &str) -> Self {
        let digest = hex::encode(Sha256::digest(replay_identity));
        Self(digest.chars().take(32).fold(String::from("pay_"), |mut id, digit| {
            id.push(digit);
            id
        }))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PaymentId {
    type Err = PaymentIdError;

    fn from_str(text: &str) -> Result<Self, PaymentIdError> {
        let digits = text.strip_prefix("pay_").ok_or(PaymentIdError)?;
        let is_id = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { Ok(Self(text.to_owned())) } else { Err(PaymentIdError) }
    }
}

impl TryFrom<String> for PaymentId {
    type Error = PaymentIdError;

    fn try_from(text: String) -> Result<Self, PaymentIdError> {
        text.parse()
    }
}

impl From<PaymentId> for String {
    fn from(id: PaymentId) -> Self {
        id.0
    }
}

impl fmt::Display for PaymentIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be pay_ and 32 lower-case hexadecimal digits")
    }
}

impl std::error::Error for PaymentIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_id_has_one_spelling() {
        // printf exact:x | sha256sum
        let id = PaymentId::of("exact:x");
        assert_eq!(id.to_string(), "pay_66411222915479a44776e862e96b84f4");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        let upper = id.as_str().to_ascii_uppercase().replace("PAY_", "pay_");
        for text in ["", "pay_", &upper, &id.as_str()[4..], &format!("{id}0")] {
            assert_eq!(text.parse::<PaymentId>(), Err(PaymentIdError), "{text:?}");
        }
    }
}
