//! Who is calling: account ids and addresses.
//!
//! [`key`] has the API keys that an owner issues, [`key_ring`] those of an account, [`session`] the tokens that name an account, [`session_name`] the
//! sessions that clients name, [`nonce`] and
//! [`context_nonce`] the nonces that we issue, [`sign_in`] how a wallet proves itself.

pub mod context_nonce;
pub mod key;
pub mod key_ring;
pub mod nonce;
pub mod session;
pub mod session_name;
pub mod sign_in;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use session::{SESSION_LIFE, SessionKey};

use crate::pay::eip712::Address;

/// The longest name of a key's account.
const MAX_KEY_NAME: usize = 256;
/// The longest id of a session: that of a key's account, with a name and what stands between.
const MAX_SESSION_ID: usize = MAX_KEY_NAME + session_name::MAX_SESSION_NAME + "key::".len();

/// What tells a client from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An API key's account.
    Key,
    /// A wallet that proved itself.
    Wallet,
    /// An MPP session.
    Session,
    /// A network address.
    Ip,
}

/// The id of an account: `key:…`, `wallet:0x…`, `session:…` or `ip:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

/// Why a text is not an account id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountIdError(String);

impl fmt::Display for AccountIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an account id; write key:NAME, wallet:0x and 40 hexadecimal digits, session:ID or ip:ADDRESS",
            self.0
        )
    }
}

impl AccountId {
    /// The account of a network address. IPv6 counts by its /64, the part that a network hands to one customer;
    /// an IPv4 address in IPv6's clothes counts as IPv4.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(format!("ip:{v4}")),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => Self(format!("ip:{v4}")),
                None => Self(format!("ip:{}/64", network_of(v6))),
            },
        }
    }

    /// The account of a wallet that proved itself. The address is in lower case: one wallet is one account.
    #[must_use]
    pub fn of_wallet(wallet: &Address) -> Self {
        Self(format!("wallet:{wallet}"))
    }

    /// The account shared by callers whose address the platform does not tell, such as other workers.
    #[must_use]
    pub fn of_unknown_address() -> Self {
        Self("ip:unknown".to_owned())
    }

    /// What kind of client it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.0.split_once(':') {
            Some(("key", _)) => Kind::Key,
            Some(("wallet", _)) => Kind::Wallet,
            Some(("session", _)) => Kind::Session,
            _ => Kind::Ip,
        }
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn network_of(address: Ipv6Addr) -> Ipv6Addr {
    let [a, b, c, d, ..] = address.segments();
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)
}

/// Whether a name of the owner's choice can stand in an id: something, printable, and not too long.
fn is_plain(name: &str, longest: usize) -> bool {
    !name.is_empty() && name.len() <= longest && !name.chars().any(char::is_control)
}

impl FromStr for AccountId {
    type Err = AccountIdError;

    /// Each account has one spelling: a wallet in lower case, an address as [`AccountId::of_address`] writes it.
    fn from_str(text: &str) -> Result<Self, AccountIdError> {
        let error = || AccountIdError(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(error)?;
        match kind {
            "key" if is_plain(name, MAX_KEY_NAME) => Ok(Self(text.to_owned())),
            "session" if is_plain(name, MAX_SESSION_ID) => Ok(Self(text.to_owned())),
            "wallet" => name.parse::<Address>().map(|wallet| Self::of_wallet(&wallet)).map_err(|_| error()),
            "ip" if name == "unknown" => Ok(Self::of_unknown_address()),
            "ip" => {
                name.strip_suffix("/64").unwrap_or(name).parse().map(Self::of_address).map_err(|_| error())
            }
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for AccountId {
    type Error = AccountIdError;

    fn try_from(text: String) -> Result<Self, AccountIdError> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a credential is one of ours: `tg_…`. Any other is the origin's business.
#[must_use]
pub fn is_tollgate_key(credential: &str) -> bool {
    credential.starts_with("tg_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_client_whatever_it_is_written_as() {
        for (address, id) in [
            ("203.0.113.7", "ip:203.0.113.7"),
            ("::ffff:203.0.113.7", "ip:203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::/64"),
            ("2001:db8:1:2::ffff", "ip:2001:db8:1:2::/64"),
        ] {
            assert_eq!(AccountId::of_address(address.parse().unwrap()).as_str(), id);
        }
    }

    #[test]
    fn an_account_has_one_spelling() {
        let wallet = "ab".repeat(20);
        for (written, id) in [
            (format!("wallet:0x{}", wallet.to_uppercase()), format!("wallet:0x{wallet}")),
            ("ip:2001:db8:1:2::7".to_owned(), "ip:2001:db8:1:2::/64".to_owned()),
            ("ip:2001:db8:1:2::/64".to_owned(), "ip:2001:db8:1:2::/64".to_owned()),
            ("ip:203.0.113.7".to_owned(), "ip:203.0.113.7".to_owned()),
            ("ip:unknown".to_owned(), "ip:unknown".to_owned()),
            ("key:acme".to_owned(), "key:acme".to_owned()),
        ] {
            assert_eq!(written.parse::<AccountId>().unwrap().as_str(), id);
        }
        for bad in ["", "acme", "key:", "wallet:0x12", "ip:0198.1.1.1", "ip:nowhere", "user:acme", "key:a\nb"]
        {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wallet_is_one_client_whatever_the_case_of_its_address() {
        for text in
            ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"]
        {
            let id = AccountId::of_wallet(&text.parse().unwrap());
            assert_eq!(id.as_str(), "wallet:0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
            assert_eq!(id.kind(), Kind::Wallet);
        }
    }
}
