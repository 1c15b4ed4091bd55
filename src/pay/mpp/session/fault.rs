//! Why a channel does not do what it is asked for: the problem of paymentauth.org, its reason, and words for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pay::amount::Amount;
use crate::problem::ProblemKind;

/// Why a channel does not do what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelFault {
    /// No such channel was opened here.
    NotFound,
    /// It is closed, or being closed.
    Finalized,
    /// The voucher's signature is none.
    InvalidSignature,
    /// Another than the channel's signer signed the voucher.
    SignerMismatch,
    /// The voucher is of more than the deposit.
    AmountExceedsDeposit,
    /// The voucher is of less than an earlier one, or than what was spent.
    DeltaTooSmall,
    /// The vouchers do not cover the request: the next one must be of at least this.
    InsufficientBalance(Amount),
    /// The transaction does not open or top up such a channel, or does something else as well: it was not sent.
    OtherTransaction,
    /// The chain refused the transaction, or it was reverted.
    TransactionRefused,
    /// The chain did not confirm the transaction in time; the same credential may come again.
    Unconfirmed,
    /// The chain could not be asked; the same credential may come again.
    ChainUnavailable,
}

impl ChannelFault {
    /// Whether it is no fault of the client's, so that it does not count as a payment that failed. A transaction that is not
    /// confirmed may be one that never can be: it costs its sender nothing, and us a wait.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::ChainUnavailable)
    }

    /// The problem of paymentauth.org that it is.
    #[must_use]
    pub const fn problem(&self) -> ProblemKind {
        match self {
            Self::NotFound => ProblemKind::ChannelNotFound,
            Self::Finalized => ProblemKind::ChannelFinalized,
            Self::InvalidSignature => ProblemKind::InvalidVoucher,
            Self::SignerMismatch => ProblemKind::SignerMismatch,
            Self::AmountExceedsDeposit => ProblemKind::AmountExceedsDeposit,
            Self::DeltaTooSmall => ProblemKind::DeltaTooSmall,
            Self::InsufficientBalance(_) => ProblemKind::InsufficientBalance,
            Self::OtherTransaction | Self::TransactionRefused => ProblemKind::VerificationFailed,
            Self::Unconfirmed | Self::ChainUnavailable => ProblemKind::FacilitatorUnavailable,
        }
    }

    /// The code of the reason, for programs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "channel_not_found",
            Self::Finalized => "channel_finalized",
            Self::InvalidSignature => "invalid_signature",
            Self::SignerMismatch => "signer_mismatch",
            Self::AmountExceedsDeposit => "amount_exceeds_deposit",
            Self::DeltaTooSmall => "delta_too_small",
            Self::InsufficientBalance(_) => "insufficient_balance",
            Self::OtherTransaction => "other_transaction",
            Self::TransactionRefused => "transaction_refused",
            Self::Unconfirmed => "transaction_unconfirmed",
            Self::ChainUnavailable => "chain_unavailable",
        }
    }
}

impl fmt::Display for ChannelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such channel pays this gate; open one"),
            Self::Finalized => f.write_str("the channel is closed, or being closed; open another"),
            Self::InvalidSignature => {
                f.write_str("the voucher's signature is not one of 65 bytes with a low s and a v of 27 or 28")
            }
            Self::SignerMismatch => f.write_str("another than the channel's signer signed the voucher"),
            Self::AmountExceedsDeposit => f.write_str("the voucher is of more than the deposit; top it up"),
            Self::DeltaTooSmall => {
                f.write_str("the voucher is of less than an earlier one, or than what was spent")
            }
            Self::InsufficientBalance(required) => {
                write!(
                    f,
                    "the vouchers do not cover this request; the next must be of at least {required} in all"
                )
            }
            Self::OtherTransaction => f.write_str(
                "the transaction is not one of Tempo's that opens or tops up this channel of the escrow, for this payee and in \
                 this token, and does nothing else; it was not sent",
            ),
            Self::TransactionRefused => f.write_str("the chain refused or reverted the transaction"),
            Self::Unconfirmed => {
                f.write_str("the chain did not confirm the transaction in time; send the same again")
            }
            Self::ChainUnavailable => f.write_str("the chain cannot be asked now; send the same again"),
        }
    }
}

impl std::error::Error for ChannelFault {}
