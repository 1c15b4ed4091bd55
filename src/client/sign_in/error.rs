//! Why a sign-in proves nothing: the codes of `@x402/extensions`, and ours where it has none.

use std::fmt;

use crate::pay::eip712::SignatureError;
use crate::pay::network::Network;

/// What is wrong with a sign-in. Where we say what we expect instead, it is with the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInError {
    /// The header field cannot be read; and why.
    Unreadable(String),
    /// `domain` is not our host.
    Domain(String),
    /// `uri` is not of our origin.
    Uri(String),
    /// `version` is not that of EIP-4361.
    Version,
    /// `chainId` is none of ours.
    Chain(Vec<Network>),
    /// `type` or `signatureScheme` is that of another kind of wallet.
    NotPlainWallet,
    /// `issuedAt` is no date and time.
    IssuedAt,
    /// `issuedAt` is too long ago.
    TooOld,
    /// `issuedAt` is yet to come.
    InFuture,
    /// `expirationTime` is no date and time.
    ExpirationTime,
    /// `expirationTime` is past.
    Expired,
    /// `notBefore` is no date and time.
    NotBefore,
    /// `notBefore` is yet to come.
    NotYetValid,
    /// We did not issue `nonce` for this origin, or too long ago.
    Nonce,
    /// The wallet signed in with `nonce` before.
    UsedNonce,
    /// `address` is none.
    Address,
    /// `signature` is none of a plain wallet.
    MalformedSignature(SignatureError),
    /// The wallet of `address` did not sign this.
    Signature,
}

impl SignInError {
    /// The code of the error, for programs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "invalid_siwx_header",
            Self::Domain(_) => "invalid_siwx_domain_mismatch",
            Self::Uri(_) => "invalid_siwx_uri_mismatch",
            Self::Version => "invalid_siwx_version",
            Self::Chain(_) => "invalid_siwx_unsupported_chain",
            Self::NotPlainWallet => "invalid_siwx_unsupported_type",
            Self::IssuedAt => "invalid_siwx_issued_at",
            Self::TooOld => "invalid_siwx_issued_at_too_old",
            Self::InFuture => "invalid_siwx_issued_at_in_future",
            Self::ExpirationTime => "invalid_siwx_expiration_time",
            Self::Expired => "invalid_siwx_expired",
            Self::NotBefore => "invalid_siwx_not_before",
            Self::NotYetValid => "invalid_siwx_not_yet_valid",
            Self::Nonce | Self::UsedNonce => "invalid_siwx_nonce",
            Self::Address => "invalid_siwx_address",
            Self::MalformedSignature(_) => "invalid_siwx_malformed_signature",
            Self::Signature => "invalid_siwx_signature",
        }
    }
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable(fault) => return write!(f, "SIGN-IN-WITH-X {fault}"),
            Self::Domain(ours) => return write!(f, "domain must be {ours}"),
            Self::Uri(ours) => return write!(f, "uri must be of the origin {ours}"),
            Self::Version => "version must be 1",
            Self::Chain(ours) => {
                let ours: Vec<String> = ours.iter().map(Network::caip2).collect();
                return write!(f, "chainId must be {}", ours.join(" or "));
            }
            Self::NotPlainWallet => "only plain wallets can sign in here: type and signatureScheme eip191",
            Self::IssuedAt => "issuedAt is no date and time of RFC 3339",
            Self::TooOld => "issuedAt is more than 300s ago; sign what a new 402 says",
            Self::InFuture => "issuedAt is in the future",
            Self::ExpirationTime => "expirationTime is no date and time of RFC 3339",
            Self::Expired => "the sign-in has expired; sign what a new 402 says",
            Self::NotBefore => "notBefore is no date and time of RFC 3339",
            Self::NotYetValid => "the sign-in is not valid yet: notBefore is in the future",
            Self::Nonce => "nonce is none that was issued here in the last 300s; sign what a new 402 says",
            Self::UsedNonce => {
                "this wallet signed in with this nonce before; use the session token that it got"
            }
            Self::Address => "address is no Ethereum address, or a digit was mistyped (EIP-55)",
            Self::MalformedSignature(fault) => return write!(f, "the signature of a plain wallet {fault}"),
            Self::Signature => "the signature over this text is not that of a plain wallet with this address",
        })
    }
}

impl std::error::Error for SignInError {}
