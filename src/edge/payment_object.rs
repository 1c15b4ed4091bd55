//! The Durable Object of one payment: drives its purchase, step by step, and stores it before each next one.
//!
//! The same class remembers what there is one of: an object named for a transaction knows the one payment it settled,
//! one named for a challenge of MPP the one payment that answers it, one named for a backend's request id the one request
//! it belongs to, one named for a nonce the one signed context under it, one named for a payment's name the one payment
//! that has it, one named for a key its one account, and one knows the plans.

mod calls;
mod steps;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::lock::Mutex;

use serde::Deserialize;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, console_error, durable_object, wasm_bindgen,
};

use super::channel;
use super::record::{self, Storage};
use super::settings::{self, Settings};
use super::{backend_request, clock, objects, payment_name, pledge, receipt_store};
use crate::client::AccountId;
use crate::config::payment::{PaymentConfig, SessionConfig};
use crate::contract::{
    AccountCall, Attempt, Buys, Done, KeptReceipt, PaymentCall, Pledged, Presentation, Presented,
    StoredChallenge, StoredKey,
};
use crate::limit::decision::Decision;
use crate::limit::request::StoredRequest;
use crate::owner::plan_book::{PlanBook, StoredBook};
use crate::pay::mpp::session::channel::StoredChannel;
use crate::pay::purchase::{Event, Purchase, Step, StoredPurchase};
use crate::pay::receipt::SignedReceipt;
use crate::pay::x402::{PaymentId, Signer};
use crate::time::{Millis, Span};
use steps::Job;

/// How soon a step that failed is tried again.
const STEP_RETRY: Span = Span::seconds(1);
/// How soon something that nobody waits for is tried again: the ledger, the receipt's place.
const CHORE_RETRY: Span = Span::seconds(10);
/// How long a nonce that was used is remembered: twice its life.
const PLEDGE_MEMORY: std::time::Duration = std::time::Duration::from_mins(10);
/// How long a payment keeps the name that its client gave it: a day.
const NAME_MEMORY: std::time::Duration = std::time::Duration::from_hours(24);
/// How long a backend's request id is remembered: a day.
const REQUEST_MEMORY: std::time::Duration = std::time::Duration::from_hours(24);
/// How long after its end a challenge that was answered is remembered: longer than any two clocks of ours differ.
const CHALLENGE_MEMORY: Span = Span::seconds(60);

/// The Durable Object of one payment.
#[durable_object(alarm)]
pub struct PaymentObject {
    state: State,
    env: Env,
    purchase: RefCell<Option<Purchase>>,
    /// Whether a purchase is being driven: one driver at a time, whoever asks.
    driving: Rc<Cell<bool>>,
    /// Held while a backend's request is asked about: one after another.
    requests: Mutex<()>,
}

impl Storage for PaymentObject {
    fn read(&self) -> Result<Option<String>> {
        self.stored()
    }

    fn write(&self, record: String) -> Result<()> {
        self.put(record)
    }

    fn erase(&self) -> Result<()> {
        self.state.storage().sql().exec("DELETE FROM payment", None).map(|_| ())
    }
}

/// Tells that nobody drives any more, however the driver ended.
struct Driver(Rc<Cell<bool>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl DurableObject for PaymentObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            purchase: RefCell::new(None),
            driving: Rc::new(Cell::new(false)),
            requests: Mutex::new(()),
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
            PaymentCall::ActOnChannel(action) => {
                let settings = self.settings()?;
                let said = channel::act(sessions(&settings)?, self, action).await?;
                self.ring_at(clock::now().plus(CHORE_RETRY)).await?;
                objects::reply(&said)
            }
            PaymentCall::ChargeChannel(charge, attempt) => {
                let settings = self.settings()?;
                // Should the process die in this step, the alarm finds what is stored.
                self.ring_at(clock::now().plus(CHORE_RETRY)).await?;
                let charged =
                    channel::charge((&self.env, sessions(&settings)?), self, charge, attempt).await?;
                objects::reply(&charged)
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
            PaymentCall::Retry => objects::reply(&self.retry().await?),
            PaymentCall::EndRequest(request, units) => {
                let _one_at_a_time = self.requests.lock().await;
                objects::reply(&backend_request::end(&self.env, self, &request, units).await?)
            }
        }
    }

    async fn alarm(&self) -> Result<Response> {
        if self.stored()?.is_some_and(|stored| may_be_forgotten(&stored)) {
            // What was used so long ago cannot come again.
            self.state.storage().delete_all().await?;
            return Response::empty();
        }
        if self.stored()?.is_some_and(|stored| serde_json::from_str::<StoredChannel>(&stored).is_ok()) {
            let settings = self.settings()?;
            // Should it fail, the platform rings again.
            channel::finish(&self.env, sessions(&settings)?, self).await?;
            return Response::empty();
        }
        self.load()?;
        if self.purchase.borrow().is_some() {
            match self.driver() {
                Some(driver) => self.resume(driver, Event::Resumed).await?,
                // A request is at it; should it die, this rings again.
                None => self.ring_at(clock::now().plus(STEP_RETRY)).await?,
            }
        }
        Response::empty()
    }
}

