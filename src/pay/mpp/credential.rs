//! A credential: a challenge as it was sent, and what answers it (draft-httpauth-payment-00 §5.2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::CredentialFault;
use super::challenge::Challenge;

/// A credential longer than this is refused unread. Real ones are below 2 kB.
pub const MAX_CREDENTIAL_BYTES: usize = 16 * 1024;

/// A credential that was read and not yet checked: nothing in it is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The challenge that it says it answers.
    pub challenge: Challenge,
    /// The method's own part.
    pub payload: Map<String, Value>,
    /// Who sent it, as it says.
    pub source: Option<String>,
}

/// The part of a field's value behind the scheme `Payment`, if that is its scheme.
#[must_use]
pub fn payment_token(field: &str) -> Option<&str> {
    let (scheme, token) = field.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("payment").then(|| token.trim())
}

impl Credential {
    /// Reads what stands behind `Payment`: base64url of a JSON object. Members that nobody knows are let be, as the
    /// draft asks.
    ///
    /// # Errors
    /// It is too long, badly encoded, or not a credential.
    pub fn read(token: &str) -> Result<Self, CredentialFault> {
        #[derive(Deserialize)]
        struct Wire {
            challenge: Value,
            payload: Value,
            source: Option<Value>,
        }
        if token.len() > MAX_CREDENTIAL_BYTES {
            return Err(CredentialFault::TooLong);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| CredentialFault::NotBase64)?;
        let is_object = bytes.trim_ascii_start().starts_with(b"{");
        let wire: Option<Wire> = if is_object { serde_json::from_slice(&bytes).ok() } else { None };
        let Wire { challenge, payload, source } = wire.ok_or(CredentialFault::WrongShape("challenge"))?;
        let challenge = Some(challenge).filter(Value::is_object).and_then(|c| serde_json::from_value(c).ok());
        let Value::Object(payload) = payload else { return Err(CredentialFault::WrongShape("payload")) };
        let source = match source {
            None => None,
            Some(Value::String(source)) => Some(source),
            Some(_) => return Err(CredentialFault::WrongShape("source")),
        };
        Ok(Self { challenge: challenge.ok_or(CredentialFault::WrongShape("challenge"))?, payload, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Credential, CredentialFault> {
        Credential::read(&URL_SAFE_NO_PAD.encode(json))
    }

    const CHALLENGE: &str = r#"{"id":"a","realm":"r","method":"evm","intent":"charge","request":"e30"}"#;

    #[test]
    fn the_scheme_is_payment_in_any_case() {
        assert_eq!(payment_token("Payment abc"), Some("abc"));
        assert_eq!(payment_token("payment   abc "), Some("abc"));
        assert_eq!(payment_token("Bearer abc"), None);
        assert_eq!(payment_token("Payment"), None);
        assert_eq!(payment_token("PaymentX abc"), None);
    }

    #[test]
    fn members_that_nobody_knows_are_let_be() {
        let text =
            format!(r#"{{"challenge":{CHALLENGE},"payload":{{"type":"x"}},"source":"did:x","more":1}}"#);
        let credential = read(&text).unwrap();
        assert_eq!((credential.challenge.id.as_str(), credential.source.as_deref()), ("a", Some("did:x")));
    }

    #[test]
    fn what_is_no_credential_says_why() {
        let nested = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
        let table = [
            (Credential::read(&"A".repeat(MAX_CREDENTIAL_BYTES + 1)), CredentialFault::TooLong),
            (Credential::read("e30="), CredentialFault::NotBase64),
            (Credential::read("a+/b"), CredentialFault::NotBase64),
            (Credential::read("e30, Payment e30"), CredentialFault::NotBase64),
            (Credential::read("%%%"), CredentialFault::NotBase64),
            (Credential::read(""), CredentialFault::WrongShape("challenge")),
            (read("x"), CredentialFault::WrongShape("challenge")),
            (read(&nested), CredentialFault::WrongShape("challenge")),
            (read(&format!("[{CHALLENGE},{{}}]")), CredentialFault::WrongShape("challenge")),
            (read("{}"), CredentialFault::WrongShape("challenge")),
            (read(r#"{"challenge":[],"payload":{}}"#), CredentialFault::WrongShape("challenge")),
            (
                read(r#"{"challenge":["a","r","evm","charge","e30",null,null,null,null],"payload":{}}"#),
                CredentialFault::WrongShape("challenge"),
            ),
            (read(r#"{"challenge":{"id":1},"payload":{}}"#), CredentialFault::WrongShape("challenge")),
            (
                read(&format!(r#"{{"challenge":{CHALLENGE},"payload":[]}}"#)),
                CredentialFault::WrongShape("payload"),
            ),
            (
                read(&format!(r#"{{"challenge":{CHALLENGE},"payload":{{}},"source":1}}"#)),
                CredentialFault::WrongShape("source"),
            ),
        ];
        for (row, (answer, fault)) in table.into_iter().enumerate() {
            assert_eq!(answer, Err(fault), "row {row}");
        }
    }
}
