//! Header fields that may not pass the gate, in either direction (RFC 9110 §7.6.1, and our own trust fields), and
//! the fields of CORS.

use crate::client::is_tollgate_key;

/// Fields between two neighbours only.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields of payments, from either side; `x-pay-*` are those of other gates, which an origin may have trusted.
const PAYMENT: [&str; 18] = [
    "accept-payment",
    "payment-authorization",
    "payment-receipt",
    "payment-required",
    "payment-response",
    "payment-session",
    "payment-session-snapshot",
    "payment-signature",
    "settlement-overrides",
    "sign-in-with-x",
    "x-402-nonce",
    "x-402-receipt",
    "x-402-receipt-id",
    "x-402-signature",
    "x-pay-from",
    "x-pay-verified",
    "x-payment",
    "x-payment-response",
];

/// The header fields in which an x402 payment comes: version 2, version 1.
pub const PAYMENT_SIGNATURE: &str = "PAYMENT-SIGNATURE";
/// The header field in which an x402 payment of version 1 comes.
pub const X_PAYMENT: &str = "X-PAYMENT";
/// The header field in which a credential of MPP comes where `Authorization` is taken.
pub const PAYMENT_AUTHORIZATION: &str = "Payment-Authorization";
/// The header field in which the signature of a signed context comes.
pub const X_402_SIGNATURE: &str = "X-402-Signature";
/// The header field in which the nonce of a signed context comes.
pub const X_402_NONCE: &str = "X-402-Nonce";
/// The header field in which a wallet proves itself (x402 extension `sign-in-with-x`).
pub const SIGN_IN_WITH_X: &str = "SIGN-IN-WITH-X";
/// The header field that names a session.
pub const SESSION: &str = "Tollgate-Session";
/// The cookie that names a session, where a page sets it.
pub const SESSION_COOKIE: &str = "tollgate_session";

/// Fields of ours that a page of another origin may read.
const EXPOSED: &str = "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, WWW-Authenticate, Payment-Receipt, \
Payment-Session, Payment-Session-Snapshot, Retry-After, RateLimit, RateLimit-Policy, X-RateLimit-Limit, \
X-RateLimit-Remaining, X-RateLimit-Reset, X-402-Receipt, X-402-Receipt-Id, Tollgate-Session, Tollgate-Request-Id, \
Tollgate-Degraded";

/// Fields that a page of another origin may send. The last is one that stock x402 clients send by mistake.
const ALLOWED: &str = "Content-Type, Authorization, PAYMENT-SIGNATURE, X-PAYMENT, SIGN-IN-WITH-X, Accept-Payment, \
Payment-Authorization, Payment-Session, Idempotency-Key, Tollgate-Session, Access-Control-Expose-Headers";

/// Whether a field stands between two neighbours only, or carries payment or trust: it passes in neither direction.
/// `name` is in lower case; `connection` is what the message's `Connection` field lists.
#[must_use]
pub fn is_withheld(name: &str, connection: Option<&str>) -> bool {
    let listed = |fields: &str| fields.split(',').any(|field| field.trim().eq_ignore_ascii_case(name));
    HOP_BY_HOP.contains(&name)
        || PAYMENT.contains(&name)
        || name.starts_with("tollgate-")
        || connection.is_some_and(listed)
}

/// Whether the value of a request's `Authorization` or `X-API-Key` is the gate's business, not the origin's.
#[must_use]
pub fn is_own_credential(name: &str, value: &str) -> bool {
    match name {
        "authorization" => {
            let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
            scheme.eq_ignore_ascii_case("payment")
                || (scheme.eq_ignore_ascii_case("bearer") && is_tollgate_key(credential.trim()))
        }
        "x-api-key" => is_tollgate_key(value.trim()),
        _ => false,
    }
}

/// The `tg_` key that a request brings, if it does.
#[must_use]
pub fn key_of<'a>(authorization: Option<&'a str>, api_key: Option<&'a str>) -> Option<&'a str> {
    let bearer = authorization.and_then(|value| {
        let (scheme, credential) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
    });
    [bearer, api_key.map(str::trim)].into_iter().flatten().find(|key| is_tollgate_key(key))
}

/// A `Cookie` field without our session, and the session.
#[must_use]
pub fn split_cookie(field: &str) -> (Option<String>, Option<String>) {
    let (own, other): (Vec<&str>, Vec<&str>) = field
        .split(';')
        .map(str::trim)
        .partition(|pair| pair.split_once('=').is_some_and(|(name, _)| name == SESSION_COOKIE));
    let session = own.first().and_then(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned());
    let rest = other.join("; ");
    ((!rest.is_empty()).then_some(rest), session)
}

/// `Cache-Control` of a paid answer: never stored by a shared cache, whatever the origin says.
#[must_use]
pub fn private_cache_control(origin: Option<&str>) -> String {
    let kept = origin.unwrap_or_default().split(',').map(str::trim).filter(|directive| {
        let name = directive.split('=').next().unwrap_or_default().to_ascii_lowercase();
        !name.is_empty() && !["public", "private", "s-maxage"].contains(&name.as_str())
    });
    std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ")
}

