//! What a client sends in `SIGN-IN-WITH-X`, and the text that its wallet has signed.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::SignInError;
use crate::pay::eip712::{Address, keccak256};
use crate::pay::network::Network;

/// A header field longer than this is refused unread. Real ones are below 1 kB.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;
/// How much of a parser's complaint is passed on: it may quote the client at any length.
const MAX_COMPLAINT_CHARS: usize = 160;

/// A sign-in that was read and not yet checked: nothing in it is to be believed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Proof {
    pub(super) domain: String,
    pub(super) address: String,
    pub(super) statement: Option<String>,
    pub(super) uri: String,
    pub(super) version: String,
    pub(super) chain_id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) nonce: String,
    pub(super) issued_at: String,
    pub(super) expiration_time: Option<String>,
    pub(super) not_before: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) resources: Option<Vec<String>>,
    pub(super) signature_scheme: Option<String>,
    pub(super) signature: String,
}

impl Proof {
    /// Reads the header field: standard base64 of a JSON object.
    pub(super) fn read(header_value: &str) -> Result<Self, SignInError> {
        let unreadable = |fault: &str| SignInError::Unreadable(fault.to_owned());
        if header_value.len() > MAX_HEADER_BYTES {
            return Err(unreadable("is longer than 16384 bytes"));
        }
        let json = STANDARD
            .decode(header_value)
            .map_err(|_| unreadable("is not standard base64 with padding, once"))?;
        // Otherwise serde would read a list of values in the order of our fields, too.
        if !json.trim_ascii_start().starts_with(b"{") {
            return Err(unreadable("does not hold a JSON object"));
        }
        let proof: Self = serde_json::from_slice(&json).map_err(|error| {
            let complaint: String = error.to_string().chars().take(MAX_COMPLAINT_CHARS).collect();
            unreadable(&format!("holds no sign-in: {complaint}"))
        })?;
        // With line feeds in its fields, one signed text could be read as two sign-ins.
        if proof.texts().any(|text| text.contains(char::is_control)) {
            return Err(unreadable("has a control character in a field"));
        }
        Ok(proof)
    }

    /// Everything in it that stands in the signed text as it came.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let required =
            [&self.domain, &self.uri, &self.version, &self.nonce, &self.issued_at].map(String::as_str);
        let optional = [&self.statement, &self.expiration_time, &self.not_before, &self.request_id];
        required
            .into_iter()
            .chain(optional.into_iter().flatten().map(String::as_str))
            .chain(self.resources.iter().flatten().map(String::as_str))
    }

    /// The text of EIP-4361, with the wallet's address as that demands it: with the checksum of EIP-55.
    pub(super) fn text(&self, wallet: &Address, chain: Network) -> String {
        let Self { domain, uri, version, nonce, issued_at, .. } = self;
        let (wallet, chain_id) = (wallet.checksummed(), chain.chain_id());
        let statement = self.statement.as_ref().map(|text| format!("{text}\n")).unwrap_or_default();
        let mut text = format!(
            "{domain} wants you to sign in with your Ethereum account:\n{wallet}\n\n{statement}\nURI: {uri}\n\
             Version: {version}\nChain ID: {chain_id}\nNonce: {nonce}\nIssued At: {issued_at}"
        );
        let further = [
            ("Expiration Time", &self.expiration_time),
            ("Not Before", &self.not_before),
            ("Request ID", &self.request_id),
        ];
        for (name, value) in further {
            if let Some(value) = value {
                // Writing into a `String` cannot fail.
                let _ = write!(text, "\n{name}: {value}");
            }
        }
        if let Some(resources) = &self.resources {
            text.push_str("\nResources:");
            for resource in resources {
                text.push_str("\n- ");
                text.push_str(resource);
            }
        }
        text
    }

    /// What the wallet signed: the text as a personal message (EIP-191, version 0x45).
    pub(super) fn digest(&self, wallet: &Address, chain: Network) -> [u8; 32] {
        let text = self.text(wallet, chain);
        keccak256(format!("\x19Ethereum Signed Message:\n{}{text}", text.len()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pay::eip712::recover;

    fn read(json: &serde_json::Value) -> Result<Proof, SignInError> {
        Proof::read(&STANDARD.encode(json.to_string()))
    }

    fn base_sepolia() -> Network {
        Network::parse("base-sepolia").unwrap()
    }

    /// WIRE §3.5 V8, generated with viem.
    #[test]
    fn the_text_is_that_of_the_official_packages() {
        let signature = "0x424b2eba15171110d4a9cde3df748cc3bb6452a96cd7772104ab83117d727b5e4c4baebe8f1680638b5d27e538e7b13b662999f83d3baef6bcbd9460ff67b05b1b";
        let proof = read(&json!({
            "domain": "api.example.com", "address": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            "statement": "Sign in to access your content", "uri": "https://api.example.com/data", "version": "1",
            "chainId": "eip155:84532", "type": "eip191", "nonce": "a1b2c3d4e5f60718",
            "issuedAt": "2026-11-21T00:00:00.000Z", "expirationTime": "2026-11-21T00:05:00.000Z",
            "resources": ["https://api.example.com/data"], "signature": signature,
        }))
        .unwrap();
        let wallet: Address = proof.address.parse().unwrap();
        let text = "api.example.com wants you to sign in with your Ethereum account:\n\
            0x70997970C51812dc3A010C7d01b50e0d17dc79C8\n\nSign in to access your content\n\n\
            URI: https://api.example.com/data\nVersion: 1\nChain ID: 84532\nNonce: a1b2c3d4e5f60718\n\
            Issued At: 2026-11-21T00:00:00.000Z\nExpiration Time: 2026-11-21T00:05:00.000Z\nResources:\n\
            - https://api.example.com/data";
        assert_eq!(proof.text(&wallet, base_sepolia()), text);
        let digest = proof.digest(&wallet, base_sepolia());
        assert_eq!(recover(digest, &signature.parse().unwrap()), Some(wallet));
    }

    /// EIP-4361, "ABNF Message Format": the statement's line feeds stay without it, an empty one has its own.
    #[test]
    fn the_text_of_each_optional_field() {
        let mut fields = json!({
            "domain": "a.example", "address": format!("0x{}", "0".repeat(40)), "uri": "https://a.example",
            "version": "1", "chainId": "eip155:84532", "type": "eip191", "nonce": "00000000",
            "issuedAt": "2026-11-21T00:00:00Z", "signature": "",
        });
        let text = |fields: &serde_json::Value| read(fields).unwrap().text(&Address::ZERO, base_sepolia());
        let head = format!("a.example wants you to sign in with your Ethereum account:\n{}", Address::ZERO);
        let body = "URI: https://a.example\nVersion: 1\nChain ID: 84532\nNonce: 00000000\nIssued At: 2026-11-21T00:00:00Z";
        assert_eq!(text(&fields), format!("{head}\n\n\n{body}"));
        fields["statement"] = json!("");
        assert_eq!(text(&fields), format!("{head}\n\n\n\n{body}"));
        fields["statement"] = json!(null);
        fields["notBefore"] = json!("2026-11-21T00:00:00Z");
        fields["requestId"] = json!("r");
        fields["resources"] = json!([]);
        let more = "Not Before: 2026-11-21T00:00:00Z\nRequest ID: r\nResources:";
        assert_eq!(text(&fields), format!("{head}\n\n\n{body}\n{more}"));
    }
}
