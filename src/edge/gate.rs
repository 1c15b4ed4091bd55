//! The gate: every request comes in here and is answered.

use worker::{Context, Env, Result, console_error, web_sys};

use super::ending::Ending;
use super::exchange::{Exchange, Outcome};
use super::outgoing::{self, Outgoing};
use super::paid_stream::{self, Toll};
use super::{
    admin, answer, clock, content, identity, origin, over_limit, own_endpoints, queue, session, settings,
};
use crate::client::AccountId;
use crate::config::Discovery;
use crate::contract::{AccountCall, Refund};
use crate::endpoint::{CanonicalPath, Target};
use crate::fields;
use crate::limit::decision::{Decision, Verdict};
use crate::limit::standing::Standing;
use crate::limit::tokens::Tokens;
use crate::problem::{Problem, ProblemKind};
use crate::surface::OwnOperation;

/// Answers a request.
pub(super) async fn answer(
    request: web_sys::Request,
    env: Env,
    context: Context,
) -> Result<web_sys::Response> {
    let request_id = format!("req_{}", clock::random_hex(12)?);
    let settings = match settings::load(&env) {
        Ok(settings) => settings,
        Err(faults) => {
            console_error!("{request_id} misconfigured: {faults}");
            let problem = Problem::new(ProblemKind::Misconfigured, faults.to_string());
            let answer = answer::problem(&problem, "/_tollgate", &request_id)?;
            answer.headers().set("Tollgate-Request-Id", &request_id)?;
            return Ok(answer);
        }
    };
    let exchange = Exchange::new(env, context, settings, request, request_id);
    let answer = match preflight(&exchange)? {
        Some(answer) => answer,
        None => match route(&exchange).await {
            Ok(answer) => answer,
            Err(problem) => problem_answer(&exchange, &problem)?,
        },
    };
    with_cors(&exchange, exchange.complete(answer)?)
}

/// A problem in the form of the gate's answers.
pub(super) fn problem_answer(exchange: &Exchange, problem: &Problem) -> Result<web_sys::Response> {
    answer::problem(problem, &exchange.settings.config.prefix, &exchange.request_id)
}

/// The answer to a CORS preflight, which comes first, is free, and never reaches the origin.
fn preflight(exchange: &Exchange) -> Result<Option<web_sys::Response>> {
    let method = exchange.header("Access-Control-Request-Method");
    let (Some(_), Some(method), "OPTIONS") =
        (&exchange.settings.config.cors, method, exchange.request.method().as_str())
    else {
        return Ok(None);
    };
    let answer = answer::empty(204)?;
    for (name, value) in fields::preflight(&method, exchange.settings.config.session_header.as_deref()) {
        answer.headers().set(name, &value)?;
    }
    Ok(Some(answer))
}

fn with_cors(exchange: &Exchange, answer: web_sys::Response) -> Result<web_sys::Response> {
    if let Some(allowed) = &exchange.settings.config.cors {
        answer.headers().append("Vary", "Origin")?;
        let names = outgoing::names(&answer.headers());
        for (name, value) in fields::cors(allowed, exchange.header("Origin").as_deref(), &names) {
            answer.headers().set(name, &value)?;
        }
    }
    Ok(answer)
}

async fn route(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let url = exchange.request.url();
    let (path, query) = path_and_query(&url);
    let prefix = &exchange.settings.config.prefix;
    if let Some(path) = path.strip_prefix(prefix.as_str()).filter(|own| own.starts_with("/admin/")) {
        // Ids in these paths are percent-encoded, and none is forwarded.
        return admin::answer(exchange, path, query).await;
    }
    let path =
        CanonicalPath::parse(path).map_err(|fault| Problem::new(ProblemKind::BadPath, fault.to_string()))?;
    match path.as_str().strip_prefix(prefix.as_str()) {
        Some(own) if own.is_empty() || own.starts_with('/') => {
            own_endpoints::answer(exchange, own, query).await
        }
        _ => match discovery_at_root(exchange, &path) {
            Some(operation) => own_endpoints::perform(exchange, operation, "", query).await,
            None => {
                guarded(exchange, Target { method: exchange.request.method(), path, logical: None }).await
            }
        },
    }
}

