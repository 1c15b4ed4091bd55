//! Credits: what an account has prepaid, in blocks that may expire. Pure values with time as an argument.
//!
//! What expires soonest is spent first, what never expires last; what has expired is neither spent nor counted. What a
//! request turns out to cost beyond them is a debt, which the next block settles.

mod block;
pub mod order;
mod purse;
pub mod sale;

use serde::{Deserialize, Serialize};

pub use self::block::{Block, BlockId};
use self::order::Orders;
pub use self::purse::Purse;
use super::tokens::Tokens;
use super::units::Units;
use crate::time::Millis;

/// The name of credits among the limits of an endpoint.
pub const CREDITS: &str = "credits";

/// So many blocks that are used up or expired are kept to be read.
const FINISHED_KEPT: usize = 100;

/// The credits of an account.
///
/// Invariant: while there is a debt, no block that is good has anything left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credits {
    /// In the order in which they were granted.
    blocks: Vec<Block>,
    /// What requests cost beyond what was there.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    debt: Tokens,
    /// The owner's orders that may come again.
    #[serde(default, skip_serializing_if = "Orders::is_empty")]
    orders: Orders,
}

/// What a deduction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deduction {
    /// What was to be deducted.
    pub requested: Tokens,
    /// What was.
    pub deducted: Tokens,
    /// The credits that are left.
    pub balance: Tokens,
}

impl Deduction {
    /// What could not be deducted.
    #[must_use]
    pub fn remaining(&self) -> Tokens {
        self.requested.minus(self.deducted).unwrap_or_default()
    }
}

/// What units cost where each costs so many credits, rounded up to a millionth of a credit.
#[must_use]
pub fn cost(prices: &Units, units: &Units) -> Tokens {
    const MILLION: u128 = 1_000_000;
    let costs = prices
        .iter()
        .map(|(unit, price)| u128::from(price.get()).saturating_mul(u128::from(units.of(unit).get())));
    let sum = costs.fold(0_u128, u128::saturating_add).div_ceil(MILLION);
    Tokens::micro(u64::try_from(sum).unwrap_or(u64::MAX))
}

