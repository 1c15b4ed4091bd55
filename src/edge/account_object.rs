//! The Durable Object of one account. Each call is: load, one pure step, store what must not be lost, answer.
//!
//! What is written, and when (see `Account` for why):
//! - before the answer leaves: whatever was paid for, as soon as there is something of that kind;
//! - at most once a second, during a request: the free part of a bucket that stays short for longer than this object is
//!   kept in memory;
//! - by alarm: usage, first into storage and then into the ledger. No timer keeps the object awake.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, SetAlarmOptions, State, console_error,
    console_warn, durable_object, wasm_bindgen,
};

use super::account_schedule::Memory;
use super::plans_in_force::{self, InForce};
use super::usage_ledger::{self, Told};
use super::{account_calls, clock, objects, owner_ledger, settings, webhook};
use crate::client::AccountId;
use crate::client::key::KeyHash;
use crate::config::Config;
use crate::contract::{AccountCall, Refusal, ToAccount};
use crate::limit::account::{Account, Rules, StoredAccount};
use crate::time::{Millis, Span};

/// The free part of a bucket is written at most once in this time.
const WRITE_INTERVAL: Span = Span::seconds(1);
/// How soon the alarm rings again after it could not do what it was set for.
const ALARM_RETRY: Span = Span::seconds(60);
/// How long a session that a client named takes a key for good without asking its account.
const KEY_MEMORY: Span = Span::seconds(60);
/// How many notices an alarm sends at most, each of which may take 10 s: usage must not wait for them for long.
const NOTICES_AN_ALARM: usize = 8;
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
    /// Of an account that is a session which a client named: its owner's keys, and when each was good last.
    keys: RefCell<BTreeMap<KeyHash, Millis>>,
}

impl DurableObject for AccountObject {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, memory: RefCell::new(None), keys: RefCell::default() }
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
        let key = match (account.owner(), key) {
            (Some(owner), Some(key)) if self.knows_key(&owner, &key).await? => None,
            (Some(_), Some(_)) => return objects::refuse(&Refusal::UnknownKey),
            (_, key) => key,
        };
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => self.load()?.map_or_else(|| new_memory(account), Ok)?,
        };
        let now = clock::now();
        let plan = memory.account.plan().map(str::to_owned);
        let rules = config.rules(memory.account.id().kind(), plan.as_deref());
        let must_store = call.is_stored_first() || memory.account.is_precious(&rules);
        let handled =
            account_calls::handle_in_name_of(key.as_ref(), memory.account.clone(), call, &rules, now);
        let before = std::mem::replace(&mut memory.account, handled.account);
        let unsaved = memory.unsaved;
        memory.unsaved |= !handled.denied;
        memory.called_at = now;
        let stored = self.store_if_needed(&mut memory, must_store, &rules, now);
        if stored.is_err() {
            // The caller is told that it failed: then it did not happen, and may be asked for again.
            (memory.account, memory.unsaved) = (before, unsaved);
        }
        let alarm = memory.plan_alarm(&config, now);
        self.memory.replace(Some(memory));
        stored?;
        if let Some(at) = alarm {
            self.ring_at(at).await?;
        }
        handled.reply
    }

    async fn alarm(&self) -> Result<Response> {
        if let Err(error) = self.attend().await {
            // The platform would ring again a few times and then never: a bill must not hang on that.
            console_error!("an account's object: {error}; tried again in {ALARM_RETRY}");
            let at = clock::now().plus(ALARM_RETRY);
            if let Some(memory) = self.memory.borrow_mut().as_mut() {
                memory.alarm_at = Some(at);
            }
            self.ring_at(at).await?;
        }
        Response::empty()
    }
}

impl AccountObject {
    /// Does what the alarm was set for.
    async fn attend(&self) -> Result<()> {
        let config = match self.config().await? {
            Ok(config) => config,
            Err(faults) => return Err(Error::RustError(faults.to_string())),
        };
        let loaded = match self.memory.take() {
            Some(memory) => Some(memory),
            None => self.load()?,
        };
        let Some(mut memory) = loaded else { return Ok(()) };
        memory.alarm_at = None;
        let flush = memory.flush_due(&config, clock::now());
        self.memory.replace(Some(memory));
        if flush && let Err(error) = self.flush(&config).await {
            console_warn!("ledger: {error}; usage stays here and is sent again");
        }
        self.tell_owner().await?;
        self.settle_down(&config).await
    }
}

fn new_memory(account: AccountId) -> Result<Memory> {
    let incarnation = clock::random_hex(INCARNATION_BYTES)?;
    Ok(Memory {
        account: Account::new(account, incarnation),
        stored: None,
        has_row: false,
        unsaved: false,
        alarm_at: None,
        called_at: clock::now(),
    })
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

    /// Whether a key is good for the account whose session this is: that account is asked, at most once a minute.
    async fn knows_key(&self, owner: &AccountId, key: &KeyHash) -> Result<bool> {
        let now = clock::now();
        let is_fresh = |told: &Millis| now.since(*told) < KEY_MEMORY;
        if self.keys.borrow().get(key).is_some_and(is_fresh) {
            return Ok(true);
        }
        let call = AccountCall::KnowsKey;
        let answer = objects::account_with_key::<bool>(&self.env, owner, Some(key.clone()), call).await?;
        let mut keys = self.keys.borrow_mut();
        match answer {
            Ok(true) => drop(keys.insert(key.clone(), now)),
            Ok(false) | Err(_) => drop(keys.remove(key)),
        }
        Ok(keys.contains_key(key))
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
        Ok(Some(Memory {
            account,
            stored,
            has_row: true,
            unsaved: false,
            alarm_at: None,
            called_at: Millis::default(),
        }))
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
        memory.has_row = true;
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
        if held.has_row {
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

    /// Sends what the owner is to know, in order, until the owner's server does not take one. Requests are answered
    /// meanwhile.
    async fn tell_owner(&self) -> Result<()> {
        let settings = settings::load(&self.env).map_err(|faults| Error::RustError(faults.to_string()))?;
        for _ in 0..NOTICES_AN_ALARM {
            let due = self.memory.borrow().as_ref().and_then(|memory| {
                let notice = memory.account.outbox().due(clock::now())?;
                Some((memory.account.id().clone(), notice.clone()))
            });
            let Some((id, notice)) = due else { return Ok(()) };
            let sent = webhook::send(&settings, &id, &notice).await;
            if let Some(memory) = self.memory.borrow_mut().as_mut() {
                memory.account = memory.account.clone().told_owner(notice.id(), sent.is_ok(), clock::now());
            }
            if let Err(error) = sent {
                console_warn!("webhook: {}: {error}; sent again later", notice.id());
                return Ok(());
            }
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
            if now >= held.gone_at(config) && held.account.is_whole(&rules, now) {
                let has_row = held.has_row;
                *memory = None;
                if !has_row {
                    return Ok(());
                }
                None
            } else {
                self.store(held, now)?;
                held.alarm_at = held.next_alarm(config, now);
                Some(held.alarm_at)
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
