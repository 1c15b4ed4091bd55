//! Tollgate: a rate-limiting gate for Cloudflare Workers whose clients can pay for more through HTTP 402.
//!
//! The way of a request, and where each part of it is decided:
//!
//! 1. [`endpoint`]: what is asked for; [`client`]: who asks.
//! 2. [`limit`]: how much the client may still use. [`limit::account`] is the one decision about a request.
//! 3. [`pay`]: what more costs, and was it paid. [`pay::purchase`] is the one state machine of a payment.
//! 4. [`bill`]: what it adds up to.
//! 5. [`owner`]: what is changed while the gate runs. [`notice`]: what the owner is told as it happens.
//! 6. [`surface`]: every operation of the gate's own. [`problem`]: every error there is. [`config`]: every setting there is.
//!
//! 7. [`discovery`]: what the gate says of itself and of what is for sale, before anybody asks for it. [`pages`]: what it
//!    shows to people.
//!
//! All of that is the domain: pure, without a clock, randomness or a platform, and tested natively. [`contract`] is
//! what the worker and its Durable Objects say to each other, and `edge` (feature `edge`) runs it all on Cloudflare.
//! `cli` (feature `cli`) is the command-line tool.

pub mod bill;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
pub mod config;
pub mod contract;
pub mod discovery;
#[cfg(feature = "edge")]
pub mod edge;
pub mod endpoint;
pub mod fields;
pub mod limit;
pub mod notice;
pub mod owner;
pub mod pages;
pub mod pay;
pub mod problem;
pub mod surface;
pub mod time;
