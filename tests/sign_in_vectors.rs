//! Sign-ins by wallet (x402 extension `sign-in-with-x`): what we offer, what the official client makes of it, and the
//! table of what is refused, one fault in each row. The text that wallets sign is written here a second time.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tollgate::client::SessionKey;
use tollgate::client::sign_in::{RelyingParty, SignIn, SignInError};
use tollgate::pay::eip712::{SigningKey, keccak256};
use tollgate::pay::network::Network;
use tollgate::time::{Millis, Span};

const ANVIL_1: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const ANVIL_1_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const ANVIL_2: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const ORIGIN: &str = "https://api.example.com";
/// 2026-11-21T00:00:00.123Z
const NOW: Millis = Millis::new(1_795_219_200_123);
const NONCE: &str = "01a1fb67187ba5a5a5a5a5a5a5a58b83b449b2089d7be20b7e93026ae08b";
const STATEMENT: &str = "Sign in to use what this wallet may use here. This costs nothing.";

/// `createSIWxPayload` and `encodeSIWxHeader` of `@x402/extensions` 2.27.0 with anvil #1, given what [`offer`] says.
const OFFICIAL: &str = "eyJkb21haW4iOiJhcGkuZXhhbXBsZS5jb20iLCJhZGRyZXNzIjoiMHg3MDk5Nzk3MEM1MTgxMmRjM0EwMTBDN2QwMWI1MGUwZDE3ZGM3OUM4Iiwic3RhdGVtZW50IjoiU2lnbiBpbiB0byB1c2Ugd2hhdCB0aGlzIHdhbGxldCBtYXkgdXNlIGhlcmUuIFRoaXMgY29zdHMgbm90aGluZy4iLCJ1cmkiOiJodHRwczovL2FwaS5leGFtcGxlLmNvbSIsInZlcnNpb24iOiIxIiwiY2hhaW5JZCI6ImVpcDE1NTo4NDUzMiIsInR5cGUiOiJlaXAxOTEiLCJub25jZSI6IjAxYTFmYjY3MTg3YmE1YTVhNWE1YTVhNWE1YTU4YjgzYjQ0OWIyMDg5ZDdiZTIwYjdlOTMwMjZhZTA4YiIsImlzc3VlZEF0IjoiMjAyNi0xMS0yMVQwMDowMDowMFoiLCJleHBpcmF0aW9uVGltZSI6IjIwMjYtMTEtMjFUMDA6MDU6MDBaIiwic2lnbmF0dXJlIjoiMHhmMmViNDkxMGQzZDRmZjdhM2Q2Mjk0YWZiMjQ4YzJhNTQ2NjY4MDFkMTM3MWRiNjVhY2VlYjcxNGQzYmQ1MDAyMTIwODk5NTVhMjMwNTg0MGVjMjIyOGUyMDQ4NDE1YWVlYjRlMWQxZTRhOTE3ZmY1OWNmOTU1N2Y3YTY2ZmQ4YzFjIn0=";

fn key() -> SessionKey {
    SessionKey::from_hex(&"07".repeat(32)).unwrap()
}

fn gate_at(origin: &str, key: SessionKey) -> RelyingParty {
    let chains = ["base-sepolia", "base"].map(|name| Network::parse(name).unwrap());
    RelyingParty { origin: origin.to_owned(), chains: chains.to_vec(), key }
}

/// Checks a header's value as the gate at [`ORIGIN`] does.
fn check_at(header: &str, now: Millis) -> Result<SignIn, SignInError> {
    gate_at(ORIGIN, key()).check(header, now)
}

fn offer() -> Value {
    gate_at(ORIGIN, key()).offer([0xa5; 8], NOW)
}

/// What a client sends in answer to the offer, as yet unsigned.
fn unsigned() -> Value {
    json!({
        "domain": "api.example.com", "address": ANVIL_1, "statement": STATEMENT, "uri": ORIGIN, "version": "1",
        "chainId": "eip155:84532", "type": "eip191", "nonce": NONCE,
        "issuedAt": "2026-11-21T00:00:00Z", "expirationTime": "2026-11-21T00:05:00Z",
    })
}

/// EIP-4361, written from its ABNF.
fn text(fields: &Value) -> String {
    let field = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
    let mut lines = vec![
        format!("{} wants you to sign in with your Ethereum account:", field("domain")),
        field("address"),
        String::new(),
    ];
    lines.extend(fields.get("statement").map(|_| field("statement")));
    lines.push(String::new());
    lines.push(format!("URI: {}", field("uri")));
    lines.push(format!("Version: {}", field("version")));
    lines.push(format!("Chain ID: {}", field("chainId").trim_start_matches("eip155:")));
    lines.push(format!("Nonce: {}", field("nonce")));
    lines.push(format!("Issued At: {}", field("issuedAt")));
    for (name, label) in
        [("expirationTime", "Expiration Time"), ("notBefore", "Not Before"), ("requestId", "Request ID")]
    {
        lines.extend(fields.get(name).map(|_| format!("{label}: {}", field(name))));
    }
    if let Some(resources) = fields.get("resources").and_then(Value::as_array) {
        lines.push("Resources:".to_owned());
        lines.extend(resources.iter().map(|resource| format!("- {}", resource.as_str().unwrap())));
    }
    lines.join("\n")
}

