//! How much a client may use.

pub mod account;
pub mod allowance;
pub mod bought;
pub mod bucket;
pub mod credit;
pub mod decision;
pub mod failures;
pub mod headers;
mod owed;
pub mod plan;
pub mod quota;
pub mod request;
pub mod simulation;
pub mod slots;
pub mod standing;
pub mod tokens;
pub mod units;
pub mod window;
