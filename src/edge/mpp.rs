//! MPP at the gate: the challenges of a 402, and the wallet or payment in a credential that answers one.

use worker::Result;

use super::exchange::{Exchange, Outcome};
use super::{clock, objects};
use crate::client::{AccountId, Kind};
use crate::contract::{AccountCall, PaymentCall, challenge_object};
use crate::endpoint::site;
use crate::pay::eip712::Address;
use crate::pay::mpp::challenge::{Challenge, ChallengeKeys, Place, Terms, body_digest};
use crate::pay::mpp::credential::{Credential, payment_token};
use crate::pay::mpp::{CredentialFault, Receipt, accept, evm, proof};
use crate::pay::offer::Offer;
use crate::pay::purchase::Settlement;
use crate::pay::x402::Payment;
use crate::time::Millis;

/// A proof is good wherever it was asked for: it is of no endpoint.
const ANY_ENDPOINT: &str = "";

/// What is sold, to whom.
pub(super) struct Sale<'a> {
    pub(super) account: &'a AccountId,
    pub(super) endpoint: &'a str,
    pub(super) offers: &'a [Offer],
    /// What a session is asked for a request, where sessions are offered.
    pub(super) session: Option<Terms>,
    /// Whether the request brought a credential already: then it is asked to pay, and not who it is.
    pub(super) answers_credential: bool,
}

/// The fields `WWW-Authenticate` of a 402: a challenge for each offer, and one by which a wallet can prove itself instead.
pub(super) fn challenges(exchange: &Exchange, sale: &Sale<'_>) -> Result<Vec<String>> {
    let Some(keys) = keys(exchange) else { return Ok(Vec::new()) };
    let mut asked: Vec<Terms> = sale.offers.iter().filter_map(evm::terms).collect();
    asked.extend(sale.session.clone());
    if sale.account.kind() == Kind::Ip && !sale.answers_credential {
        asked.push(proof::terms(&payee(exchange)));
    }
    let accepted = accept::preferred(asked, exchange.header("Accept-Payment").as_deref());
    let url = exchange.request.url();
    let digest = digest(exchange);
    let issue = |terms: &Terms| {
        let is_proof = (terms.method, terms.intent) == (proof::METHOD, proof::INTENT);
        let endpoint = if is_proof { ANY_ENDPOINT } else { sale.endpoint };
        // A charge pays for one request; a session or a proof is for those that follow, too.
        let digest = digest.as_deref().filter(|_| terms.method == evm::METHOD);
        let place = Place { endpoint, digest, ..place(exchange, &url) };
        Ok(keys.issue(terms, place, clock::random_bytes()?, clock::now()).field())
    };
    accepted.iter().map(issue).collect()
}

/// The account of the wallet that proves itself with this credential, once with each challenge. It gets a session token
/// and MPP's receipt.
pub(super) async fn prove(
    exchange: &Exchange,
    credential: &Credential,
) -> Outcome<std::result::Result<AccountId, CredentialFault>> {
    let now = clock::now();
    let (wallet, expires) = match check_proof(exchange, credential, now) {
        Ok(proven) => proven,
        Err(fault) => return Ok(Err(fault)),
    };
    let account = AccountId::of_wallet(&wallet);
    let call = AccountCall::SignIn(credential.challenge.id.clone(), expires);
    let unused: bool = exchange.ask(&account, call).await?;
    if !unused {
        return Ok(Err(CredentialFault::UsedChallenge));
    }
    let challenge = &credential.challenge;
    let receipt = Receipt { challenge, reference: &challenge.id, chain_id: None, channel: None, at: now };
    exchange.hand_payment_receipt(receipt.field());
    exchange.hand_session_to(&account);
    Ok(Ok(account))
}

fn check_proof(
    exchange: &Exchange,
    credential: &Credential,
    now: Millis,
) -> std::result::Result<(Address, Millis), CredentialFault> {
    let expires = check_challenge(exchange, &credential.challenge, ANY_ENDPOINT, now)?;
    Ok((proof::wallet(credential, &payee(exchange))?, expires))
}

