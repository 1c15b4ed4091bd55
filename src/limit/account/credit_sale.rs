//! Prepaid credits that a client buys for its account, or for that of the wallet that pays.

use super::{Account, Rules};
use crate::client::Kind;
use crate::limit::credit::sale::{self, CreditSale};
use crate::limit::credit::{CREDITS, order};
use crate::limit::decision::{Decision, Denied, DeniedBy, Grant, SaleTerms, Verdict};
use crate::limit::tokens::Tokens;
use crate::time::{Millis, Span};

impl Account {
    /// What `count` credits cost, as the denial that a payment turns into credits. Nothing is changed.
    #[must_use]
    pub fn sell_credits(&self, rules: &Rules<'_>, count: u64, now: Millis) -> CreditSale {
        if !matches!(self.id.kind(), Kind::Key | Kind::Wallet) {
            return CreditSale::NotToThisKind { failures_wait: self.failures.wait(now) };
        }
        let terms = |denied| self.with_terms(Verdict::Denied(denied), rules, now);
        match sell(rules, count, now, terms) {
            CreditSale::Offered(_) if !order::has_room(&self.credits, now) => CreditSale::TooManyBlocks,
            sale => sale,
        }
    }
}

/// What `count` credits cost a wallet of which nothing is known but the rules of its kind. Whoever asks for it must wait so
/// long before it brings another payment.
#[must_use]
pub fn sell_to_any_wallet(
    rules: &Rules<'_>,
    count: u64,
    failures_wait: Option<Span>,
    now: Millis,
) -> CreditSale {
    sell(rules, count, now, |denied| Verdict::Denied(Denied { failures_wait, ..denied }))
}

/// What they cost, on further terms.
fn sell(rules: &Rules<'_>, count: u64, now: Millis, terms: impl FnOnce(Denied) -> Verdict) -> CreditSale {
    let price = rules.plan().and_then(|plan| plan.credit_price).filter(|_| rules.payment);
    let Some(price) = price else { return CreditSale::NotSold(rules.plan.to_owned()) };
    let Ok(price) = price.times(count) else { return CreditSale::TooDear };
    let grants = vec![Grant { limit: CREDITS.to_owned(), quantity: Tokens::whole(count) }];
    let sale = SaleTerms { price, grants, single: Vec::new(), one_call: false };
    CreditSale::Offered(Decision {
        plan: rules.plan.to_owned(),
        endpoint: sale::endpoint(),
        verdict: terms(Denied::new(DeniedBy::Price, CREDITS.to_owned(), None, Some(sale))),
        standings: Vec::new(),
        at: now,
    })
}
