//! What an owner decides while the gate runs: plans, and (in [`crate::client`]) keys.

pub mod page;
pub mod plan_book;
pub mod plan_memo;
