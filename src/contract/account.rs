//! What the gate asks an account's object, and what that answers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bill::tally::Line;
use crate::client::AccountId;
use crate::client::key::{KeyHash, Scope};
use crate::endpoint::{EndpointName, Target};
use crate::limit::credit::Block;
use crate::limit::credit::order::Order;
use crate::limit::decision::Grant;
use crate::limit::quota::QuotaUse;
use crate::limit::standing::Standing;
use crate::limit::tokens::Tokens;
use crate::limit::units::Units;
use crate::notice::Sum;
use crate::pay::amount::Amount;
use crate::pay::x402::PaymentId;
use crate::time::Millis;

/// A call to an account object. The answer to each is named behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AccountCall {
    /// May this request pass? `Decision`
    Attempt(Attempt),
    /// The same request, denied until now, again: with the payment that it brought it may pass. `Decision`
    AttemptAgain(Attempt),
    /// A request has ended, with these further units: its slot is free. `Done`
    End(End),
    /// A request that passed uses further units while it is answered: may it? [`crate::limit::decision::Furthered`]
    Further(EndpointName, Units),
    /// A queued request's client went away before its turn: its place is free. `Done`
    Leave(String),
    /// A wallet signed in with this nonce, which is good until then: was it unused? [`bool`]
    SignIn(String, Millis),
    /// May this client look up one more receipt? [`bool`]
    LookUpReceipt,
    /// Where does it stand? Nothing is spent. [`Survey`]
    Survey(Option<Target>),
    /// The owner orders something of the credits. [`crate::limit::credit::order::Done`]
    OrderCredits(Order),
    /// What do so many credits cost? [`crate::limit::credit::sale::CreditSale`]
    SellCredits(u64),
    /// Which blocks of credits are there? [`CreditBook`]
    Credits,
    /// What was used and the ledger may not have? [`LiveUsage`]
    Usage,
    /// A payment is about to be settled. `Done`
    Announce(PaymentId),
    /// A payment was refused. `Done`
    Withdraw(PaymentId),
    /// A payment was settled; and may the request that brought it pass? `Option<Decision>`
    Credit(Credit, Option<Attempt>),
    /// A trusted wallet's payment is to be settled; and may the request that brought it pass? `Option<Decision>`
    Advance(Credit, Option<Attempt>),
    /// The settlement of a payment that was credited before failed. `Done`
    TakeBack(Credit),
    /// A credit will not be repeated. `Done`
    Acknowledge(PaymentId),
    /// It is not known whether a payment went through. `Done`
    Doubt(Sum),
    /// A payment failed, or is about to be asked about and may: how long must the next one wait, if this was one too
    /// many? [`Option<Span>`]
    FailPayment,
    /// The payment that was counted beforehand did not fail. `Done`
    UnfailPayment,
    /// Did the owner give it a plan? [`bool`]
    HasPlan,
    /// A wallet signed that it owes this for the request; may that pass? None where the owner gave it no plan.
    /// `Option<Decision>`
    Pledge(Attempt, Amount),
    /// The origin failed a request: what was paid for and it took is given back.
    /// Answered with where the client stands then: a list of [`Standing`].
    GiveBack(EndpointName, Refund),
    /// May this address administer with a token that is right, or try one that is wrong? [`bool`]
    TryAdmin(bool),
    /// May the key that asks do that? [`bool`]
    Allows(Scope),
    /// Is the key that asks good? [`bool`]
    KnowsKey,
    /// The owner adds a key. `Done`
    AddKey(KeyHash, BTreeSet<Scope>),
    /// The owner revokes a key. `Done`
    RemoveKey(KeyHash),
    /// The owner gives the account a plan, or the default again. `Done`
    SetPlan(Option<String>),
    /// The plans have this version now. `Done`
    NewPlans(u64),
}

impl AccountCall {
    /// Whether it is answered as well while the plans in force are faulty: else the owner could not mend them.
    #[must_use]
    pub const fn is_for_mending(&self) -> bool {
        self.is_owners() || matches!(self, Self::TryAdmin(_) | Self::NewPlans(_))
    }

    /// Whether it changes what the owner gave the account.
    const fn is_owners(&self) -> bool {
        matches!(self, Self::AddKey(..) | Self::RemoveKey(_) | Self::SetPlan(_) | Self::OrderCredits(_))
    }

    /// Whether it changes what the owner gave the account, or what is owed: stored before it is answered.
    #[must_use]
    pub const fn is_stored_first(&self) -> bool {
        self.is_owners() || matches!(self, Self::Pledge(..))
    }
}

/// A request that asks to pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The id of the request.
    pub request: String,
    /// What it asks for.
    pub target: Target,
    /// What it uses beside one request, as far as known before.
    #[serde(default, skip_serializing_if = "Units::is_empty")]
    pub units: Units,
    /// Whether a payment for this very call came with it, where each call is paid.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paid: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What a request took of things that were paid for, and gets back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// Tokens of its endpoint's bucket.
    pub tokens: Tokens,
    /// Prepaid credits.
    pub credits: Tokens,
}

/// A settled payment and what it adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    /// Which payment. Crediting it again adds nothing.
    pub payment: PaymentId,
    /// The endpoint whose limits it adds to.
    pub endpoint: EndpointName,
    /// What it adds.
    pub grants: Vec<Grant>,
    /// What was paid, in atomic units.
    pub amount: Amount,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The id of the request.
    pub request: String,
    /// The endpoint that admitted it.
    pub endpoint: EndpointName,
    /// What it used beyond what it asked for at first.
    pub units: Units,
    /// What it asked for at first went beyond a quota already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beyond: bool,
}

/// The envelope of an [`AccountCall`]: whose account it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToAccount {
    /// The account.
    pub account: AccountId,
    /// The key that the caller brought; one that is not good is refused, whatever the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyHash>,
    /// The call.
    pub call: AccountCall,
}

/// Why an account's object does not do what it is called for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The key is not, or no longer, good for this account.
    UnknownKey,
    /// The plans that are in force are faulty.
    Misconfigured(String),
}

/// Where a client stands at each endpoint asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// Its plan.
    pub plan: String,
    /// The endpoints with their limits; empty when none matches.
    pub endpoints: Vec<(EndpointName, Vec<Standing>)>,
    /// The credits that it may spend.
    pub credits: Tokens,
    /// The payments that are credited and not settled yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advanced: Vec<PaymentId>,
}

/// The credits of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditBook {
    /// The blocks in the order in which they were granted; also the last that are used up or have expired.
    pub blocks: Vec<Block>,
    /// What may be spent.
    pub balance: Tokens,
    /// What was used beyond it.
    pub debt: Tokens,
}

/// Usage that the ledger may not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveUsage {
    /// The account's plan.
    pub plan: String,
    /// The life of the account that the lines belong to.
    pub incarnation: String,
    /// The totals so far.
    pub lines: Vec<Line>,
    /// What was used of quotas, in the present period of each and in the one before.
    pub quotas: Vec<(EndpointName, QuotaUse)>,
    /// The credits that may be spent.
    pub credits: Tokens,
    /// When it was asked.
    pub at: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hot_call_is_pinned() {
        let call = r#"{"account":"ip:203.0.113.7","call":{"attempt":{"request":"req_1","target":{"method":"GET","path":"/cpu"}}}}"#;
        let parsed: ToAccount = serde_json::from_str(call).unwrap();
        assert_eq!(serde_json::to_string(&parsed).unwrap(), call);
        assert_eq!(parsed.key, None);
    }
}
