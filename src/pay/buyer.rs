//! The payer's side: what a 402 offers, which offer a wallet takes, and what it signs (x402 v2, scheme exact, EIP-3009).
//!
//! The worker never pays. This is for the command-line tool, and it is as careful as the gate is: it signs nothing that it
//! cannot tell the price of.

mod challenge;
mod own_payment;

pub use challenge::{Challenge, ChallengeError, Payable};
pub use own_payment::{OwnPayment, Purchase};
