//! `/admin/keys`: API keys, shown once when they are made.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use worker::{console_error, web_sys};

use super::{Order, accounts, plans};
use crate::client::AccountId;
use crate::client::key::{ApiKey, KeyHash, Scope};
use crate::config::table::{text, texts};
use crate::contract::{AccountCall, Done};
use crate::edge::exchange::Outcome;
use crate::edge::owner_ledger::{self, Deed, KeyRow, NewKey};
use crate::edge::{asked, clock, keys, objects};
use crate::problem::{Problem, ProblemKind};

/// The longest label.
const MAX_LABEL: usize = 256;

/// A key that the owner wants.
struct Wanted {
    /// The account as the owner wrote it.
    written: String,
    account: AccountId,
    label: String,
    plan: Option<String>,
    scopes: BTreeSet<Scope>,
}

/// `GET /admin/keys`.
pub(super) async fn list(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let page = order.page()?;
    let rows = order.exchange.ledger(owner_ledger::keys(&order.exchange.env, &page).await)?;
    order.json(200, &page.body(rows, |row| vec![row.created_at.clone(), row.id.clone()], item))
}

/// `GET /admin/keys/{id}`.
pub(super) async fn get(order: &Order<'_>, id: &str) -> Outcome<web_sys::Response> {
    order.json(200, &item(&find(order, id).await?))
}

async fn find(order: &Order<'_>, id: &str) -> Outcome<KeyRow> {
    let row = order.exchange.ledger(owner_ledger::key(&order.exchange.env, id).await)?;
    row.ok_or_else(|| Problem::new(ProblemKind::NotFound, format!("there is no key `{id}`")))
}

/// `POST /admin/keys`: makes a key. It is good once its object, its account and the ledger know it; until then nobody has it.
pub(super) async fn create(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let exchange = order.exchange;
    let wanted = read(&asked::json_body(exchange).await?)?;
    let key = ApiKey::new(exchange.ours(clock::random_bytes())?);
    let hash = key.hash();
    let scopes: Vec<Scope> = wanted.scopes.iter().copied().collect();
    note(order, &hash, &wanted, &scopes).await?;
    if let Err(error) = put_in_force(order, &hash, &wanted).await {
        // Nobody was told of the key: it may as well never have been.
        if let Err(error) = owner_ledger::delete_key(&exchange.env, &hash).await {
            console_error!("{} key {}: {error}", exchange.request_id, hash.id());
        }
        return exchange.ours(Err(error));
    }
    let body = json!({
        "id": hash.id(),
        "key": key.expose(),
        "account": wanted.written,
        "label": wanted.label,
        "scopes": scopes,
    });
    order.json(201, &body)
}

/// Lets the ledger know the key, and the plan that its account gets with it: both or neither.
async fn note(order: &Order<'_>, hash: &KeyHash, wanted: &Wanted, scopes: &[Scope]) -> Outcome<()> {
    let exchange = order.exchange;
    let deed = Deed {
        who: order.who,
        what: "key.create",
        subject: hash.id(),
        detail: json!({ "account": wanted.account, "label": wanted.label, "scopes": scopes }),
    };
    let key = NewKey { hash, account: &wanted.account, label: &wanted.label, scopes, deed };
    for _ in 0..accounts::TRIES {
        let gift = match wanted.plan.as_deref() {
            Some(plan) => Some(accounts::plan_gift(order, &wanted.account, Some(plan)).await?),
            None => None,
        };
        if exchange.ledger(owner_ledger::put_key(&exchange.env, &key, gift.as_ref()).await).map_err(no_key)? {
            return Ok(());
        }
    }
    Err(plans::contended())
}

/// Nobody has a key of which the ledger did not say that it knows it.
fn no_key(problem: Problem) -> Problem {
    let detail =
        format!("no key was made; one of this label that is listed is good for nothing. {}", problem.detail);
    Problem { detail, ..problem }
}

async fn put_in_force(order: &Order<'_>, hash: &KeyHash, wanted: &Wanted) -> worker::Result<()> {
    let env = &order.exchange.env;
    if let Some(plan) = &wanted.plan {
        objects::account::<Done>(env, &wanted.account, AccountCall::SetPlan(Some(plan.clone()))).await?;
    }
    let call = AccountCall::AddKey(hash.clone(), wanted.scopes.clone());
    objects::account::<Done>(env, &wanted.account, call).await?;
    keys::assign(env, hash, &wanted.account).await
}

/// `DELETE /admin/keys/{id}`: revokes a key. Its account refuses it from the moment that this is answered.
pub(super) async fn revoke(order: &Order<'_>, id: &str) -> Outcome<web_sys::Response> {
    let row = find(order, id).await?;
    let exchange = order.exchange;
    let call = AccountCall::RemoveKey(row.hash.clone());
    exchange.ours(objects::account::<Done>(&exchange.env, &row.account, call).await)?;
    let deed = Deed {
        who: order.who,
        what: "key.revoke",
        subject: row.id.clone(),
        detail: json!({ "account": row.account, "label": row.label }),
    };
    exchange.ledger(owner_ledger::revoke_key(&exchange.env, &row.id, &deed).await).map_err(unlisted)?;
    order.done()
}

/// A key that its account refuses, while the ledger may not list it so.
fn unlisted(problem: Problem) -> Problem {
    let detail =
        "the key is refused from now on, but the ledger may not list it as revoked yet: send this again";
    Problem { detail: detail.to_owned(), ..problem }
}

fn read(body: &Value) -> Outcome<Wanted> {
    asked::read(body, |mut table, faults| {
        let account = table.required("account", account, faults);
        let label = table.optional("label", label, faults).unwrap_or_default();
        let plan = table.optional("plan", text, faults).map(str::to_owned);
        let scopes = table.optional("scopes", scopes, faults).unwrap_or_default();
        table.finish(faults);
        let (written, account) = account?;
        Some(Wanted { written, account, label, plan, scopes })
    })
}

/// The account of keys, as it is written and as it is meant: a name, or the id that it has as an account.
fn account(value: &Value) -> Result<(String, AccountId), String> {
    let written = text(value)?;
    let name = written.strip_prefix("key:").unwrap_or(written);
    let account = format!("key:{name}").parse().map_err(|_| {
        format!("`{written}` is not a name for an account; write up to 256 characters, such as acme")
    })?;
    Ok((written.to_owned(), account))
}

fn label(value: &Value) -> Result<String, String> {
    match value {
        Value::String(label) if label.chars().count() <= MAX_LABEL => Ok(label.clone()),
        Value::String(_) => Err(format!("must be at most {MAX_LABEL} characters")),
        other => Err(format!("must be a text, not {}", crate::config::table::kind(other))),
    }
}

fn scopes(value: &Value) -> Result<BTreeSet<Scope>, String> {
    texts(value)?.into_iter().map(str::parse).collect()
}

/// A key as it is listed: never the key itself.
pub(super) fn item(row: &KeyRow) -> Value {
    let account = row.account.as_str();
    json!({
        "id": row.id,
        "account": account.strip_prefix("key:").unwrap_or(account),
        "label": row.label,
        "scopes": row.scopes(),
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
    })
}
