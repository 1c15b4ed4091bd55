//! What the gate and the Durable Objects say to each other, and how objects are named.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bill::tally::Line;
use crate::client::AccountId;
use crate::client::key::{KeyHash, Scope};
use crate::endpoint::{EndpointName, Target};
use crate::limit::credit::Block;
use crate::limit::credit::order::Order;
use crate::limit::decision::{Decision, Grant};
use crate::limit::quota::QuotaUse;
use crate::limit::standing::Standing;
use crate::limit::tokens::Tokens;
use crate::limit::units::Units;
use crate::notice::Sum;
use crate::owner::plan_book::PlanBook;
use crate::pay::amount::Amount;
use crate::pay::mpp::session::action::Action;
use crate::pay::mpp::session::channel::{ChannelStanding, Charge};
use crate::pay::purchase::{Service, Settlement};
use crate::pay::receipt::SignedReceipt;
use crate::pay::x402::{Payment, PaymentId};
use crate::time::{Millis, Span};

/// A call to an account object. The answer to each is named behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AccountCall {
    /// May this request pass? [`Decision`]
    Attempt(Attempt),
    /// The same request, denied until now, again: with the payment that it brought it may pass. [`Decision`]
    AttemptAgain(Attempt),
    /// A request has ended, with these further units: its slot is free. [`Done`]
    End(End),
    /// A queued request's client went away before its turn: its place is free. [`Done`]
    Leave(String),
    /// A wallet signed in with this nonce, which is good until then: was it unused? [`bool`]
    SignIn(String, Millis),
    /// May this client look up one more receipt? [`bool`]
    LookUpReceipt,
    /// Where does it stand? Nothing is spent. [`Survey`]
    Survey(Option<Target>),
    /// The owner orders something of the credits. [`crate::limit::credit::order::Done`]
    OrderCredits(Order),
    /// Which blocks of credits are there? [`CreditBook`]
    Credits,
    /// What was used and the ledger may not have? [`LiveUsage`]
    Usage,
    /// A payment is about to be settled. [`Done`]
    Announce(PaymentId),
    /// A payment was refused. [`Done`]
    Withdraw(PaymentId),
    /// A payment was settled; and may the request that brought it pass? [`Option<Decision>`]
    Credit(Credit, Option<Attempt>),
    /// A credit will not be repeated. [`Done`]
    Acknowledge(PaymentId),
    /// It is not known whether a payment went through. [`Done`]
    Doubt(Sum),
    /// A payment failed, or is about to be asked about and may: how long must the next one wait, if this was one too
    /// many? [`Option<Span>`]
    FailPayment,
    /// The payment that was counted beforehand did not fail. [`Done`]
    UnfailPayment,
    /// Did the owner give it a plan? [`bool`]
    HasPlan,
    /// A wallet signed that it owes this for the request; may that pass? None where the owner gave it no plan.
    /// [`Option<Decision>`]
    Pledge(Attempt, Amount),
    /// The origin failed a paid request: its tokens are given back.
    /// Answered with where the client stands then: a list of [`Standing`].
    GiveBack(EndpointName, Tokens),
    /// May this address administer with a token that is right, or try one that is wrong? [`bool`]
    TryAdmin(bool),
    /// May the key that asks do that? [`bool`]
    Allows(Scope),
    /// The owner adds a key. [`Done`]
    AddKey(KeyHash, BTreeSet<Scope>),
    /// The owner revokes a key. [`Done`]
    RemoveKey(KeyHash),
    /// The owner gives the account a plan, or the default again. [`Done`]
    SetPlan(Option<String>),
    /// The plans have this version now. [`Done`]
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

/// The answer where there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;

/// A call to a payment object. The answer to each is named behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PaymentCall {
    /// A client presents a payment. [`Presented`]
    Present(Box<Presentation>),
    /// A payment claims the transaction that this object is named for: was it free? [`bool`]
    ClaimTransaction(PaymentId),
    /// A payment claims the challenge of MPP that this object is named for, which is good until then: was it free?
    /// [`bool`]
    ClaimChallenge(PaymentId, Millis),
    /// The gate still makes the call that is paid for. [`Done`]
    StillServing,
    /// The origin answered the call that is paid for. [`Presented`]
    Answered(Box<OriginAnswer>),
    /// A session asks something of the channel that this object is named for.
    /// `Result<ChannelStanding, ChannelFault>`
    ActOnChannel(Action),
    /// A session's request is charged to the channel that this object is named for, and may then pass.
    /// `Result<Charged, ChannelFault>`
    ChargeChannel(Charge, Attempt),
    /// The receipt of the answer that was paid for. [`Done`]
    StoreReceipt(SignedReceipt),
    /// The receipt, if it was made. [`Option<KeptReceipt>`]
    Receipt,
    /// A backend asks about the request that this object is named for. [`Attempted`]
    AttemptRequest(AccountId, String, Attempt),
    /// A backend tells the end of the request that this object is named for, with these further units. [`bool`]:
    /// whether the request is known.
    EndRequest(String, Units),
    /// The plan book as the ledger has it now: it replaces one of a lower version. [`Done`]
    PublishPlans(PlanBook),
    /// The plan book that was published last. [`Option<PlanBook>`]
    Plans,
    /// The key that this object is named for is good for that account. [`Done`]
    AssignKey(AccountId),
    /// The account of the key that this object is named for. [`Option<AccountId>`]
    AccountOfKey,
    /// A wallet signed for a request under the nonce that this object is named for. [`Pledged`]
    Pledge(Box<Promise>),
    /// A payment claims the name that this object is named for: does it hold it now? [`bool`]
    ClaimName(String),
    /// Nothing came of the payment that holds the name: it is free again. [`Done`]
    ReleaseName(String),
    /// The owner wants the payment looked at again now. [`Option<String>`]: its state, if there is such a payment.
    Retry,
}

