//! The Durable Object of one account. Each call is: load, one pure step, store what must not be lost, answer.
//!
//! What is written, and when (see `Account` for why):
//! - before the answer leaves: whatever was paid for, as soon as there is something of that kind;
//! - at most once a second, during a request: the free part of a bucket that stays short for longer than this object is
//!   kept in memory;
//! - by alarm: usage, first into storage and then into the ledger. No timer keeps the object awake.

use std::cell::RefCell;

use serde::Deserialize;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, SetAlarmOptions, State, console_error,
    console_warn, durable_object, wasm_bindgen,
};

use super::plans_in_force::{self, InForce};
use super::{clock, ledger, objects, owner_ledger};
use crate::client::AccountId;
use crate::client::key::KeyHash;
use crate::config::Config;
use crate::contract::{AccountCall, Done, LiveUsage, Refusal, Survey, ToAccount};
use crate::endpoint::Target;
use crate::limit::account::{Account, Rules, StoredAccount};
use crate::limit::allowance::BUCKET;
use crate::limit::bucket::Wait;
use crate::limit::decision::{Decision, Grant};
use crate::time::{Millis, Span};

/// The free part of a bucket is written at most once in this time.
const WRITE_INTERVAL: Span = Span::seconds(1);
/// Usage is saved this soon after it was counted: before an idle object is evicted (10 s).
const USAGE_AT_RISK: Span = Span::seconds(8);
/// How soon a flush that failed is tried again.
const FLUSH_RETRY: Span = Span::seconds(10);
/// Bytes of randomness that tell one life of an account from another.
const INCARNATION_BYTES: usize = 8;

/// The Durable Object of one account.
#[durable_object(alarm)]
pub struct AccountObject {
    state: State,
    env: Env,
    memory: RefCell<Option<Memory>>,
}

/// The account in memory, and what storage has of it.
struct Memory {
    account: Account,
    /// The account as it was last written; `None` when nothing is stored.
    stored: Option<(Account, Millis)>,
    alarm_at: Option<Millis>,
    /// When it was called last.
    called_at: Millis,
}

impl DurableObject for AccountObject {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, memory: RefCell::new(None) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let ToAccount { account, key, call } = objects::read_url_call(&request)?;
        if let AccountCall::NewPlans(version) = call {
            plans_in_force::expect(version);
        }
        let config = match self.config().await? {
            Ok(config) => config,
            Err(_) if call.is_for_mending() => plans_in_force::settings_alone(&self.env)?,
            Err(faults) => return objects::refuse(&Refusal::Misconfigured(faults.to_string())),
        };
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => self.load()?.map_or_else(|| new_memory(account), Ok)?,
        };
        let now = clock::now();
        let plan = memory.account.plan().map(str::to_owned);
        let rules = config.rules(memory.account.id().kind(), plan.as_deref());
        let must_store = call.is_owners() || memory.account.is_precious(&rules);
        let (account, reply) = handle_in_name_of(key.as_ref(), memory.account.clone(), call, &rules, now);
        memory.account = account;
        memory.called_at = now;
        let stored = self.store_if_needed(&mut memory, must_store, &rules, now);
        let alarm = Self::plan_alarm(&mut memory, &config, now);
        self.memory.replace(Some(memory));
        stored?;
        if let Some(at) = alarm {
            self.ring_at(at).await?;
        }
        reply
    }

    async fn alarm(&self) -> Result<Response> {
        let config = match self.config().await? {
            Ok(config) => config,
            Err(faults) => return Err(Error::RustError(faults.to_string())),
        };
        let loaded = match self.memory.take() {
            Some(memory) => Some(memory),
            None => self.load()?,
        };
        let Some(mut memory) = loaded else { return Response::empty() };
        memory.alarm_at = None;
        let flush = flush_due(&memory, &config, clock::now());
        self.memory.replace(Some(memory));
        if flush && let Err(error) = self.flush().await {
            console_warn!("ledger: {error}; usage stays here and is sent again");
        }
        self.settle_down(&config).await?;
        Response::empty()
    }
}

fn new_memory(account: AccountId) -> Result<Memory> {
    let incarnation = clock::random_hex(INCARNATION_BYTES)?;
    Ok(Memory {
        account: Account::new(account, incarnation),
        stored: None,
        alarm_at: None,
        called_at: clock::now(),
    })
}

/// The same, unless it is asked in the name of a key that is not good.
fn handle_in_name_of(
    key: Option<&KeyHash>,
    account: Account,
    call: AccountCall,
    rules: &Rules<'_>,
    now: Millis,
) -> (Account, Result<Response>) {
    let Some(key) = key else { return handle(account, call, rules, now) };
    match account.present_key(key, now) {
        (account, false) => (account, objects::refuse(&Refusal::UnknownKey)),
        (account, true) => match call {
            AccountCall::Allows(scope) => {
                let allowed = account.keys().allows(key, scope);
                (account, objects::reply_in_header(&allowed))
            }
            call => handle(account, call, rules, now),
        },
    }
}

