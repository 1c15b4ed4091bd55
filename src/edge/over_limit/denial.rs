//! The problems that a request over its limit is answered with where nothing is sold.

use crate::limit::decision::{Decision, Denied, DeniedBy};
use crate::problem::{Problem, ProblemKind};
use crate::time::Span;

/// How soon to ask again while a payment is being settled.
pub(super) const SOON: Span = Span::seconds(1);

pub(in crate::edge) fn too_many_failures(wait: Span) -> Problem {
    let detail = "too many payments of this client failed; this one was not looked at, and nothing was taken";
    Problem::new(ProblemKind::TooManyFailures, detail).retry_after(Some(wait))
}

pub(in crate::edge) fn rate_limited(decision: &Decision, denied: &Denied) -> Problem {
    let (name, limit) = (&decision.endpoint, &denied.limit);
    let what = match denied.by {
        DeniedBy::Limit => format!("the limit {limit} of {name} is used up"),
        DeniedBy::Quota => format!("the quota {limit} of {name} is used up"),
        DeniedBy::Credits => {
            let detail = format!("the prepaid credits do not suffice for this request to {name}");
            return limit_members(Problem::new(denied.by.problem(), detail), decision, denied);
        }
        DeniedBy::Slots => format!("as many requests to {name} are running as may"),
        DeniedBy::QueueFull => format!("as many requests to {name} are waiting as may"),
        DeniedBy::Price => format!("each call of {name} is paid"),
    };
    let detail = match denied.wait {
        Some(wait) => format!("{what}; this request passes in {wait}"),
        None => format!("this request asks for more than the limit {limit} of {name} can ever give"),
    };
    limit_members(Problem::new(denied.by.problem(), detail).retry_after(denied.wait), decision, denied)
}

pub(super) fn limit_members(problem: Problem, decision: &Decision, denied: &Denied) -> Problem {
    let problem = problem.with("endpoint", decision.endpoint.as_str());
    match decision.standings.iter().find(|standing| standing.name == denied.limit) {
        Some(standing) => problem
            .with("unit", standing.unit.clone())
            .with("limit", standing.limit)
            .with("remaining", standing.remaining),
        None => problem,
    }
}

pub(super) fn pending() -> Problem {
    let detail = "a payment of this client is being settled; send the request again, and do not pay again";
    Problem::new(ProblemKind::PaymentPending, detail).retry_after(Some(SOON))
}
