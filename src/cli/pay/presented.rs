//! Sends a payment until it is known what became of it. It is always the same payment: it can be taken only once.

use crate::cli::clock;
use crate::cli::failure::{Failure, Kind, Outcome};
use crate::cli::gate::refusal;
use crate::cli::http::{Answer, Call, Http};
use crate::cli::screen::Screen;
use crate::pay::buyer::OwnPayment;
use crate::time::Span;

/// How long to wait for a payment whose outcome is open, altogether.
const PATIENCE: Span = Span::seconds(120);
/// How long to wait before a payment is sent again where the gate does not say.
const PAUSE: Span = Span::seconds(2);
/// How long to wait for the gate's word at most.
const LONGEST_PAUSE: Span = Span::seconds(30);
/// Methods that mean the same sent twice (RFC 9110 §9.2.2).
const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

/// The answer to a payment.
pub(super) struct Presented {
    pub(super) answer: Answer,
    /// An earlier try may have been the one that took the payment.
    pub(super) is_again: bool,
}

/// Sends the request with its payment.
pub(super) fn send(screen: Screen, http: &Http, call: &Call, payment: &OwnPayment) -> Outcome<Presented> {
    let mut paid = call.clone();
    paid.headers.push(("PAYMENT-SIGNATURE".to_owned(), payment.header.clone()));
    let mut waited = Span::ZERO;
    loop {
        let pause = match http.send(&paid) {
            Ok(answer) if answer.status == 503 && is_pending(&answer) => retry_after(&answer),
            Ok(answer) if matches!(answer.status, 402 | 409) => return Err(refused(call, &answer)),
            Ok(answer) => return Ok(Presented { answer, is_again: waited > Span::ZERO }),
            Err(failure) if failure.kind() == Kind::Unreachable && is_repeatable(&call.method) => PAUSE,
            Err(failure) => return Err(in_doubt(&failure.to_string())),
        };
        if waited.plus(pause) > PATIENCE {
            return Err(in_doubt("the gate has not finished the payment"));
        }
        let spinner = screen.waiting(format!("the payment is not finished; asking again in {pause}"));
        clock::wait(pause);
        spinner.finish_and_clear();
        waited = waited.plus(pause);
    }
}

fn is_repeatable(method: &str) -> bool {
    IDEMPOTENT.contains(&method)
}

/// Whether the gate says that the payment is kept, and not that the API is out of order.
fn is_pending(answer: &Answer) -> bool {
    let body = answer.json();
    let kind = body.as_ref().and_then(|body| body.get("type")?.as_str()).unwrap_or_default();
    ["/payment-pending", "/facilitator-unavailable"].iter().any(|end| kind.ends_with(end))
}

fn retry_after(answer: &Answer) -> Span {
    let seconds = answer.header("Retry-After").and_then(|value| value.trim().parse().ok());
    seconds.map_or(PAUSE, Span::seconds).min(LONGEST_PAUSE)
}

fn refused(call: &Call, answer: &Answer) -> Failure {
    let body = answer.json();
    let reason = body.as_ref().and_then(|body| body.get("reason")?.as_str()).map(str::to_owned);
    let note = match reason {
        Some(reason) => format!("the payment was refused: {reason}"),
        None => "the payment was refused".to_owned(),
    };
    refusal(call, answer).noting(&note)
}

fn in_doubt(why: &str) -> Failure {
    Failure::unreachable(format!(
        "{why}\n  The payment was sent and may have been taken. The gate keeps it: send the plain request again later, and do not pay again before."
    ))
}
