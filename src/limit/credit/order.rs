//! What the owner orders of an account's credits, once however often it is sent: an order with a key is remembered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Block, BlockId, Credits, Deduction};
use crate::limit::tokens::Tokens;
use crate::time::{Millis, Span};

/// How long an order with a key is remembered: a day.
const MEMORY: Span = Span::seconds(24 * 3600);
/// And how many of an account, the last ones.
const REMEMBERED: usize = 500;
/// How many blocks an account may have to spend from at the same time.
const MOST_BLOCKS: usize = 1000;

/// An order of the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Grants a block, of that id. [`Done::Granted`]
    Grant(BlockId, Gift, Option<OrderKey>),
    /// Deducts credits. [`Done::Deducted`]
    Deduct(Cut, Option<OrderKey>),
    /// Takes back what is left of a block. [`Done::Deleted`]
    Delete(String),
    /// Lets everything that was granted so far expire. [`Done::Expired`]
    Expire,
}

/// What is granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gift {
    /// How many credits; never zero.
    pub amount: Tokens,
    /// Until when they are good, if not for ever.
    pub expires_at: Option<Millis>,
    /// Whatever the owner notes with them.
    pub metadata: Value,
}

/// What is deducted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// How many credits; never zero.
    pub amount: Tokens,
    /// All of them or none.
    pub require_full: bool,
}

/// The key of an order that may be sent again (draft-ietf-httpapi-idempotency-key-header), as a hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderKey(String);

impl OrderKey {
    /// The key of that text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(digest(text.as_bytes()))
    }
}

/// 128 bits of SHA-256: nobody but the owner chooses what is hashed.
fn digest(bytes: &[u8]) -> String {
    let digits = hex::encode(Sha256::digest(bytes));
    digits.get(..32).unwrap_or_default().to_owned()
}

/// What an order came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The block, as it is now.
    Granted(Block),
    /// So much was deducted.
    Deducted(Deduction),
    /// Not all of it is there, and nothing was deducted.
    Insufficient(Deduction),
    /// Whether there was such a block.
    Deleted(bool),
    /// How many blocks expired that had something left.
    Expired(u64),
    /// The key is that of another order; nothing was done.
    KeyUsed,
    /// There are as many blocks to spend from as may be; nothing was done.
    TooManyBlocks,
}

/// The orders with a key of the last day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Orders(BTreeMap<OrderKey, Remembered>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    at: Millis,
    /// A hash of what was ordered.
    order: String,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Granted(BlockId),
    Deducted(Deduction),
}

impl Orders {
    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn remember(&mut self, key: OrderKey, remembered: Remembered) {
        let now = remembered.at;
        self.0.retain(|_, order| now.since(order.at) < MEMORY);
        if self.0.len() >= REMEMBERED {
            let oldest = self.0.iter().min_by_key(|(_, order)| order.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.0.remove(&key));
        }
        self.0.insert(key, remembered);
    }

    fn get(&self, key: &OrderKey, now: Millis) -> Option<&Remembered> {
        self.0.get(key).filter(|order| now.since(order.at) < MEMORY)
    }
}

/// Whether one more block to spend from may be added.
#[must_use]
pub fn has_room(credits: &Credits, now: Millis) -> bool {
    credits.blocks.iter().filter(|block| !block.is_finished(now)).count() < MOST_BLOCKS
}

fn fingerprint(order: &impl Serialize) -> String {
    digest(serde_json::to_string(order).unwrap_or_default().as_bytes())
}

impl Credits {
    /// Does what the owner orders.
    #[must_use]
    pub fn ordered(self, order: &Order, now: Millis) -> (Self, Done) {
        match order {
            Order::Grant(id, gift, key) => self.order_grant(id, gift, key.as_ref(), now),
            Order::Deduct(cut, key) => self.order_deduction(cut, key.as_ref(), now),
            Order::Delete(id) => {
                let there = self.blocks.iter().any(|block| block.id.as_str() == id);
                (self.without(id), Done::Deleted(there))
            }
            Order::Expire => {
                let ending = self.blocks.iter().filter(|block| !block.is_finished(now)).count();
                (self.expired(now), Done::Expired(u64::try_from(ending).unwrap_or(u64::MAX)))
            }
        }
    }

