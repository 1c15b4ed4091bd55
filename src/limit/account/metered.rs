//! What of an account is metered: credits that were prepaid, and what goes beyond quotas for a price.

use serde_json::json;

use super::{Account, Rules};
use crate::bill::tally::Overage;
use crate::endpoint::EndpointName;
use crate::limit::allowance::{Allowance, Beyond};
use crate::limit::credit::order::{Done, Order};
use crate::limit::credit::{Block, BlockId, Credits, Purse};
use crate::limit::plan::{Plan, Policy};
use crate::limit::quota::QuotaUse;
use crate::limit::tokens::Tokens;
use crate::pay::x402::PaymentId;
use crate::time::Millis;

/// Where deductions that the owner orders are billed: they belong to no endpoint.
const DEDUCTIONS: &str = "credits/deduct";

impl Account {
    /// What was prepaid.
    #[must_use]
    pub const fn credits(&self) -> &Credits {
        &self.credits
    }

    /// What requests may spend where they cost credits. `allowance` is that of their endpoint.
    pub(super) fn purse(
        &mut self,
        policy: &Policy,
        allowance: &Allowance,
        rules: &Rules<'_>,
        now: Millis,
    ) -> Option<Purse> {
        if policy.credits.is_empty() {
            return None;
        }
        self.settle_turns(rules, now);
        let turns = self.allowances.values().chain([allowance]).flat_map(Allowance::reserved_credits);
        Some(Purse::new(self.credits.clone(), turns.collect()))
    }

    /// Counts queued requests whose turn has come, at whatever endpoint: they spend the same credits.
    fn settle_turns(&mut self, rules: &Rules<'_>, now: Millis) {
        for endpoint in rules.plan().into_iter().flat_map(Plan::endpoints) {
            if self.allowances.get(&endpoint.name).is_some_and(|allowance| allowance.is_due(now)) {
                let allowance = self.take_allowance(endpoint, rules, now);
                self.allowances.insert(endpoint.name.clone(), allowance);
            }
        }
    }

    /// Counts what went beyond quotas; `of_new_request` where no other part of the request did before.
    pub(super) fn count_beyond(
        &mut self,
        endpoint: &EndpointName,
        beyond: &[Beyond],
        of_new_request: bool,
        rules: &Rules<'_>,
        now: Millis,
    ) {
        if beyond.is_empty() {
            return;
        }
        for Beyond { unit, quantity, price } in beyond {
            self.usage.count_excess(endpoint, (unit, *quantity), (*price, rules.decimals), now);
        }
        if of_new_request {
            self.usage.count_overage(endpoint, Overage { calls: 1, ..Overage::default() }, now);
        }
    }

    /// Charges credits that were used: what is not there is a debt.
    pub(super) fn charge(&mut self, endpoint: &EndpointName, credits: Tokens, now: Millis) {
        if credits > Tokens::ZERO {
            self.usage.count_credits(endpoint, credits, now);
            self.credits = std::mem::take(&mut self.credits).charged(credits, now);
        }
    }

    /// Takes back that a request was charged those credits.
    pub(super) fn uncharge(
        &mut self,
        rules: &Rules<'_>,
        endpoint: &EndpointName,
        credits: Tokens,
        now: Millis,
    ) {
        if credits > Tokens::ZERO {
            // One that waited in a queue is charged at its turn, which has come.
            self.settle_turns(rules, now);
            let (after, given_back) = std::mem::take(&mut self.credits).given_back(credits, now);
            self.credits = after;
            self.usage.uncount_credits(endpoint, given_back, now);
        }
    }

    /// Adds credits that a payment bought; they never expire.
    pub(super) fn bought(mut self, payment: &PaymentId, amount: Tokens, now: Millis) -> Self {
        let block = Block {
            id: BlockId::of_payment(payment),
            amount,
            remaining: amount,
            expires_at: None,
            created_at: now,
            metadata: json!({ "payment": payment.as_str() }),
        };
        self.credits = self.credits.granted(block, now);
        self
    }

    /// Takes back credits that a payment was to buy; those that were spent are a debt.
    pub(super) fn unbought(mut self, payment: &PaymentId, amount: Tokens, now: Millis) -> Self {
        self.credits =
            std::mem::take(&mut self.credits).taken_back(&BlockId::of_payment(payment), amount, now);
        self
    }

    /// Does what the owner orders of the credits.
    #[must_use]
    pub fn ordered(self, rules: &Rules<'_>, order: &Order, now: Millis) -> (Self, Done) {
        let mut account = self.tidied(rules, now);
        let before = account.credits.balance(now);
        let (credits, done) = std::mem::take(&mut account.credits).ordered(order, now);
        account.credits = credits;
        // An order that came again deducted nothing more.
        let spent = before.minus(account.credits.balance(now)).unwrap_or_default();
        if matches!(done, Done::Deducted(_)) && spent > Tokens::ZERO {
            account.usage.count_credits(&EndpointName::new(DEDUCTIONS), spent, now);
            account.tell_credits(rules, now);
        }
        (account, done)
    }

    /// What was used of each quota of the plan, in the present period and the one before.
    #[must_use]
    pub fn quota_uses(&self, rules: &Rules<'_>, now: Millis) -> Vec<(EndpointName, QuotaUse)> {
        let endpoints = rules.plan().into_iter().flat_map(Plan::endpoints);
        let uses = endpoints.filter(|endpoint| !endpoint.policy.quotas.is_empty()).flat_map(|endpoint| {
            let allowance = self.allowances.get(&endpoint.name).cloned().unwrap_or_default();
            let uses = allowance.at(&endpoint.policy, now).quota_uses(&endpoint.policy, now);
            uses.into_iter().map(|used| (endpoint.name.clone(), used)).collect::<Vec<_>>()
        });
        uses.collect()
    }
}
