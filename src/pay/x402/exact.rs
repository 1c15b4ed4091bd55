//! The scheme `exact` on EVM with EIP-3009: reading the signed transfer out of a payload, and comparing it with an offer.
//!
//! Only canonical encodings are read, so that one authorization has one replay identity. Checks that need a chain (balance, nonce,
//! contract wallets) are the facilitator's.

use std::{fmt, str::FromStr};

use serde_json::{Map, Value};

use super::{Moment, Signer};
use crate::pay::{
    amount::Amount,
    eip712::{Address, Signature, TransferWithAuthorization, recover},
    offer::EvmTender,
};

/// A payment must still be valid for this long; facilitators refuse less (`validBefore >= now + 6`).
pub const MIN_REMAINING_SECONDS: u64 = 6;

/// The scheme we sell under.
pub(super) const SCHEME: &str = "exact";

/// Why a readable payment does not pay what we sell. Nobody's money moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentRefused {
    /// v2: what the client accepted is none of our offers, to the last field.
    NoMatchingRequirements,
    /// v1: another scheme than `exact`.
    UnsupportedScheme,
    /// v1: no offer is on that network.
    WrongNetwork,
    /// Not a payload of the kind that the offer asks for, or one of several kinds at once.
    UnsupportedPayloadType,
    /// This member of the payload is absent, unknown, or not in its one canonical form.
    InvalidPayload(String),
    /// Permit2: it is of another token.
    WrongToken,
    /// Permit2: it lets another contract than x402's proxy move the money.
    WrongSpender,
    /// It pays somebody else.
    WrongRecipient,
    /// It pays less or more than the price. More is refused too: nobody gives change.
    WrongValue,
    /// It becomes valid in the future.
    NotYetValid,
    /// It has expired, or will in less than [`MIN_REMAINING_SECONDS`].
    Expired,
}

impl PaymentRefused {
    /// The reason as x402 spells such reasons (x402 v2 §9 and the official EVM packages).
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoMatchingRequirements => "no_matching_payment_requirements",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::WrongNetwork => "invalid_network",
            Self::UnsupportedPayloadType => "unsupported_payload_type",
            Self::InvalidPayload(_) => "invalid_payload",
            Self::WrongToken => "permit2_token_mismatch",
            Self::WrongSpender => "invalid_permit2_spender",
            Self::WrongRecipient => "invalid_exact_evm_payload_recipient_mismatch",
            Self::WrongValue => "invalid_exact_evm_payload_authorization_value",
            Self::NotYetValid => "invalid_exact_evm_payload_authorization_valid_after",
            Self::Expired => "invalid_exact_evm_payload_authorization_valid_before",
        }
    }
}

impl fmt::Display for PaymentRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatchingRequirements => {
                f.write_str("what the payment accepts is not what is offered here")
            }
            Self::UnsupportedScheme => f.write_str("only the scheme \"exact\" is sold here"),
            Self::WrongNetwork => f.write_str("nothing is sold on that network here"),
            Self::UnsupportedPayloadType => f.write_str(
                "the payload must hold \"signature\" and \"authorization\" (EIP-3009), or \"permit2Authorization\" instead where the offer asks for Permit2",
            ),
            Self::InvalidPayload(member) => {
                write!(
                    f,
                    "{member:?} is missing from the payload, unknown in it, or not in its canonical form"
                )
            }
            Self::WrongToken => f.write_str("the payment is of another token"),
            Self::WrongSpender => f.write_str("the payment may be collected by another contract than x402's"),
            Self::WrongRecipient => f.write_str("the payment is made out to somebody else"),
            Self::WrongValue => f.write_str("the payment is not of exactly the price"),
            Self::NotYetValid => f.write_str("the payment is not valid yet"),
            Self::Expired => {
                write!(f, "the payment has expired, or will in less than {MIN_REMAINING_SECONDS} seconds")
            }
        }
    }
}

impl std::error::Error for PaymentRefused {}

/// An EIP-3009 payload (x402 v2, scheme exact on EVM).
pub(super) struct SignedTransfer {
    pub(super) authorization: TransferWithAuthorization,
    pub(super) signature: String,
}

const AUTHORIZATION_MEMBERS: [&str; 6] = ["from", "to", "value", "validAfter", "validBefore", "nonce"];

impl SignedTransfer {
    /// Reads the member `payload` of a payment.
    pub(super) fn read(payload: &Map<String, Value>) -> Result<Self, PaymentRefused> {
        // A facilitator that finds "permit2Authorization" settles that, whatever stands beside it.
        only(payload, &["signature", "authorization"]).map_err(|_| PaymentRefused::UnsupportedPayloadType)?;
        let members = members(payload, "authorization")?;
        only(members, &AUTHORIZATION_MEMBERS)?;
        let authorization = TransferWithAuthorization {
            from: read(members, "from")?,
            to: read(members, "to")?,
            value: read::<Amount>(members, "value")?.atomic(),
            valid_after: read_seconds(members, "validAfter")?,
            valid_before: read_seconds(members, "validBefore")?,
            nonce: read(members, "nonce")?,
        };
        Ok(Self { authorization, signature: text(payload, "signature")?.to_owned() })
    }

    /// Whether it pays that amount of this token at that moment, and what the signature shows.
    pub(super) fn check(
        &self,
        (tender, amount): (&EvmTender, Amount),
        moment: Moment,
    ) -> Result<Signer, PaymentRefused> {
        let authorization = &self.authorization;
        if authorization.to != tender.pay_to {
            return Err(PaymentRefused::WrongRecipient);
        }
        if authorization.value != amount.atomic() {
            return Err(PaymentRefused::WrongValue);
        }
        moment.is_within(authorization.valid_after, authorization.valid_before)?;
        let digest = authorization.digest(&tender.domain());
        let proven = is_plain_signature(&self.signature, digest, authorization.from);
        Ok(if proven { Signer::Proven } else { Signer::Unproven })
    }
}

/// Whether a plain wallet of that address signed this: 65 bytes with low `s` and `v` 27 or 28.
pub(super) fn is_plain_signature(signature: &str, digest: [u8; 32], by: Address) -> bool {
    signature.parse().is_ok_and(|signature: Signature| {
        signature.is_low_s() && matches!(signature.v(), 27 | 28) && recover(digest, &signature) == Some(by)
    })
}

fn invalid(member: &str) -> PaymentRefused {
    PaymentRefused::InvalidPayload(member.to_owned())
}

/// Refuses members that are not among these: a facilitator might understand them.
pub(super) fn only(of: &Map<String, Value>, known: &[&str]) -> Result<(), PaymentRefused> {
    match of.keys().find(|member| !known.contains(&member.as_str())) {
        Some(unknown) => Err(invalid(unknown)),
        None => Ok(()),
    }
}

pub(super) fn members<'a>(
    of: &'a Map<String, Value>,
    member: &str,
) -> Result<&'a Map<String, Value>, PaymentRefused> {
    of.get(member).and_then(Value::as_object).ok_or_else(|| invalid(member))
}

pub(super) fn text<'a>(members: &'a Map<String, Value>, member: &str) -> Result<&'a str, PaymentRefused> {
    members.get(member).and_then(Value::as_str).ok_or_else(|| invalid(member))
}

pub(super) fn read<T: FromStr>(members: &Map<String, Value>, member: &str) -> Result<T, PaymentRefused> {
    text(members, member)?.parse().map_err(|_| invalid(member))
}

pub(super) fn read_seconds(members: &Map<String, Value>, member: &str) -> Result<u64, PaymentRefused> {
    u64::try_from(read::<Amount>(members, member)?.atomic()).map_err(|_| invalid(member))
}
