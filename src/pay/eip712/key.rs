//! secp256k1 keys and signatures as Ethereum writes them.

use std::{fmt, str::FromStr};

use k256::ecdsa::{self, RecoveryId, VerifyingKey};

use super::{
    address::{Address, bytes_from_hex},
    keccak256,
};

/// A recoverable signature, `r ‖ s ‖ v`. `v` is 27 or 28 in transactions' style, 0 or 1 in others'.
///
/// Text form: `0x` and 130 hexadecimal digits; any case is read, lower case is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `r` and `s`, each in range and not zero.
    rs: ecdsa::Signature,
    /// 0, 1, 27 or 28.
    v: u8,
}

/// Why a text is not a [`Signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// Not `0x` and 130 hexadecimal digits.
    Malformed,
    /// `r` or `s` is zero or not below the order of the curve.
    OutOfRange,
    /// `v` is none of 0, 1, 27, 28.
    RecoveryId,
}

impl Signature {
    /// Whether `s` is in the lower half of the order. The twin in the upper half verifies too, and tokens refuse it (EIP-2).
    #[must_use]
    pub fn is_low_s(&self) -> bool {
        self.rs.normalize_s() == self.rs
    }

    /// 0, 1, 27 or 28, as it came.
    #[must_use]
    pub const fn v(&self) -> u8 {
        self.v
    }

    /// The same signature with `v` 27 or 28, as wallets and Solidity have it.
    #[must_use]
    pub const fn in_wallet_style(mut self) -> Self {
        if self.v < 27 {
            self.v = self.v.saturating_add(27);
        }
        self
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes: [u8; 65] = bytes_from_hex(text).map_err(|_| SignatureError::Malformed)?;
        let [rs @ .., v] = bytes;
        let rs = ecdsa::Signature::from_slice(&rs).map_err(|_| SignatureError::OutOfRange)?;
        recovery_id(v).ok_or(SignatureError::RecoveryId)?;
        Ok(Self { rs, v })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}{:02x}", hex::encode(self.rs.to_bytes()), self.v)
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "must be 0x and 130 hexadecimal digits",
            Self::OutOfRange => "has an r or s that no signature has",
            Self::RecoveryId => "must end in 0, 1, 27 or 28",
        })
    }
}

impl std::error::Error for SignatureError {}

fn recovery_id(v: u8) -> Option<RecoveryId> {
    match v {
        0 | 27 => RecoveryId::from_byte(0),
        1 | 28 => RecoveryId::from_byte(1),
        _ => None,
    }
}

/// A public key. Text form: `0x04` and 128 lower-case hexadecimal digits (uncompressed, SEC 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a text is not a key. Never says what the text was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A private key that is not 64 hexadecimal digits, with or without `0x`.
    NotPrivateKey,
    /// A private key that is zero or not below the order of the curve.
    OutOfRange,
    /// A public key that is not `0x04` and 128 hexadecimal digits of a point on the curve.
    NotPublicKey,
}

impl PublicKey {
    /// The address of the key: the last 20 bytes of the hash of the point.
    #[must_use]
    pub fn address(&self) -> Address {
        let point = self.0.to_sec1_point(false);
        let hash = keccak256(point.as_bytes().split_first().map_or(&[], |(_tag, coordinates)| coordinates));
        let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = hash;
        Address::new(address)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes: [u8; 65] = bytes_from_hex(text).map_err(|_| KeyError::NotPublicKey)?;
        VerifyingKey::from_sec1_bytes(&bytes).map(Self).map_err(|_| KeyError::NotPublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0.to_sec1_point(false).as_bytes()))
    }
}

/// The key that made `signature` over `digest`, if any did.
#[must_use]
pub fn recover_public_key(digest: [u8; 32], signature: &Signature) -> Option<PublicKey> {
    let id = recovery_id(signature.v)?;
    VerifyingKey::recover_from_prehash(&digest, &signature.rs, id).ok().map(PublicKey)
}

/// The address whose key made `signature` over `digest` (`ecrecover`). Low `s` is not required: see [`Signature::is_low_s`].
#[must_use]
pub fn recover(digest: [u8; 32], signature: &Signature) -> Option<Address> {
    recover_public_key(digest, signature).map(|key| key.address())
}

