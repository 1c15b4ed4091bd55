//! What the owner gave, in the ledger: accounts, keys, and who changed what. Never read for a client's request.

use serde::Deserialize;
use serde_json::Value;
use worker::wasm_bindgen::JsValue;
use worker::{D1PreparedStatement, D1Result, Env};

use super::clock;
use super::ledger::{Answered, Ledger, number, optional};
use crate::client::AccountId;
use crate::client::key::{KeyHash, Scope};
use crate::owner::page::Page;
use crate::time::Millis;

/// A plan is given only while the plans are those that were looked at.
const PUT_ACCOUNT_PLAN: &str = "INSERT INTO accounts (id, plan, created_at) SELECT ?1, ?2, ?3 \
WHERE (SELECT COALESCE(MAX(version), 0) FROM plan_versions) = ?4 \
ON CONFLICT (id) DO UPDATE SET plan = excluded.plan RETURNING id";
const PUT_ACCOUNT: &str = "INSERT INTO accounts (id, created_at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
const GET_ACCOUNT: &str = "SELECT id, plan, created_at FROM accounts WHERE id = ?1";
const LIST_ACCOUNTS: &str = "SELECT id, plan, created_at FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2";

/// So is a key that comes with a plan; without one, the version is nothing.
const PUT_KEY: &str = "INSERT INTO keys (id, hash, account, label, scopes, created_at) \
SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE ?7 IS NULL OR (SELECT COALESCE(MAX(version), 0) FROM plan_versions) = ?7 \
RETURNING id";
const DELETE_KEY: &str = "DELETE FROM keys WHERE id = ?1";
const GET_KEY: &str = "SELECT * FROM keys WHERE id = ?1";
const KEYS_OF: &str = "SELECT * FROM keys WHERE account = ?1 ORDER BY created_at, id LIMIT 1000";
const LIST_KEYS: &str =
    "SELECT * FROM keys WHERE (created_at, id) > (?1, ?2) ORDER BY created_at, id LIMIT ?3";
const REVOKE_KEY: &str = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
const PUT_USE: &str = "UPDATE keys SET last_used_at = ?2 WHERE hash = ?1";

/// The same.
const PUT_AUDIT: &str = "INSERT INTO audit (at, who, what, subject, detail) SELECT ?1, ?2, ?3, ?4, ?5 \
WHERE ?6 IS NULL OR (SELECT COALESCE(MAX(version), 0) FROM plan_versions) = ?6";
const LIST_AUDIT: &str = "SELECT * FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";

/// Somebody's change of something, for the audit table.
pub(super) struct Deed<'a> {
    /// Who: see [`crate::config::secrets::AdminToken::name`].
    pub(super) who: &'a str,
    /// What was done, such as `key.create`.
    pub(super) what: &'static str,
    /// To what.
    pub(super) subject: String,
    /// What else is worth knowing.
    pub(super) detail: Value,
}

impl Deed<'_> {
    pub(super) fn values(&self) -> [JsValue; 5] {
        [
            clock::now().rfc3339().into(),
            self.who.into(),
            self.what.into(),
            self.subject.as_str().into(),
            self.detail.to_string().into(),
        ]
    }

    /// Notes the deed; where it was done to the plans of a version, if they have that.
    fn statement(&self, ledger: &Ledger, version: Option<u64>) -> Answered<D1PreparedStatement> {
        let version = version.map_or(JsValue::NULL, number);
        ledger.ask(PUT_AUDIT, &[&self.values()[..], &[version]].concat())
    }
}

/// An account that the owner gave something.
#[derive(Clone, Deserialize)]
pub(super) struct AccountRow {
    pub(super) id: String,
    pub(super) plan: Option<String>,
    pub(super) created_at: String,
}

/// A plan, or none, that an account is given while the plans have a version.
pub(super) struct PlanGift<'a> {
    pub(super) account: &'a AccountId,
    pub(super) plan: Option<&'a str>,
    pub(super) version: u64,
    pub(super) deed: Deed<'a>,
}

impl PlanGift<'_> {
    fn statements(&self, ledger: &Ledger) -> Answered<Vec<D1PreparedStatement>> {
        let now = clock::now().rfc3339();
        let values = [self.account.as_str().into(), optional(self.plan), now.into(), number(self.version)];
        let given = ledger.ask(PUT_ACCOUNT_PLAN, &values)?;
        Ok(vec![given, self.deed.statement(ledger, Some(self.version))?])
    }
}

/// Whether a change that is made at a version was made.
fn is_made(answer: Option<&D1Result>) -> Answered<bool> {
    let made = answer.map(D1Result::results::<Id>).transpose()?;
    Ok(made.is_some_and(|made| !made.is_empty()))
}

#[derive(Deserialize)]
struct Id {
    #[serde(rename = "id")]
    _id: String,
}

/// Gives an account a plan, or none; whether the plans still had that version.
pub(super) async fn put_account_plan(env: &Env, gift: &PlanGift<'_>) -> Answered<bool> {
    let ledger = Ledger::open(env)?;
    is_made(ledger.change(gift.statements(&ledger)?).await?.first())
}

/// An account, if the owner gave it something.
pub(super) async fn account(env: &Env, account: &AccountId) -> Answered<Option<AccountRow>> {
    Ledger::open(env)?.row(GET_ACCOUNT, &[account.as_str().into()]).await
}

