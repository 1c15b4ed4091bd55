//! The receipt that an object keeps: of a payment, or of a signed context.

use worker::Result;

use super::PaymentObject;
use crate::contract::{Done, KeptReceipt};
use crate::edge::settings::Settings;
use crate::edge::{clock, pledge, receipt_store};
use crate::pay::purchase::{Event, Purchase};
use crate::pay::receipt::SignedReceipt;

impl PaymentObject {
    pub(super) async fn store_receipt(&self, receipt: SignedReceipt) -> Result<Done> {
        if self.is_pledge()? {
            let kept = pledge::keep_receipt(self, &receipt)?;
            receipt_store::keep(&self.env, &kept, clock::now()).await?;
            return Ok(Done);
        }
        self.load()?;
        let settings = self.settings()?;
        if let Some(config) = &settings.config.payment {
            self.advance(Event::ReceiptSigned(Box::new(receipt)), config)?;
            self.ring_at(clock::now()).await?;
        }
        Ok(Done)
    }

    /// The answer has ended for which the payment was credited before it was settled: its receipt names it then.
    pub(super) async fn hash_answer(&self, hash: String) -> Result<Done> {
        self.load()?;
        self.happened(Event::AnswerHashed(hash))?;
        self.ring_when_due().await?;
        Ok(Done)
    }

    pub(super) fn is_pledge(&self) -> Result<bool> {
        Ok(self.stored()?.is_some_and(|stored| pledge::is_pledge(&stored)))
    }

    pub(super) fn kept_receipt(&self) -> Result<Option<KeptReceipt>> {
        if self.is_pledge()? {
            return pledge::receipt(self);
        }
        self.load()?;
        let settings = self.settings()?;
        Ok(self.purchase.borrow().as_ref().and_then(|purchase| kept(purchase, &settings)))
    }
}

pub(super) fn kept(purchase: &Purchase, settings: &Settings) -> Option<KeptReceipt> {
    let settled_at = purchase.settlement()?.at;
    let expires_at = settled_at.plus(settings.config.receipt_ttl).seconds();
    Some(KeptReceipt { signed: purchase.receipt()?.clone(), expires_at })
}