    fn order_grant(self, id: &BlockId, gift: &Gift, key: Option<&OrderKey>, now: Millis) -> (Self, Done) {
        let order = fingerprint(gift);
        let block = |id: &BlockId, created_at, remaining| Block {
            id: id.clone(),
            amount: gift.amount,
            remaining,
            expires_at: gift.expires_at,
            created_at,
            metadata: gift.metadata.clone(),
        };
        match key.and_then(|key| self.orders.get(key, now)) {
            Some(Remembered { order: known, outcome: Outcome::Granted(id), at }) if *known == order => {
                let found = self.blocks.iter().find(|block| block.id == *id).cloned();
                // It may have been taken back since.
                let done = Done::Granted(found.unwrap_or_else(|| block(id, *at, Tokens::ZERO)));
                return (self, done);
            }
            Some(_) => return (self, Done::KeyUsed),
            None => {}
        }
        if !has_room(&self, now) {
            return (self, Done::TooManyBlocks);
        }
        let mut after = self.granted(block(id, now, gift.amount), now);
        if let Some(key) = key {
            after
                .orders
                .remember(key.clone(), Remembered { at: now, order, outcome: Outcome::Granted(id.clone()) });
        }
        let granted = after.blocks.iter().find(|block| block.id == *id).cloned();
        (after, Done::Granted(granted.unwrap_or_else(|| block(id, now, Tokens::ZERO))))
    }

