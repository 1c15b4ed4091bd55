//! `POST /attempt` and `POST /end`: decisions for backends that do not sit behind the gate.

use serde_json::{Map, Value, json};
use worker::web_sys;

use super::asked::json_body;
use super::exchange::{Exchange, Outcome};
use super::own_endpoints::limit_values;
use super::{access, answer, objects};
use crate::client::AccountId;
use crate::config::table::{Faults, Table, number, parsed, text};
use crate::contract::{Attempt, Attempted, PaymentCall, request_object};
use crate::endpoint::Target;
use crate::limit::decision::{Decision, Denied, Verdict};
use crate::limit::tokens::Tokens;
use crate::limit::units::{Units, is_unit_name};
use crate::problem::{Problem, ProblemKind};

/// The longest request id.
const MAX_ID: usize = 256;

struct Asked {
    request_id: String,
    units: Units,
    account: Option<AccountId>,
    endpoint: Option<String>,
}

fn read(body: &Value, attempt: bool) -> Outcome<Asked> {
    let mut faults = Faults::default();
    let asked = Table::open("body", body, &mut faults).and_then(|mut table| {
        let request_id = table.required("request_id", request_id, &mut faults);
        let units = table.optional("units", units, &mut faults).unwrap_or_default();
        let account = if attempt { table.required("account", parsed, &mut faults) } else { None };
        let endpoint = if attempt { table.required("endpoint", text, &mut faults) } else { None };
        table.finish(&mut faults);
        Some(Asked {
            request_id: request_id?.to_owned(),
            units,
            account,
            endpoint: endpoint.map(str::to_owned),
        })
    });
    match asked {
        Some(asked) if faults.is_empty() => Ok(asked),
        _ => Err(Problem::new(ProblemKind::BadRequest, faults.to_string())),
    }
}

fn request_id(value: &Value) -> Result<&str, String> {
    match text(value)? {
        id if id.len() <= MAX_ID => Ok(id),
        _ => Err(format!("must be at most {MAX_ID} characters")),
    }
}

fn units(value: &Value) -> Result<Units, String> {
    let Value::Object(members) = value else {
        return Err("must be a table such as { \"token\": 10 }".to_owned());
    };
    members.iter().try_fold(Units::default(), |units, (unit, quantity)| {
        if !is_unit_name(unit) {
            return Err(format!("`{unit}` is not a unit"));
        }
        Ok(units.with(unit, number::<Tokens>(quantity)?))
    })
}

/// `POST /attempt`: whether a request may pass.
pub(super) async fn attempt(exchange: &Exchange) -> Outcome<web_sys::Response> {
    access::backend(exchange).await?;
    let body = json_body(exchange).await?;
    let Asked { request_id, units, account: Some(account), endpoint: Some(endpoint) } = read(&body, true)?
    else {
        return Err(Problem::new(ProblemKind::BadRequest, "account and endpoint are missing"));
    };
    let target = Target::named(&endpoint)
        .map_err(|fault| Problem::new(ProblemKind::BadRequest, format!("body.endpoint: {fault}")))?;
    let attempt = Attempt { request: request_id.clone(), target, units, paid: false };
    let call = PaymentCall::AttemptRequest(account, endpoint, attempt);
    let attempted = objects::payment(&exchange.env, &request_object(&request_id), &call).await;
    match exchange.ours(attempted)? {
        Attempted::Decided(decision) => exchange.ours(answer::json(200, &decision_body(&decision))),
        Attempted::IdUsed => {
            let detail = format!("the request_id {request_id} belongs to another account or endpoint");
            Err(Problem::new(ProblemKind::RequestIdUsed, detail))
        }
    }
}

/// `POST /end`: a request has ended, and what it used.
pub(super) async fn end(exchange: &Exchange) -> Outcome<web_sys::Response> {
    access::backend(exchange).await?;
    let body = json_body(exchange).await?;
    let Asked { request_id, units, .. } = read(&body, false)?;
    let name = request_object(&request_id);
    let known =
        objects::payment(&exchange.env, &name, &PaymentCall::EndRequest(request_id.clone(), units)).await;
    if exchange.ours(known)? {
        return exchange.ours(answer::json(200, &json!({ "request_id": request_id, "ended": true })));
    }
    Err(Problem::new(ProblemKind::UnknownRequest, format!("no request {request_id} was attempted")))
}

fn decision_body(decision: &Decision) -> Value {
    let mut body = Map::new();
    body.insert("allowed".to_owned(), matches!(decision.verdict, Verdict::Admitted(_)).into());
    match &decision.verdict {
        Verdict::Admitted(admitted) => {
            if admitted.degraded {
                body.insert("degraded".to_owned(), true.into());
            }
            if admitted.wait.get() > 0 {
                body.insert("wait_ms".to_owned(), admitted.wait.get().into());
            }
        }
        Verdict::NoAccess => {
            body.insert("reason".to_owned(), ProblemKind::NoAccess.name().into());
            body.insert("detail".to_owned(), format!("no access to endpoint: {}", decision.endpoint).into());
        }
        Verdict::Denied(denied) => denied_members(&mut body, denied, decision),
    }
    body.insert("plan".to_owned(), decision.plan.clone().into());
    body.insert("endpoint".to_owned(), decision.endpoint.as_str().into());
    body.insert("limits".to_owned(), limit_values(&decision.standings).into());
    Value::Object(body)
}

fn denied_members(body: &mut Map<String, Value>, denied: &Denied, decision: &Decision) {
    body.insert("reason".to_owned(), denied.by.problem().name().into());
    if let Some(wait) = denied.wait {
        body.insert("retry_after_ms".to_owned(), wait.get().into());
    }
    if let Some(standing) = decision.standings.iter().find(|standing| standing.name == denied.limit) {
        body.insert("unit".to_owned(), standing.unit.clone().into());
        body.insert("limit".to_owned(), standing.limit.into());
        body.insert("remaining".to_owned(), standing.remaining.into());
    }
}
