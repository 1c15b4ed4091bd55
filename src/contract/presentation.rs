//! A payment as it is presented, the answer that it pays for, and what became of it.

use serde::{Deserialize, Serialize};

use super::account::Attempt;
use crate::client::AccountId;
use crate::endpoint::EndpointName;
use crate::limit::decision::{Decision, Grant};
use crate::pay::purchase::{Service, Settlement};
use crate::pay::x402::Payment;
use crate::time::Span;

/// A payment as a client presents it, and what it is to buy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presentation {
    /// The payment; it passed every local check, but for its time where it is late.
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
    /// Its time is over: it is answered if it was presented before, and begins nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// What a payment buys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buys {
    /// More of a limit.
    #[default]
    Refill,
    /// Prepaid credits, and no request passes for it.
    Credits,
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
    /// Its wallet is trusted: it was credited now and is settled next, and this is the decision about the request that
    /// brought it.
    Advanced {
        /// The decision.
        decision: Decision,
        /// The id that its receipt will have.
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
    /// It bought, or is buying, something else: credits in place of a refill or a call, the other way round, or another
    /// number of credits.
    ElseBought,
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
