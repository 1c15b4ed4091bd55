//! The secrets, as texts that the platform hands over, read into keys.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::table::Faults;
use crate::client::SessionKey;
use crate::pay::eip712::{Address, KeyError, PublicKey, SigningKey};
use crate::pay::mpp::challenge::ChallengeKeys;

/// The keys of a gate that takes payments.
#[derive(Clone, Debug)]
pub struct PaymentKeys {
    /// Signs receipts.
    pub receipts: SigningKey,
    /// What signed receipts before, the latest first: receipts that it signed still hold.
    pub previous: Vec<PublicKey>,
    /// Signs session tokens.
    pub sessions: SessionKey,
    /// Bind MPP's challenges.
    pub challenges: ChallengeKeys,
}

impl PaymentKeys {
    /// Reads `RECEIPT_SIGNING_KEY` and `SESSION_KEY`; and `PREVIOUS_SESSION_KEY`, which is optional and keeps the challenges
    /// good that were issued before `SESSION_KEY` was replaced.
    ///
    /// # Errors
    /// What is missing or wrong, without showing it.
    pub fn read(
        receipts: Option<&str>,
        sessions: Option<&str>,
        previous: Option<&str>,
    ) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let receipts = secret("RECEIPT_SIGNING_KEY", receipts, &mut faults, |text| {
            SigningKey::from_hex(text).map_err(|error| error.to_string())
        });
        let sessions = secret("SESSION_KEY", sessions, &mut faults, SessionKey::from_hex);
        let previous = previous
            .and_then(|text| secret("PREVIOUS_SESSION_KEY", Some(text), &mut faults, SessionKey::from_hex));
        let (Some(receipts), Some(sessions), true) = (receipts, sessions, faults.is_empty()) else {
            return Err(faults);
        };
        let previous = previous.map(|key| key.challenge_secret());
        let challenges =
            ChallengeKeys::new(&sessions.challenge_secret(), previous.as_ref().map(<[u8; 32]>::as_slice));
        let keys = |challenges| Self { receipts, previous: Vec::new(), sessions, challenges };
        challenges.map(keys).map_err(|message| {
            faults.add("SESSION_KEY", message);
            faults
        })
    }

    /// The same with `PREVIOUS_RECEIPT_KEYS`: the public keys that signed receipts before, the latest first.
    ///
    /// # Errors
    /// Which of them are none.
    pub fn after(self, previous: &str) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let previous = public_keys("PREVIOUS_RECEIPT_KEYS", previous, &mut faults);
        if faults.is_empty() { Ok(Self { previous, ..self }) } else { Err(faults) }
    }
}

/// The secret `ADMIN_TOKEN`. It is kept as a keyed hash, and compared in constant time.
#[derive(Clone)]
pub struct AdminToken {
    keyed: Hmac<Sha256>,
    name: String,
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

/// The fewest characters of an admin token.
const SHORTEST_ADMIN_TOKEN: usize = 16;

impl AdminToken {
    /// Takes a token of at least 16 characters.
    ///
    /// # Errors
    /// When it is shorter.
    pub fn new(token: &str) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        if token.chars().count() < SHORTEST_ADMIN_TOKEN {
            let message = "must be at least 16 characters; make one with `openssl rand -hex 32`";
            faults.add("ADMIN_TOKEN", message);
            return Err(faults);
        }
        let digest = hex::encode(Sha256::digest(token.as_bytes()));
        let name = format!("admin:{}", digest.get(..8).unwrap_or_default());
        Hmac::new_from_slice(token.as_bytes()).map(|keyed| Self { keyed, name }).map_err(|error| {
            faults.add("ADMIN_TOKEN", error.to_string());
            faults
        })
    }

    /// Who it is, for the audit table: `admin:` and the first 8 digits of the token's SHA-256.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether that is the token.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        let Ok(mut other) = Hmac::<Sha256>::new_from_slice(given.as_bytes()) else { return false };
        let mut own = self.keyed.clone();
        own.update(b"admin");
        other.update(b"admin");
        own.verify(&other.finalize().into_bytes()).is_ok()
    }
}

/// Reads `SESSION_PAYEE_KEY`: the key of the wallet that sessions pay.
///
/// # Errors
/// It is no key, or another wallet's.
pub fn payee_key(text: &str, payee: Address) -> Result<SigningKey, Faults> {
    let mut faults = Faults::default();
    match SigningKey::from_hex(text.trim()) {
        Ok(key) if key.address() == payee => return Ok(key),
        Ok(key) => faults.add(
            "SESSION_PAYEE_KEY",
            format!(
                "is the key of {}, and sessions pay {}: TOLLGATE.payment.pay_to",
                key.address().checksummed(),
                payee.checksummed()
            ),
        ),
        Err(error) => faults.add("SESSION_PAYEE_KEY", error.to_string()),
    }
    Err(faults)
}

/// Public keys (`0x04…`) with spaces, line ends or commas between them.
fn public_keys(name: &str, text: &str, faults: &mut Faults) -> Vec<PublicKey> {
    let written = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|key| !key.is_empty());
    let mut keys = Vec::new();
    for (index, key) in written.enumerate() {
        match key.parse() {
            Ok(key) => keys.push(key),
            Err(error) => {
                let error: KeyError = error;
                faults.add(format!("{name}[{index}]"), format!("{error}, as `GET /receipt-key` shows it"));
            }
        }
    }
    keys
}

fn secret<T>(
    name: &str,
    text: Option<&str>,
    faults: &mut Faults,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let Some(text) = text else {
        let message = "is missing and needed to take payments; make one with `openssl rand -hex 32` and set it with `wrangler secret put`";
        faults.add(name, message);
        return None;
    };
    read(text.trim()).map_err(|message| faults.add(name, message)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_receipt_keys_are_read_and_faults_name_their_place() {
        let (receipts, sessions) = ("01".repeat(32), "02".repeat(32));
        let read =
            |previous| PaymentKeys::read(Some(&receipts), Some(&sessions), None).unwrap().after(previous);
        let [first, second] =
            ["03", "04"].map(|byte| SigningKey::from_hex(&byte.repeat(32)).unwrap().public_key());
        assert_eq!(read("").unwrap().previous, []);
        let both = format!(" {first},\n{second} ");
        assert_eq!(read(&both).unwrap().previous, [first.clone(), second]);
        let faults = read(&format!("{first} 0x04")).unwrap_err().to_string();
        assert!(faults.starts_with("PREVIOUS_RECEIPT_KEYS[1]: must be 0x04 and 128"), "{faults}");
    }

    #[test]
    fn the_payees_key_is_that_of_the_wallet_that_is_paid() {
        let payee = SigningKey::from_hex(&"01".repeat(32)).unwrap().address();
        assert!(payee_key(&format!(" 0x{}\n", "01".repeat(32)), payee).is_ok());
        let other = payee_key(&"02".repeat(32), payee).unwrap_err().to_string();
        assert!(other.starts_with("SESSION_PAYEE_KEY: is the key of 0x"), "{other}");
        assert!(!payee_key("secret", payee).unwrap_err().to_string().contains("secret"), "it is not shown");
    }

    #[test]
    fn only_the_admin_token_is_the_admin_token() {
        let token = AdminToken::new("correct horse battery").unwrap();
        assert!(token.is("correct horse battery"));
        for wrong in ["", "correct horse", "correct horse battery ", "Correct horse battery"] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert!(AdminToken::new("short").is_err());
    }
}
