//! `tollgate receipt verify`: whether a pinned key signed a receipt.

use std::path::Path;

use serde_json::{Value, json};

use super::failure::{Failure, Outcome};
use super::file;
use super::gate::refusal;
use super::http::{self, Call, Http};
use super::screen::{GOOD, Screen, styled};
use crate::pay::receipt::{PinnedKey, SignedReceipt, found};

/// Verifies the receipt of a file or URL.
pub(super) fn verify(screen: Screen, http: &Http, source: &str, pinned: &PinnedKey) -> Outcome {
    let text = if source.starts_with("http://") || source.starts_with("https://") {
        fetch(http, source)?
    } else {
        file::read_text(Path::new(source))?
    };
    let signed = found::read(&text).map_err(|why| Failure::refused(format!("{source} {why}")))?;
    signed.verify(pinned).map_err(|error| {
        Failure::refused(format!("{source}: {error}; do not rely on it"))
            .with_problem(json!({ "valid": false, "reason": error.to_string() }))
    })?;
    screen.result(&json!({ "valid": true, "receipt": signed.receipt }), || shown(&signed))
}

fn fetch(http: &Http, url: &str) -> Outcome<String> {
    let call = Call { method: "GET".to_owned(), url: http::url(url)?, headers: Vec::new(), body: None };
    let answer = http.send(&call)?;
    if answer.is_success() {
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    } else {
        Err(refusal(&call, &answer))
    }
}

/// A receipt that holds, for people.
pub(super) fn shown(signed: &SignedReceipt) -> String {
    let receipt = &signed.receipt;
    let payment = &receipt.payment;
    let mut lines = vec![
        format!("{} {}", styled(GOOD, "valid"), receipt.id),
        format!("  {} {} for {}", payment.amount, payment.token, receipt.service.endpoint),
        format!("  from {} to {}", payment.payer, payment.recipient),
        format!("  on chain {}, at {}", payment.chain_id, receipt.timestamp),
    ];
    if let Some(settlement) =
        payment.settlement.as_ref().filter(|settlement| !settlement.transaction.is_empty())
    {
        lines.push(format!("  {} transaction {}", settlement.method, settlement.transaction));
    }
    lines.join("\n")
}

/// The key that a gate publishes.
pub(super) fn published_key(answer: &Value) -> Option<PinnedKey> {
    answer.get("public_key")?.as_str()?.parse().ok()
}
