//! What the owner set, in D1: plans, keys, accounts, and who changed what. Never read for a client's request.

use serde::Deserialize;
use serde_json::Value;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, Env, Error, Result};

use super::clock;
use super::ledger::in_time;
use crate::client::AccountId;
use crate::client::key::{KeyHash, Scope};
use crate::owner::page::Page;
use crate::owner::plan_book::{Changed, PlanBook};
use crate::time::Millis;

const GET_VERSION: &str = "SELECT version, default_plan FROM plan_versions ORDER BY version DESC LIMIT 1";
const GET_PLANS: &str = "SELECT name, document FROM plans";

/// Nothing is inserted while an account uses a plan that goes; a version that somebody else made is an error, and with
/// it the whole batch is undone.
const PUT_VERSION: &str = "INSERT INTO plan_versions (version, change, default_plan, changed_at) \
SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE plan IN (SELECT value FROM json_each(?5)))";
const PUT_PLAN: &str = "INSERT INTO plans (name, document, version) SELECT ?1, ?2, ?3 \
WHERE EXISTS (SELECT 1 FROM plan_versions WHERE change = ?4) \
ON CONFLICT (name) DO UPDATE SET document = excluded.document, version = excluded.version";
const PUT_AUDIT_OF_CHANGE: &str = "INSERT INTO audit (at, who, what, subject, detail) SELECT ?1, ?2, ?3, ?4, ?5 \
WHERE EXISTS (SELECT 1 FROM plan_versions WHERE change = ?6)";
const GET_CHANGE: &str = "SELECT version AS n FROM plan_versions WHERE change = ?1";
const GET_USERS: &str =
    "SELECT id FROM accounts WHERE plan IN (SELECT value FROM json_each(?1)) ORDER BY id LIMIT 5";

/// A plan is given only while the plans are those that were looked at.
const PUT_ACCOUNT_PLAN: &str = "INSERT INTO accounts (id, plan, created_at) SELECT ?1, ?2, ?3 \
WHERE (SELECT COALESCE(MAX(version), 0) FROM plan_versions) = ?4 \
ON CONFLICT (id) DO UPDATE SET plan = excluded.plan RETURNING id";
const PUT_AUDIT_AT_VERSION: &str = "INSERT INTO audit (at, who, what, subject, detail) SELECT ?1, ?2, ?3, ?4, ?5 \
WHERE (SELECT COALESCE(MAX(version), 0) FROM plan_versions) = ?6";
const PUT_ACCOUNT: &str = "INSERT INTO accounts (id, created_at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
const GET_ACCOUNT: &str = "SELECT id, plan, created_at FROM accounts WHERE id = ?1";
const LIST_ACCOUNTS: &str = "SELECT id, plan, created_at FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2";

const PUT_KEY: &str = "INSERT INTO keys (id, hash, account, label, scopes, created_at) \
VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const DELETE_KEY: &str = "DELETE FROM keys WHERE id = ?1";
const GET_KEY: &str = "SELECT * FROM keys WHERE id = ?1";
const KEYS_OF: &str = "SELECT * FROM keys WHERE account = ?1 ORDER BY created_at, id LIMIT 1000";
const LIST_KEYS: &str =
    "SELECT * FROM keys WHERE (created_at, id) > (?1, ?2) ORDER BY created_at, id LIMIT ?3";
const REVOKE_KEY: &str = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
const PUT_USE: &str = "UPDATE keys SET last_used_at = ?2 WHERE hash = ?1";

const PUT_AUDIT: &str = "INSERT INTO audit (at, who, what, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
const LIST_AUDIT: &str = "SELECT * FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";

fn database(env: &Env) -> Result<D1Database> {
    env.d1("LEDGER")
}

/// A count or version: far below 2^53, so that a number of the platform holds it.
#[allow(clippy::cast_precision_loss, reason = "versions and page sizes are small")]
fn number(n: u64) -> JsValue {
    JsValue::from_f64(n as f64)
}

fn optional(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from_str)
}

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
    fn values(&self) -> [JsValue; 5] {
        [
            clock::now().rfc3339().into(),
            self.who.into(),
            self.what.into(),
            self.subject.as_str().into(),
            self.detail.to_string().into(),
        ]
    }

    fn statement(&self, database: &D1Database) -> Result<D1PreparedStatement> {
        database.prepare(PUT_AUDIT).bind(&self.values())
    }
}