fn signed(mut fields: Value) -> Value {
    let text = text(&fields);
    let digest = keccak256(format!("\x19Ethereum Signed Message:\n{}{text}", text.len()).as_bytes());
    fields["signature"] = json!(SigningKey::from_hex(ANVIL_1_KEY).unwrap().sign_digest(digest).to_string());
    fields
}

fn header(fields: &Value) -> String {
    STANDARD.encode(fields.to_string())
}

/// The fields with one changed.
fn with(mut fields: Value, name: &str, value: impl Into<Value>) -> Value {
    fields[name] = value.into();
    fields
}

fn without(mut fields: Value, name: &str) -> Value {
    fields.as_object_mut().unwrap().remove(name);
    fields
}

#[test]
fn the_offer() {
    let Value::Object(mut offer) = offer() else { panic!("not an object") };
    let schema = offer.remove("schema").unwrap();
    let expected = json!({
        "info": {
            "domain": "api.example.com", "uri": ORIGIN, "statement": STATEMENT, "version": "1", "nonce": NONCE,
            "issuedAt": "2026-11-21T00:00:00Z", "expirationTime": "2026-11-21T00:05:00Z",
        },
        "supportedChains": [
            {"chainId": "eip155:84532", "type": "eip191"}, {"chainId": "eip155:8453", "type": "eip191"},
        ],
    });
    assert_eq!(Value::Object(offer), expected);
    // `buildSIWxSchema` of `@x402/extensions` 2.27.0.
    let official = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "domain": {"type": "string"}, "address": {"type": "string"}, "statement": {"type": "string"},
            "uri": {"type": "string", "format": "uri"}, "version": {"type": "string"}, "chainId": {"type": "string"},
            "type": {"type": "string"}, "nonce": {"type": "string"},
            "issuedAt": {"type": "string", "format": "date-time"},
            "expirationTime": {"type": "string", "format": "date-time"},
            "notBefore": {"type": "string", "format": "date-time"}, "requestId": {"type": "string"},
            "resources": {"type": "array", "items": {"type": "string", "format": "uri"}},
            "signature": {"type": "string"},
        },
        "required": ["domain", "address", "uri", "version", "chainId", "type", "nonce", "issuedAt", "signature"],
    });
    assert_eq!(schema, official);
}

