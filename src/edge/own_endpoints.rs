//! The gate's own endpoints, under the prefix.

use serde::Serialize;
use serde_json::{Value, json};
use worker::{console_error, web_sys};

use super::asked::{bad, parameter};
use super::exchange::{Exchange, Outcome};
use super::{
    answer, backend_endpoints, clock, credit_counter, discovery, health, identity, receipt_store,
    usage_ledger,
};
use crate::bill::summary::{Period, bill, total};
use crate::client::AccountId;
use crate::contract::{AccountCall, LiveUsage, Survey};
use crate::endpoint::{EndpointName, Target};
use crate::limit::standing::Standing;
use crate::limit::tokens::Tokens;
use crate::pages::{self, Kept};
use crate::pay::eip712::PublicKey;
use crate::pay::receipt::SignedReceipt;
use crate::problem::{Problem, ProblemKind};
use crate::surface::{self, Found, Operation, OwnOperation};
use crate::time::Span;

/// Answers a request for `path`, which follows the prefix.
pub(super) async fn answer(
    exchange: &Exchange,
    path: &str,
    query: Option<&str>,
) -> Outcome<web_sys::Response> {
    let method = exchange.request.method();
    match surface::find(&method, path) {
        Found::Operation(operation, [parameter, _]) => perform(exchange, operation, parameter, query).await,
        Found::WrongMethod(allow) => Err(Problem::method_not_allowed(path, &method, &allow)),
        Found::Nothing => Err(unknown(exchange, path)),
    }
}

/// Performs an operation; `parameter` is the one in its path.
pub(super) async fn perform(
    exchange: &Exchange,
    operation: OwnOperation,
    parameter: &str,
    query: Option<&str>,
) -> Outcome<web_sys::Response> {
    match operation {
        OwnOperation::Health => health::answer(exchange, query).await,
        OwnOperation::Limits => limits(exchange, query).await,
        OwnOperation::Usage => usage(exchange, query).await,
        OwnOperation::BuyCredits => credit_counter::buy(exchange).await,
        OwnOperation::Receipt => receipt(exchange, parameter).await,
        OwnOperation::ReceiptKey => receipt_key(exchange),
        OwnOperation::Offers => discovery::offers(exchange).await,
        OwnOperation::OpenApi => discovery::openapi(exchange).await,
        OwnOperation::LlmsText => discovery::llms(exchange).await,
        OwnOperation::WellKnown => discovery::well_known(exchange).await,
        OwnOperation::Problem => discovery::problem(exchange, parameter),
        OwnOperation::Dashboard => dashboard(exchange),
        OwnOperation::Attempt => backend_endpoints::attempt(exchange).await,
        OwnOperation::End => backend_endpoints::end(exchange).await,
    }
}

fn unknown(exchange: &Exchange, path: &str) -> Problem {
    let prefix = &exchange.settings.config.prefix;
    let known = OwnOperation::ALL.iter().map(|operation| operation.route().1).collect::<Vec<_>>().join(", ");
    Problem::new(
        ProblemKind::UnknownEndpoint,
        format!("the gate has no {prefix}{path}; under {prefix} it has {known}"),
    )
}

/// The caller's limits; nothing is spent. `endpoint` is a name of the plan, or a path.
async fn limits(exchange: &Exchange, query: Option<&str>) -> Outcome<web_sys::Response> {
    let wanted = parameter(query, "endpoint");
    let (account, survey): (AccountId, Survey) = identity::ask(exchange, AccountCall::Survey(None)).await?;
    let Some(wanted) = wanted else {
        let all: Vec<Value> =
            survey.endpoints.iter().map(|(name, at)| endpoint_limits(name, at, survey.credits)).collect();
        let body = json!({ "client": account.as_str(), "plan": survey.plan, "endpoints": all });
        return exchange.ours(answer::json(200, &body));
    };
    let named = survey.endpoints.iter().find(|(name, _)| name.as_str() == wanted).cloned();
    let found = match named {
        Some(found) => Some(found),
        None => find_by_path(exchange, &account, &wanted).await?,
    };
    let Some((name, standings)) = found else {
        let detail = format!("no access to endpoint: {wanted}; the plan {} does not list it", survey.plan);
        return Err(Problem::new(ProblemKind::UnknownEndpoint, detail).with("endpoint", wanted));
    };
    exchange.note(&standings, clock::now());
    let mut body = endpoint_limits(&name, &standings, survey.credits);
    if let Value::Object(members) = &mut body {
        members.insert("client".to_owned(), account.as_str().into());
        members.insert("plan".to_owned(), survey.plan.into());
    }
    exchange.ours(answer::json(200, &body))
}

async fn find_by_path(
    exchange: &Exchange,
    account: &AccountId,
    wanted: &str,
) -> Outcome<Option<(EndpointName, Vec<Standing>)>> {
    let target =
        Target::named(wanted).map_err(|fault| Problem::new(ProblemKind::BadRequest, fault.to_string()))?;
    let survey: Survey = exchange.ask(account, AccountCall::Survey(Some(target))).await?;
    Ok(survey.endpoints.into_iter().next())
}

