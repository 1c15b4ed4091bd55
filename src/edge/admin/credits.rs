//! `/admin/accounts/{id}/credits`: prepaid credits of an account, which its object keeps.

use serde_json::{Map, Value, json};
use worker::web_sys;

use super::Order;
use crate::client::AccountId;
use crate::config::table::{boolean, number, text};
use crate::contract::{AccountCall, CreditBook};
use crate::edge::exchange::Outcome;
use crate::edge::ledger::LedgerError;
use crate::edge::owner_ledger::{self, Deed};
use crate::edge::{asked, clock};
use crate::limit::credit::order::{self, Cut, Done, Gift, OrderKey};
use crate::limit::credit::{Block, BlockId, Deduction};
use crate::limit::tokens::Tokens;
use crate::owner::page::Page;
use crate::problem::{Problem, ProblemKind};
use crate::time::Millis;

/// The longest metadata, as JSON.
const MAX_METADATA: usize = 1000;
/// The longest idempotency key.
const MAX_KEY: usize = 255;
/// Bytes of randomness in the id of a block.
const ID_BYTES: usize = 12;

/// `GET /admin/accounts/{id}/credits`: the blocks in the order in which they were granted.
pub(super) async fn list(order: &Order<'_>, account: &AccountId) -> Outcome<web_sys::Response> {
    let page = order.page()?;
    let CreditBook { mut blocks, balance, debt } = order.exchange.ask(account, AccountCall::Credits).await?;
    blocks.sort_by_key(place);
    blocks.retain(|block| is_after(block, &page));
    let place = |block: &Block| vec![block.created_at.get().to_string(), block.id.as_str().to_owned()];
    let mut body = page.body(blocks, place, Block::to_json);
    if let Value::Object(members) = &mut body {
        members.insert("balance".to_owned(), balance.to_string().into());
        members.insert("debt".to_owned(), debt.to_string().into());
    }
    order.json(200, &body)
}

/// Where a block stands in the list.
fn place(block: &Block) -> (Millis, BlockId) {
    (block.created_at, block.id.clone())
}

fn is_after(block: &Block, page: &Page) -> bool {
    let start = page.after(0).parse().map(Millis::new).unwrap_or_default();
    (block.created_at, block.id.as_str()) > (start, page.after(1))
}

/// `POST /admin/accounts/{id}/credits`.
pub(super) async fn grant(order: &Order<'_>, account: &AccountId) -> Outcome<web_sys::Response> {
    let exchange = order.exchange;
    let key = idempotency_key(order)?;
    let body = asked::json_body(exchange).await?;
    let gift = asked::read(&body, |mut table, faults| {
        let amount = table.required("amount", amount, faults);
        let expires_at = table.optional("expires_at", instant, faults);
        let metadata = table.optional("metadata", metadata, faults).unwrap_or_default();
        table.finish(faults);
        Some(Gift { amount: amount?, expires_at, metadata })
    })?;
    let id = BlockId::new(&exchange.ours(clock::random_hex(ID_BYTES))?);
    let deed = Deed {
        who: order.who,
        what: "credits.grant",
        subject: account.to_string(),
        detail: json!({
            "block": id,
            "amount": gift.amount.to_string(),
            "expires_at": gift.expires_at.map(Millis::rfc3339),
            "metadata": gift.metadata,
            "idempotency_key": key.is_some(),
        }),
    };
    // Noted first: a grant that nobody knows of would be repeated by an owner who was told that it failed.
    let noted = owner_ledger::put_gift(&exchange.env, account, &deed).await;
    exchange.ledger(noted.map_err(LedgerError::before_the_deed))?;
    match carry_out(order, account, order::Order::Grant(id, gift, key)).await? {
        Done::Granted(block) => order.json(201, &block.to_json()),
        other => Err(refused(&other)),
    }
}

/// `POST /admin/accounts/{id}/credits/deduct`.
pub(super) async fn deduct(order: &Order<'_>, account: &AccountId) -> Outcome<web_sys::Response> {
    let key = idempotency_key(order)?;
    let body = asked::json_body(order.exchange).await?;
    let cut = asked::read(&body, |mut table, faults| {
        let amount = table.required("amount", amount, faults);
        let require_full = table.optional("require_full", boolean, faults).unwrap_or(false);
        table.finish(faults);
        Some(Cut { amount: amount?, require_full })
    })?;
    let idempotent = key.is_some();
    match carry_out(order, account, order::Order::Deduct(cut, key)).await? {
        Done::Deducted(deduction) => {
            let body = deduction_members(&deduction);
            let mut detail = body.clone();
            detail.insert("idempotency_key".to_owned(), idempotent.into());
            order.note("credits.deduct", account.as_str(), detail.into()).await;
            order.json(200, &body.into())
        }
        other => Err(refused(&other)),
    }
}

