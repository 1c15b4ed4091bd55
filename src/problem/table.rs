//! The one table of status, name, title and advice.

use super::ProblemKind;

impl ProblemKind {
    /// Status, name, title, and what to do about it.
    #[expect(clippy::too_many_lines, reason = "it is one table")]
    pub(super) const fn row(self) -> (u16, &'static str, &'static str, &'static str) {
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
            Self::LedgerUnavailable => (
                503,
                "ledger-unavailable",
                "Ledger unavailable",
                "Ask again after Retry-After; where `outcome` is `unknown`, look before you send a change again. Nothing is lost, and requests pass as always.",
            ),
            Self::OriginTimeout => (
                504,
                "origin-timeout",
                "Origin timed out",
                "The API behind the gate did not answer in time. Try again later.",
            ),
        }
    }
}
