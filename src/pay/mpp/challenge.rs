//! A challenge: what a client is asked to do, bound to this gate by its id (draft-httpauth-payment-00 §5.1).
//!
//! Nothing remembers a challenge that was issued: its id is a keyed hash of all the rest, so that whoever has the key
//! knows its own. `opaque` makes each one different and names the endpoint that it was issued for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{CredentialFault, encode, object};
use crate::pay::eip712::{Hash32, keccak256};
use crate::time::{Millis, Span};

/// How long a challenge can be answered: 5 min, as the reference packages have it.
pub const CHALLENGE_LIFE: Span = Span::seconds(300);
/// Bytes of randomness in a challenge.
pub const RANDOM_BYTES: usize = 16;

/// The keys that bind challenges: the one that issues, and the one before it, whose challenges are still good.
#[derive(Clone)]
pub struct ChallengeKeys {
    current: Hmac<Sha256>,
    previous: Option<Hmac<Sha256>>,
}

impl std::fmt::Debug for ChallengeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChallengeKeys(…)")
    }
}

/// What is asked: a method and what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The method (`evm`).
    pub method: &'static str,
    /// The intent (`charge`).
    pub intent: &'static str,
    /// The method's request.
    pub request: Map<String, Value>,
}

/// Where it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The host that the client sees, without its port.
    pub realm: &'a str,
    /// The endpoint whose limit is sold.
    pub endpoint: &'a str,
    /// Whether the credential must come in `Payment-Authorization`, because `Authorization` is taken.
    pub beside_authorization: bool,
    /// The digest of the request's body, where the body tells the endpoint: see [`body_digest`].
    pub digest: Option<&'a str>,
}

/// The digest that binds a challenge to a request's body (§5.1.3): SHA-256, as structured fields write it but for the colons.
#[must_use]
pub fn body_digest(body: &[u8]) -> String {
    format!("sha-256={}", STANDARD.encode(Sha256::digest(body)))
}

/// A challenge, as it is sent and as a credential repeats it. What is not one of its members is not bound by its id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Challenge {
    /// Binds all the rest.
    pub id: String,
    /// The host.
    pub realm: String,
    /// The method.
    pub method: String,
    /// The intent.
    pub intent: String,
    /// The request, encoded.
    pub request: String,
    /// Until when it can be answered.
    pub expires: Option<String>,
    digest: Option<String>,
    header: Option<String>,
    opaque: Option<String>,
}

impl ChallengeKeys {
    /// Keys of these secrets.
    ///
    /// # Errors
    /// Never in fact: HMAC takes secrets of any length.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Result<Self, String> {
        let key = |secret: &[u8]| Hmac::new_from_slice(secret).map_err(|error| error.to_string());
        Ok(Self { current: key(current)?, previous: previous.map(key).transpose()? })
    }

    /// A challenge to do this here.
    #[must_use]
    pub fn issue(
        &self,
        terms: &Terms,
        place: Place<'_>,
        random: [u8; RANDOM_BYTES],
        now: Millis,
    ) -> Challenge {
        let opaque = object([("for", json!(scope(place.endpoint))), ("nonce", json!(hex::encode(random)))]);
        let mut challenge = Challenge {
            id: String::new(),
            realm: place.realm.to_owned(),
            method: terms.method.to_owned(),
            intent: terms.intent.to_owned(),
            request: encode(&terms.request),
            expires: Some(now.plus(CHALLENGE_LIFE).rfc3339()),
            digest: place.digest.map(str::to_owned),
            header: place.beside_authorization.then(|| "Payment-Authorization".to_owned()),
            opaque: Some(encode(&opaque)),
        };
        challenge.id = URL_SAFE_NO_PAD.encode(mac(&self.current, &challenge).finalize().into_bytes());
        challenge
    }

    /// Whether one of the keys bound this challenge as it stands here. Compares in constant time.
    #[must_use]
    pub fn bound(&self, challenge: &Challenge) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(&challenge.id) else { return false };
        let by = |key: &Hmac<Sha256>| mac(key, challenge).verify_slice(&tag).is_ok();
        by(&self.current) || self.previous.as_ref().is_some_and(by)
    }
}

/// The hash over the challenge's members, each in its place, an absent one empty (§5.1.2.1.1). `header` has a place only
/// where it is present, as the reference packages have it.
fn mac(key: &Hmac<Sha256>, challenge: &Challenge) -> Hmac<Sha256> {
    let Challenge { realm, method, intent, request, expires, digest, header, opaque, .. } = challenge;
    let or_empty = |member: &Option<String>| member.clone().unwrap_or_default();
    let mut places = vec![
        realm.clone(),
        method.clone(),
        intent.clone(),
        request.clone(),
        or_empty(expires),
        or_empty(digest),
    ];
    places.extend(header.clone());
    places.push(or_empty(opaque));
    let mut mac = key.clone();
    mac.update(places.join("|").as_bytes());
    mac
}

