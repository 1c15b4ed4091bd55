//! What is for sale for one resource.

use serde::{Deserialize, Serialize};

use super::{
    amount::Amount,
    eip712::{Address, Domain},
    network::{Asset, Network},
};

/// One way to pay for a resource. All of it is ours: nothing a client sends changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Where it is paid.
    pub network: Network,
    /// What it is paid in.
    pub asset: Asset,
    /// Who is paid.
    pub pay_to: Address,
    /// How much, in the asset's atomic units.
    pub amount: Amount,
    /// How long a payment that a client signs for it should stay valid, in seconds.
    pub max_timeout_seconds: u64,
}

impl Offer {
    /// The EIP-712 domain of the asset, under which a payer signs.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain {
            name: self.asset.name.clone(),
            version: self.asset.version.clone(),
            chain_id: self.network.chain_id(),
            verifying_contract: self.asset.address,
        }
    }

    /// The price in whole tokens, without trailing zeros.
    #[must_use]
    pub fn price(&self) -> String {
        self.amount.to_decimal(self.asset.decimals)
    }
}

/// The resource that is sold, as both versions of x402 describe it. Taken from our own route, never from what a payment says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// An absolute URL.
    pub url: String,
    /// What it is, for people; may be empty.
    pub description: String,
    /// The content type of its answers; may be empty.
    pub mime_type: String,
}