/// Whether `key` made `signature` over `digest`, its `v` included.
#[must_use]
pub fn verify_with_public_key(digest: [u8; 32], signature: &Signature, key: &PublicKey) -> bool {
    recover_public_key(digest, signature).as_ref() == Some(key)
}

/// A private key. It does not show itself.
#[derive(Clone)]
pub struct SigningKey(ecdsa::SigningKey);

impl SigningKey {
    /// The key of 32 bytes in hexadecimal, with or without `0x`.
    ///
    /// # Errors
    /// The text is not that, or the number is no key of the curve. The error does not repeat it.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
            .map_err(|_| KeyError::NotPrivateKey)?;
        ecdsa::SigningKey::from_slice(&bytes).map(Self).map_err(|_| KeyError::OutOfRange)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// The public key as `0x04…`, uncompressed.
    #[must_use]
    pub fn public_key_hex(&self) -> String {
        self.public_key().to_string()
    }

    /// The address of the key.
    #[must_use]
    pub fn address(&self) -> Address {
        self.public_key().address()
    }

    /// Signs a digest: deterministic (RFC 6979, SHA-256), low `s`, `v` 0 or 1.
    #[must_use]
    pub fn sign_digest(&self, digest: [u8; 32]) -> Signature {
        let (rs, id) = self.0.sign_prehash_recoverable(&digest);
        // A reduced x (ids 2 and 3) would take a nonce whose point is within 2^-128 of all of them.
        Signature { rs, v: u8::from(id.is_y_odd()) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.address())
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPrivateKey => "must be 32 bytes in hexadecimal (64 digits, optionally after 0x)",
            Self::OutOfRange => "is not a valid secp256k1 private key (zero or too large)",
            Self::NotPublicKey => "must be 0x04 and 128 hexadecimal digits, a point of secp256k1",
        })
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0x0123456789012345678901234567890123456789012345678901234567890123";

    #[test]
    fn a_key_does_not_show_itself() {
        let key = SigningKey::from_hex(KEY).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(of 0x14791697260e4c9a71f18484c9f997b308e59325)");
        let errors = [
            (&KEY[..64], KeyError::NotPrivateKey),
            ("", KeyError::NotPrivateKey),
            (&"0".repeat(64), KeyError::OutOfRange),
            (&"f".repeat(64), KeyError::OutOfRange),
        ];
        for (text, error) in errors {
            assert_eq!(SigningKey::from_hex(text).unwrap_err(), error, "{text:?}");
        }
        assert_eq!(SigningKey::from_hex(&KEY[2..]).unwrap().address(), key.address());
    }

    #[test]
    fn a_public_key_reads_back() {
        let key = SigningKey::from_hex(KEY).unwrap().public_key();
        assert_eq!(key.to_string().parse(), Ok(key));
        for text in ["", "0x04", &format!("0x04{}", "1".repeat(128)), &format!("0x05{}", "1".repeat(128))] {
            assert_eq!(text.parse::<PublicKey>(), Err(KeyError::NotPublicKey), "{text:?}");
        }
    }

    #[test]
    fn what_is_signed_recovers_to_the_signer_and_nothing_else_does() {
        let key = SigningKey::from_hex(KEY).unwrap();
        for byte in 0..32 {
            let digest = [byte; 32];
            let signature = key.sign_digest(digest);
            assert!(signature.is_low_s() && signature.v() < 2);
            assert_eq!(recover(digest, &signature), Some(key.address()));
            assert!(verify_with_public_key(digest, &signature, &key.public_key()));
            assert!(!verify_with_public_key([byte + 1; 32], &signature, &key.public_key()));
            let flipped = Signature { v: 1 - signature.v(), ..signature };
            assert!(!verify_with_public_key(digest, &flipped, &key.public_key()));
        }
    }

    #[test]
    fn a_signature_that_cannot_be_one_is_refused() {
        let ones = "1".repeat(128);
        assert!(format!("0x{ones}1b").parse::<Signature>().is_ok());
        let table = [
            (format!("{ones}1b"), SignatureError::Malformed),
            (format!("0x{ones}"), SignatureError::Malformed),
            (format!("0x{ones}1d"), SignatureError::RecoveryId),
            (format!("0x{}1b", "0".repeat(128)), SignatureError::OutOfRange),
            (format!("0x{}1b", "f".repeat(128)), SignatureError::OutOfRange),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Signature>(), Err(error), "{text:?}");
        }
    }
}
