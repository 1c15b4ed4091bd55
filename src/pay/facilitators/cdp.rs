//! How we prove to Coinbase's facilitator who asks: a JWT (RFC 7519) for each call, as `@coinbase/cdp-sdk` makes it. It is
//! written here, and signed by whoever has the key ready.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::config::table::Faults;
use crate::time::Millis;

/// How long a token is good, in seconds.
const LIFE: u64 = 120;
const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_FOOT: &str = "-----END PRIVATE KEY-----";

/// An API key of Coinbase's developer platform.
#[derive(Clone)]
pub struct CdpKey {
    id: String,
    secret: Secret,
}

/// What signs.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Ed25519: the seed and the public key, 32 bytes each.
    Ed25519([u8; 32], [u8; 32]),
    /// ECDSA on P-256 (ES256): the key in PKCS #8.
    Es256(Vec<u8>),
}

impl std::fmt::Debug for CdpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CdpKey({}, …)", self.id)
    }
}

impl CdpKey {
    /// Reads `CDP_API_KEY_ID` and `CDP_API_KEY_SECRET`.
    ///
    /// # Errors
    /// What is missing or wrong, without showing it.
    pub fn read(id: Option<&str>, secret: Option<&str>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let missing = "is missing; a facilitator has auth = \"cdp\"";
        let id = id.filter(|id| !id.trim().is_empty());
        if id.is_none() {
            faults.add("CDP_API_KEY_ID", missing);
        }
        let secret = match secret.map(Secret::read) {
            Some(Ok(secret)) => Some(secret),
            Some(Err(message)) => {
                faults.add("CDP_API_KEY_SECRET", message);
                None
            }
            None => {
                faults.add("CDP_API_KEY_SECRET", missing);
                None
            }
        };
        id.zip(secret).map(|(id, secret)| Self { id: id.trim().to_owned(), secret }).ok_or(faults)
    }

    /// What signs.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The token for a call, without its signature: what is to be signed. `url` is where the call goes; `nonce` are 16
    /// random bytes.
    #[must_use]
    pub fn unsigned(&self, method: &str, url: &str, nonce: [u8; 16], now: Millis) -> String {
        let header = json!({
            "alg": self.secret.algorithm(),
            "kid": self.id,
            "typ": "JWT",
            "nonce": hex::encode(nonce),
        });
        let place = url.split_once("://").map_or(url, |(_, place)| place);
        let seconds = now.seconds();
        let claims = json!({
            "sub": self.id,
            "iss": "cdp",
            "uris": [format!("{method} {place}")],
            "iat": seconds,
            "nbf": seconds,
            "exp": seconds.saturating_add(LIFE),
        });
        format!("{}.{}", encoded(&header), encoded(&claims))
    }
}

impl Secret {
    fn read(text: &str) -> Result<Self, &'static str> {
        // Where a secret is set in one line, its line ends are written out.
        let text = text.trim().replace("\\n", "\n");
        if text.starts_with("-----BEGIN EC PRIVATE KEY-----") {
            return Err("is not in PKCS #8; convert it with `openssl pkcs8 -topk8 -nocrypt`");
        }
        if let Some(body) = text.strip_prefix(PEM_HEAD).and_then(|rest| rest.strip_suffix(PEM_FOOT)) {
            let body: String = body.split_whitespace().collect();
            let key = STANDARD.decode(body).map_err(|_| "is not the base64 of a key")?;
            return Ok(Self::Es256(key));
        }
        let message = "must be an Ed25519 key (base64 of 64 bytes), or a P-256 key in PKCS #8 (PEM)";
        let bytes = STANDARD.decode(&text).map_err(|_| message)?;
        match bytes.split_first_chunk::<32>() {
            Some((seed, public)) => {
                public.try_into().map(|public| Self::Ed25519(*seed, public)).map_err(|_| message)
            }
            None => Err(message),
        }
    }

    /// The algorithm's name in JOSE (RFC 7518, RFC 8037).
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(..) => "EdDSA",
            Self::Es256(_) => "ES256",
        }
    }
}

/// The token with its signature.
#[must_use]
pub fn signed(unsigned: &str, signature: &[u8]) -> String {
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_is_for_one_call_and_two_minutes() {
        let secret = STANDARD.encode([7; 64]);
        let key = CdpKey::read(Some("organizations/o/apiKeys/k"), Some(&secret)).unwrap();
        let url = "https://api.cdp.coinbase.com/platform/v2/x402/verify";
        let token = key.unsigned("POST", url, [0xab; 16], Millis::new(1_767_695_400_999));
        assert_eq!(
            part(&token, 0),
            json!({ "alg": "EdDSA", "kid": "organizations/o/apiKeys/k", "typ": "JWT", "nonce": "ab".repeat(16) })
        );
        assert_eq!(
            part(&token, 1),
            json!({
                "sub": "organizations/o/apiKeys/k", "iss": "cdp",
                "uris": ["POST api.cdp.coinbase.com/platform/v2/x402/verify"],
                "iat": 1_767_695_400, "nbf": 1_767_695_400, "exp": 1_767_695_520,
            })
        );
        assert_eq!(signed("a.b", &[1, 2, 3]), "a.b.AQID");
        assert_eq!(format!("{key:?}"), "CdpKey(organizations/o/apiKeys/k, …)");
    }

    #[test]
    fn a_key_is_ed25519_or_p_256() {
        let pem = format!("{PEM_HEAD}\\nAQ\\nID\\n{PEM_FOOT}\n");
        assert!(Secret::read(&pem) == Ok(Secret::Es256(vec![1, 2, 3])));
        let mut bytes = [1; 64];
        bytes[32..].fill(2);
        assert!(Secret::read(&STANDARD.encode(bytes)) == Ok(Secret::Ed25519([1; 32], [2; 32])));
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_without_showing_it() {
        let said = |id: Option<&str>, secret: Option<&str>| {
            CdpKey::read(id, secret).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(
            said(None, None),
            "CDP_API_KEY_ID: is missing; a facilitator has auth = \"cdp\"; CDP_API_KEY_SECRET: is missing; a facilitator has auth = \"cdp\""
        );
        let wrong = "CDP_API_KEY_SECRET: must be an Ed25519 key (base64 of 64 bytes), or a P-256 key in PKCS #8 (PEM)";
        for secret in ["", "not base64!", "AQID", &STANDARD.encode([0; 65])] {
            assert_eq!(said(Some("k"), Some(secret)), wrong);
        }
        assert_eq!(
            said(Some("k"), Some("-----BEGIN EC PRIVATE KEY-----\nAQID\n-----END EC PRIVATE KEY-----")),
            "CDP_API_KEY_SECRET: is not in PKCS #8; convert it with `openssl pkcs8 -topk8 -nocrypt`"
        );
    }
}
