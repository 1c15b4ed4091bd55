//! The name that a client gives to one of its sessions, such as one run of an agent: an account of its own, beside that of its
//! key or wallet. A name alone identifies nobody.

use std::fmt;
use std::str::FromStr;

use super::{AccountId, Kind};

/// The longest name.
pub const MAX_SESSION_NAME: usize = 128;

/// The name of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionName(String);

/// Why a text does not name a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionNameError;

impl fmt::Display for SessionNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "does not name a session; send 1 to {MAX_SESSION_NAME} letters, digits, `-`, `_`, `.` or `~`, once"
        )
    }
}

impl std::error::Error for SessionNameError {}

impl FromStr for SessionName {
    type Err = SessionNameError;

    fn from_str(text: &str) -> Result<Self, SessionNameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if !text.is_empty() && text.len() <= MAX_SESSION_NAME && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SessionNameError)
        }
    }
}

impl AccountId {
    /// The account of a session that this client named. Only keys and wallets have such: whoever else calls is who it was.
    #[must_use]
    pub fn in_session(self, name: &SessionName) -> Self {
        match self.kind() {
            Kind::Key | Kind::Wallet => Self(format!("session:{self}:{}", name.0)),
            Kind::Session | Kind::Ip => self,
        }
    }

    /// The key's account or wallet whose session it is, if it is one that a client named. A name has no colon, so that no two
    /// owners can have the same session.
    #[must_use]
    pub fn owner(&self) -> Option<Self> {
        let (owner, name) = self.0.strip_prefix("session:")?.rsplit_once(':')?;
        let owner: Self = owner.parse().ok()?;
        let is_owner =
            matches!(owner.kind(), Kind::Key | Kind::Wallet) && name.parse::<SessionName>().is_ok();
        is_owner.then_some(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account(text: &str) -> AccountId {
        text.parse().unwrap()
    }

    #[test]
    fn a_session_is_its_owners() {
        let name: SessionName = "run-42".parse().unwrap();
        let wallet = format!("wallet:0x{}", "ab".repeat(20));
        for owner in ["key:acme", "key:a:b", wallet.as_str()] {
            let session = account(owner).in_session(&name);
            assert_eq!(session.as_str(), format!("session:{owner}:run-42"));
            assert_eq!((session.kind(), session.owner()), (Kind::Session, Some(account(owner))));
            assert_eq!(account(session.as_str()), session);
        }
        let channel = format!("session:0x{}", "cd".repeat(32));
        for other in ["ip:203.0.113.7", channel.as_str()] {
            assert_eq!((account(other).in_session(&name), account(other).owner()), (account(other), None));
        }
    }

    #[test]
    fn what_names_no_session() {
        let long = "a".repeat(MAX_SESSION_NAME);
        assert!(long.parse::<SessionName>().is_ok());
        for bad in ["", "a b", "a:b", "a, b", "ä", "a/b", "a\n", &format!("{long}a")] {
            assert_eq!(bad.parse::<SessionName>(), Err(SessionNameError), "{bad}");
        }
    }

    #[test]
    fn the_longest_session_of_the_longest_owner_is_an_account() {
        let owner = account(&format!("key:{}", "k".repeat(256)));
        let session = owner.clone().in_session(&"n".repeat(MAX_SESSION_NAME).parse().unwrap());
        assert_eq!(account(session.as_str()).owner(), Some(owner));
    }

    proptest! {
        #[test]
        fn no_two_owners_have_the_same_session(one in "[a:.-]{1,6}", other in "[a:.-]{1,6}", names in ["[a.-]{1,4}", "[a.-]{1,4}"]) {
            let [first, second] = names.map(|name| name.parse::<SessionName>().unwrap());
            let (one, other) = (account(&format!("key:{one}")), account(&format!("key:{other}")));
            let same = one == other && first == second;
            prop_assert_eq!(one.in_session(&first) == other.in_session(&second), same);
        }
    }
}