#[derive(Deserialize)]
struct VersionRow {
    version: u64,
    default_plan: Option<String>,
}

#[derive(Deserialize)]
struct PlanRow {
    name: String,
    document: Option<String>,
}

/// The plan book. Without any change it is empty.
pub(super) async fn plan_book(env: &Env) -> Result<PlanBook> {
    let database = database(env)?;
    let answers = database.batch(vec![database.prepare(GET_VERSION), database.prepare(GET_PLANS)]).await?;
    let [versions, plans] = answers.as_slice() else {
        return Err(Error::RustError("ledger: not every question was answered".to_owned()));
    };
    let version = versions.results::<VersionRow>()?.into_iter().next();
    let plans = plans.results::<PlanRow>()?.into_iter().map(|row| {
        let document = row.document.as_deref().map(serde_json::from_str).transpose();
        document.map(|document| (row.name, document))
    });
    Ok(PlanBook {
        version: version.as_ref().map_or(0, |row| row.version),
        plans: plans.collect::<std::result::Result<_, _>>()?,
        default_plan: version.and_then(|row| row.default_plan),
    })
}

/// What came of a change of the plans.
pub(super) enum Written {
    /// It is in the ledger.
    Done,
    /// Somebody else made this version meanwhile; nothing was changed.
    Conflict,
    /// These accounts, and maybe more, use a plan that would go; nothing was changed.
    InUse(Vec<String>),
}

/// Writes a change of the plans: all of it or nothing.
pub(super) async fn put_plans(env: &Env, changed: &Changed, deed: &Deed<'_>) -> Result<Written> {
    let database = database(env)?;
    let change = clock::random_hex(16)?;
    let removed = serde_json::to_string(&changed.removed)?;
    let mut statements = vec![database.prepare(PUT_VERSION).bind(&[
        number(changed.book.version),
        change.as_str().into(),
        optional(changed.book.default_plan.as_deref()),
        clock::now().rfc3339().into(),
        removed.as_str().into(),
    ])?];
    for name in &changed.written {
        let document = changed.book.plans.get(name).and_then(Option::as_ref).map(Value::to_string);
        statements.push(database.prepare(PUT_PLAN).bind(&[
            name.as_str().into(),
            optional(document.as_deref()),
            number(changed.book.version),
            change.as_str().into(),
        ])?);
    }
    let audit = [&deed.values()[..], &[change.as_str().into()]].concat();
    statements.push(database.prepare(PUT_AUDIT_OF_CHANGE).bind(&audit)?);
    statements.push(database.prepare(GET_CHANGE).bind(&[change.as_str().into()])?);
    let answers = match database.batch(statements).await {
        Ok(answers) => answers,
        Err(error) if error.to_string().contains("UNIQUE constraint failed: plan_versions.version") => {
            return Ok(Written::Conflict);
        }
        Err(error) => return Err(error),
    };
    let made = answers.last().map(worker::D1Result::results::<Counted>).transpose()?.unwrap_or_default();
    if made.is_empty() {
        let users = database.prepare(GET_USERS).bind(&[removed.as_str().into()])?.all().await?;
        return Ok(Written::InUse(users.results::<AccountName>()?.into_iter().map(|row| row.id).collect()));
    }
    Ok(Written::Done)
}

#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "n")]
    _n: u64,
}

#[derive(Deserialize)]
struct AccountName {
    id: String,
}

/// An account that the owner gave something.
#[derive(Clone, Deserialize)]
pub(super) struct AccountRow {
    pub(super) id: String,
    pub(super) plan: Option<String>,
    pub(super) created_at: String,
}

/// Gives an account a plan, or none, while the plans have that version; whether they had.
pub(super) async fn put_account_plan(
    env: &Env,
    account: &AccountId,
    plan: Option<&str>,
    version: u64,
    deed: &Deed<'_>,
) -> Result<bool> {
    let database = database(env)?;
    let values = [account.as_str().into(), optional(plan), clock::now().rfc3339().into(), number(version)];
    let audit = [&deed.values()[..], &[number(version)]].concat();
    let statements = vec![
        database.prepare(PUT_ACCOUNT_PLAN).bind(&values)?,
        database.prepare(PUT_AUDIT_AT_VERSION).bind(&audit)?,
    ];
    let answers = database.batch(statements).await?;
    let given = answers.first().map(worker::D1Result::results::<AccountName>).transpose()?;
    Ok(given.is_some_and(|given| !given.is_empty()))
}

