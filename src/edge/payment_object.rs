//! The Durable Object of one payment: drives its purchase, step by step, and stores it before each next one.
//!
//! The same class remembers what there is one of: an object named for a transaction knows the one payment it settled,
//! one named for a challenge of MPP the one payment that answers it, one named for a backend's request id the one request
//! it belongs to, one named for a nonce the one signed context under it, one named for a payment's name the one payment
//! that has it, one named for a key its one account, one named for a payer how far it is trusted, and one knows the plans.

mod calls;
mod channels;
mod claims;
mod driving;
mod presenting;
mod receipts;
mod row;
mod steps;
mod trusting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::lock::Mutex;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, console_error, durable_object, wasm_bindgen,
};

use super::channel;
use super::record;
use super::settings::{self, Settings};
use super::{backend_request, clock, objects, payment_name, pledge, trust};
use crate::contract::{Done, PaymentCall, Pledged, StoredKey};
use crate::owner::plan_book::{PlanBook, StoredBook};
use crate::pay::purchase::{Event, Purchase};
use crate::time::{Millis, Span};
use driving::STEP_RETRY;
use row::may_be_forgotten;

/// How soon something that nobody waits for is tried again: the ledger, the receipt's place.
const CHORE_RETRY: Span = Span::seconds(10);
/// How soon the alarm rings again after it could not do what it was set for.
const ALARM_RETRY: Span = Span::seconds(60);
/// How long a nonce that was used is remembered: twice its life.
const PLEDGE_MEMORY: std::time::Duration = std::time::Duration::from_mins(10);
/// How long a payment keeps the name that its client gave it: a day.
const NAME_MEMORY: std::time::Duration = std::time::Duration::from_hours(24);
/// How long a backend's request id is remembered: a day.
const REQUEST_MEMORY: std::time::Duration = std::time::Duration::from_hours(24);

/// The Durable Object of one payment.
#[durable_object(alarm)]
pub struct PaymentObject {
    state: State,
    env: Env,
    purchase: RefCell<Option<Purchase>>,
    /// Held by whoever drives the purchase: one at a time, whoever asks.
    driving: Arc<Mutex<()>>,
    /// Held while a backend's request is asked about: one after another.
    requests: Mutex<()>,
    /// Brings the account what was spent from the channel that it is.
    carrier: channel::Carrier,
    /// Streams that wait for a voucher of the channel that it is.
    vouchers: channel::Waiting,
    /// When the chain was last asked about the channel that it is.
    looked_at: Cell<Millis>,
}

