//! Nonces for signed contexts: UUIDs that nothing has to remember before they are used, so that asking for them costs no row.
//! Each says when it was issued, and that we did: to that account, for that endpoint.

use hmac::Mac;

use super::AccountId;
use super::session::{Purpose, SessionKey};
use crate::endpoint::EndpointName;
use crate::time::{Millis, Span};

/// How long such a nonce is good: 5 min.
pub const CONTEXT_NONCE_LIFE: Span = Span::seconds(300);
/// Another machine that issued it may be ahead of this one by as much.
const MOST_SKEW: Span = Span::seconds(30);
/// Bytes of randomness in a nonce.
pub const CONTEXT_RANDOM_BYTES: usize = 4;

/// For whom a nonce is issued, and what for.
#[derive(Clone, Copy, Debug)]
pub struct NonceScope<'a> {
    /// The account that asked.
    pub account: &'a AccountId,
    /// The endpoint.
    pub endpoint: &'a EndpointName,
}

impl SessionKey {
    /// A nonce: a UUID of version 4 in lower case (RFC 9562 §5.4). Of its 122 free bits 32 are random, 16 the end of the second
    /// of its issue, and 74 a tag over these and all that it is for.
    #[must_use]
    pub fn issue_context_nonce(
        &self,
        scope: NonceScope<'_>,
        random: [u8; CONTEXT_RANDOM_BYTES],
        now: Millis,
    ) -> String {
        text(&self.context_nonce(scope, random, now.seconds()))
    }

    /// Until when a nonce is good at `now`; `None` when we did not issue it for that, or its time is over.
    #[must_use]
    pub fn context_nonce_expires(&self, scope: NonceScope<'_>, nonce: &str, now: Millis) -> Option<Millis> {
        let bytes = bytes(nonce)?;
        let [r0, r1, r2, r3, high, low, ..] = bytes;
        let issued = issued(u16::from_be_bytes([high, low]), now)?;
        let ours = self.context_nonce(scope, [r0, r1, r2, r3], issued);
        // Compared in constant time.
        let differ = ours.iter().zip(bytes).fold(0, |differ, (ours, theirs)| differ | (ours ^ theirs));
        let expires = Millis::new(issued.saturating_mul(1000)).plus(CONTEXT_NONCE_LIFE);
        (differ == 0 && now < expires).then_some(expires)
    }

    fn context_nonce(
        &self,
        NonceScope { account, endpoint }: NonceScope<'_>,
        random: [u8; CONTEXT_RANDOM_BYTES],
        issued: u64,
    ) -> [u8; 16] {
        // No account id holds a line feed, and the endpoint comes last.
        let what = format!("{} {issued}\n{account}\n{endpoint}", hex::encode(random));
        let tag = self.mac(Purpose::ContextNonce, &what).finalize().into_bytes();
        let [.., high, low] = issued.to_be_bytes();
        let head = random.into_iter().chain([high, low]);
        let mut nonce = [0; 16];
        for (byte, value) in nonce.iter_mut().zip(head.chain(tag)) {
            *byte = value;
        }
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut nonce;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        nonce
    }
}

/// The latest second that ends in these 16 bits and is not in the future. They repeat after 18 h, when no nonce is good any more.
fn issued(low: u16, now: Millis) -> Option<u64> {
    let latest = now.plus(MOST_SKEW).seconds();
    let back = u16::try_from(latest & 0xffff).ok()?.wrapping_sub(low);
    latest.checked_sub(u64::from(back))
}

fn text(bytes: &[u8; 16]) -> String {
    let digits = hex::encode(bytes);
    let groups = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    groups.map(|(from, to)| digits.get(from..to).unwrap_or_default()).join("-")
}

/// The bytes of a UUID in its one spelling.
fn bytes(nonce: &str) -> Option<[u8; 16]> {
    let bytes: [u8; 16] = hex::decode(nonce.replace('-', "")).ok()?.try_into().ok()?;
    (text(&bytes) == nonce).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::new(1_795_219_200_123);

    fn key() -> SessionKey {
        SessionKey::from_hex(&"07".repeat(32)).unwrap()
    }

    fn account(text: &str) -> AccountId {
        text.parse().unwrap()
    }

    fn issue(now: Millis) -> String {
        let (account, endpoint) = (account("ip:203.0.113.7"), EndpointName::new("GET /cpu"));
        key().issue_context_nonce(NonceScope { account: &account, endpoint: &endpoint }, [0xa5; 4], now)
    }

    fn expires(nonce: &str, now: Millis) -> Option<Millis> {
        let (account, endpoint) = (account("ip:203.0.113.7"), EndpointName::new("GET /cpu"));
        key().context_nonce_expires(NonceScope { account: &account, endpoint: &endpoint }, nonce, now)
    }

    /// Computed with Python's `hmac` and `uuid`, too.
    #[test]
    fn the_form_of_a_nonce_is_pinned() {
        let nonce = issue(NOW);
        assert_eq!(nonce, "a5a5a5a5-df00-4902-8110-fb13d58ba35a");
        assert_eq!((&nonce[14..15], nonce.len()), ("4", 36));
        assert!("89ab".contains(&nonce[19..20]));
    }

    #[test]
    fn a_nonce_is_good_for_300_seconds() {
        let nonce = issue(NOW);
        let end = Millis::new(1_795_219_500_000);
        assert_eq!(expires(&nonce, NOW), Some(end));
        assert_eq!(expires(&nonce, Millis::new(end.get() - 1)), Some(end));
        assert_eq!(expires(&nonce, end), None);
        // The 16 bits of its second come again.
        assert_eq!(expires(&nonce, NOW.plus(Span::seconds(65_536))), None);
        // Another machine may be a little behind.
        assert_eq!(expires(&nonce, Millis::new(NOW.get() - 20_000)), Some(end));
        assert_eq!(expires(&nonce, Millis::new(NOW.get() - 60_000)), None);
    }

    #[test]
    fn it_is_good_for_one_account_and_one_endpoint() {
        let nonce = issue(NOW);
        for (other, endpoint) in [("ip:203.0.113.8", "GET /cpu"), ("ip:203.0.113.7", "GET /memory")] {
            let (account, endpoint) = (account(other), EndpointName::new(endpoint));
            let scope = NonceScope { account: &account, endpoint: &endpoint };
            assert_eq!(key().context_nonce_expires(scope, &nonce, NOW), None, "{other} {endpoint}");
        }
    }

    #[test]
    fn a_nonce_altered_in_any_digit_is_not_ours() {
        let good = issue(NOW);
        for at in 0..good.len() {
            let flipped = if &good[at..=at] == "0" { "1" } else { "0" };
            let altered = format!("{}{flipped}{}", &good[..at], &good[at + 1..]);
            assert_eq!(expires(&altered, NOW), None, "{altered}");
        }
        for altered in [good.to_uppercase(), good.replace('-', ""), format!("{good}0"), String::new()] {
            assert_eq!(expires(&altered, NOW), None, "{altered}");
        }
        assert_eq!(expires("9c311e31-eb30-420a-bced-c0d68bc89cea", NOW), None);
    }
}
