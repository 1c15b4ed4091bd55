//! The owner's API, under `/admin`.

mod accounts;
mod audit;
mod keys;
mod payments;
mod plans;

use serde_json::Value;
use worker::web_sys;

use super::asked::{bad, parameter};
use super::exchange::{Exchange, Outcome};
use super::{access, answer};
use crate::client::AccountId;
use crate::owner::page::Page;
use crate::problem::{Problem, ProblemKind};

/// A request of the owner.
pub(super) struct Order<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) method: String,
    pub(super) query: Option<&'a str>,
    /// Who asks, as the audit table calls them.
    pub(super) who: &'a str,
}

/// Answers a request for `path`, which follows `/admin/` and is percent-encoded.
pub(super) async fn answer(
    exchange: &Exchange,
    path: &str,
    query: Option<&str>,
) -> Outcome<web_sys::Response> {
    let who = access::admin(exchange).await?;
    let order = Order { exchange, method: exchange.request.method(), query, who };
    let segments: Vec<String> = path.split('/').map(decoded).collect::<Outcome<_>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["plans"] => plans::all(&order).await,
        ["plans", name] => plans::one(&order, name).await,
        ["default-plan"] => plans::default(&order).await,
        ["keys"] => keys::all(&order).await,
        ["keys", id] => keys::one(&order, id).await,
        ["accounts"] => accounts::all(&order).await,
        ["accounts", id] => accounts::one(&order, &account_id(id)?).await,
        ["accounts", id, "plan"] => accounts::plan(&order, &account_id(id)?).await,
        ["payments"] => payments::all(&order).await,
        ["payments", id] => payments::one(&order, id).await,
        ["payments", id, "retry"] => payments::retry(&order, id).await,
        ["audit"] => audit::all(&order).await,
        _ => Err(Problem::new(
            ProblemKind::UnknownEndpoint,
            format!(
                "there is no /admin/{path}; there is /admin/plans, default-plan, keys, accounts/{{id}}, payments, audit"
            ),
        )),
    }
}

impl Order<'_> {
    /// A method that this has not.
    pub(super) fn wrong_method(&self, has: &str) -> Problem {
        Problem::new(ProblemKind::MethodNotAllowed, format!("this takes {has}, not {}", self.method))
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }

    /// Which part of a list is wanted.
    pub(super) fn page(&self) -> Outcome<Page> {
        let (limit, cursor) = (self.parameter("limit"), self.parameter("cursor"));
        Page::read(limit.as_deref(), cursor.as_deref()).map_err(bad)
    }

    /// JSON with a status.
    pub(super) fn json(&self, status: u16, body: &Value) -> Outcome<web_sys::Response> {
        self.exchange.ours(answer::json(status, body))
    }

    /// No content.
    pub(super) fn done(&self) -> Outcome<web_sys::Response> {
        self.exchange.ours(answer::empty(204))
    }
}

fn decoded(segment: &str) -> Outcome<String> {
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| bad(format!("`{segment}` in the path is not UTF-8")))
}

fn account_id(id: &str) -> Outcome<AccountId> {
    id.parse().map_err(|error: crate::client::AccountIdError| bad(error.to_string()))
}
