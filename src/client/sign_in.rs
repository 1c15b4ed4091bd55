//! A wallet proves itself without paying: the x402 v2 extension `sign-in-with-x`, as `@x402/extensions` 2.27.0 ships it
//! (WIRE §1.7). The 402 says what to sign; the request that comes back brings it signed (EIP-4361, EIP-191).
//!
//! Whether a nonce was used before is for the wallet's account to say, not for this file.

mod error;
mod proof;

use serde_json::{Map, Value, json};

use self::proof::Proof;
use super::nonce::{NONCE_LIFE, RANDOM_BYTES};
use super::{AccountId, SessionKey};
use crate::pay::eip712::{Address, recover};
use crate::pay::network::Network;
use crate::time::{Millis, Span};

pub use error::SignInError;

/// The name of the extension.
pub const EXTENSION: &str = "sign-in-with-x";

/// The one version of EIP-4361.
const VERSION: &str = "1";
/// How a plain wallet signs a text (EIP-191, `personal_sign`).
const EIP191: &str = "eip191";
/// What the wallet shows its owner.
const STATEMENT: &str = "Sign in to use what this wallet may use here. This costs nothing.";
/// How far the clocks of two machines of ours may differ: the one that issued must not be in the other's future.
const CLOCK_SKEW: Span = Span::seconds(2);

/// Whom a wallet signs in to (EIP-4361, "relying party").
#[derive(Clone, Debug)]
pub struct RelyingParty {
    /// Scheme, host and port, as the request was sent to: `https://api.example.com`.
    pub origin: String,
    /// The chains that a wallet may name.
    pub chains: Vec<Network>,
    /// Signs the nonces.
    pub key: SessionKey,
}

/// A wallet that proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The wallet.
    pub wallet: Address,
    /// The nonce that it used up.
    pub nonce: String,
    /// Until when the nonce would be good otherwise.
    pub expires: Millis,
}

impl SignIn {
    /// The wallet's account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        AccountId::of_wallet(&self.wallet)
    }
}

impl RelyingParty {
    /// The member [`EXTENSION`] of a 402's `extensions`: what to sign, on which chains, and the form of what comes back.
    #[must_use]
    pub fn offer(&self, random: [u8; RANDOM_BYTES], now: Millis) -> Value {
        let chains = self.chains.iter().map(|chain| json!({ "chainId": chain.caip2(), "type": EIP191 }));
        json!({
            "info": {
                "domain": self.domain(),
                "uri": self.origin,
                "statement": STATEMENT,
                "version": VERSION,
                "nonce": self.key.issue_nonce(&self.origin, random, now),
                "issuedAt": now.rfc3339(),
                "expirationTime": now.plus(NONCE_LIFE).rfc3339(),
            },
            "supportedChains": chains.collect::<Vec<_>>(),
            "schema": schema(),
        })
    }

    /// The wallet that signed the value of a header field `SIGN-IN-WITH-X`, for us and just now.
    ///
    /// # Errors
    /// The first thing that is wrong with it; then it proves nothing.
    pub fn check(&self, header_value: &str, now: Millis) -> Result<SignIn, SignInError> {
        let proof = Proof::read(header_value)?;
        self.check_place(&proof)?;
        let chain = self.chain(&proof)?;
        check_time(&proof, now)?;
        let expires = self
            .key
            .nonce_expires(&self.origin, &proof.nonce)
            .filter(|expires| now < *expires)
            .ok_or(SignInError::Nonce)?;
        let wallet = signer(&proof, chain)?;
        Ok(SignIn { wallet, nonce: proof.nonce, expires })
    }

    /// The host, with its port where it is not the scheme's own.
    fn domain(&self) -> &str {
        self.origin.split_once("://").map_or(&self.origin, |(_, host)| host)
    }

    fn check_place(&self, proof: &Proof) -> Result<(), SignInError> {
        if proof.domain != self.domain() {
            return Err(SignInError::Domain(self.domain().to_owned()));
        }
        // Compared as text: what two parsers of URLs could read differently is not ours.
        let ours = proof.uri.strip_prefix(&self.origin).is_some_and(ends_an_origin);
        if !ours {
            return Err(SignInError::Uri(self.origin.clone()));
        }
        if proof.version == VERSION { Ok(()) } else { Err(SignInError::Version) }
    }

    fn chain(&self, proof: &Proof) -> Result<Network, SignInError> {
        let named = self.chains.iter().find(|chain| chain.caip2() == proof.chain_id);
        let chain = named.ok_or_else(|| SignInError::Chain(self.chains.clone()))?;
        let scheme = proof.signature_scheme.as_deref().unwrap_or(EIP191);
        if proof.kind == EIP191 && scheme == EIP191 { Ok(*chain) } else { Err(SignInError::NotPlainWallet) }
    }
}

/// Whether an origin can end before `rest` in a URL.
fn ends_an_origin(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['/', '?', '#'])
}

fn check_time(proof: &Proof, now: Millis) -> Result<(), SignInError> {
    let issued = instant(&proof.issued_at).ok_or(SignInError::IssuedAt)?;
    if now.since(issued) > NONCE_LIFE {
        return Err(SignInError::TooOld);
    }
    if issued.since(now) > CLOCK_SKEW {
        return Err(SignInError::InFuture);
    }
    if let Some(expiration) = &proof.expiration_time
        && now >= instant(expiration).ok_or(SignInError::ExpirationTime)?
    {
        return Err(SignInError::Expired);
    }
    if let Some(not_before) = &proof.not_before
        && now < instant(not_before).ok_or(SignInError::NotBefore)?
    {
        return Err(SignInError::NotYetValid);
    }
    Ok(())
}

/// A date and time of RFC 3339; a date alone is none.
fn instant(text: &str) -> Option<Millis> {
    Millis::parse_rfc3339(text).filter(|_| text.contains(['T', 't']))
}

/// The wallet that the proof names, if it made the signature.
fn signer(proof: &Proof, chain: Network) -> Result<Address, SignInError> {
    let wallet = Address::parse_checked(&proof.address).map_err(|_| SignInError::Address)?;
    let signature = proof.signature.parse().map_err(SignInError::MalformedSignature)?;
    let signer = recover(proof.digest(&wallet, chain), &signature);
    if signer == Some(wallet) { Ok(wallet) } else { Err(SignInError::Signature) }
}

/// The JSON Schema of what comes back, as the official packages have it.
fn schema() -> Value {
    const STRINGS: [&str; 9] =
        ["domain", "address", "statement", "version", "chainId", "type", "nonce", "requestId", "signature"];
    const TIMES: [&str; 3] = ["issuedAt", "expirationTime", "notBefore"];
    let mut properties = Map::new();
    properties.extend(STRINGS.map(|name| (name.to_owned(), json!({ "type": "string" }))));
    properties
        .extend(TIMES.map(|name| (name.to_owned(), json!({ "type": "string", "format": "date-time" }))));
    properties.insert("uri".to_owned(), json!({ "type": "string", "format": "uri" }));
    properties.insert(
        "resources".to_owned(),
        json!({ "type": "array", "items": { "type": "string", "format": "uri" } }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": [
            "domain", "address", "uri", "version", "chainId", "type", "nonce", "issuedAt", "signature",
        ],
    })
}
