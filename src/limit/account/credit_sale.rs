//! Prepaid credits that a client buys for its account.

use super::{Account, Rules};
use crate::client::Kind;
use crate::limit::credit::sale::{self, CreditSale};
use crate::limit::credit::{CREDITS, order};
use crate::limit::decision::{Decision, Denied, DeniedBy, Grant, SaleTerms, Verdict};
use crate::limit::tokens::Tokens;
use crate::time::Millis;

impl Account {
    /// What `count` credits cost, as the denial that a payment turns into credits. Nothing is changed.
    #[must_use]
    pub fn sell_credits(&self, rules: &Rules<'_>, count: u64, now: Millis) -> CreditSale {
        if !matches!(self.id.kind(), Kind::Key | Kind::Wallet) {
            return CreditSale::NotToThisKind;
        }
        let price = rules.plan().and_then(|plan| plan.credit_price).filter(|_| rules.payment);
        let Some(price) = price else { return CreditSale::NotSold(rules.plan.to_owned()) };
        let Ok(price) = price.times(count) else { return CreditSale::TooDear };
        if !order::has_room(&self.credits, now) {
            return CreditSale::TooManyBlocks;
        }
        let grants = vec![Grant { limit: CREDITS.to_owned(), quantity: Tokens::whole(count) }];
        let terms = SaleTerms { price, grants, single: Vec::new(), one_call: false };
        let denied = Denied::new(DeniedBy::Price, CREDITS.to_owned(), None, Some(terms));
        CreditSale::Offered(Decision {
            plan: rules.plan.to_owned(),
            endpoint: sale::endpoint(),
            verdict: self.with_terms(Verdict::Denied(denied), rules, now),
            standings: Vec::new(),
            at: now,
        })
    }
}
