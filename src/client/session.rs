//! Session tokens: whoever holds one spends what its account may use. And the key that signs them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::AccountId;
use super::key::KeyHash;
use crate::time::{Millis, Span};

/// How long a session token is good: 24 h.
pub const SESSION_LIFE: Span = Span::seconds(24 * 3600);

/// The key that signs what clients keep for us: the secret `SESSION_KEY`.
#[derive(Clone)]
pub struct SessionKey(Hmac<Sha256>);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

/// What the key signs a text as. It is part of what is signed, so that no use of the key can stand for another; none
/// of the texts is the beginning of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The claims of a session token.
    Session,
    /// A nonce for one sign-in.
    SignInNonce,
    /// The key that binds MPP's challenges.
    MppChallenges,
    /// A nonce for one signed context.
    ContextNonce,
}

impl Purpose {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Session => b"tollgate session 1\n",
            Self::SignInNonce => b"tollgate sign-in nonce 1\n",
            Self::MppChallenges => b"tollgate mpp challenges 1\n",
            Self::ContextNonce => b"tollgate context nonce 1\n",
        }
    }
}

/// What a session token says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    account: AccountId,
    expires: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyHash>,
}

/// Who holds a session token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account that it names.
    pub account: AccountId,
    /// The API key that it was handed out to, if it was to one: it is good as long as that is.
    pub key: Option<KeyHash>,
}

/// Why a session token names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// It is not as this gate made it, or was made with another key.
    Forged,
    /// Its time is over.
    Expired,
    /// The key that it was handed out to is good no longer.
    Revoked,
}

impl SessionError {
    /// The code of the error, for programs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Forged => "invalid_session",
            Self::Expired => "expired_session",
            Self::Revoked => "revoked_session",
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forged => "the session token is not one of this gate, or was damaged",
            Self::Expired => "the session token has expired; sign in or pay to get a new one",
            Self::Revoked => "the session token was handed out to an API key that has been revoked",
        })
    }
}

impl std::error::Error for SessionError {}

impl SessionKey {
    /// Reads 32 bytes of hex, with or without `0x`.
    ///
    /// # Errors
    /// A message that does not show the key.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|_| "must be hex digits".to_owned())?;
        if bytes.len() != 32 {
            return Err(format!("must be 32 bytes (64 hex digits), not {} bytes", bytes.len()));
        }
        Hmac::new_from_slice(&bytes).map(Self).map_err(|error| error.to_string())
    }

    /// A token for whoever pays into or proves itself as `account`; good until `expires`, and as long as the key is that it
    /// is handed out to.
    #[must_use]
    pub fn issue(&self, account: &AccountId, key: Option<KeyHash>, expires: Millis) -> String {
        let claims = Claims { account: account.clone(), expires, key };
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let body = URL_SAFE_NO_PAD.encode(claims);
        let tag = self.mac(Purpose::Session, &body).finalize().into_bytes();
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Who holds a token. Whether the key is still good, only its account knows.
    ///
    /// # Errors
    /// The token is forged, damaged or expired.
    pub fn holder(&self, token: &str, now: Millis) -> Result<Holder, SessionError> {
        let Claims { account, expires, key } = self.claims(token).ok_or(SessionError::Forged)?;
        if now < expires { Ok(Holder { account, key }) } else { Err(SessionError::Expired) }
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let (body, tag) = token.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        // `verify_slice` compares in constant time.
        self.mac(Purpose::Session, body).verify_slice(&tag).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    }

    /// The key that binds MPP's challenges: another one than any that signs tokens, and as secret.
    #[must_use]
    pub fn challenge_secret(&self) -> [u8; 32] {
        self.mac(Purpose::MppChallenges, "").finalize().into_bytes().into()
    }

    pub(super) fn mac(&self, purpose: Purpose, text: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(purpose.text());
        mac.update(text.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::key::ApiKey;

    fn key() -> SessionKey {
        SessionKey::from_hex(&"07".repeat(32)).unwrap()
    }

    #[test]
    fn a_session_token_names_its_account_until_it_expires() {
        let account: AccountId = "ip:203.0.113.7".parse().unwrap();
        let token = key().issue(&account, None, Millis::new(1000));
        assert_eq!(key().holder(&token, Millis::new(999)), Ok(Holder { account, key: None }));
        assert_eq!(key().holder(&token, Millis::new(1000)), Err(SessionError::Expired));
    }

    #[test]
    fn a_session_token_names_the_key_that_it_was_handed_out_to() {
        let (account, hash): (AccountId, _) = ("key:acme".parse().unwrap(), ApiKey::new([1; 32]).hash());
        let token = key().issue(&account, Some(hash.clone()), Millis::new(1000));
        assert_eq!(key().holder(&token, Millis::new(0)), Ok(Holder { account, key: Some(hash) }));
    }

    #[test]
    fn a_forged_session_token_names_nobody() {
        let token = key().issue(
            &"wallet:0xabababababababababababababababababababab".parse().unwrap(),
            None,
            Millis::new(1000),
        );
        let (body, tag) = token.split_once('.').unwrap();
        let other = SessionKey::from_hex(&"08".repeat(32)).unwrap();
        assert_eq!(other.holder(&token, Millis::new(999)), Err(SessionError::Forged));
        let altered =
            [format!("{body}A.{tag}"), format!("{body}.{}", &tag[1..]), body.to_owned(), String::new()];
        for token in altered {
            assert_eq!(key().holder(&token, Millis::new(0)), Err(SessionError::Forged), "{token}");
        }
    }

    /// Computed with Python's `hmac`, too.
    #[test]
    fn the_form_of_a_token_is_pinned() {
        let token = key().issue(&"ip:203.0.113.7".parse().unwrap(), None, Millis::new(1000));
        assert_eq!(
            token,
            "eyJhY2NvdW50IjoiaXA6MjAzLjAuMTEzLjciLCJleHBpcmVzIjoxMDAwfQ.YaWKhhVSi7Dtvm_ETnWzmeRnvv7LP3gqUWWItv0QajQ"
        );
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_without_being_shown() {
        assert_eq!(
            SessionKey::from_hex("0x1234").unwrap_err(),
            "must be 32 bytes (64 hex digits), not 2 bytes"
        );
        assert_eq!(SessionKey::from_hex("xyz").unwrap_err(), "must be hex digits");
    }
}
