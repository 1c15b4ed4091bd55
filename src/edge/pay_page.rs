//! A 402 as whoever asked reads it: a page for a person at a browser, JSON for everybody else. Status and fields are the same.

use worker::{Result, web_sys};

use super::exchange::Exchange;
use super::{answer, clock, gate};
use crate::endpoint::site::scheme_and_host;
use crate::limit::decision::Decision;
use crate::pages::Kept;
use crate::pages::navigation::is_navigation;
use crate::pages::pay::{PAGE, Refusal, Sale, html};
use crate::problem::Problem;

/// What the answer may differ by: the same address gives a program JSON. Nobody keeps it, but a cache that did would have
/// to tell them apart.
const VARY: &str = "Accept, Sec-Fetch-Mode, User-Agent";

/// The answer to a request that is asked to pay: `sold` is what for, and what was decided about it.
pub(super) fn answer(
    exchange: &Exchange,
    problem: &Problem,
    sold: Option<(&Decision, &Sale<'_>)>,
) -> Result<web_sys::Response> {
    if problem.status != 402 || !is_navigation(|name| exchange.header(name)) {
        return gate::problem_answer(exchange, problem);
    }
    let url = exchange.request.url();
    let asked = url.strip_prefix(scheme_and_host(&url)).unwrap_or_default();
    let decision = sold.map(|(decision, _)| decision);
    let page = html(&Refusal {
        problem,
        request_id: &exchange.request_id,
        prefix: &exchange.settings.config.prefix,
        method: &exchange.request.method(),
        url: &format!("{}{asked}", exchange.site()),
        at: decision.map_or_else(clock::now, |decision| decision.at),
        standings: decision.map(|decision| decision.standings.as_slice()).unwrap_or_default(),
        sale: sold.map(|(_, sale)| sale),
    });
    let answer = answer::page(problem.status, &page, &PAGE.fields(Kept::Never))?;
    answer::put_fields(&answer, problem)?;
    answer.headers().append("Vary", VARY)?;
    Ok(answer)
}
