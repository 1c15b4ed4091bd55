//! `POST /credits`: prepaid credits that the owner of a key, or a wallet, buys for its account. A caller of whom nothing else
//! is known buys them for the wallet that pays.

use serde_json::{Value, json};
use worker::web_sys;

use super::exchange::{Exchange, Outcome};
use super::{answer, asked, clock, identity, over_limit};
use crate::client::{AccountId, Kind};
use crate::config::table::count;
use crate::contract::{AccountCall, CreditBook};
use crate::endpoint::{CanonicalPath, Target};
use crate::limit::account::credit_sale::sell_to_any_wallet;
use crate::limit::credit::sale::{CreditSale, MOST_AT_A_TIME};
use crate::limit::credit::{Block, BlockId};
use crate::limit::decision::{Decision, Denied, Verdict};
use crate::problem::{Problem, ProblemKind};
use crate::surface::{Operation, OwnOperation};
use crate::time::Span;

/// Answers with what they cost, or takes the payment that came along.
pub(super) async fn buy(exchange: &Exchange) -> Outcome<web_sys::Response> {
    let count = wanted(exchange).await?;
    let call = AccountCall::SellCredits(count);
    let (account, sale): (AccountId, CreditSale) = identity::ask(exchange, call).await?;
    let decision = match sale {
        CreditSale::NotToThisKind { failures_wait } if account.kind() == Kind::Ip => {
            offered(exchange, to_any_wallet(exchange, count, failures_wait).await?)?
        }
        sale => offered(exchange, sale)?,
    };
    let Verdict::Denied(denied) = &decision.verdict else { return Err(too_dear()) };
    if !is_expressible(exchange, denied) {
        return Err(too_dear());
    }
    let target = target(exchange)?;
    Box::pin(over_limit::answer(exchange, &account, &target, &decision, denied)).await
}

/// What they cost a wallet of which nothing is known; where that may buy none, keys may.
async fn to_any_wallet(exchange: &Exchange, count: u64, failures_wait: Option<Span>) -> Outcome<CreditSale> {
    let config = exchange.in_force().await?;
    let rules = config.rules(Kind::Wallet, None);
    Ok(match sell_to_any_wallet(&rules, count, failures_wait, clock::now()) {
        CreditSale::NotSold(_) => CreditSale::NotToThisKind { failures_wait },
        sale => sale,
    })
}

/// How many credits the body asks for. The body is kept: its hash is in the receipt.
async fn wanted(exchange: &Exchange) -> Outcome<u64> {
    let body = asked::body(exchange, asked::MAX_BODY).await?;
    let parsed = asked::json(&body)?;
    // Nobody read it before.
    let _ = exchange.body.set(body);
    asked::read(&parsed, |mut table, faults| {
        let amount = table.required("amount", amount, faults);
        table.finish(faults);
        amount
    })
}

fn amount(value: &Value) -> Result<u64, String> {
    match count(value)? {
        0 => Err("must be more than 0".to_owned()),
        amount if amount > MOST_AT_A_TIME => Err(format!("must be at most {MOST_AT_A_TIME} at a time")),
        amount => Ok(amount),
    }
}

/// The decision that a payment turns into credits, or why there is none.
pub(super) fn offered(exchange: &Exchange, sale: CreditSale) -> Outcome<Decision> {
    Err(match sale {
        CreditSale::Offered(decision) => return Ok(decision),
        CreditSale::NotSold(plan) => {
            let detail = if exchange.settings.config.payment.is_some() {
                format!(
                    "the plan {plan} sells no credits: it has no `credit_price`; ask the API's owner for some"
                )
            } else {
                "this gate takes no payments and sells no credits; ask the API's owner for some".to_owned()
            };
            Problem::new(ProblemKind::NotFound, detail)
        }
        CreditSale::NotToThisKind { .. } => {
            let detail = "credits are sold to the account of an API key, or of a wallet whose plan has a `credit_price`, and \
                          this caller is known by less; send a key, or ask the API's owner";
            Problem::new(ProblemKind::NoAccess, detail)
        }
        CreditSale::TooDear => too_dear(),
        CreditSale::TooManyBlocks => Problem::new(
            ProblemKind::TooManyBlocks,
            "the account has as many blocks of credits to spend from as it may; spend some first, nothing was taken",
        ),
    })
}

pub(super) fn too_dear() -> Problem {
    asked::bad("body.amount: so many cost more than any payment can be; ask for fewer")
}

fn is_expressible(exchange: &Exchange, denied: &Denied) -> bool {
    let terms = exchange.settings.config.payment.as_ref().zip(denied.offer.as_ref());
    terms.is_some_and(|(payment, terms)| !payment.offers(&terms.price).is_empty())
}

/// What is asked for, as every other request is described.
fn target(exchange: &Exchange) -> Outcome<Target> {
    let (method, path) = OwnOperation::BuyCredits.route();
    let path = format!("{}{path}", exchange.settings.config.prefix);
    let path =
        CanonicalPath::parse(&path).map_err(|fault| Problem::new(ProblemKind::BadPath, fault.to_string()))?;
    Ok(Target { method: method.to_owned(), path, logical: None })
}

/// The answer once they are bought: the block as it is now, and where its account stands, unless `to_payer`: a payment that was
/// settled is there for everybody to see, and whoever sends it again is told nothing else of its wallet.
pub(super) async fn bought(
    exchange: &Exchange,
    account: &AccountId,
    (block, receipt): (&BlockId, &str),
    to_payer: bool,
) -> Outcome<web_sys::Response> {
    let book: CreditBook = exchange.ask(account, AccountCall::Credits).await?;
    // One that was spent long ago is listed no more.
    let found = book.blocks.iter().find(|held| held.id == *block);
    let mut body = found.map_or_else(|| json!({ "id": block, "remaining": "0" }), Block::to_json);
    if let Value::Object(members) = &mut body {
        if to_payer {
            members.insert("account".to_owned(), account.as_str().into());
        } else {
            members.insert("balance".to_owned(), book.balance.to_string().into());
        }
        members.insert("receipt".to_owned(), receipt.into());
    }
    exchange.ours(answer::json(201, &body))
}