/// Accounts that the owner gave something, in the order of their ids.
pub(super) async fn accounts(env: &Env, page: &Page) -> Answered<Vec<AccountRow>> {
    let values = [page.after(0).into(), number(page.look_for())];
    Ledger::open(env)?.rows(LIST_ACCOUNTS, &values).await
}

/// A key, as far as we know it.
#[derive(Clone, Deserialize)]
pub(super) struct KeyRow {
    pub(super) id: String,
    pub(super) hash: KeyHash,
    pub(super) account: AccountId,
    pub(super) label: String,
    scopes: String,
    pub(super) created_at: String,
    pub(super) revoked_at: Option<String>,
    pub(super) last_used_at: Option<String>,
}

impl KeyRow {
    /// What the key may do beyond calling the API.
    pub(super) fn scopes(&self) -> Value {
        serde_json::from_str(&self.scopes).unwrap_or_default()
    }
}

/// A key that is made.
pub(super) struct NewKey<'a> {
    pub(super) hash: &'a KeyHash,
    pub(super) account: &'a AccountId,
    pub(super) label: &'a str,
    pub(super) scopes: &'a [Scope],
    pub(super) deed: Deed<'a>,
}

/// Notes a new key, and the plan that its account is given with it; whether the plans still had the version of that.
pub(super) async fn put_key(env: &Env, key: &NewKey<'_>, gift: Option<&PlanGift<'_>>) -> Answered<bool> {
    let ledger = Ledger::open(env)?;
    let now = clock::now().rfc3339();
    let version = gift.map(|gift| gift.version);
    let values = [
        key.hash.id().into(),
        key.hash.as_str().into(),
        key.account.as_str().into(),
        key.label.into(),
        serde_json::to_string(key.scopes)?.into(),
        now.as_str().into(),
        version.map_or(JsValue::NULL, number),
    ];
    let mut statements = match gift {
        Some(gift) => gift.statements(&ledger)?,
        None => vec![ledger.ask(PUT_ACCOUNT, &[key.account.as_str().into(), now.as_str().into()])?],
    };
    let place = statements.len();
    statements.extend([ledger.ask(PUT_KEY, &values)?, key.deed.statement(&ledger, version)?]);
    is_made(ledger.change(statements).await?.get(place))
}

/// Takes back a key that nobody was told of.
pub(super) async fn delete_key(env: &Env, hash: &KeyHash) -> Answered<()> {
    let ledger = Ledger::open(env)?;
    ledger.change(vec![ledger.ask(DELETE_KEY, &[hash.id().into()])?]).await.map(|_| ())
}

/// Notes that a key was revoked.
pub(super) async fn revoke_key(env: &Env, id: &str, deed: &Deed<'_>) -> Answered<()> {
    let ledger = Ledger::open(env)?;
    let values = [id.into(), clock::now().rfc3339().into()];
    let statements = vec![ledger.ask(REVOKE_KEY, &values)?, deed.statement(&ledger, None)?];
    ledger.change(statements).await.map(|_| ())
}

/// The key of that id.
pub(super) async fn key(env: &Env, id: &str) -> Answered<Option<KeyRow>> {
    Ledger::open(env)?.row(GET_KEY, &[id.into()]).await
}

/// The keys of an account.
pub(super) async fn keys_of(env: &Env, account: &AccountId) -> Answered<Vec<KeyRow>> {
    Ledger::open(env)?.rows(KEYS_OF, &[account.as_str().into()]).await
}

/// All keys, oldest first.
pub(super) async fn keys(env: &Env, page: &Page) -> Answered<Vec<KeyRow>> {
    let values = [page.after(0).into(), page.after(1).into(), number(page.look_for())];
    Ledger::open(env)?.rows(LIST_KEYS, &values).await
}

/// Notes when keys were last used.
pub(super) async fn put_uses(env: &Env, uses: &[(KeyHash, Millis)]) -> Answered<()> {
    if uses.is_empty() {
        return Ok(());
    }
    let ledger = Ledger::open(env)?;
    let statements = uses
        .iter()
        .map(|(key, used)| ledger.ask(PUT_USE, &[key.as_str().into(), used.minute().rfc3339().into()]));
    ledger.change(statements.collect::<Answered<_>>()?).await.map(|_| ())
}

/// Notes a deed that gives an account something which its object keeps.
pub(super) async fn put_gift(env: &Env, account: &AccountId, deed: &Deed<'_>) -> Answered<()> {
    let ledger = Ledger::open(env)?;
    let values = [account.as_str().into(), clock::now().rfc3339().into()];
    let statements = vec![ledger.ask(PUT_ACCOUNT, &values)?, deed.statement(&ledger, None)?];
    ledger.change(statements).await.map(|_| ())
}

/// Notes a deed that changed nothing in the ledger itself.
pub(super) async fn put_deed(env: &Env, deed: &Deed<'_>) -> Answered<()> {
    let ledger = Ledger::open(env)?;
    ledger.change(vec![deed.statement(&ledger, None)?]).await.map(|_| ())
}

/// A line of the audit table.
#[derive(Deserialize)]
pub(super) struct AuditRow {
    pub(super) id: u64,
    pub(super) at: String,
    pub(super) who: String,
    pub(super) what: String,
    pub(super) subject: String,
    pub(super) detail: String,
}

/// Who changed what, the last first.
pub(super) async fn audit(env: &Env, page: &Page) -> Answered<Vec<AuditRow>> {
    let before = page.after(0).parse::<u64>().unwrap_or(u64::from(u32::MAX));
    Ledger::open(env)?.rows(LIST_AUDIT, &[number(before), number(page.look_for())]).await
}
