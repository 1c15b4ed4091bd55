//! The ledger in D1, as every part of it is asked: with a bound on how long that takes, and with what is known of a question
//! that it failed at.

use std::fmt;

use serde::de::DeserializeOwned;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Result, Env, Error};

use super::deadline::within;
use crate::problem::LedgerFailure;
use crate::time::Span;

const LEDGER: &str = "LEDGER";
/// How long an answer is waited for: 5 s. What is told then counts as not told, and is told again.
const PATIENCE: Span = Span::seconds(5);
/// How long where nobody waits for it: D1 itself gives a question up after 30 s.
const LONG_PATIENCE: Span = Span::seconds(30);

/// What the ledger answers.
pub(super) type Answered<T> = Result<T, LedgerError>;

/// Why the ledger did not do what it was asked.
#[derive(Debug)]
pub(super) enum LedgerError {
    /// It failed, or did not answer in time: what is known of the question, and what it said.
    Failed(LedgerFailure, String),
    /// What it was asked, or answered, makes no sense: a fault of ours.
    Ours(Error),
}

impl LedgerError {
    /// The same of a note that is made before the deed: without it nothing is done, whether it is there or not.
    pub(super) fn before_the_deed(self) -> Self {
        match self {
            Self::Failed(_, said) => Self::Failed(LedgerFailure::Unchanged, said),
            Self::Ours(error) => Self::Ours(error),
        }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_, said) => f.write_str(said),
            Self::Ours(error) => error.fmt(f),
        }
    }
}

impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<serde_json::Error> for LedgerError {
    fn from(error: serde_json::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<LedgerError> for Error {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Failed(_, said) => Self::RustError(said),
            LedgerError::Ours(error) => error,
        }
    }
}

/// The ledger. Nothing else asks D1.
pub(super) struct Ledger {
    database: D1Database,
    patience: Span,
}

impl Ledger {
    pub(super) fn open(env: &Env) -> Answered<Self> {
        Ok(Self { database: env.d1(LEDGER)?, patience: PATIENCE })
    }

    /// For what nobody waits for.
    pub(super) fn patient(self) -> Self {
        Self { patience: LONG_PATIENCE, ..self }
    }

    /// A question or a change, with its values.
    pub(super) fn ask(&self, sql: &str, values: &[JsValue]) -> Answered<D1PreparedStatement> {
        Ok(self.database.prepare(sql).bind(values)?)
    }

    /// The rows that a question finds.
    pub(super) async fn rows<T: DeserializeOwned>(&self, sql: &str, values: &[JsValue]) -> Answered<Vec<T>> {
        let question = self.ask(sql, values)?;
        let answer = self.in_time(question.all()).await.map_err(Unanswered::question)?;
        Ok(answer.results()?)
    }

    /// The first row that a question finds.
    pub(super) async fn row<T: DeserializeOwned>(
        &self,
        sql: &str,
        values: &[JsValue],
    ) -> Answered<Option<T>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// What several questions find at one moment.
    pub(super) async fn look<const N: usize>(
        &self,
        questions: [D1PreparedStatement; N],
    ) -> Answered<[D1Result; N]> {
        let answers =
            self.in_time(self.database.batch(questions.to_vec())).await.map_err(Unanswered::question)?;
        let short = |_| Error::RustError("ledger: not every question was answered".to_owned());
        Ok(answers.try_into().map_err(short)?)
    }

    /// Makes a change: all of it, or nothing.
    pub(super) async fn change(&self, statements: Vec<D1PreparedStatement>) -> Answered<Vec<D1Result>> {
        self.in_time(self.database.batch(statements)).await.map_err(Unanswered::change)
    }

    /// An answer, or what was said instead: nothing waits for ever.
    async fn in_time<T>(&self, answer: impl Future<Output = worker::Result<T>>) -> Result<T, Unanswered> {
        match within(self.patience, answer).await {
            Some(answer) => {
                answer.map_err(|error| Unanswered { said: Some(error.to_string()), in_time: self.patience })
            }
            None => Err(Unanswered { said: None, in_time: self.patience }),
        }
    }
}

/// A question or a change that the ledger did not answer.
struct Unanswered {
    /// What it said instead, if it said anything.
    said: Option<String>,
    in_time: Span,
}

impl Unanswered {
    fn question(self) -> LedgerError {
        self.failed(LedgerFailure::Unchanged)
    }

    fn change(self) -> LedgerError {
        let failure = LedgerFailure::of_change(self.said.as_deref());
        self.failed(failure)
    }

    fn failed(self, failure: LedgerFailure) -> LedgerError {
        let said = self.said.unwrap_or_else(|| format!("no answer in {}", self.in_time));
        LedgerError::Failed(failure, said)
    }
}

/// A whole number for D1. A number of the platform would lose digits of a large one, which goes as text; the column
/// makes it a number again.
pub(super) fn number(n: u64) -> JsValue {
    u32::try_from(n)
        .map_or_else(|_| JsValue::from_str(&n.to_string()), |small| JsValue::from_f64(f64::from(small)))
}

/// A text for D1, or nothing.
pub(super) fn optional(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from_str)
}
