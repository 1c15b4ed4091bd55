//! What we send to an x402 facilitator, and what its answers mean (x402 v2 §7; the same paths in v1).
//!
//! A positive verdict must be free of contradictions, a negative one must be readable, and all else is no answer. Nothing here calls
//! anybody.

use serde::Deserialize;
use serde_json::json;

use super::Payment;
use crate::pay::{eip712::Hash32, network::any_caip2};

/// The longest transaction or payer that is believed on a network that is not understood here.
const MAX_OPAQUE_CHARS: usize = 128;

/// What a facilitator says of a payment before it moves money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyAnswer {
    /// It could be settled now.
    Valid {
        /// Who pays, where the facilitator says so.
        payer: Option<String>,
    },
    /// It could not.
    Invalid {
        /// The facilitator's reason.
        reason: String,
    },
    /// Nothing can be concluded: the facilitator is at fault, not the payer.
    NoAnswer {
        /// What was wrong with the answer, for logs.
        why: String,
    },
}

/// What a facilitator says of a payment after it was asked to move the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleAnswer {
    /// The money moved.
    Settled {
        /// The transaction: on an EVM chain its hash, in lower case.
        transaction: String,
        /// Who paid, where the payment or the facilitator says so; an EVM address carries its checksum.
        payer: Option<String>,
    },
    /// It did not, and will not by this call.
    Refused {
        /// The facilitator's reason.
        reason: String,
    },
    /// The authorization was used before, by this payment or by another with the same nonce (HTTP.md, "Doubt").
    NonceUsed {
        /// The facilitator's reason.
        reason: String,
    },
    /// The money may have moved. Never a reason to ask for another payment.
    Unknown {
        /// What was wrong with the answer, for logs.
        why: String,
        /// The transaction it may have moved by, as the facilitator wrote it.
        transaction: Option<String>,
    },
}

/// The body of `POST /verify` and of `POST /settle`.
#[must_use]
pub fn request_body(payment: &Payment) -> String {
    json!({
        "x402Version": payment.version().number(),
        "paymentPayload": payment.payload(),
        "paymentRequirements": payment.requirements(),
    })
    .to_string()
}

/// `VerifyResponse` of all dialects; what else it holds is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifyResponse {
    is_valid: bool,
    invalid_reason: Option<String>,
    payer: Option<String>,
}

/// `SettleResponse` of all dialects; what else it holds is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SettleResponse {
    success: bool,
    error_reason: Option<String>,
    transaction: Option<String>,
    network: Option<String>,
    payer: Option<String>,
}

/// Reads the answer to `/verify`.
#[must_use]
pub fn read_verify(status: u16, body: &[u8]) -> VerifyAnswer {
    match readable::<VerifyResponse>(status, body) {
        Err(why) => VerifyAnswer::NoAnswer { why },
        Ok(VerifyResponse { is_valid: false, invalid_reason, .. }) => {
            VerifyAnswer::Invalid { reason: reason(invalid_reason, "unexpected_verify_error") }
        }
        Ok(_) if !is_success(status) => {
            VerifyAnswer::NoAnswer { why: format!("says valid under status {status}") }
        }
        Ok(response) => VerifyAnswer::Valid { payer: present(response.payer) },
    }
}

/// Reads the answer to `/settle` of this payment.
#[must_use]
pub fn read_settle(status: u16, body: &[u8], payment: &Payment) -> SettleAnswer {
    match readable::<SettleResponse>(status, body) {
        Err(why) => SettleAnswer::Unknown { why, transaction: None },
        Ok(response) if response.success => read_success(status, response, payment),
        Ok(response) => read_failure(response),
    }
}

fn read_success(status: u16, response: SettleResponse, payment: &Payment) -> SettleAnswer {
    let written = present(response.transaction);
    let is_evm = payment.offer().tender.evm().is_some();
    let transaction = written.as_deref().and_then(|text| transaction(text, is_evm));
    let expected = payment.offer().tender.caip2();
    let is_other_network =
        present(response.network).is_some_and(|network| any_caip2(&network).as_ref() != Ok(&expected));
    let payer = present(response.payer);
    let is_other_payer =
        payment.payer().is_some_and(|ours| payer.as_ref().is_some_and(|theirs| theirs.parse() != Ok(ours)));
    let why = match transaction {
        _ if !is_success(status) => format!("says success under status {status}"),
        _ if is_other_network => "says success on another network".to_owned(),
        _ if is_other_payer => "says success of another payer".to_owned(),
        None => "says success without the hash of a transaction".to_owned(),
        Some(transaction) => {
            let told = payer.filter(|payer| is_plain_text(payer));
            let payer = payment.payer().map(|payer| payer.checksummed()).or(told);
            return SettleAnswer::Settled { transaction, payer };
        }
    };
    SettleAnswer::Unknown { why, transaction: written }
}

/// The one spelling of a transaction; `None` where it is none.
fn transaction(text: &str, is_evm: bool) -> Option<String> {
    if is_evm {
        return text.to_ascii_lowercase().parse().ok().map(|hash: Hash32| hash.to_string());
    }
    is_plain_text(text).then(|| text.to_owned())
}

fn is_plain_text(text: &str) -> bool {
    text.len() <= MAX_OPAQUE_CHARS && text.bytes().all(|b| b.is_ascii_graphic())
}

fn read_failure(response: SettleResponse) -> SettleAnswer {
    let transaction = present(response.transaction);
    let reason = reason(response.error_reason, "unexpected_settle_error");
    let lower_case = reason.to_ascii_lowercase();
    if transaction.is_some() || lower_case == "settlement_pending" {
        return SettleAnswer::Unknown {
            why: format!("says failure, with a transaction: {reason}"),
            transaction,
        };
    }
    // Permit2 says of a used nonce that it is invalid (`permit2_invalid_nonce` in the official packages).
    let is_used = lower_case.contains("used") || lower_case.contains("permit2");
    if lower_case.contains("nonce") && is_used {
        SettleAnswer::NonceUsed { reason }
    } else {
        SettleAnswer::Refused { reason }
    }
}

/// The verdict in a body, whatever the status: some facilitators refuse under 400, 412 or 500. A redirect is not followed and says
/// nothing.
fn readable<'a, T: Deserialize<'a>>(status: u16, body: &'a [u8]) -> Result<T, String> {
    if (300..400).contains(&status) {
        return Err(format!("redirects with status {status}"));
    }
    // serde would read a struct out of an array as well.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let verdict = if is_object { serde_json::from_slice(body).ok() } else { None };
    verdict.ok_or_else(|| format!("answers status {status} without a readable verdict"))
}

const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// Facilitators write absent members as `null` or `""` too.
fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A facilitator's reason, cut to a length that may be stored and sent.
fn reason(given: Option<String>, otherwise: &str) -> String {
    const MAX_CHARS: usize = 256;
    present(given).unwrap_or_else(|| otherwise.to_owned()).chars().take(MAX_CHARS).collect()
}
