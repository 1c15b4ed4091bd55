//! `tempo` / `session`: a payment channel that an agent opens once and then spends from with signed vouchers, each for the
//! total so far (draft-tempo-session-00, session protocol v1).
//!
//! [`action`] is what a credential asks for, [`voucher`] what is signed, [`channel`] the accounting, [`escrow`] what the
//! chain says, [`transaction`] what is sent to it, [`stream`] what a stream is cut into and asked by. On the chain only the deposit is locked; [`redeem`] is how the payee gets what a
//! voucher says.

pub mod action;
pub mod channel;
pub mod escrow;
mod fault;
pub mod redeem;
pub mod stream;
pub mod transaction;
pub mod voucher;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::challenge::Terms;
use super::credential::Credential;
use super::{encode, object};
use crate::limit::decision::SaleTerms;
use crate::limit::tokens::Tokens;
use crate::pay::amount::Amount;
use crate::pay::eip712::{Address, Hash32};

/// The method.
pub const METHOD: &str = "tempo";
/// The intent.
pub const INTENT: &str = "session";
/// What is priced.
const UNIT: &str = "request";
/// How many requests a client is advised to deposit for.
const SUGGESTED_REQUESTS: u128 = 1_000;

/// The escrow that channels are opened in, and what they are paid in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escrow {
    /// The contract that holds deposits.
    pub contract: Address,
    /// The chain that it is on (EIP-155).
    pub chain_id: u64,
    /// The token.
    pub currency: Address,
    /// Atomic units are 10^-decimals of a token.
    pub decimals: u8,
    /// Who is paid.
    pub payee: Address,
}

impl Escrow {
    /// What a challenge asks for where a request costs this.
    #[must_use]
    pub fn terms(&self, cost: Amount) -> Terms {
        let deposit = Amount::new(cost.atomic().saturating_mul(SUGGESTED_REQUESTS));
        let details = json!({
            "chainId": self.chain_id,
            "escrowContract": self.contract.checksummed(),
            "sessionProtocol": "v1",
        });
        let request = object([
            ("amount", json!(cost.to_string())),
            ("currency", json!(self.currency.checksummed())),
            ("recipient", json!(self.payee.checksummed())),
            ("suggestedDeposit", json!(deposit.to_string())),
            ("unitType", json!(UNIT)),
            ("methodDetails", details),
        ]);
        Terms { method: METHOD, intent: INTENT, request }
    }

    /// Whether a credential's challenge asks for what a request costs here now.
    #[must_use]
    pub fn asks(&self, credential: &Credential, cost: Amount) -> bool {
        credential.challenge.request == encode(&self.terms(cost).request)
    }

    /// What a request costs where a refill is for sale: the refill's price for each of its tokens, rounded up to an atomic
    /// unit, and so many of them as the request needs. Nothing where that cannot be told.
    #[must_use]
    pub fn cost(&self, sale: &SaleTerms) -> Option<Amount> {
        let price = sale.price.to_amount(self.decimals).ok()?.atomic();
        let parts = sale.single.iter().zip(&sale.grants);
        let costs = parts.map(|(need, refill)| part_of(price, need.quantity, refill.quantity));
        costs.collect::<Option<Vec<u128>>>()?.into_iter().max().filter(|cost| *cost > 0).map(Amount::new)
    }

    /// The text that names a channel of this escrow, and no other of any chain.
    #[must_use]
    pub fn name_of(&self, channel: &Hash32) -> String {
        format!("channel:eip155:{}:{}:{channel}", self.chain_id, self.contract)
    }
}

/// What `need` of a refill of that price costs, priced by the token.
fn part_of(price: u128, need: Tokens, refill: Tokens) -> Option<u128> {
    let one = u128::from(Tokens::ONE.get());
    let (need, refill) = (u128::from(need.get()), u128::from(refill.get()));
    if refill == 0 {
        return None;
    }
    let per_token = price.checked_mul(one)?.div_ceil(refill);
    Some(per_token.checked_mul(need)?.div_ceil(one))
}

/// Whether a credential is of a session.
#[must_use]
pub fn is_of(credential: &Credential) -> bool {
    credential.challenge.method == METHOD && credential.challenge.intent == INTENT
}
