//! What there is one of: the one payment that a transaction settled or that answers a challenge.

use worker::Result;

use super::PaymentObject;
use crate::contract::StoredChallenge;
use crate::edge::record;
use crate::pay::x402::PaymentId;
use crate::time::{Millis, Span};

/// How long after its end a challenge that was answered is remembered: longer than any two clocks of ours differ.
const CHALLENGE_MEMORY: Span = Span::seconds(60);

impl PaymentObject {
    /// Whether the transaction that this object is named for belongs to that payment: to the first that claims it.
    pub(super) fn claim(&self, payment: &PaymentId) -> Result<bool> {
        match self.stored()? {
            Some(holder) => Ok(holder == payment.as_str()),
            None => self.put(payment.to_string()).map(|()| true),
        }
    }

    /// Whether the challenge that this object is named for is answered by that payment: by the first that claims it.
    pub(super) async fn claim_challenge(&self, payment: PaymentId, expires: Millis) -> Result<bool> {
        match record::load(self)? {
            Some(StoredChallenge::AnsweredV1(holder)) => Ok(holder == payment),
            None => {
                record::save(self, &StoredChallenge::AnsweredV1(payment))?;
                self.ring_at(expires.plus(CHALLENGE_MEMORY)).await.map(|()| true)
            }
        }
    }
}
