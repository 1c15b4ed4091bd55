//! The Durable Object of one payment: drives its purchase, step by step, and stores it before each next one.
//!
//! The same class remembers what there is one of: an object named for a transaction knows the one payment it settled,
//! one named for a challenge of MPP the one payment that answers it, one named for a backend's request id the one request it belongs to, one named for a key its one account, and one
//! knows the plans.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::lock::Mutex;

use serde::Deserialize;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, console_error, console_log, durable_object,
    wasm_bindgen,
};

use super::backend_request;
use super::record::{self, Storage};
use super::settings::{self, Settings};
use super::{clock, facilitator_client, ledger, objects, receipt_store};
use crate::config::payment::PaymentConfig;
use crate::contract::{
    AccountCall, Attempt, Credit, Done, KeptReceipt, PaymentCall, Presentation, Presented, StoredChallenge,
    StoredKey, transaction_object,
};
use crate::limit::decision::Decision;
use crate::limit::request::StoredRequest;
use crate::notice::{Kind, Sum};
use crate::owner::plan_book::{PlanBook, StoredBook};
use crate::pay::purchase::{self, Event, Progress, Purchase, SettlementPolicy, Step, StoredPurchase};
use crate::pay::receipt::{Receipt, SignedReceipt, sha256_label};
use crate::pay::x402::PaymentId;
use crate::pay::x402::facilitator::SettleAnswer;
use crate::time::{Millis, Span};