/// What a backend is told about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
#[serde(rename_all = "snake_case")]
pub enum Attempted {
    /// The decision.
    Decided(Decision),
    /// The request id belongs to another account or endpoint.
    IdUsed,
}

/// A request that a wallet signed for, in place of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The wallet's account.
    pub account: AccountId,
    /// The request.
    pub attempt: Attempt,
    /// What the wallet owes for it, in atomic units.
    pub amount: Amount,
    /// Unix seconds at which the receipt ends.
    pub receipt_expires_at: u64,
}

/// What became of a [`Promise`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
#[serde(rename_all = "snake_case")]
pub enum Pledged {
    /// The wallet's plan decided. The nonce is used if it let the request pass.
    Decided(Decision),
    /// The nonce was used before.
    Used,
    /// The owner gave the wallet no plan.
    Unregistered,
}

/// A payment as a client presents it, and what it is to buy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presentation {
    /// The payment; it passed every local check.
    pub payment: Payment,
    /// Who presents it.
    pub account: AccountId,
    /// The endpoint whose limits it adds to.
    pub endpoint: EndpointName,
    /// What it adds.
    pub grants: Vec<Grant>,
    /// The request that it came with.
    pub attempt: Attempt,
    /// The same, for its receipt.
    pub service: Service,
    /// The id that its receipt will have.
    pub receipt_id: String,
    /// What it buys.
    #[serde(default)]
    pub buys: Buys,
}

/// What a payment buys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buys {
    /// More of a limit.
    #[default]
    Refill,
    /// One call.
    Call {
        /// The hash of what is asked for: the same payment answers no other question.
        question: String,
        /// Whether another limit denies a new call now: only one that was made before is answered.
        only_known: bool,
    },
}

/// The origin's answer to a call that is paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginAnswer {
    /// Its status.
    pub status: u16,
    /// All of it, unless it is too large to be kept, or a stream.
    pub kept: Option<KeptAnswer>,
}

/// An answer as it is kept with its payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub fields: Vec<(String, String)>,
    /// Its body in base64, if it has one.
    pub body: Option<String>,
}

/// What became of a payment that was presented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
#[serde(rename_all = "snake_case")]
pub enum Presented {
    /// It was settled and credited now, and this is the decision about the request that brought it.
    Credited {
        /// The decision.
        decision: Decision,
        /// How it was settled.
        settlement: Settlement,
        /// The id of its receipt.
        receipt_id: String,
    },
    /// It is good, and the gate is to call the origin now and tell what it answered.
    Serve {
        /// The decision that lets the call pass.
        decision: Decision,
        /// The id of its receipt.
        receipt_id: String,
    },
    /// The answer that the gate holds is paid for, and is handed on.
    Sold {
        /// How it was settled.
        settlement: Settlement,
        /// The id of its receipt.
        receipt_id: String,
    },
    /// The answer that the gate holds is not sold: it is handed on, and nothing was taken.
    NotSold,
    /// The call was made before, and this was its answer.
    Kept {
        /// The answer.
        answer: KeptAnswer,
        /// How it was settled; nothing was taken for an answer that is not sold.
        settlement: Option<Settlement>,
        /// The id of its receipt.
        receipt_id: String,
    },
    /// Another limit denies the call.
    Denied {
        /// The decision.
        decision: Decision,
    },
    /// Another limit denies a new call, and none was made with this payment.
    NotKnown,
    /// It was credited before, to this client.
    Used {
        /// How it was settled.
        settlement: Settlement,
        /// The id of its receipt.
        receipt_id: String,
    },
    /// It is another client's.
    Foreign,
    /// It was refused for certain: no money moved.
    Refused {
        /// Why, in the facilitator's words.
        reason: String,
    },
    /// Too many payments of this client failed; this one was not looked at.
    TooManyFailures {
        /// How long it must wait.
        wait: Span,
    },
    /// No facilitator answered; nothing was begun.
    Unavailable {
        /// What happened, for the log.
        why: String,
    },
    /// It is on its way, or its outcome is unknown.
    Pending,
}

