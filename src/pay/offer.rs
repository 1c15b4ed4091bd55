//! What is for sale for one resource.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    amount::Amount,
    eip712::{Address, Domain},
    network::{Asset, Network, other_v1_name},
};

/// One way to pay for a resource. All of it is ours: nothing a client sends changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What it is paid in, and who is paid.
    #[serde(flatten)]
    pub tender: Tender,
    /// How much, in the asset's atomic units.
    pub amount: Amount,
    /// How long a payment that a client signs for it should stay valid, in seconds.
    pub max_timeout_seconds: u64,
    /// When it is settled.
    #[serde(default, skip_serializing_if = "Flow::is_upfront")]
    pub flow: Flow,
}

/// When a payment is settled (`extra.paymentFlow` of x402 v2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// Before the origin is called: a refill.
    #[default]
    Upfront,
    /// Verified first, and settled when the origin has answered: one call. The protocol's default.
    Authorization,
}

impl Flow {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
    const fn is_upfront(&self) -> bool {
        matches!(self, Self::Upfront)
    }
}

/// What may be paid with, and to whom it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tender {
    /// A token on an EVM chain under the scheme `exact`: what is presented is understood, and checked here first.
    Evm(EvmTender),
    /// Whatever else a facilitator settles: passed through without being understood.
    Opaque(OpaqueTender),
}

/// A token on an EVM chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvmTender {
    /// Where it is paid.
    pub network: Network,
    /// What it is paid in.
    pub asset: Asset,
    /// Who is paid.
    pub pay_to: Address,
    /// How the payer lets the facilitator move it.
    #[serde(default, skip_serializing_if = "TransferMethod::is_eip3009")]
    pub transfer_method: TransferMethod,
}

/// How a payer lets a facilitator move an EVM token (`extra.assetTransferMethod` of x402's scheme `exact` on EVM).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferMethod {
    /// By an authorization that the token itself checks (EIP-3009).
    #[default]
    Eip3009,
    /// By an authorization that Uniswap's Permit2 checks, for tokens without EIP-3009.
    Permit2,
}

impl TransferMethod {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
    const fn is_eip3009(&self) -> bool {
        matches!(self, Self::Eip3009)
    }
}

/// A requirement as the owner wrote it, for a scheme or chain that is not understood here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpaqueTender {
    /// The scheme.
    pub scheme: String,
    /// CAIP-2.
    pub network: String,
    /// The token, as its network writes it.
    pub asset: String,
    /// Who is paid, as the network writes it.
    pub pay_to: String,
    /// Atomic units are 10^-decimals of a token.
    pub decimals: u8,
    /// The symbol people know.
    pub symbol: String,
    /// What the scheme wants to be told beside.
    pub extra: Map<String, Value>,
}

impl Tender {
    /// The network in CAIP-2.
    #[must_use]
    pub fn caip2(&self) -> String {
        match self {
            Self::Evm(tender) => tender.network.caip2(),
            Self::Opaque(tender) => tender.network.clone(),
        }
    }

    /// The name of the network that every x402 v1 client knows, if there is one.
    #[must_use]
    pub fn v1_name(&self) -> Option<&'static str> {
        match self {
            Self::Evm(tender) => tender.network.v1_name(),
            Self::Opaque(tender) => other_v1_name(&tender.network),
        }
    }

    /// The token: its contract in lower case, or what its network calls it.
    #[must_use]
    pub fn asset(&self) -> String {
        match self {
            Self::Evm(tender) => tender.asset.address.to_string(),
            Self::Opaque(tender) => tender.asset.clone(),
        }
    }

    /// Who is paid; an EVM address carries its checksum.
    #[must_use]
    pub fn payee(&self) -> String {
        match self {
            Self::Evm(tender) => tender.pay_to.checksummed(),
            Self::Opaque(tender) => tender.pay_to.clone(),
        }
    }

    /// Atomic units are 10^-decimals of a token.
    #[must_use]
    pub const fn decimals(&self) -> u8 {
        match self {
            Self::Evm(tender) => tender.asset.decimals,
            Self::Opaque(tender) => tender.decimals,
        }
    }

    /// The symbol people know.
    #[must_use]
    pub fn symbol(&self) -> &str {
        match self {
            Self::Evm(tender) => &tender.asset.symbol,
            Self::Opaque(tender) => &tender.symbol,
        }
    }

    /// The token on an EVM chain, if it is one.
    #[must_use]
    pub const fn evm(&self) -> Option<&EvmTender> {
        match self {
            Self::Evm(tender) => Some(tender),
            Self::Opaque(_) => None,
        }
    }

    /// The chain id (EIP-155); 0 where there is none.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.evm().map(|tender| tender.network.chain_id()).unwrap_or_default()
    }
}

impl EvmTender {
    /// The EIP-712 domain of the token, under which a payer signs a transfer (EIP-3009).
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain {
            name: self.asset.name.clone(),
            version: self.asset.version.clone(),
            chain_id: self.network.chain_id(),
            verifying_contract: self.asset.address,
        }
    }
}

impl Offer {
    /// The same offer, settled at another time.
    #[must_use]
    pub fn settled(self, flow: Flow) -> Self {
        Self { flow, ..self }
    }

    /// The price as bills count it, in the decimals that they are written in. A price is the same number in every token
    /// that it may be paid with.
    #[must_use]
    pub fn counted(&self, decimals: u8) -> Amount {
        self.amount.rescaled(self.tender.decimals(), decimals)
    }

    /// The price in whole tokens, without trailing zeros.
    #[must_use]
    pub fn price(&self) -> String {
        self.amount.to_decimal(self.tender.decimals())
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
