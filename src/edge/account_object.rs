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
use super::usage_ledger::{self, Told};
use super::{account_calls, clock, objects, owner_ledger};
use crate::client::AccountId;
use crate::client::key::KeyHash;
use crate::config::Config;
use crate::contract::{AccountCall, Refusal, ToAccount};
use crate::limit::account::{Account, Rules, StoredAccount};
use crate::limit::bucket::Wait;
use crate::time::{Millis, Span};

/// The free part of a bucket is written at most once in this time.
const WRITE_INTERVAL: Span = Span::seconds(1);
/// Usage is saved this soon after it was counted: before an idle object is evicted (10 s).
const USAGE_AT_RISK: Span = Span::seconds(8);
/// How soon a flush that failed is tried again.
const FLUSH_RETRY: Span = Span::seconds(10);
/// Bytes of randomness that tell one life of an account from another.
const INCARNATION_BYTES: usize = 8;

/// When which key was used last.
type Uses = Vec<(KeyHash, Millis)>;

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
    /// Whether anything but counts of denied requests came after that: those wait for the alarm.
    unsaved: bool,
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
        let handled =
            account_calls::handle_in_name_of(key.as_ref(), memory.account.clone(), call, &rules, now);
        memory.account = handled.account;
        memory.called_at = now;
        memory.unsaved |= !handled.denied;
        let stored = self.store_if_needed(&mut memory, must_store, &rules, now);
        let alarm = Self::plan_alarm(&mut memory, &config, now);
        self.memory.replace(Some(memory));
        stored?;
        if let Some(at) = alarm {
            self.ring_at(at).await?;
        }
        handled.reply
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
        if flush && let Err(error) = self.flush(&config).await {
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
        unsaved: false,
        alarm_at: None,
        called_at: clock::now(),
    })
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
        Ok(Some(Memory { account, stored, unsaved: false, alarm_at: None, called_at: Millis::default() }))
    }

    fn store_if_needed(
        &self,
        memory: &mut Memory,
        must_store: bool,
        rules: &Rules<'_>,
        now: Millis,
    ) -> Result<()> {
        if !memory.unsaved {
            return Ok(());
        }
        let precious = must_store || memory.account.is_precious(rules);
        let stale = memory.stored.as_ref().is_none_or(|(_, at)| now.since(*at) >= WRITE_INTERVAL);
        if precious || (stale && memory.account.outlives_memory(rules, now)) {
            return self.store(memory, now);
        }
        Ok(())
    }

    fn store(&self, memory: &mut Memory, now: Millis) -> Result<()> {
        if memory.stored.as_ref().is_some_and(|(account, _)| *account == memory.account) {
            memory.unsaved = false;
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
        memory.unsaved = false;
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
    async fn flush(&self, config: &Config) -> Result<()> {
        let taken = clock::now();
        let Some((told, uses)) = self.to_tell(config, taken)? else { return Ok(()) };
        usage_ledger::put(&self.env, &told).await?;
        owner_ledger::put_uses(&self.env, &uses).await?;
        // Requests may have come in meanwhile: the account is the one in memory now.
        if let Some(memory) = self.memory.borrow_mut().as_mut() {
            memory.account =
                memory.account.clone().flushed(told.revision, taken, clock::now()).told_uses(&uses);
        }
        Ok(())
    }

    /// What the ledger is to know. A life of the account that storage knows of is stored first, so that the ledger is
    /// never ahead of it: else what is counted after a crash would hide behind what was counted before.
    fn to_tell(&self, config: &Config, now: Millis) -> Result<Option<(Told, Uses)>> {
        let mut memory = self.memory.borrow_mut();
        let Some(held) = memory.as_mut() else { return Ok(None) };
        let plan = held.account.plan().map(str::to_owned);
        // Queued requests whose turn has come are counted now: their hour may be over with this flush.
        held.account =
            held.account.clone().tidied(&config.rules(held.account.id().kind(), plan.as_deref()), now);
        if held.stored.is_some() {
            self.store(held, now)?;
        }
        let usage = held.account.usage();
        let told = Told {
            account: held.account.id().clone(),
            incarnation: held.account.incarnation().to_owned(),
            lines: usage.lines().collect(),
            revision: usage.revision(),
        };
        Ok(Some((told, held.account.keys().untold())))
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
