//! API keys: `tg_live_`, 32 random bytes in base62, and a checksum. We keep only their hash.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const PREFIX: &str = "tg_live_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 256 bits at log2(62) = 5.954 bits a digit are 43 digits.
const SECRET_DIGITS: usize = 43;
/// 32 bits are 6 digits.
const CHECKSUM_DIGITS: usize = 6;
/// How many digits of the hash are the key's id: 80 bits, so that no two keys of an owner share one.
const ID_DIGITS: usize = 20;

/// A key, as its owner has it. It is shown once and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// A text that is no key: it is mistyped, cut short, or somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey;

impl ApiKey {
    /// The key of 32 random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let secret = base62(&secret, SECRET_DIGITS);
        Self(format!("{PREFIX}{secret}{}", checksum(&secret)))
    }

    /// The key's text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What we keep of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(hex::encode(Sha256::digest(self.0.as_bytes())))
    }
}

impl FromStr for ApiKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let body = text.strip_prefix(PREFIX).ok_or(NotAKey)?;
        let (secret, check) = body.split_at_checked(SECRET_DIGITS).ok_or(NotAKey)?;
        let known_digits = secret.bytes().all(|digit| digit.is_ascii_alphanumeric());
        (known_digits && check == checksum(secret)).then(|| Self(text.to_owned())).ok_or(NotAKey)
    }
}

/// Tells a mistyped key from one that nobody issued without asking anybody: 32 bits of a hash.
fn checksum(secret: &str) -> String {
    let digest = Sha256::digest(format!("{PREFIX}{secret}").as_bytes());
    base62(digest.first_chunk::<4>().map_or(&[][..], |first| first), CHECKSUM_DIGITS)
}

/// A number, big end first, in base 62 with leading zeros.
fn base62(number: &[u8], digits: usize) -> String {
    let mut number = number.to_vec();
    let mut written = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = (rest << 8) | u32::from(*byte);
            // The rest of a division by 62 is below 62, so the quotient of (rest · 256 + byte) is below 256.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        let digit = usize::try_from(rest).ok().and_then(|rest| DIGITS.get(rest));
        written.push(digit.copied().unwrap_or(b'0'));
    }
    written.iter().rev().map(|digit| char::from(*digit)).collect()
}

/// The SHA-256 of a key, in hex: all that is stored of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyHash(String);

impl KeyHash {
    /// The hash in hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id under which the owner speaks of the key.
    #[must_use]
    pub fn id(&self) -> String {
        format!("key_{}", self.0.get(..ID_DIGITS).unwrap_or_default())
    }
}

impl TryFrom<String> for KeyHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(text))
        } else {
            Err("a key's hash is 64 digits of lower-case hex".to_owned())
        }
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        hash.0
    }
}

/// What a key may do beyond calling the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for decisions about any account: `POST /attempt` and `POST /end`.
    Decide,
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "decide" => Ok(Self::Decide),
            other => Err(format!("`{other}` is not a scope; the one there is: decide")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_length_and_are_read_back() {
        for secret in [[0; 32], [255; 32], [7; 32]] {
            let key = ApiKey::new(secret);
            assert_eq!(key.expose().len(), 57);
            assert_eq!(key.expose().parse::<ApiKey>(), Ok(key));
        }
        assert_eq!(
            ApiKey::new([0; 32]).expose(),
            format!("tg_live_{}{}", "0".repeat(43), checksum(&"0".repeat(43)))
        );
    }

    #[test]
    fn keys_are_as_another_implementation_writes_them() {
        // Python: int.from_bytes(secret) in base 62, and the first four bytes of hashlib.sha256 of what stands before.
        for (secret, key) in [
            ([255; 32], "tg_live_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp11qHxmg"),
            ([7; 32], "tg_live_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF12y6Ecj"),
        ] {
            assert_eq!(ApiKey::new(secret).expose(), key);
        }
    }

    #[test]
    fn a_mistyped_key_is_no_key() {
        let key = ApiKey::new([7; 32]);
        let text = key.expose();
        let (head, tail) = text.split_at(20);
        let other = if tail.starts_with('x') { "y" } else { "x" };
        let changed = format!("{head}{other}{}", &tail[1..]);
        for wrong in
            [&changed, "", "tg_", "tg_live_", &text[..56], &format!("{text}0"), &text.replace("live", "test")]
        {
            assert_eq!(wrong.parse::<ApiKey>(), Err(NotAKey), "{wrong}");
        }
        assert!("tg_live_ééééééééééééééééééééééééééééééé".parse::<ApiKey>().is_err());
    }

    #[test]
    fn what_is_kept_is_the_hash_of_the_whole_text() {
        let key = ApiKey::new([1; 32]);
        assert_eq!(key.hash().as_str(), hex::encode(Sha256::digest(key.expose())));
        assert_eq!(key.hash().id(), format!("key_{}", &key.hash().as_str()[..20]));
        assert_eq!(format!("{key:?}"), "ApiKey(…)");
    }

    #[test]
    fn a_hash_is_64_hex_digits() {
        let hash = ApiKey::new([1; 32]).hash();
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<KeyHash>(&json).unwrap(), hash);
        for wrong in [String::new(), "ab".repeat(31), "AB".repeat(32), "zz".repeat(32)] {
            assert!(KeyHash::try_from(wrong).is_err());
        }
    }
}
