//! Who is calling: from a key, a wallet's sign-in, a session token, or the address as Cloudflare tells it. Never from a
//! field that a client may choose.

use std::fmt::Display;

use serde_json::json;
use worker::Result;

use super::exchange::{Exchange, Outcome};
use super::{clock, origin};
use crate::client::sign_in::{EXTENSION, RelyingParty, SignInError};
use crate::client::{AccountId, SessionKey};
use crate::config::UnknownKeys;
use crate::config::payment::Tender;
use crate::contract::AccountCall;
use crate::fields::{SESSION, SIGN_IN_WITH_X, key_of, split_cookie};
use crate::pay::network::Network;
use crate::pay::x402::v2::Extensions;
use crate::problem::{Problem, ProblemKind};

/// The account of the caller. A sign-in or session token that is bad identifies nobody: then it is that of the address.
pub(super) async fn account(exchange: &Exchange) -> Outcome<AccountId> {
    check_key(exchange)?;
    let told = match exchange.header(SIGN_IN_WITH_X) {
        Some(proof) => sign_in(exchange, &proof).await?,
        None => session(exchange),
    };
    Ok(told.unwrap_or_else(|| address(exchange)))
}

/// No keys are issued yet, so each one is unknown.
fn check_key(exchange: &Exchange) -> Outcome<()> {
    let (authorization, api_key) = (exchange.header("Authorization"), exchange.header("X-API-Key"));
    let key = key_of(authorization.as_deref(), api_key.as_deref());
    if key.is_some() && exchange.settings.config.unknown_keys == UnknownKeys::Reject {
        return Err(Problem::new(
            ProblemKind::UnknownKey,
            "the API key is not known here; check it, or send none",
        ));
    }
    Ok(())
}

/// The account of the wallet that signs in with this request, once with each nonce. It gets a session token.
async fn sign_in(exchange: &Exchange, proof: &str) -> Outcome<Option<AccountId>> {
    let Some(party) = relying_party(exchange) else { return Ok(None) };
    let signed_in = match party.check(proof, clock::now()) {
        Ok(signed_in) => signed_in,
        Err(error) => return Ok(nobody(exchange, error.reason(), &error)),
    };
    let account = signed_in.account();
    let call = AccountCall::SignIn(signed_in.nonce, signed_in.expires);
    let unused: bool = exchange.ask(&account, call).await?;
    if !unused {
        let error = SignInError::UsedNonce;
        return Ok(nobody(exchange, error.reason(), &error));
    }
    exchange.hand_session_to(&account);
    Ok(Some(account))
}

/// The account that the request's session token names.
fn session(exchange: &Exchange) -> Option<AccountId> {
    let key = session_key(exchange)?;
    let cookie = || split_cookie(&exchange.header("Cookie")?).1;
    let token = exchange.header(SESSION).or_else(cookie)?;
    match key.account(&token, clock::now()) {
        Ok(account) => Some(account),
        Err(error) => nobody(exchange, error.reason(), &error),
    }
}

fn nobody(exchange: &Exchange, reason: &str, detail: &impl Display) -> Option<AccountId> {
    exchange.note_sign_in_error(json!({ "reason": reason, "detail": detail.to_string() }));
    None
}

/// The account of the caller's address.
pub(super) fn address(exchange: &Exchange) -> AccountId {
    let address = exchange.header("CF-Connecting-IP").and_then(|address| address.trim().parse().ok());
    address.map_or_else(AccountId::of_unknown_address, AccountId::of_address)
}

/// The extensions of a v2 challenge: how a wallet can sign in instead of paying.
pub(super) fn extensions(exchange: &Exchange) -> Result<Extensions> {
    let mut extensions = Extensions::new();
    if let Some(party) = relying_party(exchange) {
        let offer = party.offer(clock::random_bytes()?, clock::now());
        extensions.insert(EXTENSION.to_owned(), offer);
    }
    Ok(extensions)
}

/// Whom wallets sign in to, where payments are taken: this gate, under the name that the request used for it.
fn relying_party(exchange: &Exchange) -> Option<RelyingParty> {
    let payment = exchange.settings.config.payment.as_ref()?;
    let mut chains: Vec<Network> = Vec::new();
    for Tender { network, .. } in &payment.tenders {
        if !chains.contains(network) {
            chains.push(*network);
        }
    }
    Some(RelyingParty {
        origin: origin::scheme_and_host(&exchange.request.url()).to_owned(),
        chains,
        key: session_key(exchange)?.clone(),
    })
}

fn session_key(exchange: &Exchange) -> Option<&SessionKey> {
    exchange.settings.keys.as_ref().map(|keys| &keys.sessions)
}
