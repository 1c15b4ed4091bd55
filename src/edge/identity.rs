//! Who is calling: from a key, a wallet's sign-in, a session token, or the address as Cloudflare tells it. Never from a
//! field that a client may choose.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde_json::json;
use worker::Result;

use super::exchange::{BroughtBy, Exchange, Outcome, unknown_key};
use super::{clock, keys, mpp, presented, session};
use crate::client::key::{ApiKey, Scope};
use crate::client::session::{Holder, SessionError};
use crate::client::session_name::SessionName;
use crate::client::sign_in::{EXTENSION, RelyingParty, SignInError};
use crate::client::{AccountId, Kind, SessionKey};
use crate::config::UnknownKeys;
use crate::contract::AccountCall;
use crate::fields::{SESSION, SIGN_IN_WITH_X, key_of, split_cookie};
use crate::pay::mpp::credential::Credential;
use crate::pay::mpp::proof;
use crate::pay::mpp::session::is_of as is_of_session;
use crate::pay::network::Network;
use crate::pay::offer::Tender;
use crate::pay::x402::v2::Extensions;
use crate::problem::{Problem, ProblemKind};

/// Asks the account of the caller, and tells which that is.
pub(super) async fn ask<T: DeserializeOwned>(
    exchange: &Exchange,
    call: AccountCall,
) -> Outcome<(AccountId, T)> {
    let mut account = account(exchange).await?;
    loop {
        match exchange.ask(&account, call.clone()).await {
            // Only the account itself knows that a key was revoked.
            Err(problem) if problem.kind == ProblemKind::UnknownKey => {
                account = match exchange.forget_key() {
                    Some(BroughtBy::Token) => {
                        let error = SessionError::Revoked;
                        nobody(exchange, error.reason(), &error).unwrap_or_else(|| address(exchange))
                    }
                    Some(BroughtBy::Field) if tolerates_unknown_keys(exchange) => {
                        in_session(exchange, without_key(exchange).await?)?
                    }
                    Some(BroughtBy::Field) | None => return Err(problem),
                };
            }
            answer => return Ok((account, answer?)),
        }
    }
}

/// The account of the caller: of its key, or of the wallet, session or address that it comes with.
async fn account(exchange: &Exchange) -> Outcome<AccountId> {
    let account = match key(exchange).await? {
        Some(account) => account,
        None => without_key(exchange).await?,
    };
    in_session(exchange, account)
}

/// The account of the session that the client names in the owner's field, if there is such a field and a key or a wallet that
/// was proven: the field alone identifies nobody.
fn in_session(exchange: &Exchange, account: AccountId) -> Outcome<AccountId> {
    let Some(field) = &exchange.settings.config.session_header else { return Ok(account) };
    let named = matches!(account.kind(), Kind::Key | Kind::Wallet).then(|| exchange.header(field)).flatten();
    match named.map(|name| name.parse::<SessionName>()) {
        None => Ok(account),
        Some(Ok(name)) => Ok(account.in_session(&name)),
        Some(Err(error)) => {
            Err(Problem::new(ProblemKind::BadRequest, format!("{field} {error}"))
                .with("header", field.clone()))
        }
    }
}

/// A sign-in or session token that is bad identifies nobody: then it is the account of the address.
async fn without_key(exchange: &Exchange) -> Outcome<AccountId> {
    let told = match (exchange.header(SIGN_IN_WITH_X), proof(exchange)) {
        (Some(proof), _) => sign_in(exchange, &proof).await?,
        (None, Some(credential)) => Box::pin(prove(exchange, &credential)).await?,
        (None, None) => token(exchange),
    };
    Ok(told.unwrap_or_else(|| address(exchange)))
}

fn tolerates_unknown_keys(exchange: &Exchange) -> bool {
    exchange.settings.config.unknown_keys == UnknownKeys::Ip
}

/// The account of the key that the request brings, if it brings one.
async fn key(exchange: &Exchange) -> Outcome<Option<AccountId>> {
    let (authorization, api_key) = (exchange.header("Authorization"), exchange.header("X-API-Key"));
    let Some(text) = key_of(authorization.as_deref(), api_key.as_deref()) else { return Ok(None) };
    let known = match text.parse::<ApiKey>() {
        Ok(key) => {
            let hash = key.hash();
            let account = exchange.ours(keys::account(&exchange.env, &hash).await)?;
            account.map(|account| (account, hash))
        }
        Err(_) => None,
    };
    match known {
        Some((account, hash)) => {
            exchange.note_key(account.clone(), hash, BroughtBy::Field);
            Ok(Some(account))
        }
        None if tolerates_unknown_keys(exchange) => Ok(None),
        None => Err(unknown_key()),
    }
}

/// Whether the request brings a good key that may do that.
pub(super) async fn key_allows(exchange: &Exchange, scope: Scope) -> Outcome<bool> {
    match key(exchange).await? {
        Some(account) => exchange.ask(&account, AccountCall::Allows(scope)).await,
        None => Ok(false),
    }
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

/// The credential that tells who asks, if the request brings one: of a wallet that proves itself, or of a session.
fn proof(exchange: &Exchange) -> Option<Credential> {
    let of_session =
        |credential: &Credential| session::config(exchange).is_some() && is_of_session(credential);
    presented::credential(exchange).filter(|credential| proof::is_of(credential) || of_session(credential))
}

/// The account of the wallet that proves itself by MPP, once with each challenge, or of the session.
async fn prove(exchange: &Exchange, credential: &Credential) -> Outcome<Option<AccountId>> {
    let told = if proof::is_of(credential) {
        mpp::prove(exchange, credential).await?
    } else {
        session::account(exchange, credential).await?
    };
    Ok(match told {
        Ok(account) => Some(account),
        Err(fault) => {
            exchange.note_proof_fault(fault);
            None
        }
    })
}

/// The account that the request's session token names.
fn token(exchange: &Exchange) -> Option<AccountId> {
    let key = session_key(exchange)?;
    let cookie = || split_cookie(&exchange.header("Cookie")?).1;
    let token = exchange.header(SESSION).or_else(cookie)?;
    match key.holder(&token, clock::now()) {
        Ok(Holder { account, key }) => {
            if let Some(key) = key {
                let owner = account.owner().unwrap_or_else(|| account.clone());
                exchange.note_key(owner, key, BroughtBy::Token);
            }
            Some(account)
        }
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
    for network in payment.tenders.iter().filter_map(Tender::evm).map(|tender| tender.network) {
        if !chains.contains(&network) {
            chains.push(network);
        }
    }
    Some(RelyingParty { origin: exchange.site(), chains, key: session_key(exchange)?.clone() })
}

fn session_key(exchange: &Exchange) -> Option<&SessionKey> {
    exchange.settings.secrets.keys.as_ref().map(|keys| &keys.sessions)
}
