//! The object of a session's channel: what it is asked, and what its alarm does.

use worker::{Error, Response, Result};

use super::{CHORE_RETRY, PaymentObject};
use crate::config::payment::SessionConfig;
use crate::contract::Attempt;
use crate::edge::settings::Settings;
use crate::edge::{channel, clock, objects, redeeming};
use crate::pay::mpp::session::action::Action;
use crate::pay::mpp::session::channel::{Charge, StoredChannel};
use crate::time::Span;

impl PaymentObject {
    pub(super) async fn act_on_channel(&self, action: Action) -> Result<Response> {
        let settings = self.settings()?;
        let soon = if matches!(action, Action::Close(_)) { Span::ZERO } else { CHORE_RETRY };
        let said = channel::act(offered(&settings)?, self, action).await?;
        // Of a channel that is not there, or did not do it, there is nothing to tell.
        if said.is_ok() {
            self.vouchers.wake();
            self.ring_by(clock::now().plus(soon)).await?;
        }
        objects::reply(&said)
    }

    pub(super) async fn charge_channel(&self, charge: Charge, attempt: Attempt) -> Result<Response> {
        let settings = self.settings()?;
        // Should the process die in this step, the alarm finds what is stored.
        self.ring_by(clock::now().plus(CHORE_RETRY)).await?;
        let with = (&self.env, offered(&settings)?, &self.carrier);
        objects::reply(&channel::charge(with, self, charge, attempt).await?)
    }

    pub(super) async fn charge_channel_further(&self, charge: Charge) -> Result<Response> {
        let settings = self.settings()?;
        self.ring_by(clock::now().plus(CHORE_RETRY)).await?;
        let with = (&self.env, offered(&settings)?, &self.carrier);
        objects::reply(&channel::charge_further(with, self, charge).await?)
    }

    /// Brings the account what was spent, looks at the chain, and tells the ledger: each of it, whether or not the rest can be
    /// done.
    pub(super) async fn tend_channel(&self) -> Result<()> {
        let settings = self.settings()?;
        let brought = channel::finish(&self.env, &self.carrier, self).await;
        if !matches!(brought, Ok(true)) {
            self.ring_by(clock::now().plus(CHORE_RETRY)).await?;
        }
        // Where sessions are not offered any more, what was spent is brought all the same.
        let Ok(session) = offered(&settings) else { return brought.map(|_| ()) };
        let looked =
            redeeming::look((session, settings.secrets.payee_key.as_ref()), self, &self.looked_at).await;
        if let Ok(Some(span)) = &looked {
            self.ring_by(clock::now().plus(*span)).await?;
        }
        // What the chain did is for the ledger, too.
        channel::tell(&self.env, session, self).await?;
        looked.and(brought).map(|_| ())
    }

    pub(super) fn is_channel(&self) -> Result<bool> {
        Ok(self.stored()?.is_some_and(|stored| serde_json::from_str::<StoredChannel>(&stored).is_ok()))
    }
}

fn offered(settings: &Settings) -> Result<&SessionConfig> {
    let session = settings.config.payment.as_ref().and_then(|payment| payment.session.as_ref());
    session.ok_or_else(|| Error::RustError("sessions are off".to_owned()))
}
