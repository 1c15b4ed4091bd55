//! `/admin/plans` and `/admin/default-plan`: what the owner allows, changed while the gate runs.
//!
//! A change is checked whole, written to the ledger in one transaction, published to all gates, and told at once to the
//! accounts that the owner knows.

use serde_json::{Value, json};
use worker::{console_warn, web_sys};

use super::Order;
use crate::config::Config;
use crate::config::table::text;
use crate::contract::{AccountCall, Done};
use crate::edge::exchange::{Exchange, Outcome};
use crate::edge::owner_ledger::{self, Deed};
use crate::edge::plan_file::SentPlans;
use crate::edge::plan_ledger::{self, Written};
use crate::edge::{asked, objects, plans_in_force};
use crate::owner::page::Page;
use crate::owner::plan_book::{Change, Changed, PlanBook, entity_tag, if_match};
use crate::problem::{Problem, ProblemKind};

/// How often a change is tried again when somebody else made one meanwhile.
const TRIES: usize = 5;
/// How many accounts are told at once; a worker may make 1,000 calls for a request.
const TOLD: u64 = 500;

/// `GET /admin/plans`.
pub(super) async fn list(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let page = order.page()?;
    let (_, config) = current(order).await?;
    let rest = config.documents.iter().filter(|(name, _)| name.as_str() > page.after(0)).collect();
    let listed = |(name, document): &(&String, &Value)| item(&config, name, document);
    let mut body = page.body(rest, |(name, _)| vec![(*name).clone()], listed);
    if let Value::Object(members) = &mut body {
        members.insert("default_plan".to_owned(), config.default_plan().into());
    }
    tagged(order, &body, &Value::Object(config.documents.clone()))
}

/// `PUT /admin/plans`: a plan file, applied as one.
pub(super) async fn put_all(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let sent = SentPlans::read(order.exchange).await?;
    let plans = sent.plans.clone();
    let replace = replaces(order)?;
    let subject = plans.keys().cloned().collect::<Vec<_>>().join(", ");
    let change = Change::Put { plans, replace };
    let all = |config: &Config| Some(Value::Object(config.documents.clone()));
    let changed = make(order, change, Some(&sent), ("plans.put", subject), all).await?;
    let applied: Vec<&String> =
        changed.written.iter().filter(|name| !changed.removed.contains(name)).collect();
    let body = json!({ "applied": applied, "removed": changed.removed, "version": changed.book.version });
    let config = order.exchange.settings.config.with_any_book(&changed.book);
    tagged(order, &body, &Value::Object(config.documents))
}

/// Whether plans go that the file does not name.
fn replaces(order: &Order<'_>) -> Outcome<bool> {
    match order.parameter("replace").as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(asked::bad(format!("`replace={other}` is neither true nor false"))),
    }
}

/// `GET /admin/plans/{name}`.
pub(super) async fn get(order: &Order<'_>, name: &str) -> Outcome<web_sys::Response> {
    let (_, config) = current(order).await?;
    let document = config.documents.get(name).ok_or_else(|| no_plan(&config, name))?;
    tagged(order, &shown(name, document), document)
}

/// `PUT /admin/plans/{name}`.
pub(super) async fn put(order: &Order<'_>, name: &str) -> Outcome<web_sys::Response> {
    let sent = SentPlans::read_one(order.exchange, name).await?;
    let document = sent.plans.get(name).cloned().unwrap_or_default();
    let change = Change::Put { plans: sent.plans.clone(), replace: false };
    make(order, change, Some(&sent), ("plan.put", name.to_owned()), document_of(name)).await?;
    tagged(order, &shown(name, &document), &document)
}

/// `DELETE /admin/plans/{name}`.
pub(super) async fn delete(order: &Order<'_>, name: &str) -> Outcome<web_sys::Response> {
    let change = Change::Remove(name.to_owned());
    make(order, change, None, ("plan.delete", name.to_owned()), document_of(name)).await?;
    order.done()
}

fn document_of(name: &str) -> impl Fn(&Config) -> Option<Value> {
    move |config| config.documents.get(name).cloned()
}

/// `GET /admin/default-plan`.
pub(super) async fn get_default(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let (_, config) = current(order).await?;
    let name = config.default_plan().map(Value::from).unwrap_or_default();
    tagged(order, &json!({ "name": name }), &name)
}

/// `PUT /admin/default-plan`.
pub(super) async fn put_default(order: &Order<'_>) -> Outcome<web_sys::Response> {
    let name = asked::read(&asked::json_body(order.exchange).await?, |mut table, faults| {
        let name = table.required("name", text, faults).map(str::to_owned);
        table.finish(faults);
        name
    })?;
    let tag_of = |config: &Config| config.default_plan().map(Value::from);
    make(order, Change::Default(name.clone()), None, ("default-plan.put", name.clone()), tag_of).await?;
    tagged(order, &json!({ "name": name }), &Value::from(name))
}

/// The book in the ledger, and the settings with it over them. It is in force from now on at the latest: whoever made the last
/// change may not have heard that the ledger made it.
pub(super) async fn current(order: &Order<'_>) -> Outcome<(PlanBook, Config)> {
    let exchange = order.exchange;
    let book = exchange.ledger(plan_ledger::plan_book(&exchange.env).await)?;
    exchange.ours(plans_in_force::catch_up(&exchange.env, &book).await)?;
    let config = exchange.settings.config.with_any_book(&book);
    Ok((book, config))
}

/// A plan that is not there.
pub(super) fn no_plan(config: &Config, name: &str) -> Problem {
    let there = config.plans.names();
    Problem::new(ProblemKind::NotFound, format!("there is no plan `{name}`; there is: {there}"))
        .with("plan", name)
}

