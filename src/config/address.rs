//! Addresses that money goes to, or is moved by.

use serde_json::Value;

use super::table::text;
use crate::pay::eip712::Address;

/// Reads an address. Where its digits are of mixed case they are its checksum (EIP-55): what is paid to a mistyped address
/// is lost.
pub(super) fn address(value: &Value) -> Result<Address, String> {
    Address::parse_checked(text(value)?).map_err(|error| error.to_string())
}