/// What stands for an endpoint in a challenge: the first 128 bits of the hash of its name.
fn scope(endpoint: &str) -> String {
    hex::encode(Sha256::digest(endpoint)).chars().take(32).collect()
}

impl Challenge {
    /// The value of a field `WWW-Authenticate`. All members are our own and hold no quotation mark.
    #[must_use]
    pub fn field(&self) -> String {
        let Self { id, realm, method, intent, request, expires, digest, header, opaque } = self;
        let optional = [("expires", expires), ("digest", digest), ("header", header), ("opaque", opaque)];
        let members =
            [("id", id), ("realm", realm), ("method", method), ("intent", intent), ("request", request)];
        let present = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let written: Vec<String> =
            members.into_iter().chain(present).map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        format!("Payment {}", written.join(", "))
    }

    /// Checks that this gate issued it for this endpoint, and that its time is not over.
    ///
    /// # Errors
    /// It is not ours, was altered, is another endpoint's, or has expired.
    pub fn check(&self, keys: &ChallengeKeys, place: Place<'_>, now: Millis) -> Result<(), CredentialFault> {
        self.check_issue(keys, place, now)?;
        if self.is_for(place.endpoint) { Ok(()) } else { Err(CredentialFault::OtherEndpoint) }
    }

    /// Checks that this gate issued it, for whatever endpoint and however long ago.
    ///
    /// # Errors
    /// It is not ours, or was altered.
    pub fn check_origin(&self, keys: &ChallengeKeys, place: Place<'_>) -> Result<(), CredentialFault> {
        if keys.bound(self) && self.realm == place.realm {
            Ok(())
        } else {
            Err(CredentialFault::UnknownChallenge)
        }
    }

    /// Checks that this gate issued it, for whatever endpoint, and that its time is not over.
    ///
    /// # Errors
    /// It is not ours, was altered, or has expired.
    pub fn check_issue(
        &self,
        keys: &ChallengeKeys,
        place: Place<'_>,
        now: Millis,
    ) -> Result<(), CredentialFault> {
        self.check_origin(keys, place)?;
        if self.expires_at().is_none_or(|expires| now >= expires) {
            return Err(CredentialFault::Expired);
        }
        Ok(())
    }

    /// Checks that it was issued for a request with this body, or for one whose body tells nothing if this is such a one.
    ///
    /// # Errors
    /// It is another's.
    pub fn check_body(&self, digest: Option<&str>) -> Result<(), CredentialFault> {
        if self.digest.as_deref() == digest { Ok(()) } else { Err(CredentialFault::OtherBody) }
    }

    /// Whether it was issued for that endpoint.
    #[must_use]
    pub fn is_for(&self, endpoint: &str) -> bool {
        self.scope().as_deref() == Some(&scope(endpoint))
    }

    /// Until when it can be answered; a challenge that does not say so cannot be.
    #[must_use]
    pub fn expires_at(&self) -> Option<Millis> {
        self.expires.as_deref().and_then(Millis::parse_rfc3339)
    }

    fn scope(&self) -> Option<String> {
        let opaque = URL_SAFE_NO_PAD.decode(self.opaque.as_ref()?).ok()?;
        let opaque: Map<String, Value> = serde_json::from_slice(&opaque).ok()?;
        opaque.get("for")?.as_str().map(str::to_owned)
    }

    /// The nonce of an EIP-3009 authorization that answers it: the hash of its id and realm (draft-evm-charge-00,
    /// "Challenge Binding").
    #[must_use]
    pub fn nonce(&self) -> Hash32 {
        Hash32::new(keccak256(format!("{}{}", self.id, self.realm).as_bytes()))
    }
}