/// Makes a change, unless somebody else changed what the caller last saw, or it leaves something faulty.
async fn make(
    order: &Order<'_>,
    change: Change,
    sent: Option<&SentPlans>,
    (what, subject): (&'static str, String),
    target: impl Fn(&Config) -> Option<Value>,
) -> Outcome<Changed> {
    let exchange = order.exchange;
    for _ in 0..TRIES {
        let (book, config) = current(order).await?;
        let tag = target(&config).map(|document| entity_tag(&document));
        check_conditions(exchange, tag.as_deref())?;
        check(&config, &change)?;
        let changed = book.changed(&exchange.settings.config.documents, change.clone());
        let next = exchange.settings.config.with_book(&changed.book);
        next.map_err(|faults| match sent {
            Some(sent) => sent.problem(&faults),
            None => asked::bad(faults.to_string()),
        })?;
        let detail = json!({ "written": changed.written, "removed": changed.removed, "version": changed.book.version });
        let deed = Deed { who: order.who, what, subject: subject.clone(), detail };
        match exchange.ledger(plan_ledger::put_plans(&exchange.env, &changed, &deed).await)? {
            Written::Conflict => {}
            Written::InUse(accounts) => return Err(in_use(&changed.removed, &accounts)),
            Written::Done => {
                announce(order, &changed.book).await?;
                return Ok(changed);
            }
        }
    }
    Err(contended())
}

/// A change that others were always faster than.
pub(super) fn contended() -> Problem {
    let detail = "others change the plans all the time; nothing was changed, send it again";
    Problem::new(ProblemKind::PreconditionFailed, detail)
}

/// Lets a change pass whose conditions (`If-Match`, `If-None-Match`) hold for what has that tag now.
fn check_conditions(exchange: &Exchange, tag: Option<&str>) -> Outcome<()> {
    let (wanted, unwanted) = (exchange.header("If-Match"), exchange.header("If-None-Match"));
    let now = tag.unwrap_or("not there");
    let detail = match (wanted, unwanted) {
        (Some(field), _) if !if_match(&field, tag) => format!("If-Match is {field}, and it is {now}"),
        (_, Some(field)) if if_match(&field, tag) => format!("If-None-Match is {field}, and it is {now}"),
        (_, _) => return Ok(()),
    };
    Err(Problem::new(ProblemKind::PreconditionFailed, detail))
}

/// What a change takes for granted: the plan is there, and nothing that must stay goes.
fn check(config: &Config, change: &Change) -> Outcome<()> {
    match change {
        Change::Default(name) | Change::Remove(name) if !config.documents.contains_key(name) => {
            Err(no_plan(config, name))
        }
        Change::Remove(name) if config.is_default(name) => Err(is_default(name)),
        Change::Put { plans, replace: true } => {
            let mut going = config.documents.keys().filter(|name| !plans.contains_key(*name));
            going.find(|name| config.is_default(name)).map_or(Ok(()), |name| Err(is_default(name)))
        }
        Change::Default(_) | Change::Remove(_) | Change::Put { .. } => Ok(()),
    }
}

fn is_default(name: &str) -> Problem {
    let detail = format!(
        "`{name}` is a default plan and cannot go; make another the default first (PUT /admin/default-plan, or default_plans in the settings)"
    );
    Problem::new(ProblemKind::PlanInUse, detail).with("plan", name)
}

fn in_use(plans: &[String], accounts: &[String]) -> Problem {
    let detail = format!(
        "accounts have it: {}; give them another plan first ({})",
        accounts.join(", "),
        plans.join(", ")
    );
    Problem::new(ProblemKind::PlanInUse, detail).with("accounts", accounts.to_vec())
}

/// Lets all gates know, and the accounts that the owner knows at once.
async fn announce(order: &Order<'_>, book: &PlanBook) -> Outcome<()> {
    let exchange = order.exchange;
    exchange.ours(plans_in_force::publish(&exchange.env, book).await)?;
    let page = Page::first(TOLD);
    let accounts = match owner_ledger::accounts(&exchange.env, &page).await {
        Ok(accounts) => accounts,
        Err(error) => {
            // The change is made.
            console_warn!("{} {error}; accounts learn of the plans within a minute", exchange.request_id);
            return Ok(());
        }
    };
    let calls =
        accounts.iter().zip(0..TOLD).filter_map(|(row, _)| row.id.parse().ok()).map(|account| async move {
            let call = AccountCall::NewPlans(book.version);
            if let Err(error) = objects::account::<Done>(&exchange.env, &account, call).await {
                console_warn!(
                    "{} {account}: {error}; it learns of the plans within a minute",
                    exchange.request_id
                );
            }
        });
    futures_util::future::join_all(calls).await;
    Ok(())
}

/// A plan as it is listed: under the name that accounts have it by.
fn item(config: &Config, name: &str, document: &Value) -> Value {
    let title = document.get("name").cloned().unwrap_or_else(|| name.into());
    json!({
        "name": name,
        "title": title,
        "endpoints": document.get("endpoints"),
        "is_default": config.is_default(name),
    })
}

/// A plan alone, as it can be sent back: its document, with its title.
fn shown(name: &str, document: &Value) -> Value {
    let mut shown = document.clone();
    if let Value::Object(members) = &mut shown {
        members.entry("name").or_insert_with(|| name.into());
    }
    shown
}

fn tagged(order: &Order<'_>, body: &Value, document: &Value) -> Outcome<web_sys::Response> {
    let answer = order.json(200, body)?;
    order.exchange.ours(answer.headers().set("ETag", &entity_tag(document)).map_err(Into::into))?;
    Ok(answer)
}
