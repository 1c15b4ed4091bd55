//! What each problem means, for the page that its type leads to.

use super::ProblemKind;

impl ProblemKind {
    /// What it means, beyond its title.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "it is one table")]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::BadPayment => {
                "The payment that came with the request could not be read at all: nobody was asked about it, and no money moved."
            }
            Self::BadPath => {
                "The path could be read in two ways, before and after normalising. The gate forwards only what it has matched, so it refuses such paths."
            }
            Self::BadRequest => {
                "A parameter or the body of a request to one of the gate's own endpoints is not what that endpoint takes. Nothing was changed."
            }
            Self::UnknownKey => {
                "The request came with an API key of this gate (tg_…) that was never issued, was mistyped, or has been revoked."
            }
            Self::PaymentRequired => {
                "The allowance is used up, and more can be bought on the spot. The answer holds the offers in every form that the gate takes."
            }
            Self::VerificationFailed => {
                "A payment came with the request and was refused: by the checks here, or by the facilitator that settles payments."
            }
            Self::MalformedCredential => {
                "What came behind the scheme Payment is not the credential that MPP describes, so that nobody could tell what it pays."
            }
            Self::InvalidChallenge => {
                "A credential answers a challenge, and this one's is not good here: this gate did not send it, something of it was changed, it was sent for another endpoint or price, or it was answered before."
            }
            Self::PaymentExpired => {
                "A challenge is good for five minutes, and a payment until the time that its payer signed. One of the two was over."
            }
            Self::InvalidPayload => {
                "The credential answers a challenge of this gate, but its payload or source is not what the challenge's method asks for."
            }
            Self::ChannelNotFound => {
                "A session spends from a payment channel, and the one that the credential names was never opened at this gate, or pays somebody else."
            }
            Self::ChannelFinalized => {
                "The payment channel was closed, or its payer asked the chain to close it: vouchers on it are worth nothing here any more."
            }
            Self::InvalidVoucher => {
                "A voucher of a session is a signed promise, and what stands in place of the signature is none that the escrow would take."
            }
            Self::SignerMismatch => {
                "The voucher was signed, but not by the signer of its payment channel; or something of it was changed after it was signed."
            }
            Self::AmountExceedsDeposit => {
                "A voucher is good for what is locked in its payment channel, and this one promises more."
            }
            Self::DeltaTooSmall => {
                "Vouchers are for the total of all requests so far, so each is higher than the one before it, and covers what was spent."
            }
            Self::InsufficientBalance => {
                "What the vouchers of the payment channel promise is spent up to less than this request costs."
            }
            Self::NoAccess => {
                "Each client has a plan, and a plan lists the endpoints that it gives access to. This one is not among them."
            }
            Self::InvalidSignature => {
                "A signed context came with the request and is not taken: its nonce was not issued for this, is too old, or its signer is no wallet that the owner registered. Nothing was counted, and the nonce is as it was."
            }
            Self::UnknownEndpoint => {
                "The path lies under the gate's own prefix, and the gate has nothing there. The API behind it was not asked. Where the owner has set no admin token, what needs it is not there either."
            }
            Self::MethodNotAllowed => {
                "The gate has this path, but not with the method of the request. The field Allow lists the methods that it has."
            }
            Self::NotFound => "What the request names is not there.",
            Self::PaymentUsed => {
                "Each payment buys once. This one was spent before, or another client presented it first. No money moved again."
            }
            Self::BodyTooLarge => {
                "The body of the request is larger than the gate takes here; the detail says how much that is."
            }
            Self::RateLimited => {
                "The client has used up a limit of its plan. The fields RateLimit and X-RateLimit-* tell where it stands with each; a refused request counts nowhere."
            }
            Self::TooManyConcurrent => {
                "As many requests of this client are running at this endpoint as its plan allows at the same time."
            }
            Self::QueueFull => {
                "Requests over the limit wait here for their turn. As many are waiting as may, or this one would have to wait too long."
            }
            Self::PlanInUse => {
                "The owner wanted to take away a plan that clients need: it is a default plan, or accounts have it."
            }
            Self::PreconditionFailed => {
                "The change was meant for a state (If-Match, If-None-Match) that is no longer so."
            }
            Self::TooManyFailures => {
                "Too many wrong credentials or refused payments came from this client in a short time. Until the wait is over nothing more is tried, also not what is right."
            }
            Self::QuotaExceeded => {
                "The client has used up what its plan gives it for a day or a month, in UTC. A refused request counts nowhere."
            }
            Self::InsufficientCredits => {
                "Requests to this endpoint cost prepaid credits, and the account has too few. Or credits were to be deducted, all or none, and nothing was."
            }
            Self::TooManyBlocks => {
                "Prepaid credits come in blocks, and an account can spend from a thousand of them at a time."
            }
            Self::IdempotencyKeyUsed => {
                "An order that comes again with its Idempotency-Key is done once. This key came with another order before."
            }
            Self::RequestIdUsed => {
                "A request_id stands for one request of one account at one endpoint, and this one stands for another."
            }
            Self::UnknownRequest => "Nobody has attempted a request of this request_id, so it cannot end.",
            Self::Unauthorized => "This is for the owner, or for keys that the owner lets do it.",
            Self::Misconfigured => {
                "A setting of the gate is missing, unknown or out of range. Until it is corrected, nothing is forwarded and no limit or price is guessed."
            }
            Self::Internal => {
                "Something went wrong inside the gate. Its log has the request id, and nothing more is told."
            }
            Self::OriginUnreachable => {
                "The gate let the request pass, but could not reach the API behind it. Tokens that were paid for are given back where the owner has that set."
            }
            Self::FacilitatorUnavailable => {
                "The payment could not be checked: whoever verifies and settles payments does not answer. That is not the payer's fault, so nobody is asked to pay again."
            }
            Self::PaymentPending => {
                "A payment of this client was sent to be settled, and its outcome is not known yet. It is looked after until it is; then the client is credited, or nothing was taken."
            }
            Self::LedgerUnavailable => {
                "What accounts used, and what the owner set, is kept in a ledger, which the gate could not reach. Requests do not need it: they are decided and counted meanwhile, and it is told of them later."
            }
            Self::OriginTimeout => {
                "The gate let the request pass, but the API behind it sent no answer in the time that it has."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_problems_mean_the_same() {
        let mut meanings: Vec<&str> = ProblemKind::ALL.iter().map(|kind| kind.meaning()).collect();
        meanings.sort_unstable();
        meanings.dedup();
        assert_eq!(meanings.len(), ProblemKind::ALL.len());
    }
}