/// What the gate answers at the root of the host, where the owner wants that; else all of it is the origin's.
fn discovery_at_root(exchange: &Exchange, path: &CanonicalPath) -> Option<OwnOperation> {
    let is_wanted = exchange.settings.config.discovery == Discovery::Root;
    OwnOperation::at_root(&exchange.request.method(), path.as_str()).filter(|_| is_wanted)
}

/// The raw path and query of an absolute URL.
fn path_and_query(url: &str) -> (&str, Option<&str>) {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path_at = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let (_, rest) = after_scheme.split_at(path_at);
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    (if path.is_empty() { "/" } else { path }, query)
}

/// A request for the origin: decided by the client's account, then forwarded, denied or sold.
async fn guarded(exchange: &Exchange, target: Target) -> Outcome<web_sys::Response> {
    origin::check_length(exchange)?;
    if session::config(exchange).is_some()
        && let Some(managed) = Box::pin(session::manage(exchange)).await?
    {
        return managed.or_else(|fault| session::refuse(exchange, &fault));
    }
    let target = content::recognise(exchange, target).await?;
    let attempt = AccountCall::Attempt(exchange.attempt(&target));
    let (account, decision): (AccountId, Decision) = identity::ask(exchange, attempt).await?;
    exchange.note(&decision.standings, decision.at);
    match &decision.verdict {
        Verdict::Admitted(_) => {
            let introduction = origin::Introduction::free(&account, &decision);
            forward(exchange, &account, &target, &decision, &introduction).await
        }
        Verdict::NoAccess => Err(no_access(&decision)),
        // Boxed: most requests pass, and need not carry the room for this.
        Verdict::Denied(denied) => {
            Box::pin(over_limit::answer(exchange, &account, &target, &decision, denied)).await
        }
    }
}

/// Forwards an admitted request. Tokens that were paid for are given back when the origin fails.
pub(super) async fn forward(
    exchange: &Exchange,
    account: &AccountId,
    target: &Target,
    decision: &Decision,
    introduction: &origin::Introduction<'_>,
) -> Outcome<web_sys::Response> {
    let Verdict::Admitted(admitted) = &decision.verdict else { return Err(no_access(decision)) };
    let route = exchange.settings.route(&decision.endpoint);
    exchange.degraded.set(admitted.degraded);
    queue::wait_turn(exchange, account, admitted.wait).await?;
    let ending =
        admitted.tell_end.then(|| Ending::begin(exchange, account, decision.endpoint.clone(), admitted));
    let forwarded = origin::forward(&Outgoing { exchange, target, introduction, admitted, route }).await;
    let failed = match &forwarded {
        Ok(answer) => answer.status() >= 500,
        Err(problem) => problem.status >= 500,
    };
    let refund = Refund { tokens: admitted.paid, credits: admitted.credits };
    let is_due = refund.tokens > Tokens::ZERO || refund.credits > Tokens::ZERO;
    if failed && is_due && exchange.settings.config.refund_on_error {
        let call = AccountCall::GiveBack(decision.endpoint.clone(), refund);
        let standings: Vec<Standing> = exchange.ask(account, call).await?;
        exchange.note(&standings, clock::now());
    }
    let answer = forwarded?;
    let toll = Toll::of(exchange, account, &decision.endpoint, &answer);
    let is_paid = admitted.is_paid() || toll.is_some();
    let answer = exchange.ours(match (toll, ending) {
        (Some(toll), ending) => paid_stream::follow(exchange, &answer, &route.units, ending, toll),
        (None, Some(ending)) => ending.follow(exchange, &answer, &route.units),
        (None, None) => origin::incoming(&answer),
    })?;
    if is_paid {
        // What one client paid for is not another's from a cache between them.
        exchange.ours(answer::make_private(&answer.headers()))?;
    }
    Ok(answer)
}

fn no_access(decision: &Decision) -> Problem {
    let detail = format!("no access to endpoint: {}", decision.endpoint);
    Problem::new(ProblemKind::NoAccess, detail)
        .with("endpoint", decision.endpoint.as_str())
        .with("plan", decision.plan.clone())
}
