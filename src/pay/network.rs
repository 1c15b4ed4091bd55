//! The networks and assets that a price can be paid on and in: EVM chains (CAIP-2 `eip155`), and USDC where the official packages know it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{amount::is_canonical_integer, eip712::Address};

/// An EVM chain. Text and JSON form: CAIP-2, `eip155:84532`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    chain_id: u64,
}

/// A text that names no network we know. Its display lists the names we do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError {
    text: String,
}

/// The names of x402 v1, from `EvmNetworkToChainId` of npm x402 1.2.0 (`types`). Its clients refuse a whole 402 that names any other.
const V1_NAMES: [(&str, u64); 15] = [
    ("abstract", 2741),
    ("abstract-testnet", 11_124),
    ("avalanche", 43_114),
    ("avalanche-fuji", 43_113),
    ("base", 8453),
    ("base-sepolia", 84_532),
    ("educhain", 41_923),
    ("iotex", 4689),
    ("peaq", 3338),
    ("polygon", 137),
    ("polygon-amoy", 80_002),
    ("sei", 1329),
    ("sei-testnet", 1328),
    ("skale-base-sepolia", 324_705_682),
    ("story", 1514),
];

/// What npm @x402/evm 2.27.0 (`EVM_NETWORK_CHAIN_ID_MAP`) names beyond [`V1_NAMES`]. Read from owners and facilitators, never
/// written into a v1 challenge.
const LATER_NAMES: [(&str, u64); 8] = [
    ("celo", 42_220),
    ("ethereum", 1),
    ("flare", 14),
    ("megaeth", 4326),
    ("monad", 143),
    ("sepolia", 11_155_111),
    ("stable", 988),
    ("stable-testnet", 2201),
];

/// The networks beside EVM chains that every x402 v1 client has a name for (npm x402 1.2.0, `types`), by their CAIP-2 ids.
const OTHER_V1_NAMES: [(&str, &str); 2] = [
    ("solana", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    ("solana-devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"),
];

/// The v1 name of a network that is no EVM chain, by its CAIP-2 id.
#[must_use]
pub fn other_v1_name(caip2: &str) -> Option<&'static str> {
    OTHER_V1_NAMES.iter().find(|(_, id)| *id == caip2).map(|(name, _)| *name)
}

/// The CAIP-2 id of any network: of a name we know, or as it is written (CAIP-2, `namespace:reference`).
///
/// # Errors
/// The text is neither.
pub fn any_caip2(text: &str) -> Result<String, NetworkError> {
    if let Some((_, id)) = OTHER_V1_NAMES.iter().find(|(name, _)| *name == text) {
        return Ok((*id).to_owned());
    }
    if is_caip2(text) && !text.starts_with("eip155:") {
        return Ok(text.to_owned());
    }
    Network::parse(text).map(|network| network.caip2())
}

/// CAIP-2: `[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}`.
fn is_caip2(text: &str) -> bool {
    let namespace = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let reference = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split_once(':').is_some_and(|(space, rest)| {
        matches!(space.len(), 3..=8)
            && space.chars().all(namespace)
            && matches!(rest.len(), 1..=32)
            && rest.chars().all(reference)
    })
}

impl Network {
    /// The network of a name (`base-sepolia`) or a CAIP-2 id (`eip155:84532`).
    ///
    /// # Errors
    /// The text is neither a name we know nor the CAIP-2 id of an EVM chain.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let chain_id = match text.strip_prefix("eip155:") {
            Some(reference) => {
                Some(reference).filter(|r| is_canonical_integer(r) && *r != "0").and_then(|r| r.parse().ok())
            }
            None => names().find(|(name, _)| *name == text).map(|(_, chain_id)| chain_id),
        };
        chain_id.map(|chain_id| Self { chain_id }).ok_or_else(|| NetworkError { text: text.to_owned() })
    }

    /// The chain id (EIP-155).
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The CAIP-2 id, which x402 v2 uses.
    #[must_use]
    pub fn caip2(&self) -> String {
        format!("eip155:{}", self.chain_id)
    }

    /// The name that every x402 v1 client knows, if there is one.
    #[must_use]
    pub fn v1_name(&self) -> Option<&'static str> {
        V1_NAMES.iter().find(|(_, chain_id)| *chain_id == self.chain_id).map(|(name, _)| *name)
    }
}

fn names() -> impl Iterator<Item = (&'static str, u64)> {
    V1_NAMES.into_iter().chain(LATER_NAMES)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}", self.chain_id)
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.caip2()
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no known network; use a CAIP-2 id such as \"eip155:84532\", or one of",
            self.text
        )?;
        names()
            .enumerate()
            .try_for_each(|(i, (name, _))| write!(f, "{}{name}", if i == 0 { " " } else { ", " }))
    }
}

impl std::error::Error for NetworkError {}

/// A token that takes `transferWithAuthorization` (EIP-3009).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The contract.
    pub address: Address,
    /// The name in its EIP-712 domain. Not always its symbol: "USD Coin" on Base, "USDC" on Base Sepolia.
    pub name: String,
    /// The version in its EIP-712 domain.
    pub version: String,
    /// Atomic units are 10^-decimals of a token.
    pub decimals: u8,
    /// The symbol people know.
    pub symbol: String,
}

