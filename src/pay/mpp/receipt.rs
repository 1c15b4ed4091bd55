//! The receipt in MPP's own form, for the field `Payment-Receipt` of a successful answer (draft-httpauth-payment-00 §5.3).

use serde_json::{Map, Value, json};

use super::challenge::Challenge;
use super::session::channel::ChannelStanding;
use super::{encode, object};
use crate::time::Millis;

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// The challenge that was answered.
    pub challenge: &'a Challenge,
    /// What the method refers to it by: the transaction of a payment, the challenge of a proof.
    pub reference: &'a str,
    /// The chain that it happened on; a proof happens on none.
    pub chain_id: Option<u64>,
    /// Where the channel of a session stands then.
    pub channel: Option<ChannelStanding>,
    /// When it was settled.
    pub at: Millis,
}

impl Receipt<'_> {
    /// The value of the field.
    #[must_use]
    pub fn field(&self) -> String {
        encode(&self.members())
    }

    /// The event at the end of a stream that a session pays for.
    #[must_use]
    pub fn event(&self) -> String {
        format!("event: payment-receipt\ndata: {}\n\n", Value::from(self.members()))
    }

    fn members(&self) -> Map<String, Value> {
        let mut receipt = object([
            ("method", json!(self.challenge.method)),
            ("intent", json!(self.challenge.intent)),
            ("challengeId", json!(self.challenge.id)),
            ("reference", json!(self.reference)),
            ("status", json!("success")),
            ("timestamp", json!(self.at.rfc3339())),
        ]);
        if let Some(chain_id) = self.chain_id {
            receipt.insert("chainId".to_owned(), json!(chain_id));
        }
        if let Some(standing) = self.channel {
            receipt.insert("channelId".to_owned(), json!(standing.channel));
            receipt.insert("acceptedCumulative".to_owned(), json!(standing.accepted));
            receipt.insert("spent".to_owned(), json!(standing.spent));
        }
        receipt
    }
}
