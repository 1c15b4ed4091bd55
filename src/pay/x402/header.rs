//! The encoding of x402's headers: a JSON object in standard base64 (x402 v2, HTTP transport).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::Version;

/// A payment header longer than this is refused unread. Real ones are below 2 kB; those with extensions below 4 kB.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Why a payment header cannot be read. Its display says what is wrong; whoever shows it puts the header's name before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPayment {
    /// Longer than [`MAX_HEADER_BYTES`].
    TooLong,
    /// Not standard base64 with canonical padding (RFC 4648 §4).
    NotBase64,
    /// Not the UTF-8 text of a JSON value.
    NotJson,
    /// JSON, but not an object.
    NotObject,
    /// `x402Version` is absent or not the one that this header is for.
    WrongVersion(Version),
    /// This member is absent or of the wrong type.
    WrongShape(&'static str),
}

impl fmt::Display for BadPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "is longer than {MAX_HEADER_BYTES} bytes"),
            Self::NotBase64 => f.write_str("is not standard base64 with padding"),
            Self::NotJson => f.write_str("does not hold JSON"),
            Self::NotObject => f.write_str("does not hold a JSON object"),
            Self::WrongVersion(expected) => write!(f, "must have x402Version {}", expected.number()),
            Self::WrongShape(member) => write!(f, "has no usable member {member:?}"),
        }
    }
}

impl std::error::Error for BadPayment {}

/// The object in a payment header of this version.
pub(super) fn decode(header_value: &str, version: Version) -> Result<Map<String, Value>, BadPayment> {
    if header_value.len() > MAX_HEADER_BYTES {
        return Err(BadPayment::TooLong);
    }
    let bytes = STANDARD.decode(header_value).map_err(|_| BadPayment::NotBase64)?;
    let value = serde_json::from_slice(&bytes).map_err(|_| BadPayment::NotJson)?;
    let Value::Object(object) = value else { return Err(BadPayment::NotObject) };
    if object.get("x402Version").and_then(Value::as_u64) == Some(version.number().into()) {
        Ok(object)
    } else {
        Err(BadPayment::WrongVersion(version))
    }
}

/// A header value that holds this JSON.
pub(super) fn encode(json: &Value) -> String {
    STANDARD.encode(json.to_string())
}

/// The member of this name, where it is an object.
pub(super) fn object(
    of: &Map<String, Value>,
    member: &'static str,
) -> Result<Map<String, Value>, BadPayment> {
    of.get(member).and_then(Value::as_object).cloned().ok_or(BadPayment::WrongShape(member))
}

/// The member of this name, where it is a string.
pub(super) fn string(of: &Map<String, Value>, member: &'static str) -> Result<String, BadPayment> {
    of.get(member).and_then(Value::as_str).map(str::to_owned).ok_or(BadPayment::WrongShape(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_v2(text: &str) -> Result<Map<String, Value>, BadPayment> {
        decode(&STANDARD.encode(text), Version::V2)
    }

    #[test]
    fn a_header_that_cannot_be_read_says_why() {
        assert!(decode_v2(r#"{"x402Version":2}"#).is_ok());
        let nested = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
        let table = [
            (decode(&"A".repeat(MAX_HEADER_BYTES + 1), Version::V2), "is longer than 16384 bytes"),
            (decode("", Version::V2), "does not hold JSON"),
            (decode("eyJ4NDAyVmVyc2lvbiI6Mn0", Version::V2), "is not standard base64 with padding"),
            (decode("eyJ4NDAyVmVyc2lvbiI6Mn1=", Version::V2), "is not standard base64 with padding"),
            (decode("eyJ4NDAyVmVyc2lvbiI6Mn0=\n", Version::V2), "is not standard base64 with padding"),
            (decode("-_-_", Version::V2), "is not standard base64 with padding"),
            (decode("/w==", Version::V2), "does not hold JSON"),
            (decode_v2("x"), "does not hold JSON"),
            (decode_v2(&nested), "does not hold JSON"),
            (decode_v2("[2]"), "does not hold a JSON object"),
            (decode_v2("{}"), "must have x402Version 2"),
            (decode_v2(r#"{"x402Version":1}"#), "must have x402Version 2"),
            (decode_v2(r#"{"x402Version":"2"}"#), "must have x402Version 2"),
        ];
        for (i, (answer, why)) in table.into_iter().enumerate() {
            assert_eq!(answer.unwrap_err().to_string(), why, "row {i}");
        }
    }
}