/// USDC: chain id, contract, EIP-712 name. All of them have version "2" and 6 decimals.
const USDC: [(u64, &str, &str); 23] = [
    // npm x402 1.2.0, `src/types/shared/evm/config.ts`; where @x402/evm lists the chain too, it says the same.
    (84_532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC"),
    (8453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin"),
    (43_113, "0x5425890298aed601595a70AB815c96711a31Bc65", "USD Coin"),
    (43_114, "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", "USD Coin"),
    (4689, "0xcdf79194c6c285077a58da47641d4dbe51f63542", "Bridged USDC"),
    (1328, "0x4fcf1784b31630811181f670aea7a7bef803eaed", "USDC"),
    (1329, "0xe15fc38f6d8c56af07bbcbe3baf5708a2bf42392", "USDC"),
    (137, "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359", "USD Coin"),
    (80_002, "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582", "USDC"),
    (3338, "0xbbA60da06c2c5424f03f7434542280FCAd453d10", "USDC"),
    (2741, "0x84a71ccd554cc1b02749b35d22f684cc8ec987e1", "Bridged USDC"),
    (11_124, "0xe4C7fBB0a626ed208021ccabA6Be1566905E2dFc", "Bridged USDC"),
    (1514, "0xF1815bd50389c46847f0Bda824eC8da914045D14", "Bridged USDC"),
    (41_923, "0x12a272A581feE5577A5dFa371afEB4b2F3a8C2F8", "Bridged USDC (Stargate)"),
    (324_705_682, "0x2e08028E3C4c2356572E096d8EF835cD5C6030bD", "Bridged USDC (SKALE Bridge)"),
    // npm @x402/evm 2.27.0, `src/defaultAssets.ts`, those with EIP-3009.
    (1, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USD Coin"),
    (143, "0x754704Bc059F8C67012fEd69BC8A327a5aafb603", "USDC"),
    (42_161, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", "USD Coin"),
    (421_614, "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d", "USD Coin"),
    (50, "0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1", "USDC"),
    (51, "0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4", "USDC"),
    (42_220, "0xcebA9300f2b948710d2653dD7B07f33A8B32118C", "USDC"),
    (11_142_220, "0x01C5C0122039549AD1493B8220cABEdD739BC44E", "USDC"),
];

/// The asset of this symbol (any case) on a network, where the official packages list it. Known today: USDC.
#[must_use]
pub fn known_asset(network: &Network, symbol: &str) -> Option<Asset> {
    if !symbol.eq_ignore_ascii_case("USDC") {
        return None;
    }
    let (_, address, name) = USDC.iter().find(|(chain_id, _, _)| *chain_id == network.chain_id)?;
    Some(Asset {
        address: address.parse().ok()?,
        name: (*name).to_owned(),
        version: "2".to_owned(),
        decimals: 6,
        symbol: "USDC".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_found_by_name_and_by_caip_2() {
        let network = Network::parse("base-sepolia").unwrap();
        assert_eq!(Network::parse("eip155:84532"), Ok(network));
        assert_eq!((network.chain_id(), network.caip2().as_str()), (84532, "eip155:84532"));
        assert_eq!(network.v1_name(), Some("base-sepolia"));
        assert_eq!(serde_json::to_string(&network).unwrap(), "\"eip155:84532\"");
        assert!(serde_json::from_str::<Network>("\"eip155:084532\"").is_err());
    }

    #[test]
    fn names_that_v1_clients_do_not_know_are_read_but_not_written() {
        assert_eq!(Network::parse("ethereum").unwrap().chain_id(), 1);
        assert_eq!(Network::parse("ethereum").unwrap().v1_name(), None);
        assert_eq!(Network::parse("eip155:31337").unwrap().v1_name(), None);
    }

    #[test]
    fn networks_beside_evm_chains_have_their_caip_2_id() {
        let solana = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
        assert_eq!(any_caip2("solana").as_deref(), Ok(solana));
        assert_eq!(any_caip2(solana).as_deref(), Ok(solana));
        assert_eq!(any_caip2("base").as_deref(), Ok("eip155:8453"));
        assert_eq!((other_v1_name(solana), other_v1_name("stellar:pubnet")), (Some("solana"), None));
        assert_eq!(any_caip2("stellar:pubnet").as_deref(), Ok("stellar:pubnet"));
        for text in ["", "solana:", "so:x", "Solana:x", "eip155:01", &format!("solana:{}", "x".repeat(33))] {
            assert!(any_caip2(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_names_no_network_is_refused_with_what_would() {
        for text in ["", "base-sepola", "Base", "eip155:", "eip155:0", "eip155:01", "eip155:x", "solana"] {
            let error = Network::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains(" abstract, "), "{error}");
            assert!(error.ends_with("stable-testnet"), "{error}");
        }
    }

    #[test]
    fn every_listed_asset_and_v1_network_resolves() {
        for (chain_id, address, name) in USDC {
            let asset = known_asset(&Network { chain_id }, "usdc").unwrap();
            assert!(asset.address.to_string().eq_ignore_ascii_case(address));
            assert_eq!((asset.name.as_str(), asset.version.as_str(), asset.decimals), (name, "2", 6));
        }
        for (name, _) in V1_NAMES {
            assert!(known_asset(&Network::parse(name).unwrap(), "USDC").is_some(), "{name}");
        }
        assert_eq!(known_asset(&Network::parse("base").unwrap(), "DAI"), None);
        assert_eq!(known_asset(&Network::parse("eip155:31337").unwrap(), "USDC"), None);
    }
}
