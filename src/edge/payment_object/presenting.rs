//! Presents a payment: who owns it, what is told of one that is known, and what failures cost.

use worker::Result;

use super::PaymentObject;
use crate::client::AccountId;
use crate::contract::{AccountCall, Buys, Done, Presentation, Presented};
use crate::edge::{clock, objects};
use crate::pay::purchase::Purchase;
use crate::pay::x402::{Payment, Signer, Version};
use crate::time::Span;

impl PaymentObject {
    /// Presents a payment: the first presenter owns it, and is answered when it is credited, refused, or in doubt.
    pub(super) async fn present(&self, presentation: Presentation) -> Result<Presented> {
        self.load()?;
        if let Some(known) = self.known(&presentation).await? {
            return Ok(known);
        }
        let Some(driver) = self.driver() else { return Ok(Presented::Pending) };
        if presentation.late {
            return Ok(Presented::NotKnown);
        }
        if let Some(wait) = self.fail_beforehand(&presentation).await? {
            return Ok(Presented::TooManyFailures { wait });
        }
        let Presentation { payment, account, endpoint, grants, attempt, service, receipt_id, buys, late: _ } =
            presentation;
        let (owner, signer) = (account.clone(), payment.signer());
        let may_be_trusted = self.may_be_trusted(&payment)?;
        let purchase = Purchase::new(payment, account, (endpoint, grants), service, receipt_id, clock::now());
        let (purchase, attempt) = match buys {
            Buys::Refill if may_be_trusted => (purchase.on_trust(), Some(attempt)),
            Buys::Refill => (purchase, Some(attempt)),
            Buys::Credits => (purchase, None),
            Buys::Call { question, .. } => (purchase.for_one_call(question), Some(attempt)),
        };
        self.purchase.replace(Some(purchase));
        let decision = self.drive(&driver, attempt, true).await?;
        drop(driver);
        let answer = self.presented(decision);
        self.forget_if_nothing_began();
        self.count_failure(&owner, signer, &answer).await?;
        Ok(answer)
    }

    /// Whether the owner trusts wallets and this is a payment of one: of x402, by a payer that the facilitator is to confirm.
    fn may_be_trusted(&self, payment: &Payment) -> Result<bool> {
        let settings = self.settings()?;
        let trusts = settings.config.payment.as_ref().is_some_and(|payment| payment.trust.is_some());
        Ok(trusts && payment.version() != Version::Mpp && payment.payer().is_some())
    }

    /// What is told of a payment that was presented before, if it was. What is stored is driven to its end by the alarm;
    /// only a payment of which nothing is left starts anew.
    pub(super) async fn known(&self, presentation: &Presentation) -> Result<Option<Presented>> {
        let Some(held) = self.purchase.borrow().clone() else {
            let only_known = matches!(presentation.buys, Buys::Call { only_known: true, .. });
            return Ok(only_known.then_some(Presented::NotKnown));
        };
        if *held.owner() != presentation.account {
            return Ok(Some(Presented::Foreign));
        }
        if !held.is_stored() {
            return Ok(None);
        }
        if !held.is_for(&presentation.endpoint, &presentation.grants) {
            return Ok(Some(Presented::ElseBought));
        }
        if let Buys::Call { question, only_known: false } = &presentation.buys
            && held.answers(question)
            && held.owes_call()
        {
            return self.serve_owed(&presentation.attempt).await.map(Some);
        }
        self.presented_again(&held, &presentation.buys).map(Some)
    }

    /// A signature that nobody can check here may be anything: the payment counts as failed until it has not, so that
    /// as many as are sent at once ask a facilitator no oftener than may fail. How long it must wait, if it may not.
    pub(super) async fn fail_beforehand(&self, presentation: &Presentation) -> Result<Option<Span>> {
        match presentation.payment.signer() {
            Signer::Proven => Ok(None),
            Signer::Unproven => {
                objects::account(&self.env, &presentation.account, AccountCall::FailPayment).await
            }
        }
    }

    /// Counts a payment that failed, or takes back that it was counted.
    pub(super) async fn count_failure(
        &self,
        owner: &AccountId,
        signer: Signer,
        answer: &Presented,
    ) -> Result<()> {
        let refused = matches!(answer, Presented::Refused { .. });
        match (signer, refused) {
            (Signer::Proven, true) => {
                let _: Option<Span> = objects::account(&self.env, owner, AccountCall::FailPayment).await?;
            }
            (Signer::Unproven, false) => {
                let Done = objects::account(&self.env, owner, AccountCall::UnfailPayment).await?;
            }
            (Signer::Proven, false) | (Signer::Unproven, true) => {}
        }
        Ok(())
    }
}
