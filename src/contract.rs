//! What the gate and the Durable Objects say to each other, and how objects are named.

mod account;
mod names;
mod payment;
mod pledge;
mod presentation;
mod stored;

use serde::{Deserialize, Serialize};

pub use account::{
    AccountCall, Attempt, Credit, CreditBook, End, LiveUsage, Refund, Refusal, Survey, ToAccount,
};
pub use names::{
    PLANS_OBJECT, account_object, challenge_object, key_object, payment_object, payment_of_receipt,
    receipt_id, request_object, transaction_object, trust_object,
};
pub use payment::{Attempted, Charged, PaymentCall};
pub use pledge::{Pledged, Promise};
pub use presentation::{Buys, KeptAnswer, OriginAnswer, Presentation, Presented};
pub use stored::{KeptReceipt, StoredChallenge, StoredKey};

/// The answer where there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;