#[test]
fn the_official_clients_answer_to_it_proves_the_wallet() {
    let signed_in = check_at(OFFICIAL, NOW).unwrap();
    assert_eq!(signed_in.account().as_str(), "wallet:0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
    assert_eq!(signed_in.nonce, NONCE);
    assert_eq!(signed_in.expires, Millis::new(1_795_219_500_123));
}

#[test]
fn every_form_that_is_right_is_taken() {
    let resource = json!(["https://api.example.com/cpu", "urn:x"]);
    for (what, fields) in [
        ("as it is", signed(unsigned())),
        ("the other chain", signed(with(unsigned(), "chainId", "eip155:8453"))),
        ("a URL below the origin", signed(with(unsigned(), "uri", format!("{ORIGIN}/cpu?q=1")))),
        ("no statement", signed(without(unsigned(), "statement"))),
        ("no expiration", signed(without(unsigned(), "expirationTime"))),
        ("a time that has begun", signed(with(unsigned(), "notBefore", "2026-11-21T00:00:00.123Z"))),
        ("a request id", signed(with(unsigned(), "requestId", "r-1"))),
        ("resources", signed(with(unsigned(), "resources", resource))),
        ("a statement beyond ASCII", signed(with(unsigned(), "statement", "Überall 🙂"))),
        ("milliseconds", signed(with(unsigned(), "issuedAt", "2026-11-21T00:00:00.123Z"))),
        ("another time zone", signed(with(unsigned(), "issuedAt", "2026-11-21T01:00:00+01:00"))),
        ("two seconds ahead of us", signed(with(unsigned(), "issuedAt", "2026-11-21T00:00:02.123Z"))),
        ("its scheme named", with(signed(unsigned()), "signatureScheme", "eip191")),
        // The text has the checksum in any case.
        ("a lower-case address", with(signed(unsigned()), "address", ANVIL_1.to_ascii_lowercase())),
        ("null for absent", with(signed(unsigned()), "requestId", Value::Null)),
    ] {
        let account = check_at(&header(&fields), NOW).map(|signed_in| signed_in.account().to_string());
        assert_eq!(account, Ok("wallet:0x70997970c51812dc3a010c7d01b50e0d17dc79c8".to_owned()), "{what}");
    }
}

const DOMAIN: (&str, &str) = ("invalid_siwx_domain_mismatch", "domain must be api.example.com");
const URI: (&str, &str) = ("invalid_siwx_uri_mismatch", "uri must be of the origin https://api.example.com");
const CHAIN: (&str, &str) = ("invalid_siwx_unsupported_chain", "chainId must be eip155:84532 or eip155:8453");
const TYPE: (&str, &str) =
    ("invalid_siwx_unsupported_type", "only plain wallets can sign in here: type and signatureScheme eip191");
const NOT_OURS: (&str, &str) =
    ("invalid_siwx_nonce", "nonce is none that was issued here in the last 300s; sign what a new 402 says");
const ADDRESS: (&str, &str) =
    ("invalid_siwx_address", "address is no Ethereum address, or a digit was mistyped (EIP-55)");
const SIGNATURE: (&str, &str) = (
    "invalid_siwx_signature",
    "the signature over this text is not that of a plain wallet with this address",
);

#[track_caller]
fn assert_refused(fields: &Value, expected: (&str, &str)) {
    let error = check_at(&header(fields), NOW).unwrap_err();
    assert_eq!((error.reason(), error.to_string().as_str()), expected, "{fields}");
}

/// Each is signed as it stands: only the field is wrong.
#[test]
fn a_field_that_is_wrong_is_refused_though_it_was_signed() {
    let issued_at = |fault| ("invalid_siwx_issued_at", fault);
    let rows: [(&str, &str, (&str, &str)); 26] = [
        ("domain", "evil.example", DOMAIN),
        ("domain", "api.example.com:443", DOMAIN),
        ("domain", "API.example.com", DOMAIN),
        ("domain", "", DOMAIN),
        ("uri", "https://evil.example", URI),
        ("uri", "http://api.example.com", URI),
        ("uri", "https://api.example.com:8443/", URI),
        ("uri", "https://api.example.com.evil.example/", URI),
        ("uri", "https://api.example.com@evil.example/", URI),
        ("uri", "", URI),
        ("version", "2", ("invalid_siwx_version", "version must be 1")),
        ("chainId", "eip155:1", CHAIN),
        ("chainId", "84532", CHAIN),
        ("chainId", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", CHAIN),
        ("nonce", "a1b2c3d4e5f60718", NOT_OURS),
        ("nonce", "", NOT_OURS),
        ("issuedAt", "yesterday", issued_at("issuedAt is no date and time of RFC 3339")),
        ("issuedAt", "2026-11-21", issued_at("issuedAt is no date and time of RFC 3339")),
        (
            "issuedAt",
            "2026-11-20T23:54:00Z",
            ("invalid_siwx_issued_at_too_old", "issuedAt is more than 300s ago; sign what a new 402 says"),
        ),
        (
            "issuedAt",
            "2026-11-21T00:00:02.124Z",
            ("invalid_siwx_issued_at_in_future", "issuedAt is in the future"),
        ),
        (
            "issuedAt",
            "2026-11-21T01:00:00Z",
            ("invalid_siwx_issued_at_in_future", "issuedAt is in the future"),
        ),
        (
            "expirationTime",
            "2026-11-21T00:00:00.123Z",
            ("invalid_siwx_expired", "the sign-in has expired; sign what a new 402 says"),
        ),
        (
            "expirationTime",
            "never",
            ("invalid_siwx_expiration_time", "expirationTime is no date and time of RFC 3339"),
        ),
        (
            "notBefore",
            "2026-11-21T00:00:00.124Z",
            ("invalid_siwx_not_yet_valid", "the sign-in is not valid yet: notBefore is in the future"),
        ),
        ("notBefore", "now", ("invalid_siwx_not_before", "notBefore is no date and time of RFC 3339")),
        // Another wallet's address in the text.
        ("address", ANVIL_2, SIGNATURE),
    ];
    for (name, value, expected) in rows {
        assert_refused(&signed(with(unsigned(), name, value)), expected);
    }
}

/// Each is right in itself, and not what was signed.
#[test]
fn a_text_altered_after_it_was_signed_is_refused() {
    let resources = json!(["https://api.example.com/cpu"]);
    for fields in [
        with(signed(unsigned()), "statement", "Sign in."),
        without(signed(unsigned()), "statement"),
        with(signed(unsigned()), "uri", format!("{ORIGIN}/")),
        with(signed(unsigned()), "chainId", "eip155:8453"),
        with(signed(unsigned()), "issuedAt", "2026-11-21T00:00:00.000Z"),
        with(signed(unsigned()), "expirationTime", "2026-11-21T00:05:01Z"),
        without(signed(unsigned()), "expirationTime"),
        with(signed(unsigned()), "notBefore", "2026-11-21T00:00:00Z"),
        with(signed(unsigned()), "requestId", "r-1"),
        with(signed(unsigned()), "resources", resources),
        with(signed(unsigned()), "address", ANVIL_2),
        // EIP-4361 wants the address with its checksum; a text without it is another text.
        signed(with(unsigned(), "address", ANVIL_1.to_ascii_lowercase())),
    ] {
        assert_refused(&fields, SIGNATURE);
    }
}

/// These stand outside of the signed text.
#[test]
fn what_is_around_the_text_is_checked_too() {
    let malformed = |fault| ("invalid_siwx_malformed_signature", fault);
    let good = || signed(unsigned());
    for (name, value, expected) in [
        ("type", "ed25519", TYPE),
        ("signatureScheme", "eip1271", TYPE),
        ("signatureScheme", "eip6492", TYPE),
        ("address", "0x70997970C51812dc3A010C7d01b50e0d17dc79c8", ADDRESS),
        ("address", "70997970C51812dc3A010C7d01b50e0d17dc79C8", ADDRESS),
        (
            "signature",
            "0x",
            malformed("the signature of a plain wallet must be 0x and 130 hexadecimal digits"),
        ),
        (
            "signature",
            &format!("0x{}", "00".repeat(65)),
            malformed("the signature of a plain wallet has an r or s that no signature has"),
        ),
    ] {
        assert_refused(&with(good(), name, value), expected);
    }
}

#[test]
fn a_header_that_cannot_be_read_says_why() {
    let good = signed(unsigned());
    let long = with(good.clone(), "statement", "x".repeat(13_000));
    let breaks = with(unsigned(), "statement", "Hello\n\nURI: https://api.example.com");
    for (header, fault) in [
        (header(&long), "is longer than 16384 bytes"),
        ("{}".to_owned(), "is not standard base64 with padding, once"),
        (header(&good).replace('=', ""), "is not standard base64 with padding, once"),
        (format!("{OFFICIAL}, {OFFICIAL}"), "is not standard base64 with padding, once"),
        (String::new(), "does not hold a JSON object"),
        (STANDARD.encode([0xff]), "does not hold a JSON object"),
        (header(&json!([])), "does not hold a JSON object"),
        (STANDARD.encode("{"), "holds no sign-in: EOF while parsing an object at line 1 column 1"),
        (STANDARD.encode(r#"{"uri":"","uri":""}"#), "holds no sign-in: duplicate field `uri`"),
        (
            header(&json!({"domain": 1})),
            "holds no sign-in: invalid type: integer `1`, expected a string at line 1 column 11",
        ),
        (header(&with(good.clone(), "extra", 1)), "holds no sign-in: unknown field `extra`"),
        (header(&without(good.clone(), "signature")), "holds no sign-in: missing field `signature`"),
        (header(&without(good, "nonce")), "holds no sign-in: missing field `nonce`"),
        (header(&signed(breaks)), "has a control character in a field"),
    ] {
        let error = check_at(&header, NOW).unwrap_err();
        assert_eq!(error.reason(), "invalid_siwx_header");
        assert!(error.to_string().starts_with(&format!("SIGN-IN-WITH-X {fault}")), "{error}");
    }
}

#[test]
fn a_nonce_is_good_for_five_minutes() {
    // A new date on an old nonce does not help.
    let late = "2026-11-21T00:04:59Z";
    let fields = signed(without(with(unsigned(), "issuedAt", late), "expirationTime"));
    let end = NOW.plus(Span::seconds(300));
    assert!(check_at(&header(&fields), Millis::new(end.get() - 1)).is_ok());
    assert_eq!(check_at(&header(&fields), end), Err(SignInError::Nonce));
}

#[test]
fn a_sign_in_is_for_the_gate_that_asked_for_it() {
    let elsewhere = |origin: &str, key| gate_at(origin, key).check(OFFICIAL, NOW).map(|_| ());
    let other_key = SessionKey::from_hex(&"08".repeat(32)).unwrap();
    assert_eq!(elsewhere(ORIGIN, key()), Ok(()));
    assert_eq!(elsewhere(ORIGIN, other_key), Err(SignInError::Nonce));
    let with_port = "https://api.example.com:8443";
    assert_eq!(elsewhere(with_port, key()), Err(SignInError::Domain("api.example.com:8443".to_owned())));
    let plain = "http://api.example.com";
    assert_eq!(elsewhere(plain, key()), Err(SignInError::Uri(plain.to_owned())));
}