/// How soon a step that failed is tried again.
const STEP_RETRY: Span = Span::seconds(1);
/// How soon something that nobody waits for is tried again: the ledger, the receipt's place.
const CHORE_RETRY: Span = Span::seconds(10);
/// How long the gate has to bring the receipt of an answer: 5 min, longer than any answer may take to begin.
const RECEIPT_PATIENCE: Span = Span::seconds(300);
/// After the payer's time is over, an unknown outcome is retried for a day.
const GIVE_UP_AFTER: Span = Span::seconds(24 * 3600);

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
            PaymentCall::Retry => objects::reply(&self.retry().await?),
            PaymentCall::EndRequest(request, units) => {
                let _one_at_a_time = self.requests.lock().await;
                objects::reply(&backend_request::end(&self.env, self, &request, units).await?)
            }
        }
    }

    async fn alarm(&self) -> Result<Response> {
        if self.stored()?.is_some_and(|stored| may_be_forgotten(&stored)) {
            self.state.storage().delete_all().await?;
            return Response::empty();
        }
        self.load()?;
        if self.purchase.borrow().is_some() {
            match self.driver() {
                Some(driver) => self.resume(driver).await?,
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
        if let Some(held) = &*self.purchase.borrow() {
            if *held.owner() != presentation.account {
                return Ok(Presented::Foreign);
            }
            // What is stored is driven to its end by the alarm; only a payment of which nothing is left starts anew.
            if held.is_stored() {
                return Ok(presented(held, None));
            }
        }
        let Some(driver) = self.driver() else { return Ok(Presented::Pending) };
        let Presentation { payment, account, endpoint, grants, attempt, service, receipt_id } = presentation;
        let purchase = Purchase::new(payment, account, (endpoint, grants), service, receipt_id, clock::now());
        self.purchase.replace(Some(purchase));
        let decision = self.drive(&driver, Some(attempt), true).await?;
        drop(driver);
        let answer = self.purchase.borrow().as_ref().map(|purchase| presented(purchase, decision));
        self.forget_if_nothing_began();
        Ok(answer.unwrap_or(Presented::Pending))
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
            self.resume(driver).await?;
        }
        Ok(self.purchase.borrow().as_ref().map(|purchase| purchase.state().name().to_owned()))
    }

    async fn resume(&self, driver: Driver) -> Result<()> {
        let settings = self.settings()?;
        if let Some(config) = &settings.config.payment {
            self.advance(Event::Resumed, config)?;
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
            let event =
                match self.perform(&step, &purchase, &settings, config, &mut request, &mut decision).await {
                    Ok(event) => event,
                    Err(error) => {
                        console_error!("payment {}: {step:?}: {error}", purchase.id());
                        self.advance(Event::StepFailed(error.to_string()), config)?;
                        if self.purchase.borrow().as_ref().is_some_and(|next| next.step(clock::now()) == step)
                        {
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
        let next = purchase.apply(event, &policy(&before, config), clock::now());
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

    async fn perform(
        &self,
        step: &Step,
        purchase: &Purchase,
        settings: &Settings,
        config: &PaymentConfig,
        request: &mut Option<Attempt>,
        decision: &mut Option<Decision>,
    ) -> Result<Event> {
        let owner = purchase.owner();
        let id = purchase.id();
        let tell = |call| objects::account::<Done>(&self.env, owner, call);
        Ok(match step {
            Step::Verify => {
                let (facilitator, answer) =
                    facilitator_client::verify(settings, config, purchase.payment()).await;
                Event::Verified(facilitator, answer)
            }
            Step::Announce => tell(AccountCall::Announce(id)).await.map(|_| Event::Announced)?,
            Step::Settle => Event::Settled(self.settle(purchase, settings, config).await),
            Step::ClaimTransaction(transaction) => {
                let network = purchase.payment().offer().tender.caip2();
                let name = transaction_object(&network, transaction);
                let free = objects::payment(&self.env, &name, &PaymentCall::ClaimTransaction(id)).await?;
                Event::TransactionClaimed(free)
            }
            Step::Credit => {
                let call = AccountCall::Credit(credit(purchase), request.take());
                *decision = objects::account(&self.env, owner, call).await?;
                Event::Credited
            }
            Step::Withdraw => tell(AccountCall::Withdraw(id)).await.map(|_| Event::Withdrawn)?,
            Step::Acknowledge => tell(AccountCall::Acknowledge(id)).await.map(|_| Event::Acknowledged)?,
            Step::Record => {
                ledger::put_payment(&self.env, purchase, clock::now()).await?;
                if purchase.state() == purchase::State::Unknown && wants_doubts(settings) {
                    tell(AccountCall::Doubt(sum(purchase))).await?;
                }
                Event::Recorded(purchase.state())
            }
            Step::SignReceipt => Event::ReceiptSigned(Box::new(receipt_without_answer(purchase, settings)?)),
            Step::KeepReceipt => {
                if let Some(kept) = kept(purchase, settings) {
                    receipt_store::keep(&self.env, &kept, clock::now()).await?;
                }
                Event::ReceiptKept
            }
            Step::Rest(_) => Event::Resumed,
        })
    }

    async fn settle(&self, purchase: &Purchase, settings: &Settings, config: &PaymentConfig) -> SettleAnswer {
        let Some(url) = purchase.facilitator() else {
            return SettleAnswer::Unknown { why: "no facilitator verified it".to_owned(), transaction: None };
        };
        let answer = facilitator_client::settle(settings, config, url, purchase.payment()).await;
        console_log!("payment {}: {url}settle: {answer:?}", purchase.id());
        answer
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
        self.load()?;
        let settings = self.settings()?;
        if let Some(config) = &settings.config.payment {
            self.advance(Event::ReceiptSigned(Box::new(receipt)), config)?;
            self.ring_at(clock::now()).await?;
        }
        Ok(Done)
    }

    fn kept_receipt(&self) -> Result<Option<KeptReceipt>> {
        self.load()?;
        let settings = self.settings()?;
        Ok(self.purchase.borrow().as_ref().and_then(|purchase| kept(purchase, &settings)))
    }
}

/// Whether what an object keeps is of no use any more when its alarm rings: a backend's request id that was used so long
/// ago, or a challenge that nobody may answer now.
fn may_be_forgotten(stored: &str) -> bool {
    serde_json::from_str::<StoredRequest>(stored).is_ok()
        || serde_json::from_str::<StoredChallenge>(stored).is_ok()
}

/// What a presenter is told; `decision` is there for the one whose request was let through with the credit.
fn presented(purchase: &Purchase, decision: Option<Decision>) -> Presented {
    let receipt_id = purchase.receipt_id().to_owned();
    match (purchase.progress(), decision) {
        (Progress::Credited(settlement), Some(decision)) => {
            Presented::Credited { decision, settlement: settlement.clone(), receipt_id }
        }
        (Progress::Credited(_), None) => Presented::Used { receipt_id },
        (Progress::Refused(reason), _) => Presented::Refused { reason: reason.to_owned() },
        (Progress::Unavailable(why), _) => Presented::Unavailable { why: why.to_owned() },
        (Progress::Pending, _) => Presented::Pending,
    }
}

fn policy(purchase: &Purchase, config: &PaymentConfig) -> SettlementPolicy {
    let decimals = purchase.payment().offer().tender.decimals();
    SettlementPolicy {
        // A limit that this token cannot express is no leave to credit.
        unconfirmed_limit: config.unconfirmed_limit.to_amount(decimals).unwrap_or_default(),
        give_up_after: config.max_timeout.plus(GIVE_UP_AFTER),
        receipt_patience: RECEIPT_PATIENCE,
    }
}

fn wants_doubts(settings: &Settings) -> bool {
    settings.config.webhook.as_ref().is_some_and(|webhook| webhook.events.has(Kind::PaymentUnknown))
}

fn sum(purchase: &Purchase) -> Sum {
    let (endpoint, _) = purchase.goods();
    Sum { payment: purchase.id(), endpoint: endpoint.clone(), amount: purchase.payment().offer().amount }
}

fn credit(purchase: &Purchase) -> Credit {
    let (endpoint, grants) = purchase.goods();
    let amount = purchase.payment().offer().amount;
    Credit { payment: purchase.id(), endpoint: endpoint.clone(), grants: grants.to_vec(), amount }
}

/// The receipt of a payment whose answer never reached its end: of no answer.
fn receipt_without_answer(purchase: &Purchase, settings: &Settings) -> Result<SignedReceipt> {
    let (Some(settlement), Some(keys)) = (purchase.settlement(), &settings.keys) else {
        return Err(Error::RustError("nothing was settled".to_owned()));
    };
    let (payment, service) = (purchase.payment(), purchase.service());
    let receipt = Receipt::of_payment(payment, settlement, purchase.receipt_id(), service, sha256_label(&[]));
    Ok(receipt.sign(&keys.receipts))
}

fn kept(purchase: &Purchase, settings: &Settings) -> Option<KeptReceipt> {
    let settled_at = purchase.settlement()?.at;
    let expires_at = settled_at.plus(settings.config.receipt_ttl).seconds();
    Some(KeptReceipt { signed: purchase.receipt()?.clone(), expires_at })
}
