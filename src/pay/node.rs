//! The words of a chain node: a call over Ethereum's JSON-RPC, and what it answers. Nothing here calls anybody.

use std::fmt;

use serde_json::{Value, json};

/// How much of a node's reason is kept: 256 characters.
const REASON_LENGTH: usize = 256;

/// Why a node was of no help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResult {
    /// It did not answer, or not readably: the call may have been carried out.
    NoAnswer(String),
    /// It refused.
    Refused(String),
}

impl NoResult {
    /// The same, said of a call of that method.
    #[must_use]
    pub fn of(self, method: &str) -> Self {
        match self {
            Self::NoAnswer(why) => Self::NoAnswer(format!("{method}: {why}")),
            Self::Refused(why) => Self::Refused(format!("{method}: {why}")),
        }
    }
}

impl fmt::Display for NoResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NoAnswer(why) | Self::Refused(why)) = self;
        f.write_str(why)
    }
}

/// For those to whom it is one whether a node refused or said nothing.
impl From<NoResult> for String {
    fn from(none: NoResult) -> Self {
        none.to_string()
    }
}

/// The body of a call.
#[must_use]
pub fn request_body(method: &str, parameters: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters }).to_string()
}

/// The result of a call.
///
/// # Errors
/// The node refused, or its answer cannot be read.
pub fn read_result(body: &[u8]) -> Result<Value, NoResult> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|error| NoResult::NoAnswer(error.to_string()))?;
    match (answer.get("result"), answer.get("error")) {
        (Some(result), None | Some(Value::Null)) => Ok(result.clone()),
        (_, Some(error)) => Err(NoResult::Refused(error.to_string().chars().take(REASON_LENGTH).collect())),
        (None, None) => Err(NoResult::NoAnswer("neither a result nor an error".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_result_or_the_nodes_reason() {
        assert_eq!(read_result(br#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#), Ok(json!("0x1")));
        let refused = NoResult::Refused(r#"{"code":-32000}"#.to_owned());
        assert_eq!(read_result(br#"{"id":1,"error":{"code":-32000}}"#), Err(refused.clone()));
        for unreadable in [&b"<html>"[..], b"{}", b""] {
            assert!(matches!(read_result(unreadable), Err(NoResult::NoAnswer(_))));
        }
        assert_eq!(refused.of("eth_call").to_string(), r#"eth_call: {"code":-32000}"#);
    }
}