/// The one step: the call to the account, and what is answered.
fn handle(
    account: Account,
    call: AccountCall,
    rules: &Rules<'_>,
    now: Millis,
) -> (Account, Result<Response>) {
    let done = |account: Account| (account, objects::reply_in_header(&Done));
    match call {
        AccountCall::Attempt(attempt) => {
            let (account, decision) = account.attempt(rules, &attempt, now);
            (account, objects::reply_in_header(&decision))
        }
        AccountCall::End(end) => done(account.end(rules, &end, now)),
        AccountCall::Leave(request) => done(account.leave(&request)),
        AccountCall::SignIn(nonce, expires) => {
            let (account, unused) = account.sign_in(nonce, expires, now);
            (account, objects::reply_in_header(&unused))
        }
        AccountCall::LookUpReceipt => {
            let (account, admitted) = account.look_up_receipt(now);
            (account, objects::reply_in_header(&admitted))
        }
        AccountCall::Survey(target) => {
            let survey = survey(&account, rules, target.as_ref(), now);
            (account, objects::reply_in_header(&survey))
        }
        AccountCall::Usage => {
            // Queued requests whose turn has come are on the bill, too.
            let account = account.tidied(rules, now);
            let usage = live_usage(&account, rules);
            (account, objects::reply_in_header(&usage))
        }
        AccountCall::TryAdmin(is_right) => {
            let (account, admitted) = account.try_admin(is_right, now);
            (account, objects::reply_in_header(&admitted))
        }
        // Without a key nothing is allowed.
        AccountCall::Allows(_) => (account, objects::reply_in_header(&false)),
        AccountCall::AddKey(key, scopes) => done(account.with_key(key, scopes)),
        AccountCall::RemoveKey(key) => done(account.without_key(&key)),
        AccountCall::SetPlan(plan) => done(account.with_plan(plan)),
        AccountCall::NewPlans(_) => done(account),
        AccountCall::Announce(payment) => done(account.announce(payment)),
        AccountCall::Withdraw(payment) => done(account.withdraw(&payment)),
        AccountCall::Acknowledge(payment) => done(account.acknowledge(&payment)),
        AccountCall::Credit(credit, request) => {
            let account = account.credit(rules, &credit, now);
            match request {
                Some(attempt) => {
                    let (account, decision) = account.attempt(rules, &attempt, now);
                    (account, objects::reply_in_header(&Some(decision)))
                }
                None => (account, objects::reply_in_header(&None::<Decision>)),
            }
        }
        AccountCall::GiveBack(endpoint, tokens) => {
            let grant = Grant { limit: BUCKET.to_owned(), quantity: tokens };
            let account = account.granted(rules, &endpoint, &grant, now);
            let standings = account.standings_at(rules, &endpoint, now);
            (account, objects::reply_in_header(&standings))
        }
    }
}

fn survey(account: &Account, rules: &Rules<'_>, target: Option<&Target>, now: Millis) -> Survey {
    let mut endpoints = account.survey(rules, now);
    if let Some(target) = target {
        let wanted = rules.plans.get(rules.plan).and_then(|plan| plan.find(target)).map(|found| &found.name);
        endpoints.retain(|(name, _)| Some(name) == wanted);
    }
    Survey { plan: rules.plan.to_owned(), endpoints }
}

fn live_usage(account: &Account, rules: &Rules<'_>) -> LiveUsage {
    LiveUsage {
        plan: rules.plan.to_owned(),
        incarnation: account.incarnation().to_owned(),
        lines: account.usage().lines().collect(),
    }
}

fn flush_due(memory: &Memory, config: &Config, now: Millis) -> bool {
    let usage = memory.account.usage();
    // The first flush of an account comes with its first alarm: most visitors are gone by then.
    let rested = usage.flushed_at().is_none_or(|at| now >= at.plus(config.flush_interval));
    usage.unflushed_since().is_some() && rested
}

#[derive(Deserialize)]
struct Row {
    state: String,
}

impl AccountObject {
    /// The settings with the plans that are in force.
    async fn config(&self) -> Result<InForce> {
        plans_in_force::config(&self.env, |task| self.state.wait_until(task)).await
    }

    /// What is stored. Only an absent row is a new account: a row that cannot be read is an error, never a full bucket.
    fn load(&self) -> Result<Option<Memory>> {
        let sql = self.state.storage().sql();
        let tables = sql.exec(
            "SELECT name AS state FROM sqlite_master WHERE type = 'table' AND name = 'account'",
            None,
        )?;
        if tables.to_array::<Row>()?.is_empty() {
            return Ok(None);
        }
        let rows: Vec<Row> = sql.exec("SELECT state FROM account", None)?.to_array()?;
        let Some(row) = rows.first() else { return Ok(None) };
        let StoredAccount::V1(account) = serde_json::from_str(&row.state)?;
        let stored = Some((account.clone(), clock::now()));
        Ok(Some(Memory { account, stored, alarm_at: None, called_at: Millis::default() }))
    }

    fn store_if_needed(
        &self,
        memory: &mut Memory,
        must_store: bool,
        rules: &Rules<'_>,
        now: Millis,
    ) -> Result<()> {
        let precious = must_store || memory.account.is_precious(rules);
        let stale = memory.stored.as_ref().is_none_or(|(_, at)| now.since(*at) >= WRITE_INTERVAL);
        if precious || (stale && memory.account.outlives_memory(rules, now)) {
            return self.store(memory, now);
        }
        Ok(())
    }