pub(super) fn endpoint_limits(name: &EndpointName, standings: &[Standing], credits: Tokens) -> Value {
    let bucket = standings.iter().find_map(|standing| Some((balance(standing)?, standing.quota)));
    json!({
        "endpoint": name.as_str(),
        "tokens": bucket.as_ref().and_then(|(tokens, _)| decimal(tokens)),
        "capacity": bucket.map(|(_, capacity)| capacity),
        "limits": limit_values(standings),
        "credits": credits.to_string(),
    })
}

/// The tokens of a bucket as a decimal; less than none while some are owed.
fn balance(standing: &Standing) -> Option<String> {
    let tokens = standing.tokens?;
    Some(if standing.owed.is_zero() { tokens.to_string() } else { format!("-{}", standing.owed) })
}

/// The limits as the gate's JSON tells them.
pub(super) fn limit_values(standings: &[Standing]) -> Vec<Value> {
    standings
        .iter()
        .map(|standing| {
            let mut limit = json!({
                "name": standing.name,
                "unit": standing.unit,
                "limit": standing.limit,
                "remaining": standing.remaining,
                "reset_after": standing.reset_after.map(seconds),
            });
            if let Some(members) = limit.as_object_mut().filter(|_| !standing.owed.is_zero()) {
                members.insert("owed".to_owned(), standing.owed.to_string().into());
            }
            limit
        })
        .collect()
}

/// Seconds, with milliseconds as decimals.
fn seconds(span: Span) -> Value {
    let (whole, milliseconds) = (span.get() / 1000, span.get() % 1000);
    if milliseconds == 0 {
        whole.into()
    } else {
        decimal(&format!("{whole}.{milliseconds:03}")).unwrap_or(Value::Null)
    }
}

/// A JSON number written as that decimal.
fn decimal(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The caller's bill.
async fn usage(exchange: &Exchange, query: Option<&str>) -> Outcome<web_sys::Response> {
    let (from, to) = (parameter(query, "from"), parameter(query, "to"));
    let period = Period::month_so_far(clock::now()).between(from.as_deref(), to.as_deref()).map_err(bad)?;
    let (account, live): (AccountId, LiveUsage) = identity::ask(exchange, AccountCall::Usage).await?;
    let lines = exchange.ledger(usage_ledger::of_account(&exchange.env, &account, period).await)?;
    let currency = exchange.settings.config.currency();
    let body = bill(account.as_str(), &live, period, &total(&lines, &live, period), currency);
    exchange.ours(answer::json(200, &body))
}

/// The owner's dashboard: it asks for the admin token itself, and the owner's API with it.
fn dashboard(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let (currency, _) = exchange.settings.config.currency();
    let (page, html) = pages::dashboard::page(exchange.settings.secrets.admin_token.is_some(), currency);
    exchange.ours(answer::page(200, &html, &page.fields(Kept::Never)))
}

/// How receipts are signed.
const RECEIPT_ALGORITHM: &str = "secp256k1-keccak256";

/// The key that signs receipts, and those that did before.
fn receipt_key(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let Some(keys) = &exchange.settings.secrets.keys else {
        return Err(Problem::new(ProblemKind::NotFound, "this gate takes no payments and signs no receipts"));
    };
    let current = keys.receipts.public_key();
    let described = |key: &PublicKey, status: &str| {
        json!({
            "id": key.address().to_string(),
            "status": status,
            "algorithm": RECEIPT_ALGORITHM,
            "public_key": key.to_string(),
            "address": key.address().checksummed(),
        })
    };
    let previous = keys.previous.iter().filter(|key| **key != current).map(|key| described(key, "previous"));
    let body = json!({
        "algorithm": RECEIPT_ALGORITHM,
        "public_key": current.to_string(),
        "address": current.address().checksummed(),
        "keys": std::iter::once(described(&current, "current")).chain(previous).collect::<Vec<_>>(),
    });
    exchange.ours(answer::json(200, &body))
}

async fn receipt(exchange: &Exchange, id: &str) -> Outcome<web_sys::Response> {
    let admitted: bool = exchange.ask(&identity::address(exchange), AccountCall::LookUpReceipt).await?;
    if !admitted {
        let detail = "receipts can be looked up ten times a minute from one address";
        return Err(Problem::new(ProblemKind::RateLimited, detail).retry_after(Some(Span::seconds(6))));
    }
    let found = receipt_store::find(&exchange.env, id, clock::now()).await;
    let found = found.inspect_err(|error| console_error!("{} receipt: {error}", exchange.request_id));
    if let Some(kept) = exchange.ours(found)? {
        exchange.ours((|| {
            // The receipt's members stay in the order in which they were signed.
            let found = FoundReceipt { signed: &kept.signed, status: "valid" };
            answer::text(200, "application/json", &serde_json::to_string(&found)?)
        })())
    } else {
        let body =
            json!({ "error": "Receipt not found", "message": "Receipt may have expired or never existed" });
        exchange.ours(answer::json(404, &body))
    }
}

/// A receipt as `GET /receipts/{id}` answers it.
#[derive(Serialize)]
struct FoundReceipt<'a> {
    #[serde(flatten)]
    signed: &'a SignedReceipt,
    status: &'static str,
}
