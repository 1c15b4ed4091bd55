//! What the gate asks a payment's object, in each of its parts, and what that answers where it is short.

use serde::{Deserialize, Serialize};

use super::account::Attempt;
use super::pledge::Promise;
use super::presentation::{OriginAnswer, Presentation};
use crate::client::AccountId;
use crate::limit::decision::Decision;
use crate::limit::units::Units;
use crate::owner::plan_book::PlanBook;
use crate::pay::amount::Amount;
use crate::pay::mpp::session::action::Action;
use crate::pay::mpp::session::channel::{ChannelStanding, Charge};
use crate::pay::receipt::SignedReceipt;
use crate::pay::trust::News;
use crate::pay::x402::PaymentId;
use crate::time::Millis;

/// A call to a payment object. The answer to each is named behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one is made and sent at a time")]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PaymentCall {
    /// A client presents a payment. `Presented`
    Present(Box<Presentation>),
    /// A payment claims the transaction that this object is named for: was it free? [`bool`]
    ClaimTransaction(PaymentId),
    /// A payment claims the challenge of MPP that this object is named for, which is good until then: was it free?
    /// [`bool`]
    ClaimChallenge(PaymentId, Millis),
    /// The gate still makes the call that is paid for. `Done`
    StillServing,
    /// The origin answered the call that is paid for. `Presented`
    Answered(Box<OriginAnswer>),
    /// A session asks something of the channel that this object is named for.
    /// `Result<ChannelStanding, ChannelFault>`
    ActOnChannel(Action),
    /// A session's request is charged to the channel that this object is named for, and may then pass.
    /// `Result<Charged, ChannelFault>`
    ChargeChannel(Charge, Attempt),
    /// Units of a session's request, used while it is answered, are charged to the channel that this object is named for.
    /// `Result<ChannelStanding, ChannelFault>`
    ChargeFurther(Charge),
    /// Where does the channel stand that this object is named for, as soon as its vouchers reach that amount, or else then?
    /// `Result<ChannelStanding, ChannelFault>`
    AwaitVoucher(Amount, Millis),
    /// The receipt of the answer that was paid for. `Done`
    StoreReceipt(SignedReceipt),
    /// The receipt, if it was made. `Option<KeptReceipt>`
    Receipt,
    /// A backend asks about the request that this object is named for. [`Attempted`]
    AttemptRequest(AccountId, String, Attempt),
    /// A backend tells the end of the request that this object is named for, with these further units. [`bool`]:
    /// whether the request is known.
    EndRequest(String, Units),
    /// The plan book as the ledger has it now: it replaces one of a lower version. `Done`
    PublishPlans(PlanBook),
    /// The plan book that was published last. [`Option<PlanBook>`]
    Plans,
    /// The key that this object is named for is good for that account. `Done`
    AssignKey(AccountId),
    /// The account of the key that this object is named for. [`Option<AccountId>`]
    AccountOfKey,
    /// A wallet signed for a request under the nonce that this object is named for. `Pledged`
    Pledge(Box<Promise>),
    /// A payment claims the name that this object is named for: does it hold it now? [`bool`]
    ClaimName(String),
    /// Nothing came of the payment that holds the name: it is free again. `Done`
    ReleaseName(String),
    /// A payment of that many atomic units was found valid: is it credited before it is settled? The object is that of the
    /// trust in its payer. [`bool`]
    AskTrust(PaymentId, Amount),
    /// What became of that payment, at that instant. `Done`
    TellTrust(PaymentId, News, Amount, Millis),
    /// The answer has ended for which the payment was credited before it was settled; its hash. `Done`
    HashAnswer(String),
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

/// A request that was charged to its session's channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charged {
    /// Where the channel stands then.
    pub standing: ChannelStanding,
    /// What was decided about the request with what it paid for.
    pub decision: Decision,
}
