//! The plan book in the ledger. Never read for a client's request.

use serde::Deserialize;
use serde_json::Value;
use worker::Env;

use super::clock;
use super::ledger::{Answered, Ledger, LedgerError, number, optional};
use super::owner_ledger::Deed;
use crate::owner::plan_book::{Changed, PlanBook};

const GET_VERSION: &str = "SELECT version, default_plan FROM plan_versions ORDER BY version DESC LIMIT 1";
const GET_PLANS: &str = "SELECT name, document FROM plans";

/// Nothing is inserted while an account uses a plan that goes; a version that somebody else made is an error, and with
/// it the whole batch is undone.
const PUT_VERSION: &str = "INSERT INTO plan_versions (version, change, default_plan, changed_at) \
SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE plan IN (SELECT value FROM json_each(?5)))";
/// What D1 says when somebody else made that version.
const OTHERS_VERSION: &str = "UNIQUE constraint failed: plan_versions.version";
const PUT_PLAN: &str = "INSERT INTO plans (name, document, version) SELECT ?1, ?2, ?3 \
WHERE EXISTS (SELECT 1 FROM plan_versions WHERE change = ?4) \
ON CONFLICT (name) DO UPDATE SET document = excluded.document, version = excluded.version";
const PUT_AUDIT_OF_CHANGE: &str = "INSERT INTO audit (at, who, what, subject, detail) SELECT ?1, ?2, ?3, ?4, ?5 \
WHERE EXISTS (SELECT 1 FROM plan_versions WHERE change = ?6)";
const GET_CHANGE: &str = "SELECT version AS n FROM plan_versions WHERE change = ?1";
const GET_USERS: &str =
    "SELECT id FROM accounts WHERE plan IN (SELECT value FROM json_each(?1)) ORDER BY id LIMIT 5";

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
pub(super) async fn plan_book(env: &Env) -> Answered<PlanBook> {
    let ledger = Ledger::open(env)?;
    let [versions, plans] = ledger.look([ledger.ask(GET_VERSION, &[])?, ledger.ask(GET_PLANS, &[])?]).await?;
    let version = versions.results::<VersionRow>()?.into_iter().next();
    let plans = plans.results::<PlanRow>()?.into_iter().map(|row| {
        let document = row.document.as_deref().map(serde_json::from_str).transpose();
        document.map(|document| (row.name, document))
    });
    Ok(PlanBook {
        version: version.as_ref().map_or(0, |row| row.version),
        plans: plans.collect::<Result<_, serde_json::Error>>()?,
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
pub(super) async fn put_plans(env: &Env, changed: &Changed, deed: &Deed<'_>) -> Answered<Written> {
    let ledger = Ledger::open(env)?;
    let change = clock::random_hex(16)?;
    let removed = serde_json::to_string(&changed.removed)?;
    let version = [
        number(changed.book.version),
        change.as_str().into(),
        optional(changed.book.default_plan.as_deref()),
        clock::now().rfc3339().into(),
        removed.as_str().into(),
    ];
    let mut statements = vec![ledger.ask(PUT_VERSION, &version)?];
    for name in &changed.written {
        let document = changed.book.plans.get(name).and_then(Option::as_ref).map(Value::to_string);
        let plan = [
            name.as_str().into(),
            optional(document.as_deref()),
            number(changed.book.version),
            change.as_str().into(),
        ];
        statements.push(ledger.ask(PUT_PLAN, &plan)?);
    }
    let audit = [&deed.values()[..], &[change.as_str().into()]].concat();
    statements.push(ledger.ask(PUT_AUDIT_OF_CHANGE, &audit)?);
    statements.push(ledger.ask(GET_CHANGE, &[change.as_str().into()])?);
    let answers = match ledger.change(statements).await {
        Ok(answers) => answers,
        Err(LedgerError::Failed(_, said)) if said.contains(OTHERS_VERSION) => return Ok(Written::Conflict),
        Err(error) => return Err(error),
    };
    let made = answers.last().map(worker::D1Result::results::<Counted>).transpose()?.unwrap_or_default();
    if made.is_empty() {
        let users = ledger.rows::<AccountName>(GET_USERS, &[removed.as_str().into()]).await?;
        return Ok(Written::InUse(users.into_iter().map(|row| row.id).collect()));
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
