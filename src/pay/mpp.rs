//! MPP, the "Payment" HTTP authentication scheme (draft-httpauth-payment-00): what a 402 asks for and what a client
//! sends back, beside x402 on the same endpoints.
//!
//! [`challenge`] is what is asked, [`credential`] what comes back, [`accept`] what a client says it can do. Two methods
//! are spoken: [`evm`], which pays through the x402 facilitator, and [`proof`], by which a wallet proves itself. Whether a
//! challenge was used before is for a Durable Object to say, not for these files.

pub mod accept;
pub mod challenge;
pub mod credential;
pub mod evm;
mod fault;
pub mod proof;
mod receipt;
pub mod session;

pub use fault::CredentialFault;
pub use receipt::Receipt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// A JSON object in canonical form (RFC 8785), as base64url without padding. The names of our members and our strings
/// are ASCII and our numbers whole and below 2^53, so sorting by bytes and plain digits are canonical.
fn encode(object: &Map<String, Value>) -> String {
    let sorted: std::collections::BTreeMap<&String, &Value> = object.iter().collect();
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&sorted).unwrap_or_default())
}

/// A map of the members.
fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
