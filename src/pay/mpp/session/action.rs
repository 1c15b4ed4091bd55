//! What a session's credential asks for: its payload, read (draft-tempo-session-00, "Payload Actions").

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::voucher::Voucher;
use crate::pay::amount::Amount;
use crate::pay::eip712::Hash32;
use crate::pay::mpp::CredentialFault;

/// What a session's credential asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// To open a channel by this transaction; the voucher is its first.
    Open(RawTransaction, Voucher),
    /// To take note that this transaction raises the deposit.
    TopUp(RawTransaction, Hash32),
    /// To take a voucher.
    Voucher(Voucher),
    /// To take the last voucher and close the channel.
    Close(Voucher),
}

/// A signed transaction, in hexadecimal: for a chain node, which understands it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawTransaction(String);

impl RawTransaction {
    /// A transaction of these bytes; none where there are none.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(format!("0x{}", hex::encode(bytes))))
    }

    /// `0x…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Action {
    /// Reads a payload. Members that nobody knows are let be, as the draft asks.
    ///
    /// # Errors
    /// A member that the action needs is absent or of the wrong form.
    pub fn read(payload: &Map<String, Value>) -> Result<Self, CredentialFault> {
        match text(payload, "action")? {
            "open" => Ok(Self::Open(transaction(payload)?, voucher(payload)?)),
            "topUp" => Ok(Self::TopUp(transaction(payload)?, parsed(payload, "channelId")?)),
            "voucher" => Ok(Self::Voucher(voucher(payload)?)),
            "close" => Ok(Self::Close(voucher(payload)?)),
            _ => Err(wrong("action")),
        }
    }

    /// The channel that it is about.
    #[must_use]
    pub const fn channel(&self) -> Hash32 {
        match self {
            Self::TopUp(_, channel) => *channel,
            Self::Open(_, voucher) | Self::Voucher(voucher) | Self::Close(voucher) => voucher.channel,
        }
    }
}

fn voucher(payload: &Map<String, Value>) -> Result<Voucher, CredentialFault> {
    let cumulative: Amount = parsed(payload, "cumulativeAmount")?;
    let signature = text(payload, "signature")?.to_owned();
    Ok(Voucher { channel: parsed(payload, "channelId")?, cumulative, signature })
}

fn transaction(payload: &Map<String, Value>) -> Result<RawTransaction, CredentialFault> {
    let text = text(payload, "transaction")?;
    let digits =
        text.strip_prefix("0x").filter(|digits| !digits.is_empty() && digits.len().is_multiple_of(2));
    match digits {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            Ok(RawTransaction(text.to_owned()))
        }
        _ => Err(wrong("transaction")),
    }
}

fn wrong(member: &str) -> CredentialFault {
    CredentialFault::WrongPayload(member.to_owned())
}

fn text<'a>(payload: &'a Map<String, Value>, member: &str) -> Result<&'a str, CredentialFault> {
    payload.get(member).and_then(Value::as_str).ok_or_else(|| wrong(member))
}

fn parsed<T: FromStr>(payload: &Map<String, Value>, member: &str) -> Result<T, CredentialFault> {
    text(payload, member)?.parse().map_err(|_| wrong(member))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(payload: &Value) -> Result<Action, CredentialFault> {
        Action::read(payload.as_object().unwrap())
    }

    #[test]
    fn an_action_is_read_with_what_it_needs() {
        let id = format!("0x{}", "ab".repeat(32));
        let whole = json!({
            "type": "transaction", "transaction": "0x76ab", "channelId": id, "cumulativeAmount": "25",
            "signature": "0x12", "additionalDeposit": "7", "more": 1,
        });
        let voucher = Voucher {
            channel: id.parse().unwrap(),
            cumulative: Amount::new(25),
            signature: "0x12".to_owned(),
        };
        let transaction = RawTransaction("0x76ab".to_owned());
        let with = |name: &str, value: Value| {
            let mut payload = whole.clone();
            payload[name] = value;
            payload
        };
        for (name, action) in [
            ("open", Action::Open(transaction.clone(), voucher.clone())),
            ("topUp", Action::TopUp(transaction, voucher.channel)),
            ("voucher", Action::Voucher(voucher.clone())),
            ("close", Action::Close(voucher)),
        ] {
            assert_eq!(read(&with("action", json!(name))), Ok(action));
        }
        assert_eq!(read(&with("action", json!("settle"))), Err(wrong("action")));
        for (member, value) in [
            ("channelId", json!(id.to_uppercase())),
            ("cumulativeAmount", json!(25)),
            ("cumulativeAmount", json!("-1")),
            ("cumulativeAmount", json!("340282366920938463463374607431768211456")),
            ("signature", json!(null)),
            ("transaction", json!("76ab")),
            ("transaction", json!("0x7")),
            ("transaction", json!("0x")),
        ] {
            let mut payload = with("action", json!("open"));
            payload[member] = value;
            assert_eq!(read(&payload), Err(wrong(member)), "{payload}");
        }
    }
}