/// A receipt and when it ends; how it is kept in KV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptReceipt {
    /// The receipt.
    pub signed: SignedReceipt,
    /// Unix seconds at which it ends, whatever KV still holds.
    pub expires_at: u64,
}

/// The account of a key, as the key's object stores it, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredKey {
    /// The first form.
    V1(AccountId),
}

/// A request that was charged to its session's channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charged {
    /// Where the channel stands then.
    pub standing: ChannelStanding,
    /// What was decided about the request with what it paid for.
    pub decision: Decision,
}

/// The payment that answers a challenge of MPP, as the challenge's object stores it, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredChallenge {
    /// The first form.
    AnsweredV1(PaymentId),
}

/// The name of an account's object.
#[must_use]
pub fn account_object(account: &AccountId) -> String {
    account.to_string()
}

/// The name of a payment's object.
#[must_use]
pub fn payment_object(payment: &PaymentId) -> String {
    payment.to_string()
}

/// The name of the object that remembers which payment answered a challenge of MPP.
#[must_use]
pub fn challenge_object(challenge: &str) -> String {
    format!("challenge:{challenge}")
}

/// The name of the object that remembers a backend's request id.
#[must_use]
pub fn request_object(request_id: &str) -> String {
    format!("request:{request_id}")
}

/// The name of the object that keeps the plan book.
pub const PLANS_OBJECT: &str = "plans";

/// The name of the object that knows the account of a key.
#[must_use]
pub fn key_object(key: &KeyHash) -> String {
    format!("key:{}", key.as_str())
}

/// The name of the object in which one payment claims a transaction; `network` is CAIP-2.
#[must_use]
pub fn transaction_object(network: &str, transaction: &str) -> String {
    let hexadecimal = network.starts_with("eip155:");
    let spelling = if hexadecimal { transaction.to_ascii_lowercase() } else { transaction.to_owned() };
    format!("tx:{network}:{spelling}")
}

/// The id of a payment's receipt. `suffix` is random, so that who knows the payment from the chain cannot guess it.
#[must_use]
pub fn receipt_id(payment: &PaymentId, suffix: &str) -> String {
    let digits = payment.as_str().trim_start_matches("pay_");
    format!("rcpt_{digits}{suffix}")
}

/// The payment whose receipt has that id, if it is one of ours.
#[must_use]
pub fn payment_of_receipt(receipt_id: &str) -> Option<PaymentId> {
    let digits = receipt_id.strip_prefix("rcpt_")?.get(..32)?;
    format!("pay_{digits}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::key::ApiKey;

    #[test]
    fn object_names_are_pinned() {
        let payment: PaymentId = format!("pay_{}", "ab".repeat(16)).parse().unwrap();
        assert_eq!(account_object(&"ip:203.0.113.7".parse().unwrap()), "ip:203.0.113.7");
        assert_eq!(payment_object(&payment), "pay_abababababababababababababababab");
        assert_eq!(transaction_object("eip155:84532", "0xAB"), "tx:eip155:84532:0xab");
        assert_eq!(transaction_object("solana:5eykt", "4AbC"), "tx:solana:5eykt:4AbC");
        assert_eq!(request_object("r-1"), "request:r-1");
        assert_eq!(challenge_object("X6v1"), "challenge:X6v1");
        let key = ApiKey::new([0; 32]).hash();
        assert_eq!(key_object(&key), format!("key:{}", key.as_str()));
        assert_eq!(PLANS_OBJECT, "plans");
    }

    #[test]
    fn a_receipt_id_leads_back_to_its_payment() {
        let payment: PaymentId = format!("pay_{}", "ab".repeat(16)).parse().unwrap();
        let id = receipt_id(&payment, "0123456789abcdef");
        assert_eq!(id, "rcpt_abababababababababababababababab0123456789abcdef");
        assert_eq!(payment_of_receipt(&id), Some(payment));
        for foreign in ["", "rcpt_", "rcpt_short", "pay_abababababababababababababababab"] {
            assert_eq!(payment_of_receipt(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_form_of_an_answered_challenge_is_pinned() {
        let form = r#"{"answered_v1":"pay_abababababababababababababababab"}"#;
        let stored: StoredChallenge = serde_json::from_str(form).unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), form);
    }

    #[test]
    fn the_hot_call_is_pinned() {
        let call = r#"{"account":"ip:203.0.113.7","call":{"attempt":{"request":"req_1","target":{"method":"GET","path":"/cpu"}}}}"#;
        let parsed: ToAccount = serde_json::from_str(call).unwrap();
        assert_eq!(serde_json::to_string(&parsed).unwrap(), call);
        assert_eq!(parsed.key, None);
    }
}
