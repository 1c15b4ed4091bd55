//! A `uint256` in its one decimal form.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::pay::amount::is_canonical_integer;

/// An unsigned integer of at most 256 bits. Text and JSON form: a canonical decimal integer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uint256 {
    text: String,
    word: [u8; 32],
}

/// A text that is no [`Uint256`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uint256Error;

impl Uint256 {
    /// The number as a big-endian word.
    #[must_use]
    pub const fn as_word(&self) -> &[u8; 32] {
        &self.word
    }
}

/// `10 × word + digit`, or `None` where it does not fit.
fn append(mut word: [u8; 32], digit: u8) -> Option<[u8; 32]> {
    let mut carry = u16::from(digit);
    for byte in word.iter_mut().rev() {
        // At most 255 × 10 + 255: it fits.
        let [high, low] = u16::from(*byte).saturating_mul(10).saturating_add(carry).to_be_bytes();
        *byte = low;
        carry = u16::from(high);
    }
    (carry == 0).then_some(word)
}

impl FromStr for Uint256 {
    type Err = Uint256Error;

    fn from_str(text: &str) -> Result<Self, Uint256Error> {
        if !is_canonical_integer(text) {
            return Err(Uint256Error);
        }
        let digits = text.bytes().map(|digit| digit.saturating_sub(b'0'));
        let word = digits.into_iter().try_fold([0; 32], append).ok_or(Uint256Error)?;
        Ok(Self { text: text.to_owned(), word })
    }
}

impl TryFrom<String> for Uint256 {
    type Error = Uint256Error;

    fn try_from(text: String) -> Result<Self, Uint256Error> {
        text.parse()
    }
}

impl From<Uint256> for String {
    fn from(number: Uint256) -> Self {
        number.text
    }
}

impl fmt::Display for Uint256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Uint256Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a decimal integer below 2^256 without sign, leading zeros or spaces")
    }
}

impl std::error::Error for Uint256Error {}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2^256 - 1.
    const LARGEST: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn a_number_is_its_big_endian_word() {
        let word = |text: &str| *text.parse::<Uint256>().unwrap().as_word();
        assert_eq!(word("0"), [0; 32]);
        assert_eq!(word("12345")[30..], [0x30, 0x39]);
        assert_eq!(word(LARGEST), [0xff; 32]);
        assert_eq!(LARGEST.parse::<Uint256>().unwrap().to_string(), LARGEST);
    }

    #[test]
    fn what_is_too_large_or_written_otherwise_is_refused() {
        let above = LARGEST.replace("935", "936");
        for text in ["", "00", "01", "-1", " 1", "0x1", &above, &format!("{LARGEST}0")] {
            assert_eq!(text.parse::<Uint256>(), Err(Uint256Error), "{text:?}");
        }
    }
}
