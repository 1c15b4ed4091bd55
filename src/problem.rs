//! Every error that the gate answers with: one table of status, type and title (RFC 9457).

mod kind;
mod ledger;
mod meaning;
mod table;

use serde_json::{Map, Value, json};

use crate::time::Span;

pub use kind::ProblemKind;
pub use ledger::LedgerFailure;

/// Where the problem types of HTTP payments are defined.
const PAYMENT_PROBLEMS: &str = "https://paymentauth.org/problems/";

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
