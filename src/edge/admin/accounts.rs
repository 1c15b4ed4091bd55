//! `/admin/accounts`: a client as the owner sees it, and the plan that it has.

use serde_json::{Value, json};
use worker::web_sys;

use super::{Order, keys, plans};
use crate::client::AccountId;
use crate::config::table::text;
use crate::contract::{AccountCall, Done, Survey};
use crate::edge::asked;
use crate::edge::exchange::Outcome;
use crate::edge::own_endpoints::endpoint_limits;
use crate::edge::owner_ledger::{self, AccountRow, Deed, PlanGift};

/// How often a plan is given again when somebody changed the plans meanwhile.
pub(super) const TRIES: usize = 5;

/// `GET /admin/accounts`: those that the owner gave something.
pub(super) async fn list(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let page = order.page()?;
    let rows = order.exchange.ledger(owner_ledger::accounts(&order.exchange.env, &page).await)?;
    order.json(200, &page.body(rows, |row| vec![row.id.clone()], item))
}

fn item(row: &AccountRow) -> Value {
    json!({ "account": row.id, "plan": row.plan, "created_at": row.created_at })
}

/// `GET /admin/accounts/{id}`.
pub(super) async fn get(order: &Order<'_>, account: &AccountId) -> Outcome<web_sys::Response> {
    let exchange = order.exchange;
    let row = exchange.ledger(owner_ledger::account(&exchange.env, account).await)?;
    let of_account = exchange.ledger(owner_ledger::keys_of(&exchange.env, account).await)?;
    let survey: Survey = exchange.ask(account, AccountCall::Survey(None)).await?;
    let endpoints: Vec<Value> =
        survey.endpoints.iter().map(|(name, at)| endpoint_limits(name, at, survey.credits)).collect();
    let body = json!({
        "account": account.as_str(),
        "plan": survey.plan,
        "own_plan": row.as_ref().and_then(|row| row.plan.clone()),
        "created_at": row.map(|row| row.created_at),
        "keys": of_account.iter().map(keys::item).collect::<Vec<_>>(),
        "credits": survey.credits.to_string(),
        "advanced": survey.advanced,
        "endpoints": endpoints,
    });
    order.json(200, &body)
}

/// `PUT /admin/accounts/{id}/plan`.
pub(super) async fn put_plan(order: &Order<'_>, account: &AccountId) -> Outcome<web_sys::Response> {
    let body = asked::json_body(order.exchange).await?;
    let to_default = body.get("name").is_some_and(Value::is_null);
    let name = asked::read(&body, |mut table, faults| {
        let name = table.optional("name", text, faults).map(str::to_owned);
        if name.is_none() && !to_default && faults.is_empty() {
            faults.add(table.name_of("name"), "is missing; write a plan, or null for the default");
        }
        table.finish(faults);
        Some(name)
    })?;
    give_plan(order, account, name.as_deref()).await?;
    let survey: Survey = order.exchange.ask(account, AccountCall::Survey(None)).await?;
    order.json(200, &json!({ "account": account.as_str(), "plan": survey.plan, "own_plan": name }))
}

/// Gives an account a plan, in the ledger and in its object.
async fn give_plan(order: &Order<'_>, account: &AccountId, name: Option<&str>) -> Outcome<()> {
    let exchange = order.exchange;
    for _ in 0..TRIES {
        let gift = plan_gift(order, account, name).await?;
        if exchange.ledger(owner_ledger::put_account_plan(&exchange.env, &gift).await)? {
            let call = AccountCall::SetPlan(name.map(str::to_owned));
            return exchange.ask::<Done>(account, call).await.map(|_| ());
        }
    }
    Err(plans::contended())
}

/// A plan that is there, for an account, while the plans are what they are now.
pub(super) async fn plan_gift<'a>(
    order: &'a Order<'_>,
    account: &'a AccountId,
    plan: Option<&'a str>,
) -> Outcome<PlanGift<'a>> {
    let (book, config) = plans::current(order).await?;
    if let Some(name) = plan.filter(|name| config.plans.get(name).is_none()) {
        return Err(plans::no_plan(&config, name));
    }
    let deed = Deed {
        who: order.who,
        what: "account.plan",
        subject: account.to_string(),
        detail: json!({ "plan": plan }),
    };
    Ok(PlanGift { account, plan, version: book.version, deed })
}
