//! Nonces for sign-ins that nothing has to remember before they are used: each says when it was issued, and that we did.

use hmac::Mac;

use super::session::{Purpose, SessionKey};
use crate::time::{Millis, Span};

/// How long a nonce is good: 5 min, as the x402 SDKs have it for the whole sign-in.
pub const NONCE_LIFE: Span = Span::seconds(300);
/// Bytes of randomness in a nonce. It tells apart what one millisecond issues; the tag is what nobody can guess.
pub const RANDOM_BYTES: usize = 8;

/// Hex digits of a nonce's time: milliseconds until the year 10889, 6 bytes.
const TIME_DIGITS: usize = 12;
/// Hex digits before the tag: time and randomness.
const BODY_DIGITS: usize = TIME_DIGITS + 2 * RANDOM_BYTES;
/// Bytes of the tag: HMAC-SHA-256 cut to 128 bits (RFC 2104 §5).
const TAG_BYTES: usize = 16;

impl SessionKey {
    /// A nonce for signing in at `origin`: 60 lower-case hex digits (EIP-4361 wants at least 8 letters or digits).
    #[must_use]
    pub fn issue_nonce(&self, origin: &str, random: [u8; RANDOM_BYTES], now: Millis) -> String {
        let body = format!("{:0TIME_DIGITS$x}{}", now.get(), hex::encode(random));
        let tag = self.nonce_mac(origin, &body).finalize().into_bytes();
        let tag: String = hex::encode(tag).chars().take(2 * TAG_BYTES).collect();
        format!("{body}{tag}")
    }

    /// Until when a nonce for `origin` is good; `None` when we did not issue it for that.
    #[must_use]
    pub fn nonce_expires(&self, origin: &str, nonce: &str) -> Option<Millis> {
        // One spelling only: whoever remembers used nonces compares their text.
        if nonce.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return None;
        }
        let (body, tag) = nonce.split_at_checked(BODY_DIGITS)?;
        let tag: [u8; TAG_BYTES] = hex::decode(tag).ok()?.try_into().ok()?;
        // Compares in constant time.
        self.nonce_mac(origin, body).verify_truncated_left(&tag).ok()?;
        let issued = u64::from_str_radix(body.get(..TIME_DIGITS)?, 16).ok()?;
        Some(Millis::new(issued).plus(NONCE_LIFE))
    }

    fn nonce_mac(&self, origin: &str, body: &str) -> impl Mac {
        // No origin holds a line feed.
        self.mac(Purpose::SignInNonce, &format!("{origin}\n{body}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://api.example.com";

    fn key() -> SessionKey {
        SessionKey::from_hex(&"07".repeat(32)).unwrap()
    }

    fn nonce() -> String {
        key().issue_nonce(ORIGIN, [0xa5; RANDOM_BYTES], Millis::new(1_795_219_200_123))
    }

    /// Computed with Python's `hmac`, too.
    #[test]
    fn the_form_of_a_nonce_is_pinned() {
        assert_eq!(nonce(), "01a1fb67187ba5a5a5a5a5a5a5a58b83b449b2089d7be20b7e93026ae08b");
    }

    #[test]
    fn a_nonce_says_until_when_it_is_good() {
        assert_eq!(key().nonce_expires(ORIGIN, &nonce()), Some(Millis::new(1_795_219_500_123)));
    }

    #[test]
    fn only_the_key_that_issued_it_for_this_origin_knows_it() {
        let other = SessionKey::from_hex(&"08".repeat(32)).unwrap();
        assert_eq!(other.nonce_expires(ORIGIN, &nonce()), None);
        assert_eq!(key().nonce_expires("http://api.example.com", &nonce()), None);
        assert_eq!(key().nonce_expires("https://api.example.com:8443", &nonce()), None);
    }

    #[test]
    fn a_nonce_altered_in_any_digit_is_not_ours() {
        let good = nonce();
        for at in 0..good.len() {
            let flipped = if &good[at..=at] == "0" { "1" } else { "0" };
            let altered = format!("{}{flipped}{}", &good[..at], &good[at + 1..]);
            assert_eq!(key().nonce_expires(ORIGIN, &altered), None, "{altered}");
        }
        // Its tag stands for the same bytes: with two spellings it could be used twice.
        let upper_case_tag = format!("{}{}", &good[..BODY_DIGITS], good[BODY_DIGITS..].to_uppercase());
        assert_eq!(key().nonce_expires(ORIGIN, &upper_case_tag), None);
        for altered in
            [good.to_uppercase(), format!("{good}00"), good[..58].to_owned(), String::new(), "é".repeat(30)]
        {
            assert_eq!(key().nonce_expires(ORIGIN, &altered), None, "{altered}");
        }
    }

    #[test]
    fn a_session_token_is_no_nonce() {
        let token = key().issue(&"ip:203.0.113.7".parse().unwrap(), None, Millis::new(1000));
        assert_eq!(key().nonce_expires(ORIGIN, &token), None);
    }
}
