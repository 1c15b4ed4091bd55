//! Every error that the gate answers with: one table of status, type and title (RFC 9457).

mod meaning;

use serde_json::{Map, Value, json};

use crate::time::Span;

/// Where the problem types of HTTP payments are defined.
const PAYMENT_PROBLEMS: &str = "https://paymentauth.org/problems/";

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
    /// The origin did not answer in time.
    OriginTimeout,
}

impl ProblemKind {
    /// Every kind, for the pages that explain them.
    pub const ALL: [Self; 43] = [
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
        Self::OriginTimeout,
    ];

    /// Status, name, title, and what to do about it.
    #[expect(clippy::too_many_lines, reason = "it is one table")]
    const fn row(self) -> (u16, &'static str, &'static str, &'static str) {
        match self {
            Self::BadPayment => (
                400,
                "bad-payment",
                "Unreadable payment",
                "Send one payment header as the 402 asks for it: standard base64 of the payment's JSON, at most 16 kB.",
            ),
            Self::BadPath => (
                400,
                "bad-path",
                "Ambiguous path",
                "Send the path without encoded separators, dot segments or broken percent-escapes.",
            ),
            Self::BadRequest => (
                400,
                "bad-request",
                "Unreadable request",
                "Correct what the detail names and send the request again.",
            ),
            Self::UnknownKey => (
                401,
                "unknown-key",
                "Unknown API key",
                "Check the key; it may have been revoked. Without a key the request counts for its address.",
            ),
            Self::PaymentRequired => (
                402,
                "payment-required",
                "Payment Required",
                "Pay one of the offers in this answer and repeat the request with the payment, or wait as long as Retry-After says.",
            ),
            Self::VerificationFailed => (
                402,
                "verification-failed",
                "Payment refused",
                "No money moved. Sign a new payment for one of the offers in this answer; `reason` says what was wrong with the last.",
            ),
            Self::MalformedCredential => (
                402,
                "malformed-credential",
                "Unreadable credential",
                "No money moved. Answer one of the challenges in this answer: `Payment` and base64url, without padding, of the credential's JSON.",
            ),
            Self::InvalidChallenge => (
                402,
                "invalid-challenge",
                "Challenge not valid",
                "No money moved. Answer one of the challenges in this answer, once, at the endpoint that sent it, with its members as they came.",
            ),
            Self::PaymentExpired => (
                402,
                "payment-expired",
                "Payment expired",
                "No money moved. Answer one of the challenges in this answer before it expires.",
            ),
            Self::InvalidPayload => (
                402,
                "invalid-payload",
                "Payload not valid",
                "No money moved. Answer one of the challenges in this answer with the payload that its method asks for.",
            ),
            Self::ChannelNotFound => (
                410,
                "session/channel-not-found",
                "Channel not found",
                "Open a channel: answer a session challenge of a fresh 402 with a new one.",
            ),
            Self::ChannelFinalized => {
                (410, "session/channel-finalized", "Channel closed", "Open another channel.")
            }
            Self::InvalidVoucher => (
                402,
                "session/invalid-signature",
                "Voucher signature not valid",
                "Sign the voucher again: 65 bytes, in hexadecimal.",
            ),
            Self::SignerMismatch => (
                402,
                "session/signer-mismatch",
                "Wrong voucher signer",
                "Sign the voucher with the key that the channel was opened for.",
            ),
            Self::AmountExceedsDeposit => (
                402,
                "session/amount-exceeds-deposit",
                "Deposit exceeded",
                "Top the channel up, or open another.",
            ),
            Self::DeltaTooSmall => (
                402,
                "session/delta-too-small",
                "Voucher too low",
                "Sign a voucher for the total so far: higher than the last.",
            ),
            Self::InsufficientBalance => (
                402,
                "session/insufficient-balance",
                "Insufficient balance",
                "Send a voucher of at least what the detail names.",
            ),
            Self::NoAccess => (
                403,
                "no-access",
                "No access to endpoint",
                "The client's plan does not list this endpoint. Ask the API's owner for a plan that does.",
            ),
            Self::InvalidSignature => (
                403,
                "invalid-signature",
                "Signature not accepted",
                "Ask again without it, have a registered wallet sign the paymentContext of that answer within 300 seconds, and send it once; or pay.",
            ),
            Self::UnknownEndpoint => (
                404,
                "unknown-endpoint",
                "Unknown endpoint",
                "The gate has no such endpoint under its prefix.",
            ),
            Self::MethodNotAllowed => {
                (405, "method-not-allowed", "Method not allowed", "Use a method that the Allow header names.")
            }
            Self::NotFound => {
                (404, "not-found", "Not found", "What was asked for may have expired or never existed.")
            }
            Self::PaymentUsed => (
                409,
                "payment-used",
                "Payment already used",
                "This payment was spent before, or belongs to another client. Sign a new one if the answer to a plain request asks for it.",
            ),
            Self::BodyTooLarge => (413, "body-too-large", "Body too large", "Send a smaller body."),
            Self::RateLimited => (
                429,
                "rate-limited",
                "Rate limit exceeded",
                "Wait as long as Retry-After says, then send the request again.",
            ),
            Self::TooManyConcurrent => (
                429,
                "too-many-concurrent",
                "Too many concurrent requests",
                "Wait until one of the running requests has ended, then send this one again.",
            ),
            Self::QueueFull => (
                429,
                "queue-full",
                "Queue full",
                "Wait as long as Retry-After says, then send the request again.",
            ),
            Self::QuotaExceeded => (
                429,
                "quota-exceeded",
                "Quota exceeded",
                "Wait until the quota's day or month is over, as long as Retry-After says, then send the request again.",
            ),
            Self::InsufficientCredits => (
                429,
                "insufficient-credits",
                "Insufficient credits",
                "Ask the API's owner for credits, or pay where the answer is a 402. Waiting does not help.",
            ),
            Self::TooManyBlocks => (
                409,
                "too-many-blocks",
                "Too many blocks of credits",
                "Nothing was granted. Delete blocks of the account that are not needed, or let them expire, or grant fewer and larger ones.",
            ),
            Self::IdempotencyKeyUsed => (
                422,
                "idempotency-key-used",
                "Idempotency key already used",
                "Nothing was done. Use a new Idempotency-Key for each order; the same one only to send the same order again.",
            ),
            Self::PlanInUse => (
                409,
                "plan-in-use",
                "Plan in use",
                "Give the accounts that have it, or the default, another plan first. Nothing was changed.",
            ),
            Self::PreconditionFailed => (
                412,
                "precondition-failed",
                "Changed meanwhile",
                "Somebody else changed it since you read it, and nothing was changed now. Read it again, and send your change with the new ETag.",
            ),
            Self::TooManyFailures => (
                429,
                "too-many-failures",
                "Too many failures",
                "Wait as long as Retry-After says, then try again with the right credentials.",
            ),
            Self::RequestIdUsed => (
                409,
                "request-id-used",
                "Request id already used",
                "Use a new request_id for each request of an account at an endpoint.",
            ),
            Self::UnknownRequest => (
                404,
                "unknown-request",
                "Unknown request",
                "Attempt the request before its end is told, with the same request_id.",
            ),
            Self::Unauthorized => (
                401,
                "unauthorized",
                "Unauthorized",
                "Send the admin token: Authorization: Bearer <ADMIN_TOKEN>.",
            ),
            Self::Misconfigured => (
                500,
                "misconfigured",
                "The gate is misconfigured",
                "The API's owner must correct the setting that the detail names.",
            ),
            Self::Internal => (
                500,
                "internal",
                "Internal error",
                "Nothing is known to be wrong with the request. Tell the API's owner the request id.",
            ),
            Self::OriginUnreachable => (
                502,
                "origin-unreachable",
                "Origin unreachable",
                "The API behind the gate could not be reached. Try again later.",
            ),
            Self::FacilitatorUnavailable => (
                503,
                "facilitator-unavailable",
                "Payment service unavailable",
                "Nothing was taken. Send the same payment again after Retry-After.",
            ),
            Self::PaymentPending => (
                503,
                "payment-pending",
                "Payment pending",
                "A payment is being settled and is not lost. Send the request again after Retry-After; do not pay again.",
            ),
            Self::OriginTimeout => (
                504,
                "origin-timeout",
                "Origin timed out",
                "The API behind the gate did not answer in time. Try again later.",
            ),
        }
    }

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

/// One occurrence of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What went wrong.
    pub kind: ProblemKind,
    /// The HTTP status: that of the kind, unless the occurrence has another.
    pub status: u16,
    /// What was wrong here, where, and what to do.
    pub detail: String,
    /// For `Retry-After`, where waiting helps.
    pub retry_after: Option<Span>,
    /// For `Allow`, where the method was wrong.
    pub allow: Option<String>,
    /// Further members of the body.
    pub members: Map<String, Value>,
}

