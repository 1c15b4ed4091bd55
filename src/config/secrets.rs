//! The secrets, as texts that the platform hands over, read into keys. [`uses`] says which of them a gate needs.

pub mod uses;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Config;
use super::payment::facilitator::Auth;
use super::table::Faults;
use crate::client::SessionKey;
use crate::notice::delivery::WebhookSecret;
use crate::pay::eip712::{Address, KeyError, PublicKey, SigningKey};
use crate::pay::facilitators::cdp::CdpKey;
use crate::pay::mpp::challenge::ChallengeKeys;

/// All secrets of a gate that it has a use for.
#[derive(Clone)]
pub struct Secrets {
    /// Present where payments are taken.
    pub keys: Option<PaymentKeys>,
    /// Who may ask for decisions and administer; nobody where it is not set.
    pub admin_token: Option<AdminToken>,
    /// The token for facilitators that want one.
    pub facilitator_token: Option<String>,
    /// What the owner's webhook knows us by.
    pub webhook: Option<WebhookSecret>,
    /// Closes sessions' channels on the chain, where the owner wants that.
    pub payee_key: Option<SigningKey>,
    /// What signs for Coinbase's facilitator.
    pub cdp_key: Option<CdpKey>,
}

impl Secrets {
    /// Reads those that a gate of these settings has a use for.
    ///
    /// # Errors
    /// All that are missing or wrong, without showing them.
    pub fn read(config: &Config, secret: impl Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let payment = config.payment.as_ref();
        let payee = payment.and_then(|payment| Some(payment.session.as_ref()?.escrow.payee));
        let payee_key = payee.zip(secret("SESSION_PAYEE_KEY")).map(|(payee, key)| payee_key(&key, payee));
        let cdp_key = config.asks_for(Auth::Cdp).then(|| {
            let (id, secret) = (secret("CDP_API_KEY_ID"), secret("CDP_API_KEY_SECRET"));
            CdpKey::read(id.as_deref(), secret.as_deref())
        });
        let admin_token = secret("ADMIN_TOKEN").map(|token| AdminToken::new(&token));
        let read = Self {
            keys: good(payment.map(|_| PaymentKeys::read(&secret)), &mut faults),
            admin_token: good(admin_token, &mut faults),
            facilitator_token: secret("FACILITATOR_TOKEN"),
            webhook: secret("WEBHOOK_SECRET").and_then(|secret| WebhookSecret::new(secret.trim())),
            payee_key: good(payee_key, &mut faults),
            cdp_key: good(cdp_key, &mut faults),
        };
        if config.asks_for(Auth::Bearer) && read.facilitator_token.is_none() {
            faults.add("FACILITATOR_TOKEN", "is missing; a facilitator has auth = \"bearer\"");
        }
        if config.webhook.is_some() && read.webhook.is_none() {
            let message = "is missing and needed for TOLLGATE.webhook; make one with `openssl rand -hex 32` and set it with `wrangler secret put`";
            faults.add("WEBHOOK_SECRET", message);
        }
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }
}

/// What was read; where it could not be, the faults are noted.
fn good<T>(read: Option<Result<T, Faults>>, faults: &mut Faults) -> Option<T> {
    read?.map_err(|more| faults.extend(more)).ok()
}

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
    /// Reads `RECEIPT_SIGNING_KEY` and `SESSION_KEY`; and, optional, what stood there before they were replaced:
    /// `PREVIOUS_RECEIPT_KEYS`, the public keys, the latest first, and `PREVIOUS_SESSION_KEY`, which keeps the challenges good
    /// that were issued with it.
    ///
    /// # Errors
    /// What is missing or wrong, without showing it.
    pub fn read(given: impl Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let receipts = secret("RECEIPT_SIGNING_KEY", given("RECEIPT_SIGNING_KEY"), &mut faults, |text| {
            SigningKey::from_hex(text).map_err(|error| error.to_string())
        });
        let sessions = secret("SESSION_KEY", given("SESSION_KEY"), &mut faults, SessionKey::from_hex);
        let before = given("PREVIOUS_SESSION_KEY")
            .and_then(|text| secret("PREVIOUS_SESSION_KEY", Some(text), &mut faults, SessionKey::from_hex));
        let previous = given("PREVIOUS_RECEIPT_KEYS").unwrap_or_default();
        let previous = public_keys("PREVIOUS_RECEIPT_KEYS", &previous, &mut faults);
        let (Some(receipts), Some(sessions), true) = (receipts, sessions, faults.is_empty()) else {
            return Err(faults);
        };
        let before = before.map(|key| key.challenge_secret());
        let challenges =
            ChallengeKeys::new(&sessions.challenge_secret(), before.as_ref().map(<[u8; 32]>::as_slice));
        let keys = |challenges| Self { receipts, previous, sessions, challenges };
        challenges.map(keys).map_err(|message| {
            faults.add("SESSION_KEY", message);
            faults
        })
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
    text: Option<String>,
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
        let read = |previous: &str| {
            PaymentKeys::read(|name| match name {
                "RECEIPT_SIGNING_KEY" => Some(receipts.clone()),
                "SESSION_KEY" => Some(sessions.clone()),
                "PREVIOUS_RECEIPT_KEYS" => Some(previous.to_owned()),
                _ => None,
            })
        };
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
