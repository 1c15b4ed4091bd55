//! Why a credential does not do what it was sent for. Each is answered with 402 and fresh challenges.

use std::fmt;

use super::credential::MAX_CREDENTIAL_BYTES;
use super::session::channel::ChannelFault;
use crate::pay::x402::PaymentRefused;
use crate::problem::ProblemKind;

/// Why a credential is refused. Nobody's money moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFault {
    /// Longer than [`MAX_CREDENTIAL_BYTES`].
    TooLong,
    /// Not base64url without padding.
    NotBase64,
    /// Not the JSON object that a credential is; the member that is wrong or absent.
    WrongShape(&'static str),
    /// Its challenge was not issued here, or was altered.
    UnknownChallenge,
    /// Its challenge was issued for another endpoint.
    OtherEndpoint,
    /// Its challenge was issued for a request with another body.
    OtherBody,
    /// What its challenge asks for is not what this request costs now.
    OtherTerms,
    /// Its challenge was used before.
    UsedChallenge,
    /// Its challenge has expired.
    Expired,
    /// This member of the payload is absent, unknown, or of the wrong form.
    WrongPayload(String),
    /// The payment does not answer its challenge: its nonce is another's.
    OtherChallenge,
    /// The member `source` names no wallet of the chain.
    WrongSource,
    /// The wallet that it names did not sign it.
    WrongSigner,
    /// The transfer that it authorises does not pay what is asked.
    Refused(PaymentRefused),
    /// Its channel does not do what it asks for.
    Channel(ChannelFault),
}

impl From<ChannelFault> for CredentialFault {
    fn from(fault: ChannelFault) -> Self {
        Self::Channel(fault)
    }
}

impl From<PaymentRefused> for CredentialFault {
    fn from(refused: PaymentRefused) -> Self {
        match refused {
            PaymentRefused::InvalidPayload(member) => Self::WrongPayload(member),
            PaymentRefused::Expired => Self::Expired,
            other => Self::Refused(other),
        }
    }
}

impl CredentialFault {
    /// The problem of paymentauth.org that it is.
    #[must_use]
    pub const fn problem(&self) -> ProblemKind {
        match self {
            Self::TooLong | Self::NotBase64 | Self::WrongShape(_) => ProblemKind::MalformedCredential,
            Self::UnknownChallenge
            | Self::OtherEndpoint
            | Self::OtherBody
            | Self::OtherTerms
            | Self::UsedChallenge => ProblemKind::InvalidChallenge,
            Self::Expired => ProblemKind::PaymentExpired,
            Self::WrongPayload(_) | Self::WrongSource => ProblemKind::InvalidPayload,
            Self::OtherChallenge | Self::WrongSigner | Self::Refused(_) => ProblemKind::VerificationFailed,
            Self::Channel(fault) => fault.problem(),
        }
    }

    /// The code of the reason, for programs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong | Self::NotBase64 | Self::WrongShape(_) => "malformed_credential",
            Self::UnknownChallenge => "unknown_challenge",
            Self::OtherEndpoint => "challenge_of_another_endpoint",
            Self::OtherBody => "challenge_of_another_body",
            Self::OtherTerms => "challenge_of_another_price",
            Self::UsedChallenge => "used_challenge",
            Self::Expired => "expired",
            Self::WrongPayload(_) => "invalid_payload",
            Self::OtherChallenge => "challenge_mismatch",
            Self::WrongSource => "invalid_source",
            Self::WrongSigner => "invalid_signature",
            Self::Refused(refused) => refused.reason(),
            Self::Channel(fault) => fault.reason(),
        }
    }
}

impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the credential is longer than {MAX_CREDENTIAL_BYTES} bytes"),
            Self::NotBase64 => f.write_str("the credential is not `Payment` and base64url without padding"),
            Self::WrongShape(member) => {
                write!(f, "the credential is not the JSON of a credential: see its member {member:?}")
            }
            Self::UnknownChallenge => f.write_str("the challenge is not one of this gate, or was altered"),
            Self::OtherEndpoint => f.write_str("the challenge was issued for another endpoint"),
            Self::OtherBody => f.write_str("the challenge was issued for a request with another body"),
            Self::OtherTerms => {
                f.write_str("the challenge asks for something else than this request costs now")
            }
            Self::UsedChallenge => f.write_str("the challenge was used before; answer each one once"),
            Self::Expired => f.write_str("the challenge, or the payment for it, has expired"),
            Self::WrongPayload(member) => write!(
                f,
                "{member:?} is missing from the payload, unknown in it, or not in its canonical form"
            ),
            Self::OtherChallenge => {
                f.write_str("the payment's nonce is not the hash of the challenge's id and realm")
            }
            Self::WrongSource => f.write_str(
                "the source must be did:pkh:eip155:<the challenge's chainId>:<the wallet's address>",
            ),
            Self::WrongSigner => f.write_str("the wallet that the source names did not sign this"),
            Self::Refused(refused) => refused.fmt(f),
            Self::Channel(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for CredentialFault {}
