//! What a request brings to pay with: at most one payment, in one of the wire forms that are spoken here.

use super::exchange::{Exchange, Outcome};
use super::signed_context::{self, Brought};
use crate::fields::{PAYMENT_AUTHORIZATION, PAYMENT_SIGNATURE, X_402_SIGNATURE, X_PAYMENT};
use crate::pay::mpp::CredentialFault;
use crate::pay::mpp::credential::{Credential, payment_token};
use crate::problem::{Problem, ProblemKind};

/// What a request brings to pay with. Nothing in it was checked.
#[allow(clippy::large_enum_variant, reason = "one is held at a time; on WASM it is not so large")]
pub(super) enum Presented {
    /// Nothing.
    Nothing,
    /// The value of `PAYMENT-SIGNATURE`.
    X402V2(String),
    /// The value of `X-PAYMENT`.
    X402V1(String),
    /// A signed context, in place of a payment.
    SignedContext(Brought),
    /// A credential of MPP, which may prove a wallet instead of paying; or why it cannot be read.
    Mpp(Result<Credential, CredentialFault>),
}

/// The one payment that a request brings, if it brings one.
///
/// # Errors
/// It brings several: which of them is meant is not for the gate to guess.
pub(super) fn read(exchange: &Exchange) -> Outcome<Presented> {
    let v2 = exchange.header(PAYMENT_SIGNATURE).map(|value| (PAYMENT_SIGNATURE, Presented::X402V2(value)));
    let v1 = exchange.header(X_PAYMENT).map(|value| (X_PAYMENT, Presented::X402V1(value)));
    let [bare, beside] = mpp_fields(exchange)
        .map(|field| field.map(|(name, value)| (name, Presented::Mpp(read_credential(&value)))));
    let context =
        signed_context::brought(exchange).map(|context| (X_402_SIGNATURE, Presented::SignedContext(context)));
    let mut brought = [v2, v1, bare, beside, context].into_iter().flatten();
    let Some((name, first)) = brought.next() else { return Ok(Presented::Nothing) };
    if let Some((second, _)) = brought.next() {
        return Err(bad_payment(name, &format!("comes beside {second}; send one payment")));
    }
    if let Presented::X402V2(value) | Presented::X402V1(value) = &first
        && value.contains(',')
    {
        return Err(bad_payment(name, "comes more than once; send one payment"));
    }
    Ok(first)
}

/// The credential of MPP that a request brings alone, if it does and it can be read.
pub(super) fn credential(exchange: &Exchange) -> Option<Credential> {
    match read(exchange) {
        Ok(Presented::Mpp(Ok(credential))) => Some(credential),
        Ok(_) | Err(_) => None,
    }
}

/// The fields in which a credential of MPP can come: `Authorization` where it is of the scheme `Payment`, and the one that
/// stands in for it.
fn mpp_fields(exchange: &Exchange) -> [Option<(&'static str, String)>; 2] {
    let spoken = exchange.settings.config.payment.as_ref().is_some_and(|payment| payment.mpp);
    if !spoken {
        return [None, None];
    }
    let authorization = exchange.header("Authorization").filter(|value| payment_token(value).is_some());
    let beside = exchange.header(PAYMENT_AUTHORIZATION);
    [authorization.map(|value| ("Authorization", value)), beside.map(|value| (PAYMENT_AUTHORIZATION, value))]
}

fn read_credential(value: &str) -> Result<Credential, CredentialFault> {
    payment_token(value).ok_or(CredentialFault::NotBase64).and_then(Credential::read)
}

/// The problem of a payment that cannot be read.
pub(super) fn bad_payment(field: &str, fault: &str) -> Problem {
    Problem::new(ProblemKind::BadPayment, format!("{field} {fault}")).with("header", field)
}