    fn order_deduction(self, cut: &Cut, key: Option<&OrderKey>, now: Millis) -> (Self, Done) {
        let order = fingerprint(cut);
        match key.and_then(|key| self.orders.get(key, now)) {
            Some(Remembered { order: known, outcome: Outcome::Deducted(deduction), .. })
                if *known == order =>
            {
                let done = Done::Deducted(*deduction);
                return (self, done);
            }
            Some(_) => return (self, Done::KeyUsed),
            None => {}
        }
        let (mut after, deduction) = self.deducted(cut.amount, cut.require_full, now);
        if cut.require_full && deduction.remaining() > Tokens::ZERO {
            return (after, Done::Insufficient(deduction));
        }
        if let Some(key) = key {
            let outcome = Outcome::Deducted(deduction);
            after.orders.remember(key.clone(), Remembered { at: now, order, outcome });
        }
        (after, Done::Deducted(deduction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::new(1_000_000);

    fn grant(id: &str, amount: u64, key: Option<&str>) -> Order {
        let gift = Gift { amount: Tokens::whole(amount), expires_at: None, metadata: Value::Null };
        Order::Grant(BlockId::new(id), gift, key.map(OrderKey::of))
    }

    fn deduct(amount: u64, require_full: bool, key: Option<&str>) -> Order {
        Order::Deduct(Cut { amount: Tokens::whole(amount), require_full }, key.map(OrderKey::of))
    }

    #[test]
    fn an_order_with_a_key_is_done_once_and_answered_again() {
        let (credits, first) = Credits::default().ordered(&grant("1", 100, Some("k")), NOW);
        let (credits, again) = credits.ordered(&grant("2", 100, Some("k")), NOW.plus(Span::millis(1)));
        assert_eq!((first, credits.balance(NOW)), (again, Tokens::whole(100)));
        let (credits, first) = credits.ordered(&deduct(30, true, Some("d")), NOW);
        let (credits, again) = credits.ordered(&deduct(30, true, Some("d")), NOW);
        assert_eq!((first, credits.balance(NOW)), (again, Tokens::whole(70)));
        let (credits, _) = credits.ordered(&deduct(30, true, None), NOW);
        assert_eq!(credits.balance(NOW), Tokens::whole(40));
    }

    #[test]
    fn a_key_belongs_to_one_order() {
        let (credits, _) = Credits::default().ordered(&grant("1", 100, Some("k")), NOW);
        for other in [grant("2", 101, Some("k")), deduct(100, true, Some("k"))] {
            let (after, done) = credits.clone().ordered(&other, NOW);
            assert_eq!((after, done), (credits.clone(), Done::KeyUsed));
        }
    }

    #[test]
    fn a_refused_deduction_is_tried_anew() {
        let (credits, done) = Credits::default().ordered(&deduct(5, true, Some("d")), NOW);
        assert!(matches!(done, Done::Insufficient(Deduction { balance: Tokens::ZERO, .. })), "{done:?}");
        let (credits, _) = credits.ordered(&grant("1", 100, None), NOW);
        let (credits, done) = credits.ordered(&deduct(5, true, Some("d")), NOW);
        assert!(matches!(done, Done::Deducted(_)), "{done:?}");
        assert_eq!(credits.balance(NOW), Tokens::whole(95));
    }

    #[test]
    fn a_grant_that_was_taken_back_is_not_granted_again_by_its_key() {
        let (credits, _) = Credits::default().ordered(&grant("1", 100, Some("k")), NOW);
        let (credits, done) = credits.ordered(&Order::Delete("blk_1".to_owned()), NOW);
        assert_eq!(done, Done::Deleted(true));
        let (credits, done) = credits.ordered(&grant("2", 100, Some("k")), NOW);
        assert!(matches!(done, Done::Granted(Block { remaining: Tokens::ZERO, .. })), "{done:?}");
        assert_eq!(credits.balance(NOW), Tokens::ZERO);
    }

    #[test]
    fn keys_are_forgotten_after_a_day_and_only_the_last_are_kept() {
        let (credits, _) = Credits::default().ordered(&grant("1", 1, Some("k")), NOW);
        let (credits, _) = credits.ordered(&grant("2", 1, Some("k")), NOW.plus(MEMORY));
        assert_eq!(credits.balance(NOW), Tokens::whole(2));
        let credits = (0..600_u64).fold(credits, |credits, nth| {
            let later = NOW.plus(MEMORY).plus(Span::millis(nth));
            credits.ordered(&deduct(1, false, Some(&nth.to_string())), later).0
        });
        assert_eq!(credits.orders.0.len(), REMEMBERED);
    }

    #[test]
    fn there_is_a_most_of_blocks_to_spend_from() {
        let full = (0..MOST_BLOCKS).fold(Credits::default(), |credits, nth| {
            credits.ordered(&grant(&nth.to_string(), 1, None), NOW).0
        });
        let (credits, done) = full.ordered(&grant("x", 1, None), NOW);
        assert_eq!((done, credits.blocks().len()), (Done::TooManyBlocks, MOST_BLOCKS));
        let (credits, done) = credits.ordered(&Order::Expire, NOW);
        assert_eq!(done, Done::Expired(1000));
        assert!(matches!(credits.ordered(&grant("x", 1, None), NOW).1, Done::Granted(_)));
    }

    #[test]
    fn the_stored_form_of_remembered_orders_is_pinned() {
        let (credits, _) = Credits::default().ordered(&grant("1", 3, Some("k")), NOW);
        let (credits, _) = credits.ordered(&deduct(1, true, Some("d")), NOW);
        let stored = serde_json::to_value(&credits.orders).unwrap();
        assert_eq!(
            stored,
            serde_json::json!({
                OrderKey::of("k").0: { "at": 1_000_000, "order": "3ee8a6f6c188e79a4723083dfdfbf053", "outcome": { "granted": "blk_1" } },
                OrderKey::of("d").0: { "at": 1_000_000, "order": "bcf15aa9dcde1fb93203c278be73fbfa", "outcome": {
                    "deducted": { "requested": 1_000_000, "deducted": 1_000_000, "balance": 2_000_000 } } },
            })
        );
        assert_eq!(serde_json::from_value::<Orders>(stored).unwrap(), credits.orders);
    }
}
