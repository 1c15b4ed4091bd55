//! What a 402 offers, and what of it can be paid.

use std::fmt;

use serde_json::{Map, Value};

use crate::pay::amount::{Amount, Price, PriceError};
use crate::pay::eip712::Address;
use crate::pay::network::{Network, known_asset};
use crate::pay::offer::{EvmTender, TransferMethod};
use crate::pay::x402::{BadPayment, v2};

/// The header `PAYMENT-REQUIRED`, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// What it is for, as the gate describes it; goes back with the payment.
    pub(super) resource: Option<Value>,
    /// What can be paid, in the order of the gate.
    pub payable: Vec<Payable>,
    /// What cannot, and why.
    pub passed_over: Vec<String>,
}

/// An offer that a wallet can sign for.
#[derive(Clone, Debug, PartialEq)]
pub struct Payable {
    /// What it is paid in, and who is paid.
    pub tender: EvmTender,
    /// How much, in the token's atomic units.
    pub amount: Amount,
    /// How long the payment may stay valid, in seconds.
    pub max_timeout_seconds: u64,
    /// The requirements as they came: a payment must repeat them to the last field.
    pub(super) requirements: Map<String, Value>,
}

/// Why nothing is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeError {
    /// The header cannot be read.
    Unreadable(BadPayment),
    /// None of the offers can be paid by this tool; why, one after the other.
    NothingPayable(Vec<String>),
    /// The cheapest costs more than may be paid.
    TooDear {
        /// What it costs, such as `0.25 USDC`.
        price: String,
        /// What may be paid.
        most: Price,
    },
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "PAYMENT-REQUIRED {error}"),
            Self::NothingPayable(why) if why.is_empty() => f.write_str("the 402 offers nothing"),
            Self::NothingPayable(why) => write!(f, "none of the offers can be paid: {}", why.join("; ")),
            Self::TooDear { price, most } => {
                write!(f, "it costs {price}, and --max-price is {most}: nothing was paid")
            }
        }
    }
}

impl std::error::Error for ChallengeError {}

impl Challenge {
    /// Reads the header `PAYMENT-REQUIRED`.
    ///
    /// # Errors
    /// It is no challenge of x402 v2.
    pub fn read(header: &str) -> Result<Self, ChallengeError> {
        let object = v2::decode_required(header).map_err(ChallengeError::Unreadable)?;
        let mut challenge =
            Self { resource: object.get("resource").cloned(), payable: Vec::new(), passed_over: Vec::new() };
        for requirements in object.get("accepts").and_then(Value::as_array).into_iter().flatten() {
            match Payable::read(requirements) {
                Ok(payable) => challenge.payable.push(payable),
                Err(why) => challenge.passed_over.push(why),
            }
        }
        Ok(challenge)
    }

    /// The first offer that costs no more than `most`.
    ///
    /// # Errors
    /// There is none.
    pub fn choose(&self, most: &Price) -> Result<&Payable, ChallengeError> {
        let affordable = self.payable.iter().find(|payable| payable.costs_at_most(most));
        affordable.ok_or_else(|| match self.payable.iter().min_by_key(|payable| payable.amount) {
            Some(cheapest) => ChallengeError::TooDear { price: cheapest.price(), most: *most },
            None => ChallengeError::NothingPayable(self.passed_over.clone()),
        })
    }
}

impl Payable {
    /// Reads requirements (x402 v2 §5.1.2). The token must be one whose name and decimals are known here, not from the
    /// gate: otherwise nobody could tell what it costs.
    fn read(requirements: &Value) -> Result<Self, String> {
        let members = requirements.as_object().ok_or("an offer is no table")?;
        let text = |member: &str| members.get(member).and_then(Value::as_str).unwrap_or_default();
        let (scheme, network) = (text("scheme"), text("network"));
        let told = |why: &str| format!("{scheme} on {network}: {why}");
        if scheme != "exact" {
            return Err(told("this tool pays by the scheme exact only"));
        }
        let chain = Network::parse(network).map_err(|_| told("this tool pays on EVM chains only"))?;
        let extra =
            |member: &str| members.get("extra").and_then(|extra| extra.get(member)).and_then(Value::as_str);
        if extra("assetTransferMethod").is_some_and(|method| method != "eip3009") {
            return Err(told("this tool pays by EIP-3009 only"));
        }
        let address: Address = text("asset").parse().map_err(|_| told("the asset is no address"))?;
        let asset = known_asset(&chain, "USDC").filter(|known| known.address == address);
        let asset = asset
            .ok_or_else(|| told("the token is not the USDC of that chain, so its worth is not known here"))?;
        if extra("name") != Some(&asset.name) || extra("version") != Some(&asset.version) {
            return Err(told("the token's EIP-712 name or version is not USDC's"));
        }
        let amount: Amount = text("amount").parse().map_err(|_| told("the amount is no whole number"))?;
        let pay_to: Address = text("payTo").parse().map_err(|_| told("the payee is no address"))?;
        let seconds = members.get("maxTimeoutSeconds").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
        let max_timeout_seconds = seconds.ok_or_else(|| told("maxTimeoutSeconds is no whole number"))?;
        let tender = EvmTender { network: chain, asset, pay_to, transfer_method: TransferMethod::Eip3009 };
        Ok(Self { tender, amount, max_timeout_seconds, requirements: members.clone() })
    }

    fn costs_at_most(&self, most: &Price) -> bool {
        match most.to_amount(self.tender.asset.decimals) {
            Ok(most) => self.amount <= most,
            Err(PriceError::Zero) => self.amount == Amount::ZERO,
            // Finer than the token can express, or more than there is: compared where both are exact.
            Err(PriceError::TooLarge) => true,
            Err(PriceError::TooPrecise { .. } | PriceError::Malformed(_)) => false,
        }
    }

    /// What it costs in whole tokens, such as `0.001`.
    #[must_use]
    pub fn decimal(&self) -> String {
        self.amount.to_decimal(self.tender.asset.decimals)
    }

    /// What it costs, such as `0.001 USDC`.
    #[must_use]
    pub fn price(&self) -> String {
        format!("{} {}", self.decimal(), self.tender.asset.symbol)
    }
}