/// An account, if the owner gave it something.
pub(super) async fn account(env: &Env, account: &AccountId) -> Result<Option<AccountRow>> {
    database(env)?.prepare(GET_ACCOUNT).bind(&[account.as_str().into()])?.first(None).await
}

/// Accounts that the owner gave something, in the order of their ids.
pub(super) async fn accounts(env: &Env, page: &Page) -> Result<Vec<AccountRow>> {
    let values = [page.after(0).into(), number(page.look_for())];
    database(env)?.prepare(LIST_ACCOUNTS).bind(&values)?.all().await?.results()
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

/// Notes a new key.
pub(super) async fn put_key(
    env: &Env,
    hash: &KeyHash,
    account: &AccountId,
    (label, scopes): (&str, &[Scope]),
    deed: &Deed<'_>,
) -> Result<()> {
    let database = database(env)?;
    let now = clock::now().rfc3339();
    let values = [
        hash.id().into(),
        hash.as_str().into(),
        account.as_str().into(),
        label.into(),
        serde_json::to_string(scopes)?.into(),
        now.as_str().into(),
    ];
    let statements = vec![
        database.prepare(PUT_ACCOUNT).bind(&[account.as_str().into(), now.as_str().into()])?,
        database.prepare(PUT_KEY).bind(&values)?,
        deed.statement(&database)?,
    ];
    database.batch(statements).await.map(|_| ())
}

/// Takes back a key that nobody was told of.
pub(super) async fn delete_key(env: &Env, hash: &KeyHash) -> Result<()> {
    database(env)?.prepare(DELETE_KEY).bind(&[hash.id().into()])?.run().await.map(|_| ())
}

/// Notes that a key was revoked.
pub(super) async fn revoke_key(env: &Env, id: &str, deed: &Deed<'_>) -> Result<()> {
    let database = database(env)?;
    let values = [id.into(), clock::now().rfc3339().into()];
    let statements = vec![database.prepare(REVOKE_KEY).bind(&values)?, deed.statement(&database)?];
    database.batch(statements).await.map(|_| ())
}

/// The key of that id.
pub(super) async fn key(env: &Env, id: &str) -> Result<Option<KeyRow>> {
    database(env)?.prepare(GET_KEY).bind(&[id.into()])?.first(None).await
}

/// The keys of an account.
pub(super) async fn keys_of(env: &Env, account: &AccountId) -> Result<Vec<KeyRow>> {
    database(env)?.prepare(KEYS_OF).bind(&[account.as_str().into()])?.all().await?.results()
}

/// All keys, oldest first.
pub(super) async fn keys(env: &Env, page: &Page) -> Result<Vec<KeyRow>> {
    let values = [page.after(0).into(), page.after(1).into(), number(page.look_for())];
    database(env)?.prepare(LIST_KEYS).bind(&values)?.all().await?.results()
}

/// Notes when keys were last used.
pub(super) async fn put_uses(env: &Env, uses: &[(KeyHash, Millis)]) -> Result<()> {
    if uses.is_empty() {
        return Ok(());
    }
    let database = database(env)?;
    let statements = uses.iter().map(|(key, used)| {
        database.prepare(PUT_USE).bind(&[key.as_str().into(), used.minute().rfc3339().into()])
    });
    in_time(database.batch(statements.collect::<Result<_>>()?)).await.map(|_| ())
}

/// Notes a deed that gives an account something which its object keeps.
pub(super) async fn put_gift(env: &Env, account: &AccountId, deed: &Deed<'_>) -> Result<()> {
    let database = database(env)?;
    let values = [account.as_str().into(), clock::now().rfc3339().into()];
    let statements = vec![database.prepare(PUT_ACCOUNT).bind(&values)?, deed.statement(&database)?];
    database.batch(statements).await.map(|_| ())
}

/// Notes a deed that changed nothing in the ledger itself.
pub(super) async fn put_deed(env: &Env, deed: &Deed<'_>) -> Result<()> {
    deed.statement(&database(env)?)?.run().await.map(|_| ())
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
pub(super) async fn audit(env: &Env, page: &Page) -> Result<Vec<AuditRow>> {
    let before = page.after(0).parse::<u64>().unwrap_or(u64::from(u32::MAX));
    database(env)?
        .prepare(LIST_AUDIT)
        .bind(&[number(before), number(page.look_for())])?
        .all()
        .await?
        .results()
}
