//! The object of the trust in a payer.

use worker::Result;

use super::PaymentObject;
use crate::contract::Done;
use crate::edge::{clock, trust};
use crate::pay::amount::Amount;
use crate::pay::trust::{News, TrustPolicy};
use crate::pay::x402::PaymentId;
use crate::time::{Millis, Span};

/// How long after the window trust is looked at: longer than any two clocks of ours differ.
const SLACK: Span = Span::seconds(60);

impl PaymentObject {
    pub(super) async fn ask_trust(&self, payment: &PaymentId, amount: Amount) -> Result<bool> {
        let policy = self.trust_policy()?;
        let given = trust::ask(self, policy.as_ref(), (payment, amount))?;
        self.look_at_trust_later(policy.as_ref()).await?;
        Ok(given)
    }

    pub(super) async fn tell_trust(&self, told: (&PaymentId, News), about: (Amount, Millis)) -> Result<Done> {
        let policy = self.trust_policy()?;
        trust::tell(self, policy.as_ref(), told, about)?;
        self.look_at_trust_later(policy.as_ref()).await?;
        Ok(Done)
    }

    /// Forgets trust that is over.
    pub(super) async fn tidy_trust(&self) -> Result<()> {
        let policy = self.trust_policy()?;
        if trust::is_over(self, policy.as_ref())? {
            return self.state.storage().delete_all().await;
        }
        self.look_at_trust_later(policy.as_ref()).await
    }

    fn trust_policy(&self) -> Result<Option<TrustPolicy>> {
        Ok(self.settings()?.config.payment.as_ref().and_then(|payment| payment.trust))
    }

    async fn look_at_trust_later(&self, policy: Option<&TrustPolicy>) -> Result<()> {
        if self.stored()?.is_none() {
            return Ok(());
        }
        let window = policy.map(|policy| policy.window).unwrap_or_default();
        self.ring_at(clock::now().plus(window).plus(SLACK)).await
    }
}
