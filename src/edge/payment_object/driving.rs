//! Drives a purchase, step by step, and stores it before each next one; the alarm goes on where a driver died.

use futures_util::lock::OwnedMutexGuard;
use worker::{Error, Result, console_error};

use super::steps::{self, Job};
use super::{CHORE_RETRY, PaymentObject};
use crate::config::payment::PaymentConfig;
use crate::contract::Attempt;
use crate::edge::{clock, deadline};
use crate::limit::decision::Decision;
use crate::pay::purchase::{Event, Purchase, Step, StoredPurchase};
use crate::time::{Millis, Span};

/// How soon a step that failed is tried again.
pub(super) const STEP_RETRY: Span = Span::seconds(1);

/// How long the owner's word waits for a try that is under way: 2 min, longer than a facilitator may take.
const OWNERS_PATIENCE: Span = Span::seconds(120);

/// Who has it drives the purchase, and nobody else does, however it ends.
pub(super) type Driver = OwnedMutexGuard<()>;

impl PaymentObject {
    pub(super) fn driver(&self) -> Option<Driver> {
        self.driving.try_lock_owned()
    }

    pub(super) fn forget_if_nothing_began(&self) {
        let mut purchase = self.purchase.borrow_mut();
        if purchase.as_ref().is_some_and(|purchase| !purchase.is_stored()) {
            *purchase = None;
        }
    }

    /// The owner does not wait for the alarm, but for a try that is under way; what state the payment is in then.
    pub(super) async fn retry(&self) -> Result<Option<String>> {
        self.load()?;
        if self.purchase.borrow().is_some()
            && let Some(driver) = deadline::within(OWNERS_PATIENCE, self.driving.clone().lock_owned()).await
        {
            self.resume(driver, Event::Retried).await?;
        }
        Ok(self.purchase.borrow().as_ref().map(|purchase| purchase.state().name().to_owned()))
    }

    pub(super) async fn resume(&self, driver: Driver, event: Event) -> Result<()> {
        let settings = self.settings()?;
        if let Some(config) = &settings.config.payment {
            self.advance(event, config)?;
            self.drive(&driver, None, false).await?;
        }
        drop(driver);
        self.forget_if_nothing_began();
        Ok(())
    }

    /// Does step after step. With `until_answer`, only until the presenter can be answered; the alarm does the rest.
    pub(super) async fn drive(
        &self,
        _driver: &Driver,
        mut request: Option<Attempt>,
        until_answer: bool,
    ) -> Result<Option<Decision>> {
        let settings = self.settings()?;
        let Some(config) = &settings.config.payment else {
            return Err(Error::RustError("payments are off".to_owned()));
        };
        let mut decision = None;
        loop {
            let Some(purchase) = self.purchase.borrow().clone() else { return Ok(decision) };
            let step = purchase.step(clock::now());
            if until_answer && purchase.can_answer() {
                let at = if let Step::Rest(at) = step { at } else { Some(clock::now()) };
                self.rest(at).await?;
                return Ok(decision);
            }
            if let Step::Rest(at) = step {
                self.rest(at).await?;
                return Ok(decision);
            }
            if purchase.is_stored() {
                // Should the process die in this step, the alarm finds what is stored a second later.
                self.ring_at(clock::now().plus(STEP_RETRY)).await?;
            }
            let job = Job { env: &self.env, settings: &settings, config, purchase: &purchase };
            let done = match step {
                Step::ForgetAnswer => self.delete_answer().map(|()| Event::AnswerForgotten),
                Step::SignReceipt => self.response_hash(&purchase).and_then(|hash| job.sign_receipt(hash)),
                _ => job.perform(&step, &mut request, &mut decision).await,
            };
            let event = match done {
                Ok(event) => event,
                Err(error) => {
                    console_error!("payment {}: {step:?}: {error}", purchase.id());
                    self.advance(Event::StepFailed(error.to_string()), config)?;
                    if self.purchase.borrow().as_ref().is_some_and(|next| next.step(clock::now()) == step) {
                        // A client waits for the credit; what comes after it may take its time.
                        let retry = if purchase.can_answer() { CHORE_RETRY } else { STEP_RETRY };
                        self.rest(Some(clock::now().plus(retry))).await?;
                        return Ok(decision);
                    }
                    continue;
                }
            };
            self.advance(event, config)?;
        }
    }

    /// Takes in what happened, and stores it before anything follows from it.
    pub(super) fn advance(&self, event: Event, config: &PaymentConfig) -> Result<()> {
        let Some(purchase) = self.purchase.borrow_mut().take() else { return Ok(()) };
        let before = purchase.clone();
        let next = purchase.apply(event, &steps::policy(&before, config), clock::now());
        let stored = if next == before {
            Ok(())
        } else if next.is_stored() {
            self.put(serde_json::to_string(&StoredPurchase::V1(next.clone()))?)
        } else {
            self.erase(&before)
        };
        self.purchase.replace(Some(next));
        stored
    }

    /// A purchase that ended with nothing taken leaves nothing behind.
    pub(super) fn erase(&self, before: &Purchase) -> Result<()> {
        if before.is_stored() {
            self.state.storage().sql().exec("DELETE FROM payment", None)?;
        }
        Ok(())
    }

    pub(super) async fn rest(&self, at: Option<Millis>) -> Result<()> {
        match at {
            Some(at) => self.ring_at(at).await,
            None => self.state.storage().delete_alarm().await,
        }
    }

    /// Rings then, if it does not ring earlier anyway.
    pub(super) async fn ring_by(&self, at: Millis) -> Result<()> {
        let set = self.state.storage().get_alarm().await?.and_then(|at| u64::try_from(at).ok());
        if set.is_some_and(|set| set <= at.get()) { Ok(()) } else { self.ring_at(at).await }
    }

    pub(super) async fn ring_at(&self, at: Millis) -> Result<()> {
        let wait = at.since(clock::now());
        self.state.storage().set_alarm(std::time::Duration::from_millis(wait.get())).await
    }
}