impl DurableObject for PaymentObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            purchase: RefCell::new(None),
            driving: Arc::default(),
            requests: Mutex::new(()),
            carrier: channel::Carrier::default(),
            vouchers: channel::Waiting::default(),
            looked_at: Cell::default(),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        match objects::read_call(request).await? {
            PaymentCall::Present(presentation) => objects::reply(&self.present(*presentation).await?),
            PaymentCall::ClaimTransaction(payment) => objects::reply(&self.claim(&payment)?),
            PaymentCall::ClaimChallenge(payment, expires) => {
                objects::reply(&self.claim_challenge(payment, expires).await?)
            }
            PaymentCall::StillServing => objects::reply(&self.still_serving()?),
            PaymentCall::Answered(answer) => objects::reply(&self.answered(*answer).await?),
            PaymentCall::ActOnChannel(action) => self.act_on_channel(action).await,
            PaymentCall::ChargeChannel(charge, attempt) => self.charge_channel(charge, attempt).await,
            PaymentCall::ChargeFurther(charge) => self.charge_channel_further(charge).await,
            PaymentCall::AwaitVoucher(required, until) => {
                objects::reply(&channel::await_voucher(self, &self.vouchers, required, until).await?)
            }
            PaymentCall::StoreReceipt(receipt) => objects::reply(&self.store_receipt(receipt).await?),
            PaymentCall::Receipt => objects::reply(&self.kept_receipt()?),
            PaymentCall::AttemptRequest(account, endpoint, attempt) => {
                let _one_at_a_time = self.requests.lock().await;
                self.state.storage().set_alarm(REQUEST_MEMORY).await?;
                let attempted = backend_request::attempt(&self.env, self, account, endpoint, attempt).await?;
                objects::reply(&attempted)
            }
            PaymentCall::PublishPlans(book) => objects::reply(&self.publish_plans(book)?),
            PaymentCall::Plans => objects::reply(&self.plans()?),
            PaymentCall::AssignKey(account) => {
                record::save(self, &StoredKey::V1(account))?;
                objects::reply(&Done)
            }
            PaymentCall::AccountOfKey => {
                let account = record::load(self)?.map(|StoredKey::V1(account)| account);
                objects::reply(&account)
            }
            PaymentCall::Pledge(promise) => {
                let _one_at_a_time = self.requests.lock().await;
                let pledged = pledge::take(&self.env, self, *promise).await?;
                // Nobody can have a row written who is not registered.
                if matches!(&pledged, Pledged::Decided(decision) if decision.is_admitted()) {
                    self.state.storage().set_alarm(PLEDGE_MEMORY).await?;
                }
                objects::reply(&pledged)
            }
            PaymentCall::ClaimName(holder) => {
                self.state.storage().set_alarm(NAME_MEMORY).await?;
                objects::reply(&payment_name::claim(self, holder)?)
            }
            PaymentCall::ReleaseName(holder) => objects::reply(&payment_name::release(self, holder)?),
            PaymentCall::AskTrust(payment, amount) => {
                objects::reply(&self.ask_trust(&payment, amount).await?)
            }
            PaymentCall::TellTrust(payment, news, amount, at) => {
                objects::reply(&self.tell_trust((&payment, news), (amount, at)).await?)
            }
            PaymentCall::HashAnswer(hash) => objects::reply(&self.hash_answer(hash).await?),
            PaymentCall::Retry => objects::reply(&self.retry().await?),
            PaymentCall::EndRequest(request, units) => {
                let _one_at_a_time = self.requests.lock().await;
                objects::reply(&backend_request::end(&self.env, self, &request, units).await?)
            }
        }
    }

    async fn alarm(&self) -> Result<Response> {
        if let Err(error) = self.attend().await {
            // The platform would ring again a few times and then never: what was paid must not hang on that.
            console_error!("a payment's object: {error}; tried again in {ALARM_RETRY}");
            self.ring_by(clock::now().plus(ALARM_RETRY)).await?;
        }
        Response::empty()
    }
}

impl PaymentObject {
    /// Does what the alarm was set for.
    async fn attend(&self) -> Result<()> {
        if self.stored()?.is_some_and(|stored| may_be_forgotten(&stored)) {
            // What was used so long ago cannot come again.
            return self.state.storage().delete_all().await;
        }
        if self.is_channel()? {
            return self.tend_channel().await;
        }
        if self.stored()?.is_some_and(|stored| trust::is_trust(&stored)) {
            return self.tidy_trust().await;
        }
        self.load()?;
        if self.purchase.borrow().is_none() {
            return Ok(());
        }
        match self.driver() {
            Some(driver) => self.resume(driver, Event::Resumed).await,
            // A request is at it; should it die, this rings again.
            None => self.ring_at(clock::now().plus(STEP_RETRY)).await,
        }
    }

    fn settings(&self) -> Result<Rc<Settings>> {
        settings::load(&self.env).map_err(|faults| Error::RustError(faults.to_string()))
    }

    fn plans(&self) -> Result<Option<PlanBook>> {
        Ok(record::load(self)?.map(|StoredBook::V1(book)| book))
    }

    /// Keeps the plan book for the gates to ask; never an older one.
    fn publish_plans(&self, book: PlanBook) -> Result<Done> {
        if self.plans()?.is_none_or(|known| known.version < book.version) {
            record::save(self, &StoredBook::V1(book))?;
        }
        Ok(Done)
    }
}