/// Whether a field tells a shared cache more, or other things, than `Cache-Control` does (RFC 9213, and what came before it):
/// such a cache obeys it first. `name` is in lower case.
#[must_use]
pub fn is_for_shared_caches(name: &str) -> bool {
    name.ends_with("-cache-control")
        || ["surrogate-control", "edge-control", "x-accel-expires"].contains(&name)
}

/// The fields of CORS for an answer to a page of `origin`, when the settings allow that page; `names` are those of the
/// answer's fields, in lower case.
#[must_use]
pub fn cors(allowed: &[String], origin: Option<&str>, names: &[String]) -> Vec<(&'static str, String)> {
    let Some(origin) = origin else { return Vec::new() };
    let anyone = allowed.iter().any(|pattern| pattern == "*");
    if !anyone && !allowed.iter().any(|pattern| pattern == origin) {
        return Vec::new();
    }
    let who = if anyone { "*" } else { origin };
    vec![("Access-Control-Allow-Origin", who.to_owned()), ("Access-Control-Expose-Headers", exposed(names))]
}

/// What a page may read: also the limits of units that only the plan knows, such as `X-RateLimit-Limit-token`.
fn exposed(names: &[String]) -> String {
    let of_units = ["x-ratelimit-limit-", "x-ratelimit-remaining-", "x-ratelimit-reset-"];
    let of_units = names.iter().filter(|name| of_units.iter().any(|start| name.starts_with(start)));
    std::iter::once(EXPOSED).chain(of_units.map(String::as_str)).collect::<Vec<_>>().join(", ")
}

/// The further fields of an answer to a preflight.
#[must_use]
pub fn preflight(requested_method: &str, session_header: Option<&str>) -> Vec<(&'static str, String)> {
    let allowed = [ALLOWED].into_iter().chain(session_header).collect::<Vec<_>>().join(", ");
    vec![
        ("Access-Control-Allow-Methods", requested_method.to_owned()),
        ("Access-Control-Allow-Headers", allowed),
        ("Access-Control-Max-Age", "86400".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_neighbours_fields_nor_trust_pass() {
        for name in [
            "connection",
            "te",
            "x-payment",
            "payment-response",
            "tollgate-payer",
            "x-402-receipt",
            "x-private",
        ] {
            assert!(is_withheld(name, Some("close, X-Private")), "{name}");
        }
        for name in ["content-type", "authorization", "accept", "x-ratelimit-limit"] {
            assert!(!is_withheld(name, Some("close")), "{name}");
        }
    }

    #[test]
    fn only_our_own_credentials_are_ours() {
        assert!(is_own_credential("authorization", "Bearer tg_live_x"));
        assert!(is_own_credential("authorization", "Payment abc"));
        assert!(is_own_credential("x-api-key", "tg_live_x"));
        assert!(!is_own_credential("authorization", "Bearer sk-abc"));
        assert!(!is_own_credential("authorization", "Basic dGdf"));
        assert!(!is_own_credential("x-api-key", "abc"));
        assert_eq!(key_of(Some("bearer  tg_live_x"), None), Some("tg_live_x"));
        assert_eq!(key_of(Some("Bearer sk"), Some("tg_y")), Some("tg_y"));
    }

    #[test]
    fn our_session_leaves_the_cookie_field() {
        let (rest, session) = split_cookie("a=1; tollgate_session=abc.def; b=2");
        assert_eq!((rest.as_deref(), session.as_deref()), (Some("a=1; b=2"), Some("abc.def")));
        assert_eq!(split_cookie("tollgate_session=x"), (None, Some("x".to_owned())));
    }

    #[test]
    fn a_paid_answer_is_never_stored_by_a_shared_cache() {
        assert_eq!(private_cache_control(None), "private");
        assert_eq!(private_cache_control(Some("public, max-age=60, s-maxage=600")), "private, max-age=60");
        assert_eq!(private_cache_control(Some("no-store")), "private, no-store");
        for name in
            ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "x-accel-expires"]
        {
            assert!(is_for_shared_caches(name), "{name}");
        }
        for name in ["cache-control", "expires", "vary", "etag"] {
            assert!(!is_for_shared_caches(name), "{name}");
        }
    }

    #[test]
    fn cors_is_for_those_the_settings_name() {
        let listed = ["https://app.example".to_owned()];
        assert_eq!(cors(&listed, Some("https://evil.example"), &[]), []);
        assert_eq!(cors(&listed, None, &[]), []);
        assert_eq!(cors(&listed, Some("https://app.example"), &[])[0].1, "https://app.example");
        assert_eq!(cors(&["*".to_owned()], Some("https://any.example"), &[])[0].1, "*");
    }

    #[test]
    fn the_limits_of_every_unit_are_exposed() {
        let names = ["content-type", "x-ratelimit-limit-token", "x-origin"].map(str::to_owned);
        let fields = cors(&["*".to_owned()], Some("https://any.example"), &names);
        assert!(fields[1].1.ends_with("Tollgate-Degraded, x-ratelimit-limit-token"), "{}", fields[1].1);
    }
}