/// `DELETE /admin/accounts/{id}/credits/{block}`.
pub(super) async fn delete(
    order: &Order<'_>,
    account: &AccountId,
    block: &str,
) -> Outcome<web_sys::Response> {
    match carry_out(order, account, order::Order::Delete(block.to_owned())).await? {
        Done::Deleted(true) => {
            order.note("credits.delete", account.as_str(), json!({ "block": block })).await;
            order.done()
        }
        Done::Deleted(false) => {
            Err(Problem::new(ProblemKind::NotFound, format!("{account} has no block `{block}`")))
        }
        other => Err(refused(&other)),
    }
}

/// `POST /admin/accounts/{id}/credits/expire`: nothing that was granted so far is worth anything any more.
pub(super) async fn expire(order: &Order<'_>, account: &AccountId) -> Outcome<web_sys::Response> {
    match carry_out(order, account, order::Order::Expire).await? {
        Done::Expired(count) => {
            order.note("credits.expire", account.as_str(), json!({ "blocks": count })).await;
            order.json(200, &json!({ "expired": count, "balance": "0" }))
        }
        other => Err(refused(&other)),
    }
}

async fn carry_out(order: &Order<'_>, account: &AccountId, wanted: order::Order) -> Outcome<Done> {
    order.exchange.ask(account, AccountCall::OrderCredits(wanted)).await
}

/// Why an order was not carried out.
fn refused(done: &Done) -> Problem {
    match done {
        Done::Insufficient(deduction) => {
            let detail = format!(
                "the account has {} credits, not {}; nothing was deducted",
                deduction.balance, deduction.requested
            );
            let problem = Problem::new(ProblemKind::InsufficientCredits, detail).with_status(409);
            deduction_members(deduction)
                .into_iter()
                .fold(problem, |problem, (name, value)| problem.with(&name, value))
        }
        Done::KeyUsed => Problem::new(
            ProblemKind::IdempotencyKeyUsed,
            "this Idempotency-Key came with another order before; nothing was done",
        ),
        Done::TooManyBlocks => Problem::new(
            ProblemKind::TooManyBlocks,
            "the account has as many blocks to spend from as it may; nothing was granted",
        ),
        Done::Granted(_) | Done::Deducted(_) | Done::Deleted(_) | Done::Expired(_) => {
            Problem::new(ProblemKind::Internal, "the account answered something else")
        }
    }
}

/// The field `Idempotency-Key`: a structured-field string, or the bare text that many clients send.
fn idempotency_key(order: &Order<'_>) -> Outcome<Option<OrderKey>> {
    let Some(field) = order.exchange.header("Idempotency-Key") else { return Ok(None) };
    let key = field.trim();
    if key.is_empty() || key.len() > MAX_KEY {
        let detail = format!("the Idempotency-Key must have 1 to {MAX_KEY} characters");
        return Err(asked::bad(detail));
    }
    Ok(Some(OrderKey::of(key)))
}

fn amount(value: &Value) -> Result<Tokens, String> {
    match number(value)? {
        Tokens::ZERO => Err("must be more than 0".to_owned()),
        amount => Ok(amount),
    }
}

fn instant(value: &Value) -> Result<Millis, String> {
    let written = text(value)?;
    Millis::parse_rfc3339(written).ok_or_else(|| {
        format!("`{written}` is not a time; write RFC 3339 in UTC, such as 2026-12-31T00:00:00Z")
    })
}

fn metadata(value: &Value) -> Result<Value, String> {
    if value.to_string().len() > MAX_METADATA {
        return Err(format!("must be at most {MAX_METADATA} bytes of JSON"));
    }
    Ok(value.clone())
}

fn deduction_members(deduction: &Deduction) -> Map<String, Value> {
    let members = [
        ("requested", deduction.requested),
        ("deducted", deduction.deducted),
        ("remaining", deduction.remaining()),
        ("balance", deduction.balance),
    ];
    members.into_iter().map(|(name, quantity)| (name.to_owned(), quantity.to_string().into())).collect()
}