impl Credits {
    /// Whether nothing was ever granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.debt == Tokens::ZERO && self.orders.is_empty()
    }

    /// The credits that may be spent; none of them has expired.
    #[must_use]
    pub fn balance(&self, now: Millis) -> Tokens {
        let good = self.blocks.iter().filter(|block| block.is_good(now));
        good.fold(Tokens::ZERO, |sum, block| sum.plus(block.remaining))
    }

    /// What was used beyond them.
    #[must_use]
    pub const fn debt(&self) -> Tokens {
        self.debt
    }

    /// The blocks by when they were granted.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Takes up to `amount` of what is good; what was taken.
    fn take(&mut self, amount: Tokens, now: Millis) -> Tokens {
        let mut left = amount;
        for block in self.in_order(now) {
            let taken = left.min(block.remaining);
            block.remaining = block.remaining.minus(taken).unwrap_or_default();
            left = left.minus(taken).unwrap_or_default();
        }
        amount.minus(left).unwrap_or_default()
    }

    /// The good blocks in the order in which they are spent; of two that expire together, the one granted first.
    fn in_order(&mut self, now: Millis) -> Vec<&mut Block> {
        let mut good: Vec<&mut Block> = self.blocks.iter_mut().filter(|block| block.is_good(now)).collect();
        good.sort_by_key(|block| (block.expires_at.is_none(), block.expires_at));
        good
    }

    /// Adds a block; a debt is settled from it at once.
    #[must_use]
    pub fn granted(mut self, block: Block, now: Millis) -> Self {
        self.forget_finished(now);
        self.blocks.push(block);
        let settled = self.take(self.debt, now);
        self.debt = self.debt.minus(settled).unwrap_or_default();
        self
    }

    fn forget_finished(&mut self, now: Millis) {
        let finished = self.blocks.iter().filter(|block| block.is_finished(now)).count();
        let mut surplus = finished.saturating_add(1).saturating_sub(FINISHED_KEPT);
        self.blocks.retain(|block| {
            let goes = surplus > 0 && block.is_finished(now);
            surplus = surplus.saturating_sub(usize::from(goes));
            !goes
        });
    }

    /// Deducts as much as there is, or with `all_or_nothing` only the whole amount.
    #[must_use]
    pub fn deducted(self, amount: Tokens, all_or_nothing: bool, now: Millis) -> (Self, Deduction) {
        let mut after = self.clone();
        let deducted = after.take(amount, now);
        if all_or_nothing && deducted < amount {
            let balance = self.balance(now);
            return (self, Deduction { requested: amount, deducted: Tokens::ZERO, balance });
        }
        let balance = after.balance(now);
        (after, Deduction { requested: amount, deducted, balance })
    }

    /// Charges what was used; what is not there is a debt.
    #[must_use]
    pub fn charged(mut self, amount: Tokens, now: Millis) -> Self {
        let taken = self.take(amount, now);
        self.debt = self.debt.plus(amount.minus(taken).unwrap_or_default());
        self
    }

    /// Gives back up to `amount` of what was spent, and how much that was: first to the debt, then to the blocks that were
    /// spent from last. What belonged to a block that has ended since is gone with it.
    #[must_use]
    pub fn given_back(mut self, amount: Tokens, now: Millis) -> (Self, Tokens) {
        let settled = self.debt.min(amount);
        self.debt = self.debt.minus(settled).unwrap_or_default();
        let mut left = amount.minus(settled).unwrap_or_default();
        for block in self.in_order(now).into_iter().rev() {
            let back = block.amount.minus(block.remaining).unwrap_or_default().min(left);
            block.remaining = block.remaining.plus(back);
            left = left.minus(back).unwrap_or_default();
        }
        (self, amount.minus(left).unwrap_or_default())
    }

    /// The credits without that block.
    #[must_use]
    pub fn without(mut self, id: &str) -> Self {
        self.blocks.retain(|block| block.id.as_str() != id);
        self
    }

    /// Takes back a block of that many credits; what was spent of it is taken from others, and else owed.
    #[must_use]
    pub fn taken_back(self, id: &BlockId, amount: Tokens, now: Millis) -> Self {
        let block = self.blocks.iter().find(|block| block.id == *id);
        let spent = amount.less(block.map(|block| block.remaining).unwrap_or_default());
        self.without(id.as_str()).charged(spent, now)
    }

    /// From now on no block that was granted so far is worth anything.
    #[must_use]
    pub fn expired(mut self, now: Millis) -> Self {
        for block in self.blocks.iter_mut().filter(|block| block.is_good(now)) {
            block.expires_at = Some(now);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::time::Span;

    const DAY: u64 = 86_400_000;
    const NOW: Millis = Millis::new(100 * DAY);

    fn block(id: &str, amount: u64, expires_at: Option<u64>) -> Block {
        let amount = Tokens::whole(amount);
        let (id, expires_at) = (BlockId::new(id), expires_at.map(Millis::new));
        Block { id, amount, remaining: amount, expires_at, created_at: NOW, metadata: Value::Null }
    }

    /// A 100 until tomorrow, B 50 until the day after, C 30 for ever, D 500 that has expired.
    fn four() -> Credits {
        let c = block("c", 30, None);
        let blocks = [block("d", 500, Some(99 * DAY)), c, block("b", 50, Some(102 * DAY))];
        let blocks = blocks.into_iter().chain([block("a", 100, Some(101 * DAY))]);
        blocks.fold(Credits::default(), |credits, block| credits.granted(block, NOW))
    }

    fn left(credits: &Credits) -> Vec<(&str, u64)> {
        credits.blocks().iter().map(|block| (block.id.as_str(), block.remaining.floor())).collect()
    }

    #[test]
    fn what_expires_soonest_is_spent_first_and_what_never_expires_last() {
        assert_eq!(four().balance(NOW), Tokens::whole(180));
        let (credits, deduction) = four().deducted(Tokens::whole(120), true, NOW);
        assert_eq!(left(&credits), [("blk_d", 500), ("blk_c", 30), ("blk_b", 30), ("blk_a", 0)]);
        assert_eq!((deduction.deducted, deduction.balance), (Tokens::whole(120), Tokens::whole(60)));
        let (credits, deduction) = credits.deducted(Tokens::whole(100), false, NOW);
        assert_eq!((deduction.deducted, deduction.remaining()), (Tokens::whole(60), Tokens::whole(40)));
        assert_eq!(credits.balance(NOW), Tokens::ZERO);
    }

    #[test]
    fn of_twenty_deductions_of_ten_from_a_hundred_ten_succeed() {
        let hundred = Credits::default().granted(block("a", 100, None), NOW);
        let (credits, made) = (0..20).fold((hundred, 0), |(credits, made), _| {
            let (credits, deduction) = credits.deducted(Tokens::whole(10), true, NOW);
            (credits, made + u32::from(deduction.remaining() == Tokens::ZERO))
        });
        assert_eq!((made, credits.balance(NOW)), (10, Tokens::ZERO));
    }

    #[test]
    fn what_expires_meanwhile_is_neither_counted_nor_spent() {
        let end = Millis::new(101 * DAY);
        assert_eq!(four().balance(Millis::new(101 * DAY - 1)), Tokens::whole(180));
        assert_eq!(four().balance(end), Tokens::whole(80));
        let (credits, deduction) = four().deducted(Tokens::whole(90), false, end);
        assert_eq!((deduction.deducted, left(&credits)[3]), (Tokens::whole(80), ("blk_a", 100)));
    }

    #[test]
    fn a_debt_is_settled_by_the_next_block() {
        let credits = four().charged(Tokens::whole(200), NOW);
        assert_eq!((credits.balance(NOW), credits.debt()), (Tokens::ZERO, Tokens::whole(20)));
        assert!(!Purse::new(credits.clone(), Vec::new()).affords(Tokens::ZERO, NOW));
        let credits = credits.granted(block("e", 15, None), NOW).granted(block("f", 500, Some(1)), NOW);
        assert_eq!((credits.balance(NOW), credits.debt()), (Tokens::ZERO, Tokens::whole(5)));
        let credits = credits.granted(block("g", 15, None), NOW);
        assert_eq!((credits.balance(NOW), credits.debt()), (Tokens::whole(10), Tokens::ZERO));
        assert!(Purse::new(credits, Vec::new()).affords(Tokens::whole(10), NOW));
    }

    #[test]
    fn what_waits_for_its_turn_is_not_spent_twice() {
        let waiting = |cost| Purse::new(four(), vec![(NOW.plus(Span::seconds(1)), Tokens::whole(cost))]);
        assert!(waiting(170).affords(Tokens::whole(10), NOW));
        assert!(!waiting(170).affords(Tokens::micro(10_000_001), NOW));
        assert!(!waiting(180).affords(Tokens::ZERO, NOW), "its end may cost some");
        assert!(waiting(180).with(Tokens::ONE).affords(Tokens::ONE, NOW));
        // By then the turn has spent what would have expired.
        let later = Millis::new(101 * DAY);
        assert!(waiting(100).affords(Tokens::whole(80), later));
        assert!(!waiting(101).affords(Tokens::whole(80), later));
    }

    #[test]
    fn blocks_can_be_taken_back_and_expired() {
        assert_eq!(four().without("blk_a").balance(NOW), Tokens::whole(80));
        let expired = four().expired(NOW);
        assert_eq!(
            (expired.balance(NOW), expired.blocks()[0].expires_at),
            (Tokens::ZERO, Some(Millis::new(99 * DAY)))
        );
    }

    #[test]
    fn what_is_given_back_goes_to_what_was_spent_from_last_and_first_to_the_debt() {
        let spent = four().charged(Tokens::whole(160), NOW);
        assert_eq!(left(&spent), [("blk_d", 500), ("blk_c", 20), ("blk_b", 0), ("blk_a", 0)]);
        let (credits, back) = spent.clone().given_back(Tokens::whole(15), NOW);
        assert_eq!(back, Tokens::whole(15));
        assert_eq!(left(&credits), [("blk_d", 500), ("blk_c", 30), ("blk_b", 5), ("blk_a", 0)]);
        // What was of a block that has expired meanwhile is gone with it.
        let (credits, back) = spent.given_back(Tokens::whole(160), Millis::new(101 * DAY));
        assert_eq!((back, credits.balance(Millis::new(101 * DAY))), (Tokens::whole(60), Tokens::whole(80)));
        let (credits, back) = four().charged(Tokens::whole(185), NOW).given_back(Tokens::whole(6), NOW);
        assert_eq!(
            (back, credits.debt(), credits.balance(NOW)),
            (Tokens::whole(6), Tokens::ZERO, Tokens::ONE)
        );
    }

    #[test]
    fn only_the_last_finished_blocks_are_kept() {
        let many = (0..300).map(|nth| block(&nth.to_string(), 1, Some(1)));
        let credits = many.fold(four(), |credits, block| credits.granted(block, NOW));
        assert_eq!((credits.blocks().len(), credits.balance(NOW)), (103, Tokens::whole(180)));
        assert_eq!(credits.blocks().last().unwrap().id.as_str(), "blk_299");
    }

    #[test]
    fn a_cost_is_rounded_up_to_a_millionth() {
        let units = |text: &str| Units::parse_field(text).unwrap();
        let prices = units("image=1, token=0.001");
        assert_eq!(cost(&prices, &units("image=2, token=1500, other=9")).to_string(), "3.5");
        assert_eq!(cost(&prices, &units("token=0.000001")), Tokens::micro(1));
        assert_eq!(cost(&prices, &Units::default()), Tokens::ZERO);
    }

    #[test]
    fn stored_form_is_pinned() {
        let mut block = block("a", 3, Some(7));
        let stored = r#"{"blocks":[{"id":"blk_a","amount":3000000,"remaining":3000000,"expires_at":7,"created_at":8640000000}]}"#;
        assert_eq!(serde_json::to_string(&Credits::default().granted(block.clone(), NOW)).unwrap(), stored);
        (block.expires_at, block.metadata) = (None, json!({ "order": "42" }));
        let full = Credits::default().charged(Tokens::whole(9), NOW).granted(block, NOW);
        let stored = r#"{"blocks":[{"id":"blk_a","amount":3000000,"remaining":0,"created_at":8640000000,"metadata":{"order":"42"}}],"debt":6000000}"#;
        assert_eq!(serde_json::to_string(&full).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Credits>(stored).unwrap(), full);
    }
}
