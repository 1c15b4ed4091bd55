//! The owner's API, under `/admin`.

mod accounts;
mod audit;
mod credits;
mod keys;
mod payments;
mod plans;
mod stats;
mod usage;

use serde_json::Value;
use worker::{console_error, web_sys};

use super::asked::{bad, parameter};
use super::exchange::{Exchange, Outcome};
use super::owner_ledger::{self, Deed};
use super::{access, answer};
use crate::bill::summary::Period;
use crate::client::AccountId;
use crate::owner::page::Page;
use crate::problem::{Problem, ProblemKind};
use crate::surface::{self, AdminOperation, Found, Operation};

/// A request of the owner.
pub(super) struct Order<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) query: Option<&'a str>,
    /// Who asks, as the audit table calls them.
    pub(super) who: &'a str,
}

/// Answers a request for `path`, which starts with `/admin/` and is percent-encoded.
pub(super) async fn answer(
    exchange: &Exchange,
    path: &str,
    query: Option<&str>,
) -> Outcome<web_sys::Response> {
    let who = access::admin(exchange).await?;
    let order = Order { exchange, query, who };
    let method = exchange.request.method();
    match surface::find(&method, path) {
        Found::Operation(operation, [first, second]) => {
            let parameters = [&*decoded(first)?, &*decoded(second)?];
            perform(&order, operation, parameters).await
        }
        Found::WrongMethod(allow) => Err(Problem::method_not_allowed(path, &method, &allow)),
        Found::Nothing => Err(unknown(path)),
    }
}

async fn perform(
    order: &Order<'_>,
    operation: AdminOperation,
    [first, second]: [&str; 2],
) -> Outcome<web_sys::Response> {
    match operation {
        AdminOperation::ListPlans => plans::list(order).await,
        AdminOperation::PutPlans => plans::put_all(order).await,
        AdminOperation::GetPlan => plans::get(order, first).await,
        AdminOperation::PutPlan => plans::put(order, first).await,
        AdminOperation::DeletePlan => plans::delete(order, first).await,
        AdminOperation::GetDefaultPlan => plans::get_default(order).await,
        AdminOperation::PutDefaultPlan => plans::put_default(order).await,
        AdminOperation::ListKeys => keys::list(order).await,
        AdminOperation::CreateKey => keys::create(order).await,
        AdminOperation::GetKey => keys::get(order, first).await,
        AdminOperation::RevokeKey => keys::revoke(order, first).await,
        AdminOperation::ListAccounts => accounts::list(order).await,
        AdminOperation::GetAccount => accounts::get(order, &account_id(first)?).await,
        AdminOperation::PutAccountPlan => accounts::put_plan(order, &account_id(first)?).await,
        AdminOperation::ListCredits => credits::list(order, &account_id(first)?).await,
        AdminOperation::GrantCredits => credits::grant(order, &account_id(first)?).await,
        AdminOperation::DeleteCredits => credits::delete(order, &account_id(first)?, second).await,
        AdminOperation::ExpireCredits => credits::expire(order, &account_id(first)?).await,
        AdminOperation::DeductCredits => credits::deduct(order, &account_id(first)?).await,
        AdminOperation::ListPayments => payments::list(order).await,
        AdminOperation::GetPayment => payments::get(order, first).await,
        AdminOperation::RetryPayment => payments::retry(order, first).await,
        AdminOperation::Usage => usage::report(order).await,
        AdminOperation::Stats => stats::all(order).await,
        AdminOperation::Top => stats::top(order).await,
        AdminOperation::ListAudit => audit::list(order).await,
    }
}

fn unknown(path: &str) -> Problem {
    let mut known: Vec<&str> = AdminOperation::ALL.iter().map(|operation| operation.route().1).collect();
    known.dedup();
    Problem::new(ProblemKind::UnknownEndpoint, format!("there is no {path}; there is {}", known.join(", ")))
}

impl Order<'_> {
    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }

    /// Which part of a list is wanted.
    pub(super) fn page(&self) -> Outcome<Page> {
        let (limit, cursor) = (self.parameter("limit"), self.parameter("cursor"));
        Page::read(limit.as_deref(), cursor.as_deref()).map_err(bad)
    }

    /// For when it is wanted: `from` and `to`, where they are given.
    pub(super) fn period(&self, usual: Period) -> Outcome<Period> {
        let (from, to) = (self.parameter("from"), self.parameter("to"));
        usual.between(from.as_deref(), to.as_deref()).map_err(bad)
    }

    /// Notes a deed that was done elsewhere than in the ledger. It is done by now, and said so even where it cannot be noted:
    /// who was told of a failure would do it again.
    pub(super) async fn note(&self, what: &'static str, subject: &str, detail: Value) {
        let deed = Deed { who: self.who, what, subject: subject.to_owned(), detail };
        if let Err(error) = owner_ledger::put_deed(&self.exchange.env, &deed).await {
            let detail = &deed.detail;
            console_error!("{} audit of {what} {subject} {detail}: {error}", self.exchange.request_id);
        }
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