#[derive(Deserialize)]
struct Row {
    state: String,
}

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS payment (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL)";
const PUT: &str =
    "INSERT INTO payment (id, state) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state";

impl PaymentObject {
    fn settings(&self) -> Result<Rc<Settings>> {
        settings::load(&self.env).map_err(|faults| Error::RustError(faults.to_string()))
    }

    fn driver(&self) -> Option<Driver> {
        (!self.driving.replace(true)).then(|| Driver(self.driving.clone()))
    }

    fn stored(&self) -> Result<Option<String>> {
        let sql = self.state.storage().sql();
        let tables = sql.exec(
            "SELECT name AS state FROM sqlite_master WHERE type = 'table' AND name = 'payment'",
            None,
        )?;
        if tables.to_array::<Row>()?.is_empty() {
            return Ok(None);
        }
        let rows: Vec<Row> = sql.exec("SELECT state FROM payment", None)?.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.state))
    }

    fn put(&self, state: String) -> Result<()> {
        let sql = self.state.storage().sql();
        sql.exec(CREATE, None)?;
        sql.exec(PUT, vec![state.into()]).map(|_| ())
    }

    /// Brings what is stored into memory. A row that cannot be read is an error, never an unspent payment.
    fn load(&self) -> Result<()> {
        if self.purchase.borrow().is_some() {
            return Ok(());
        }
        if let Some(state) = self.stored()? {
            let StoredPurchase::V1(purchase) = serde_json::from_str(&state)?;
            self.purchase.replace(Some(purchase));
        }
        Ok(())
    }

    /// Presents a payment: the first presenter owns it, and is answered when it is credited, refused, or in doubt.
    async fn present(&self, presentation: Presentation) -> Result<Presented> {
        self.load()?;
        if let Some(known) = self.known(&presentation).await? {
            return Ok(known);
        }
        let Some(driver) = self.driver() else { return Ok(Presented::Pending) };
        if let Some(wait) = self.fail_beforehand(&presentation).await? {
            return Ok(Presented::TooManyFailures { wait });
        }
        let Presentation { payment, account, endpoint, grants, attempt, service, receipt_id, buys } =
            presentation;
        let (owner, signer) = (account.clone(), payment.signer());
        let purchase = Purchase::new(payment, account, (endpoint, grants), service, receipt_id, clock::now());
        self.purchase.replace(Some(match buys {
            Buys::Refill => purchase,
            Buys::Call { question, .. } => purchase.for_one_call(question),
        }));
        let decision = self.drive(&driver, Some(attempt), true).await?;
        drop(driver);
        let answer = self.presented(decision);
        self.forget_if_nothing_began();
        self.count_failure(&owner, signer, &answer).await?;
        Ok(answer)
    }

    /// What is told of a payment that was presented before, if it was. What is stored is driven to its end by the alarm;
    /// only a payment of which nothing is left starts anew.
    async fn known(&self, presentation: &Presentation) -> Result<Option<Presented>> {
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
    async fn fail_beforehand(&self, presentation: &Presentation) -> Result<Option<Span>> {
        match presentation.payment.signer() {
            Signer::Proven => Ok(None),
            Signer::Unproven => {
                objects::account(&self.env, &presentation.account, AccountCall::FailPayment).await
            }
        }
    }

    /// Counts a payment that failed, or takes back that it was counted.
    async fn count_failure(&self, owner: &AccountId, signer: Signer, answer: &Presented) -> Result<()> {
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

    fn forget_if_nothing_began(&self) {
        let mut purchase = self.purchase.borrow_mut();
        if purchase.as_ref().is_some_and(|purchase| !purchase.is_stored()) {
            *purchase = None;
        }
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

    /// The owner does not wait for the alarm; what state the payment is in then.
    async fn retry(&self) -> Result<Option<String>> {
        self.load()?;
        if self.purchase.borrow().is_some()
            && let Some(driver) = self.driver()
        {
            self.resume(driver, Event::Retried).await?;
        }
        Ok(self.purchase.borrow().as_ref().map(|purchase| purchase.state().name().to_owned()))
    }

    async fn resume(&self, driver: Driver, event: Event) -> Result<()> {
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
    async fn drive(
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
                Step::SignReceipt => self.response_hash().and_then(|hash| job.sign_receipt(hash)),
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
    fn advance(&self, event: Event, config: &PaymentConfig) -> Result<()> {
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
    fn erase(&self, before: &Purchase) -> Result<()> {
        if before.is_stored() {
            self.state.storage().sql().exec("DELETE FROM payment", None)?;
        }
        Ok(())
    }

    async fn rest(&self, at: Option<Millis>) -> Result<()> {
        match at {
            Some(at) => self.ring_at(at).await,
            None => self.state.storage().delete_alarm().await,
        }
    }

    async fn ring_at(&self, at: Millis) -> Result<()> {
        let wait = at.since(clock::now());
        self.state.storage().set_alarm(std::time::Duration::from_millis(wait.get())).await
    }

    /// Whether the transaction that this object is named for belongs to that payment: to the first that claims it.
    fn claim(&self, payment: &PaymentId) -> Result<bool> {
        match self.stored()? {
            Some(holder) => Ok(holder == payment.as_str()),
            None => self.put(payment.to_string()).map(|()| true),
        }
    }

    /// Whether the challenge that this object is named for is answered by that payment: by the first that claims it.
    async fn claim_challenge(&self, payment: PaymentId, expires: Millis) -> Result<bool> {
        match record::load(self)? {
            Some(StoredChallenge::AnsweredV1(holder)) => Ok(holder == payment),
            None => {
                record::save(self, &StoredChallenge::AnsweredV1(payment))?;
                self.ring_at(expires.plus(CHALLENGE_MEMORY)).await.map(|()| true)
            }
        }
    }

    async fn store_receipt(&self, receipt: SignedReceipt) -> Result<Done> {
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

    fn is_pledge(&self) -> Result<bool> {
        Ok(self.stored()?.is_some_and(|stored| pledge::is_pledge(&stored)))
    }

    fn kept_receipt(&self) -> Result<Option<KeptReceipt>> {
        if self.is_pledge()? {
            return pledge::receipt(self);
        }
        self.load()?;
        let settings = self.settings()?;
        Ok(self.purchase.borrow().as_ref().and_then(|purchase| kept(purchase, &settings)))
    }
}

fn sessions(settings: &Settings) -> Result<&SessionConfig> {
    let session = settings.config.payment.as_ref().and_then(|payment| payment.session.as_ref());
    session.ok_or_else(|| Error::RustError("sessions are off".to_owned()))
}

/// Whether what an object keeps is of no use any more when its alarm rings: a backend's request id or a payment's name that
/// was used so long ago, or a challenge or a nonce that nobody may answer now.
fn may_be_forgotten(stored: &str) -> bool {
    serde_json::from_str::<StoredRequest>(stored).is_ok()
        || serde_json::from_str::<StoredChallenge>(stored).is_ok()
        || pledge::is_pledge(stored)
        || payment_name::is_holder(stored)
}

fn kept(purchase: &Purchase, settings: &Settings) -> Option<KeptReceipt> {
    let settled_at = purchase.settlement()?.at;
    let expires_at = settled_at.plus(settings.config.receipt_ttl).seconds();
    Some(KeptReceipt { signed: purchase.receipt()?.clone(), expires_at })
}