/// The payment in a credential, if it pays one of the offers that this endpoint makes now and its challenge was not used
/// for another payment.
pub(super) async fn payment(
    exchange: &Exchange,
    credential: &Credential,
    (endpoint, offers): (&str, &[Offer]),
) -> Outcome<std::result::Result<Payment, CredentialFault>> {
    let now = clock::now();
    let checked = check_challenge(exchange, &credential.challenge, endpoint, now)
        .and_then(|expires| credential.challenge.check_body(digest(exchange).as_deref()).map(|()| expires))
        .and_then(|expires| Ok((evm::payment(credential, offers, now.seconds())?, expires)));
    let (payment, expires) = match checked {
        Ok(checked) => checked,
        Err(fault) => return Ok(Err(fault)),
    };
    let name = challenge_object(&credential.challenge.id);
    let claim = PaymentCall::ClaimChallenge(payment.id(), expires);
    let free: bool = exchange.ours(objects::payment(&exchange.env, &name, &claim).await)?;
    Ok(if free { Ok(payment) } else { Err(CredentialFault::UsedChallenge) })
}

/// The receipt in MPP's own form of a payment that was settled.
pub(super) fn receipt(challenge: &Challenge, payment: &Payment, settlement: &Settlement) -> String {
    let chain_id = payment.offer().tender.evm().map(|tender| tender.network.chain_id());
    Receipt { challenge, reference: &settlement.transaction, chain_id, channel: None, at: settlement.at }
        .field()
}

/// Checks that a challenge was issued here, for whatever endpoint and however long ago.
pub(super) fn check_origin(
    exchange: &Exchange,
    challenge: &Challenge,
) -> std::result::Result<(), CredentialFault> {
    let keys = keys(exchange).ok_or(CredentialFault::UnknownChallenge)?;
    let url = exchange.request.url();
    challenge.check_origin(keys, place(exchange, &url))
}

/// Checks that a challenge was issued here, for whatever endpoint, and can still be answered.
pub(super) fn check_issue(
    exchange: &Exchange,
    challenge: &Challenge,
    now: Millis,
) -> std::result::Result<(), CredentialFault> {
    let keys = keys(exchange).ok_or(CredentialFault::UnknownChallenge)?;
    let url = exchange.request.url();
    challenge.check_issue(keys, place(exchange, &url), now)
}

/// Until when a challenge that is good here can be answered.
fn check_challenge(
    exchange: &Exchange,
    challenge: &Challenge,
    endpoint: &str,
    now: Millis,
) -> std::result::Result<Millis, CredentialFault> {
    let keys = keys(exchange).ok_or(CredentialFault::UnknownChallenge)?;
    let url = exchange.request.url();
    challenge.check(keys, Place { endpoint, ..place(exchange, &url) }, now)?;
    challenge.expires_at().ok_or(CredentialFault::Expired)
}

/// Here, of no endpoint in particular.
fn place<'a>(exchange: &Exchange, url: &'a str) -> Place<'a> {
    let beside_authorization =
        exchange.header("Authorization").is_some_and(|value| payment_token(&value).is_none());
    Place { realm: site::host(url), endpoint: ANY_ENDPOINT, beside_authorization, digest: None }
}

/// The digest of the request's body, where it was read to find the endpoint.
fn digest(exchange: &Exchange) -> Option<String> {
    exchange.body.get().map(|body| body_digest(body))
}

fn keys(exchange: &Exchange) -> Option<&ChallengeKeys> {
    let spoken = exchange.settings.config.payment.as_ref()?.mpp;
    exchange.settings.secrets.keys.as_ref().filter(|_| spoken).map(|keys| &keys.challenges)
}

/// Whom a proof pays nothing: who would be paid on an EVM chain, or nobody.
fn payee(exchange: &Exchange) -> Address {
    let tenders = exchange.settings.config.payment.iter().flat_map(|payment| &payment.tenders);
    tenders.filter_map(|tender| tender.evm()).map(|tender| tender.pay_to).next().unwrap_or(Address::ZERO)
}
