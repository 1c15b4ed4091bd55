//! What proves a payment: the transaction that the answer names, and the receipt, held against the key and against what was
//! bought.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::presented::Presented;
use crate::cli::clock;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::gate::Gate;
use crate::cli::http::{self, Answer, Call, Http};
use crate::cli::receipt::{published_key, shown};
use crate::cli::screen::{GOOD, Screen, styled};
use crate::pay::buyer::{OwnPayment, Payable, Purchase};
use crate::pay::receipt::{PinnedKey, SignedReceipt, found};
use crate::time::Span;

/// How often a receipt that is made when the answer has ended is looked for.
const TRIES: u32 = 5;
/// How long it is waited for in between.
const PAUSE: Span = Span::seconds(1);

/// What is known of a payment that was sent.
pub(super) struct Settled {
    /// What it cost.
    pub(super) price: String,
    /// Whether the payment was taken; `None` where an earlier try may have taken it.
    pub(super) is_paid: Option<bool>,
    /// The transaction, where the answer names it.
    pub(super) transaction: Option<String>,
    /// The receipt, signed, as it came.
    pub(super) receipt: Option<Value>,
    /// Why the receipt proves nothing, where it does not.
    pub(super) doubt: Option<String>,
}

/// Gathers the proofs of one payment.
pub(super) struct Prover<'a> {
    pub(super) screen: Screen,
    pub(super) http: &'a Http,
    /// The gate that the owner names, if that is where the request went.
    pub(super) gate: Option<&'a str>,
    pub(super) call: &'a Call,
    pub(super) payable: &'a Payable,
    pub(super) payment: &'a OwnPayment,
    pub(super) pinned: Option<&'a PinnedKey>,
}

impl Prover<'_> {
    /// What is known of the payment, from the answer to it.
    pub(super) fn settled(&self, presented: &Presented) -> Outcome<Settled> {
        let answer = &presented.answer;
        let transaction = transaction(answer);
        let is_paid = if transaction.is_some() { Some(true) } else { (!presented.is_again).then_some(false) };
        let mut settled =
            Settled { price: self.payable.price(), is_paid, transaction, receipt: None, doubt: None };
        match &settled.transaction {
            Some(transaction) => {
                let transaction = transaction.clone();
                self.prove(&mut settled, answer, &transaction)?;
            }
            None if is_paid.is_none() => self.screen.step(format!(
                "answered {}: the payment had been sent before, and was taken then if at all; it is not taken again",
                answer.status
            )),
            None => self
                .screen
                .step(format!("answered {} without taking the payment: nothing was paid", answer.status)),
        }
        Ok(settled)
    }

    /// Adds the receipt of a payment that was taken.
    fn prove(&self, settled: &mut Settled, answer: &Answer, transaction: &str) -> Outcome {
        self.screen.step(format!("{} {}, transaction {transaction}", styled(GOOD, "paid"), settled.price));
        let Some(signed) = self.receipt(answer)? else {
            settled.doubt = Some("the payment was taken, and the answer has no receipt".to_owned());
            return Ok(());
        };
        settled.receipt = Some(json!(signed));
        settled.doubt = self.doubt(answer, &signed, transaction);
        if settled.doubt.is_none() {
            self.screen.step(format!("receipt: {}", shown(&signed)));
            if let Some(session) = answer.header("Tollgate-Session") {
                self.screen.step(format!("elsewhere it is spent with -H 'Tollgate-Session: {session}'"));
            }
        }
        Ok(())
    }

    /// The gate that the request went to.
    fn gate(&self) -> Outcome<Gate> {
        let origin = self.call.url.origin();
        let named = self.gate.filter(|url| http::url(url).is_ok_and(|url| url.origin() == origin));
        Gate::at(self.http.clone(), named.unwrap_or(&origin.ascii_serialization()))
    }

    fn receipt(&self, answer: &Answer) -> Outcome<Option<SignedReceipt>> {
        if let Some(header) = answer.header("X-402-Receipt") {
            return found::read(header)
                .map(Some)
                .map_err(|why| Failure::refused(format!("X-402-Receipt {why}")));
        }
        answer.header("X-402-Receipt-Id").map(|id| self.kept(id)).transpose()
    }

    /// A receipt that is made when the answer has ended.
    fn kept(&self, id: &str) -> Outcome<SignedReceipt> {
        let gate = self.gate()?;
        let mut kept = gate.public(&["receipts", id]);
        for _ in 1..TRIES {
            if kept.is_ok() {
                break;
            }
            clock::wait(PAUSE);
            kept = gate.public(&["receipts", id]);
        }
        found::read(&kept?.to_string()).map_err(|why| Failure::refused(format!("{id} {why}")))
    }

    /// Why a receipt proves nothing, if it does not.
    fn doubt(&self, answer: &Answer, signed: &SignedReceipt, transaction: &str) -> Option<String> {
        let pinned = match self.pinned {
            Some(pinned) => pinned.clone(),
            None => match self.gate().and_then(|gate| gate.public(&["receipt-key"])) {
                Ok(answer) => match published_key(&answer) {
                    Some(key) => key,
                    None => return Some("the gate publishes no key to verify the receipt with".to_owned()),
                },
                Err(failure) => return Some(format!("the receipt cannot be verified: {failure}")),
            },
        };
        if let Err(error) = signed.verify(&pinned) {
            return Some(format!("the receipt does not hold: {error}"));
        }
        let purchase = Purchase {
            payable: self.payable,
            payment: self.payment,
            transaction: Some(transaction),
            request_body: self.call.body.as_deref().unwrap_or_default(),
            response_body: &answer.body,
        };
        let differences = purchase.differences(&signed.receipt);
        (!differences.is_empty())
            .then(|| format!("the receipt is of something else: {}", differences.join("; ")))
    }
}

/// The transaction that a paid answer names (x402 v2, `PAYMENT-RESPONSE`).
fn transaction(answer: &Answer) -> Option<String> {
    let decoded = STANDARD.decode(answer.header("PAYMENT-RESPONSE")?).ok()?;
    let response: Value = serde_json::from_slice(&decoded).ok()?;
    let is_paid = response.get("success").and_then(Value::as_bool) == Some(true);
    response.get("transaction").and_then(Value::as_str).filter(|_| is_paid).map(str::to_owned)
}