    fn store(&self, memory: &mut Memory, now: Millis) -> Result<()> {
        if memory.stored.as_ref().is_some_and(|(account, _)| *account == memory.account) {
            return Ok(());
        }
        let sql = self.state.storage().sql();
        sql.exec(
            "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL)",
            None,
        )?;
        let state = serde_json::to_string(&StoredAccount::V1(memory.account.clone()))?;
        let put = "INSERT INTO account (id, state) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state";
        sql.exec(put, vec![state.into()])?;
        memory.stored = Some((memory.account.clone(), now));
        Ok(())
    }

    /// When the alarm must ring; `None` when it is set early enough already.
    fn plan_alarm(memory: &mut Memory, config: &Config, now: Millis) -> Option<Millis> {
        let wanted = next_alarm(memory, config, now)?;
        if memory.alarm_at.is_some_and(|at| at <= wanted) {
            return None;
        }
        memory.alarm_at = Some(wanted);
        Some(wanted)
    }

    async fn ring_at(&self, at: Millis) -> Result<()> {
        let wait = std::time::Duration::from_millis(at.since(clock::now()).get());
        // No answer waits for the alarm to be on disk: what it saves is what a crash may take anyway.
        let options = SetAlarmOptions { allow_unconfirmed: Some(true), ..SetAlarmOptions::default() };
        self.state.storage().set_alarm_with_options(wait, options).await
    }

    /// Sends the ledger absolute totals, and notes that it has them.
    async fn flush(&self) -> Result<()> {
        let taken = clock::now();
        let (id, incarnation, lines, revision, uses) = {
            let memory = self.memory.borrow();
            let Some(Memory { account, .. }) = memory.as_ref() else { return Ok(()) };
            let usage = account.usage();
            let lines: Vec<_> = usage.lines().collect();
            (
                account.id().clone(),
                account.incarnation().to_owned(),
                lines,
                usage.revision(),
                account.keys().untold(),
            )
        };
        ledger::put_usage(&self.env, &id, &incarnation, &lines).await?;
        owner_ledger::put_uses(&self.env, &uses).await?;
        // Requests may have come in meanwhile: the account is the one in memory now.
        if let Some(memory) = self.memory.borrow_mut().as_mut() {
            memory.account = memory.account.clone().flushed(revision, taken, clock::now()).told_uses(&uses);
        }
        Ok(())
    }

    /// After an alarm: forgets an account that is whole again, or stores it and sets the next alarm. Of most visitors
    /// nothing was ever stored by then, and nothing is.
    async fn settle_down(&self, config: &Config) -> Result<()> {
        let now = clock::now();
        let next = {
            let mut memory = self.memory.borrow_mut();
            let Some(held) = memory.as_mut() else { return Ok(()) };
            let plan = held.account.plan().map(str::to_owned);
            let rules = config.rules(held.account.id().kind(), plan.as_deref());
            held.account = held.account.clone().tidied(&rules, now);
            if now >= gone_at(held, config) && held.account.is_whole(&rules, now) {
                let was_stored = held.stored.is_some();
                *memory = None;
                if !was_stored {
                    return Ok(());
                }
                None
            } else {
                self.store(held, now)?;
                let wanted = next_alarm(held, config, now);
                let at = wanted.map(|at| {
                    at.max(now.plus(if flush_due(held, config, now) { FLUSH_RETRY } else { Span::ZERO }))
                });
                held.alarm_at = at;
                Some(at)
            }
        };
        match next {
            None => self.state.storage().delete_all().await,
            Some(Some(at)) => self.ring_at(at).await,
            Some(None) => Ok(()),
        }
        .inspect_err(|error| console_error!("account storage: {error}"))
    }
}

/// When a client counts as gone. One that is still there keeps its account: each life of an account has rows of its own
/// in the ledger.
fn gone_at(memory: &Memory, config: &Config) -> Millis {
    memory.called_at.plus(USAGE_AT_RISK.min(config.flush_interval))
}

/// When something is to be done without a request: usage saved, then flushed; storage deleted once it is whole.
fn next_alarm(memory: &Memory, config: &Config, now: Millis) -> Option<Millis> {
    let usage = memory.account.usage();
    let stored_usage = memory.stored.as_ref().map(|(account, _)| account.usage().revision());
    if usage.unflushed_since().is_some() {
        let interval = config.flush_interval;
        let at_risk = stored_usage != Some(usage.revision());
        let save_at = now.plus(USAGE_AT_RISK.min(interval));
        let flush_at = usage.flushed_at().map_or(save_at, |at| at.plus(interval));
        return Some(if at_risk { save_at.min(flush_at) } else { flush_at });
    }
    memory.stored.as_ref()?;
    let rules = config.rules(memory.account.id().kind(), memory.account.plan());
    match memory.account.until_whole(&rules, now) {
        Wait::For(span) => Some(now.plus(span).max(gone_at(memory, config))),
        Wait::Never => None,
    }
}
