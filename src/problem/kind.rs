//! Every kind of problem that there is.

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A payment header that cannot be read, is too large, or comes twice.
    BadPayment,
    /// A path that gate and origin could read differently.
    BadPath,
    /// A query parameter or body of the gate's own endpoints that cannot be read.
    BadRequest,
    /// A `tg_` key that nobody issued.
    UnknownKey,
    /// Over the limit, and paying helps.
    PaymentRequired,
    /// A payment was refused.
    VerificationFailed,
    /// An MPP credential that cannot be read.
    MalformedCredential,
    /// An MPP credential for a challenge that is not good here, or no longer.
    InvalidChallenge,
    /// An MPP credential that came too late.
    PaymentExpired,
    /// An MPP credential whose method's part is of the wrong form.
    InvalidPayload,
    /// No channel of that id was opened here.
    ChannelNotFound,
    /// The channel is closed.
    ChannelFinalized,
    /// The voucher's signature is none.
    InvalidVoucher,
    /// Another signed the voucher.
    SignerMismatch,
    /// The voucher is of more than the deposit.
    AmountExceedsDeposit,
    /// The voucher is of less than an earlier one.
    DeltaTooSmall,
    /// The vouchers do not cover the request.
    InsufficientBalance,
    /// The plan does not list the endpoint.
    NoAccess,
    /// A signed context that is not ours to take.
    InvalidSignature,
    /// None of the gate's own endpoints.
    UnknownEndpoint,
    /// A method that an endpoint of the gate does not have.
    MethodNotAllowed,
    /// A receipt or problem page that does not exist.
    NotFound,
    /// The payment was spent already, or is another client's.
    PaymentUsed,
    /// The request's body is larger than `max_body`.
    BodyTooLarge,
    /// Over the limit, and only waiting helps.
    RateLimited,
    /// As many requests of this client are running as may.
    TooManyConcurrent,
    /// As many requests of this client are waiting as may.
    QueueFull,
    /// A quota is used up.
    QuotaExceeded,
    /// Too few prepaid credits.
    InsufficientCredits,
    /// As many blocks of credits as an account may have.
    TooManyBlocks,
    /// An `Idempotency-Key` that belongs to another order.
    IdempotencyKeyUsed,
    /// A plan that is needed cannot go.
    PlanInUse,
    /// What was to be changed is no longer what the caller saw.
    PreconditionFailed,
    /// Too many wrong admin tokens, or refused payments, from this client.
    TooManyFailures,
    /// A request id that another account or endpoint uses.
    RequestIdUsed,
    /// A request id that nobody attempted.
    UnknownRequest,
    /// The admin token is wrong or absent.
    Unauthorized,
    /// The settings are wrong.
    Misconfigured,
    /// A fault of ours.
    Internal,
    /// The origin cannot be reached.
    OriginUnreachable,
    /// No facilitator answered.
    FacilitatorUnavailable,
    /// A payment's outcome is not known yet.
    PaymentPending,
    /// The ledger does not answer.
    LedgerUnavailable,
    /// The origin did not answer in time.
    OriginTimeout,
}

impl ProblemKind {
    /// Every kind, for the pages that explain them.
    pub const ALL: [Self; 44] = [
        Self::BadPayment,
        Self::BadPath,
        Self::BadRequest,
        Self::UnknownKey,
        Self::PaymentRequired,
        Self::VerificationFailed,
        Self::MalformedCredential,
        Self::InvalidChallenge,
        Self::PaymentExpired,
        Self::InvalidPayload,
        Self::ChannelNotFound,
        Self::ChannelFinalized,
        Self::InvalidVoucher,
        Self::SignerMismatch,
        Self::AmountExceedsDeposit,
        Self::DeltaTooSmall,
        Self::InsufficientBalance,
        Self::NoAccess,
        Self::InvalidSignature,
        Self::UnknownEndpoint,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::PaymentUsed,
        Self::BodyTooLarge,
        Self::RateLimited,
        Self::TooManyConcurrent,
        Self::QueueFull,
        Self::QuotaExceeded,
        Self::InsufficientCredits,
        Self::TooManyBlocks,
        Self::IdempotencyKeyUsed,
        Self::PlanInUse,
        Self::PreconditionFailed,
        Self::TooManyFailures,
        Self::RequestIdUsed,
        Self::UnknownRequest,
        Self::Unauthorized,
        Self::Misconfigured,
        Self::Internal,
        Self::OriginUnreachable,
        Self::FacilitatorUnavailable,
        Self::PaymentPending,
        Self::LedgerUnavailable,
        Self::OriginTimeout,
    ];

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The last part of the type's URI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// A short title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        self.row().3
    }

    /// What its page is called, under `/problems/`: its name as one segment of a path.
    #[must_use]
    pub fn page_name(self) -> String {
        self.name().replace('/', "-")
    }

    /// The kind whose page is called that.
    #[must_use]
    pub fn of_page(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.page_name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again() {
        for kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::of_page(&kind.page_name()), Some(kind));
        }
    }
}