impl Problem {
    /// A problem with its detail.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let status = kind.status();
        Self { kind, status, detail: detail.into(), retry_after: None, allow: None, members: Map::new() }
    }

    /// The same, with another HTTP status than its kind has elsewhere.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// A method that a path has not; `allow` lists those that it has, as the field `Allow` does.
    #[must_use]
    pub fn method_not_allowed(path: &str, method: &str, allow: &str) -> Self {
        let detail = format!("{path} takes {allow}, not {method}");
        Self { allow: Some(allow.to_owned()), ..Self::new(ProblemKind::MethodNotAllowed, detail) }
    }

    /// The same, with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, span: Option<Span>) -> Self {
        self.retry_after = span;
        self
    }

    /// The same, with a further member in the body.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// The body, `application/problem+json`. `prefix` is where the gate's own endpoints stand.
    #[must_use]
    pub fn body(&self, prefix: &str, request_id: &str) -> Value {
        let home = match self.kind {
            ProblemKind::PaymentRequired
            | ProblemKind::VerificationFailed
            | ProblemKind::MalformedCredential
            | ProblemKind::InvalidChallenge
            | ProblemKind::PaymentExpired
            | ProblemKind::InvalidPayload
            | ProblemKind::ChannelNotFound
            | ProblemKind::ChannelFinalized
            | ProblemKind::InvalidVoucher
            | ProblemKind::SignerMismatch
            | ProblemKind::AmountExceedsDeposit
            | ProblemKind::DeltaTooSmall
            | ProblemKind::InsufficientBalance => PAYMENT_PROBLEMS.to_owned(),
            _ => format!("{prefix}/problems/"),
        };
        let mut body = json!({
            "type": format!("{home}{}", self.kind.name()),
            "title": self.kind.title(),
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        });
        if let Value::Object(members) = &mut body {
            if let Some(span) = self.retry_after {
                members.insert("retry_after".to_owned(), span.seconds_up().into());
            }
            members.extend(self.members.clone());
        }
        body
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

    #[test]
    fn the_body_says_what_where_and_when_to_try_again() {
        let problem = Problem::new(ProblemKind::RateLimited, "too fast")
            .retry_after(Some(Span::millis(1001)))
            .with("endpoint", "GET /cpu");
        assert_eq!(
            problem.body("/_tollgate", "req_1"),
            json!({ "type": "/_tollgate/problems/rate-limited", "title": "Rate limit exceeded", "status": 429,
                    "detail": "too fast", "request_id": "req_1", "retry_after": 2, "endpoint": "GET /cpu" })
        );
    }
}