/// The vectors that mpp-rs, mppx and pympp share (mpp-rs, `src/protocol/core/challenge.rs`).
#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"test-vector-secret";
    const EXPIRES: Option<&str> = Some("2025-01-06T12:00:00Z");
    const DIGEST: Option<&str> = Some("sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE");
    const NOW: Millis = Millis::new(1_795_219_200_123);

    fn keys() -> ChallengeKeys {
        ChallengeKeys::new(SECRET, None).unwrap()
    }

    fn vector() -> Challenge {
        Challenge {
            id: String::new(),
            realm: "api.example.com".to_owned(),
            method: "tempo".to_owned(),
            intent: "charge".to_owned(),
            request: URL_SAFE_NO_PAD.encode(r#"{"amount":"1000000"}"#),
            expires: None,
            digest: None,
            header: None,
            opaque: None,
        }
    }

    fn of(expires: Option<&str>, digest: Option<&str>, opaque: Option<&str>) -> Challenge {
        Challenge {
            expires: expires.map(str::to_owned),
            digest: digest.map(str::to_owned),
            opaque: opaque.map(|json| URL_SAFE_NO_PAD.encode(json)),
            ..vector()
        }
    }

    #[test]
    fn ids_are_those_of_the_published_vectors() {
        let pi = Some(r#"{"pi":"pi_3abc123XYZ"}"#);
        let with = |change: fn(&mut Challenge)| {
            let mut challenge = vector();
            change(&mut challenge);
            challenge
        };
        let table = [
            (vector(), "X6v1eo7fJ76gAxqY0xN9Jd__4lUyDDYmriryOM-5FO4"),
            (of(EXPIRES, None, None), "ChPX33RkKSZoSUyZcu8ai4hhkvjZJFkZVnvWs5s0iXI"),
            (of(None, DIGEST, None), "JHB7EFsPVb-xsYCo8LHcOzeX1gfXWVoUSzQsZhKAfKM"),
            (of(EXPIRES, DIGEST, None), "m39jbWWCIfmfJZSwCfvKFFtBl0Qwf9X4nOmDb21peLA"),
            (
                with(|c| c.request = URL_SAFE_NO_PAD.encode("{}")),
                "yLN7yChAejW9WNmb54HpJIWpdb1WWXeA3_aCx4dxmkU",
            ),
            (
                with(|c| c.realm = "payments.other.com".to_owned()),
                "3F5bOo2a9RUihdwKk4hGRvBvzQmVPBMDvW0YM-8GD00",
            ),
            (with(|c| c.method = "stripe".to_owned()), "o0ra2sd7HcB4Ph0Vns69gRDUhSj5WNOnUopcDqKPLz4"),
            (with(|c| c.intent = "session".to_owned()), "aAY7_IEDzsznNYplhOSE8cERQxvjFcT4Lcn-7FHjLVE"),
            (of(None, None, pi), "rxzKZ2qjXvinqCH96RORTZEPs1KXsA-0AUjrCAPFOWc"),
            (of(EXPIRES, None, pi), "KAfoMrA4fnzS1DPWN_cUv_b3_yHxCizdp6OhH7gluMY"),
            (of(None, None, Some("{}")), "vb4IyH-0LdJ3s7L0QAw8jIzcZkyxksPhIvEfmHmzA9k"),
            (
                of(None, None, Some(r#"{"deposit":"dep_456","pi":"pi_3abc123XYZ"}"#)),
                "aKskU8sadR5ZuFbUCsIwhO-ENxuVpTw17FdwHEXsJDk",
            ),
        ];
        for (challenge, id) in table {
            let made = URL_SAFE_NO_PAD.encode(mac(&keys().current, &challenge).finalize().into_bytes());
            assert_eq!(made, id, "{challenge:?}");
            assert!(keys().bound(&Challenge { id: id.to_owned(), ..challenge }));
        }
    }

    /// The vector of WIRE §5.7 for the id and realm of the first id.
    #[test]
    fn the_nonce_is_that_of_the_published_vector() {
        let challenge =
            Challenge { id: "X6v1eo7fJ76gAxqY0xN9Jd__4lUyDDYmriryOM-5FO4".to_owned(), ..vector() };
        assert_eq!(
            challenge.nonce().to_string(),
            "0xda797137e3f485ff5ab7f8b01ee1d5c06a3591dcafacd8dc63f1955732272fd3"
        );
    }

    fn terms() -> Terms {
        Terms { method: "evm", intent: "charge", request: object([("amount", json!("1000"))]) }
    }

    const PLACE: Place<'_> =
        Place { realm: "api.example.com", endpoint: "GET /cpu", beside_authorization: false, digest: None };

    #[test]
    fn a_challenge_is_good_where_it_was_issued_until_it_expires() {
        let challenge = keys().issue(&terms(), PLACE, [7; RANDOM_BYTES], NOW);
        assert_eq!(
            challenge.field(),
            format!(
                "Payment id=\"{}\", realm=\"api.example.com\", method=\"evm\", intent=\"charge\", \
                 request=\"eyJhbW91bnQiOiIxMDAwIn0\", expires=\"2026-11-21T00:05:00Z\", opaque=\"{}\"",
                challenge.id,
                challenge.opaque.as_ref().unwrap()
            )
        );
        let end = challenge.expires_at().unwrap();
        assert_eq!(challenge.check(&keys(), PLACE, NOW), Ok(()));
        assert_eq!(challenge.check(&keys(), PLACE, end), Err(CredentialFault::Expired));
        assert_eq!(challenge.check_issue(&keys(), PLACE, end), Err(CredentialFault::Expired));
        assert_eq!(challenge.check_origin(&keys(), PLACE), Ok(()), "it is still ours");
        let elsewhere = Place { realm: "other.example.com", ..PLACE };
        assert_eq!(challenge.check(&keys(), elsewhere, NOW), Err(CredentialFault::UnknownChallenge));
        assert_eq!(challenge.check_origin(&keys(), elsewhere), Err(CredentialFault::UnknownChallenge));
        let dearer = Place { endpoint: "GET /gpu", ..PLACE };
        assert_eq!(challenge.check(&keys(), dearer, NOW), Err(CredentialFault::OtherEndpoint));
    }

    /// The first digest is what npm mppx 0.11 makes (`BodyDigest.compute`).
    #[test]
    fn a_challenge_is_good_for_the_body_that_it_was_issued_for() {
        let digest = body_digest(br#"{"amount":"1000"}"#);
        assert_eq!(digest, "sha-256=Bxp4xJtbVfsB9npD5AEWUnIk76Cuv8Au4ECDA+F0biY=");
        let place = Place { digest: Some(&digest), ..PLACE };
        let challenge = keys().issue(&terms(), place, [7; RANDOM_BYTES], NOW);
        assert!(challenge.field().contains(&format!(", digest=\"{digest}\", opaque=")));
        assert_eq!(challenge.check_body(Some(&digest)), Ok(()));
        let bare = keys().issue(&terms(), PLACE, [7; RANDOM_BYTES], NOW);
        assert_eq!(bare.check_body(None), Ok(()));
        let other = body_digest(b"{}");
        for (challenge, digest) in
            [(&challenge, None), (&challenge, Some(other.as_str())), (&bare, Some(digest.as_str()))]
        {
            assert_eq!(challenge.check_body(digest), Err(CredentialFault::OtherBody));
        }
        let altered = Challenge { digest: Some(other), ..challenge };
        assert_eq!(altered.check(&keys(), place, NOW), Err(CredentialFault::UnknownChallenge));
    }

    #[test]
    fn a_challenge_altered_anywhere_is_unknown() {
        let good =
            keys().issue(&terms(), Place { beside_authorization: true, ..PLACE }, [7; RANDOM_BYTES], NOW);
        let alterations: [fn(&mut Challenge); 9] = [
            |c| c.id = c.id.chars().rev().collect(),
            |c| c.realm.push('x'),
            |c| c.method = "tempo".to_owned(),
            |c| c.intent = "session".to_owned(),
            |c| c.request = encode(&object([("amount", json!("1"))])),
            |c| c.expires = Some("2036-11-21T00:05:00Z".to_owned()),
            |c| c.expires = None,
            |c| c.header = None,
            |c| c.opaque = None,
        ];
        for alter in alterations {
            let mut altered = good.clone();
            alter(&mut altered);
            assert_eq!(
                altered.check(&keys(), PLACE, NOW),
                Err(CredentialFault::UnknownChallenge),
                "{altered:?}"
            );
        }
        assert_eq!(good.check(&keys(), PLACE, NOW), Ok(()));
    }

    #[test]
    fn a_challenge_outlives_its_key_by_one_change() {
        let challenge = keys().issue(&terms(), PLACE, [7; RANDOM_BYTES], NOW);
        let next = ChallengeKeys::new(b"next", Some(SECRET)).unwrap();
        assert_eq!(challenge.check(&next, PLACE, NOW), Ok(()));
        assert_ne!(next.issue(&terms(), PLACE, [7; RANDOM_BYTES], NOW).id, challenge.id);
        let after = ChallengeKeys::new(b"after", Some(b"next")).unwrap();
        assert_eq!(challenge.check(&after, PLACE, NOW), Err(CredentialFault::UnknownChallenge));
    }

    #[test]
    fn two_challenges_of_one_moment_differ() {
        let issue = |random| keys().issue(&terms(), PLACE, [random; RANDOM_BYTES], NOW).id;
        assert_ne!(issue(1), issue(2));
    }
}
