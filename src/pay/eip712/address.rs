//! Addresses and 32-byte hashes in their text forms.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::keccak256;

/// An Ethereum address. Text and JSON form: `0x` and 40 lower-case hexadecimal digits; any case is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address([u8; 20]);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Thirty-two bytes such as a nonce or a digest. Text and JSON form: `0x` and 64 lower-case hexadecimal digits, and no other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash32([u8; 32]);

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an [`Address`] or a [`Hash32`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HexError {
    /// Not `0x` and as many hexadecimal digits.
    Malformed {
        /// The number of digits that must follow `0x`.
        digits: usize,
    },
    /// Upper-case digits where the one canonical form is lower-case.
    NotLowerCase,
    /// Mixed-case digits whose case is not the checksum of EIP-55: a digit was mistyped.
    Checksum,
}

impl Address {
    /// The zero address.
    pub const ZERO: Self = Self([0; 20]);

    /// The address of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Reads an address that a person wrote: where its digits are of mixed case they must be the checksum of EIP-55.
    ///
    /// # Errors
    /// The text is not an address, or a digit was mistyped.
    pub fn parse_checked(text: &str) -> Result<Self, HexError> {
        let address: Self = text.parse()?;
        let digits = text.trim_start_matches("0x");
        let one_case = digits == digits.to_ascii_lowercase() || digits == digits.to_ascii_uppercase();
        if one_case || text == address.checksummed() { Ok(address) } else { Err(HexError::Checksum) }
    }

    /// The mixed-case form (EIP-55).
    #[must_use]
    pub fn checksummed(&self) -> String {
        let digits = hex::encode(self.0);
        let hash = hex::encode(keccak256(digits.as_bytes()));
        let cased = digits.chars().zip(hash.bytes()).map(|(digit, hash)| match hash {
            b'8'..=b'9' | b'a'..=b'f' => digit.to_ascii_uppercase(),
            _ => digit,
        });
        "0x".chars().chain(cased).collect()
    }
}

impl Hash32 {
    /// The hash of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The bytes of `0x` and exactly twice as many hexadecimal digits of any case.
pub(super) fn bytes_from_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let malformed = HexError::Malformed { digits: N.saturating_mul(2) };
    let mut bytes = [0; N];
    match text.strip_prefix("0x").map(|digits| hex::decode_to_slice(digits, &mut bytes)) {
        Some(Ok(())) => Ok(bytes),
        Some(Err(_)) | None => Err(malformed),
    }
}

impl FromStr for Address {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        bytes_from_hex(text).map(Self)
    }
}

impl FromStr for Hash32 {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let hash = bytes_from_hex(text).map(Self)?;
        if text.bytes().any(|b| b.is_ascii_uppercase()) { Err(HexError::NotLowerCase) } else { Ok(hash) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl TryFrom<String> for Address {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        text.parse()
    }
}

impl TryFrom<String> for Hash32 {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<Hash32> for String {
    fn from(hash: Hash32) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { digits } => write!(f, "must be 0x and {digits} hexadecimal digits"),
            Self::NotLowerCase => f.write_str("must have lower-case hexadecimal digits"),
            Self::Checksum => f.write_str("does not match its checksum (EIP-55): a digit may be mistyped"),
        }
    }
}

impl std::error::Error for HexError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// From EIP-55, "Test Cases".
    const CHECKSUMMED: [&str; 4] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    ];

    #[test]
    fn addresses_carry_the_checksum_of_eip_55() {
        for text in CHECKSUMMED {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.checksummed(), text);
            assert_eq!(address.to_string(), text.to_ascii_lowercase());
            assert_eq!(Address::parse_checked(text), Ok(address));
        }
        let mistyped = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee";
        assert_eq!(Address::parse_checked(mistyped), Err(HexError::Checksum));
        assert!(Address::parse_checked(&mistyped.to_ascii_lowercase()).is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let digits = "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
        for text in
            [digits, &format!("0X{digits}"), &format!("0x{digits}0"), "0x", "", &format!("0x{digits} ")]
        {
            assert_eq!(text.parse::<Address>(), Err(HexError::Malformed { digits: 40 }), "{text:?}");
        }
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let text = format!("0x{}", "ab".repeat(32));
        assert_eq!(text.parse(), Ok(Hash32::new([0xab; 32])));
        assert_eq!(Hash32::new([0xab; 32]).to_string(), text);
        assert_eq!(format!("0x{}", "AB".repeat(32)).parse::<Hash32>(), Err(HexError::NotLowerCase));
        assert_eq!("0xab".parse::<Hash32>(), Err(HexError::Malformed { digits: 64 }));
    }
}
