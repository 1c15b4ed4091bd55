//! What more costs, and was it paid.

pub mod amount;
pub mod buyer;
pub mod chain;
pub mod context;
pub mod eip712;
pub mod facilitators;
pub mod mpp;
pub mod network;
pub mod node;
pub mod offer;
pub mod purchase;
pub mod receipt;
pub mod rlp;
pub mod trust;
pub mod x402;
