//! The chains that a wallet can be told of: what people call them, and what a wallet needs to know of one that is new to it
//! (EIP-3085).

use serde_json::{Value, json};

/// A chain, from `chains` of npm viem 2.55.13, which wallets' own lists are like. Each has a native currency of 18 decimals.
struct Chain {
    id: u64,
    name: &'static str,
    currency: &'static str,
    /// A public node.
    node: &'static str,
    /// Where transactions can be looked at.
    explorer: &'static str,
}

const fn chain(
    id: u64,
    name: &'static str,
    currency: &'static str,
    node: &'static str,
    explorer: &'static str,
) -> Chain {
    Chain { id, name, currency, node, explorer }
}

/// Those that `pay::network` knows a token on or a name of.
const CHAINS: [Chain; 28] = [
    chain(1, "Ethereum", "ETH", "https://ethereum.reth.rs/rpc", "https://etherscan.io"),
    chain(
        14,
        "Flare",
        "FLR",
        "https://flare-api.flare.network/ext/C/rpc",
        "https://flare-explorer.flare.network",
    ),
    chain(50, "XDC Network", "XDC", "https://rpc.xdcrpc.com", "https://xdcscan.com"),
    chain(51, "XDC Apothem", "TXDC", "https://erpc.apothem.network", "https://testnet.xdcscan.com"),
    chain(137, "Polygon", "POL", "https://polygon.drpc.org", "https://polygonscan.com"),
    chain(143, "Monad", "MON", "https://rpc.monad.xyz", "https://monadscan.com"),
    chain(988, "Stable", "USDT0", "https://rpc.stable.xyz", "https://stablescan.xyz"),
    chain(1328, "Sei Testnet", "SEI", "https://evm-rpc-testnet.sei-apis.com", "https://testnet.seiscan.io"),
    chain(1329, "Sei", "SEI", "https://evm-rpc.sei-apis.com", "https://seiscan.io"),
    chain(1514, "Data Network (Story)", "DATA", "https://mainnet.datarpc.io", "https://datanetscan.io"),
    chain(
        2201,
        "Stable Testnet",
        "USDT0",
        "https://rpc.testnet.stable.xyz",
        "https://testnet.stablescan.xyz",
    ),
    chain(2741, "Abstract", "ETH", "https://api.mainnet.abs.xyz", "https://abscan.org"),
    chain(3338, "peaq", "PEAQ", "https://quicknode1.peaq.xyz", "https://peaq.subscan.io"),
    chain(4326, "MegaETH", "ETH", "https://mainnet.megaeth.com/rpc", "https://mega.etherscan.io"),
    chain(4689, "IoTeX", "IOTX", "https://babel-api.mainnet.iotex.io", "https://iotexscan.io"),
    chain(8453, "Base", "ETH", "https://mainnet.base.org", "https://basescan.org"),
    chain(11_124, "Abstract Testnet", "ETH", "https://api.testnet.abs.xyz", "https://sepolia.abscan.org"),
    chain(41_923, "EDU Chain", "EDU", "https://rpc.educhain.xyz", "https://explorer.educhain.xyz"),
    chain(42_161, "Arbitrum One", "ETH", "https://arb1.arbitrum.io/rpc", "https://arbiscan.io"),
    chain(42_220, "Celo", "CELO", "https://forno.celo.org", "https://celoscan.io"),
    chain(
        43_113,
        "Avalanche Fuji",
        "AVAX",
        "https://api.avax-test.network/ext/bc/C/rpc",
        "https://testnet.snowtrace.io",
    ),
    chain(43_114, "Avalanche", "AVAX", "https://api.avax.network/ext/bc/C/rpc", "https://snowtrace.io"),
    chain(80_002, "Polygon Amoy", "POL", "https://polygon-amoy.drpc.org", "https://amoy.polygonscan.com"),
    chain(84_532, "Base Sepolia", "ETH", "https://sepolia.base.org", "https://sepolia.basescan.org"),
    chain(
        421_614,
        "Arbitrum Sepolia",
        "ETH",
        "https://sepolia-rollup.arbitrum.io/rpc",
        "https://sepolia.arbiscan.io",
    ),
    chain(
        11_142_220,
        "Celo Sepolia",
        "CELO",
        "https://forno.celo-sepolia.celo-testnet.org",
        "https://celo-sepolia.blockscout.com",
    ),
    chain(11_155_111, "Sepolia", "ETH", "https://11155111.rpc.thirdweb.com", "https://sepolia.etherscan.io"),
    chain(
        324_705_682,
        "SKALE Base Sepolia",
        "CREDIT",
        "https://base-sepolia-testnet.skalenodes.com/v1/base-testnet",
        "https://base-sepolia-testnet-explorer.skalenodes.com",
    ),
];

fn known(id: u64) -> Option<&'static Chain> {
    CHAINS.iter().find(|chain| chain.id == id)
}

/// What people call a chain, if it is known.
pub(super) fn name(id: u64) -> Option<&'static str> {
    known(id).map(|chain| chain.name)
}

/// What a wallet is told to switch to a chain, and to add it where it is known here (`AddEthereumChainParameter`).
pub(super) fn for_wallet(id: u64) -> Value {
    let hex = format!("0x{id:x}");
    match known(id) {
        Some(chain) => json!({
            "chainId": hex,
            "chainName": chain.name,
            "nativeCurrency": { "name": chain.currency, "symbol": chain.currency, "decimals": 18 },
            "rpcUrls": [chain.node],
            "blockExplorerUrls": [chain.explorer],
        }),
        None => json!({ "chainId": hex }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pay::network::Network;

    #[test]
    fn a_wallet_can_be_told_of_every_chain_that_has_a_name_here() {
        let unknown = Network::parse("?").unwrap_err().to_string();
        let names = unknown.rsplit("one of ").next().unwrap().split(", ");
        for name in names {
            let id = Network::parse(name).unwrap().chain_id();
            let told = for_wallet(id);
            assert_eq!(told["chainId"], format!("0x{id:x}"));
            for url in ["rpcUrls", "blockExplorerUrls"] {
                assert!(told[url][0].as_str().unwrap().starts_with("https://"), "{name}: {told}");
            }
        }
    }

    #[test]
    fn of_another_chain_a_wallet_is_told_the_number() {
        assert_eq!(for_wallet(31_337), json!({ "chainId": "0x7a69" }));
        assert_eq!((name(8453), name(31_337)), (Some("Base"), None));
    }
}
