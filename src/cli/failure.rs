//! Why a command did not do what it was asked for, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody said no: the gate, a check, or the person who was asked.
    Refused,
    /// The command was given something it cannot work with.
    Usage,
    /// Nobody answered.
    Unreachable,
}

/// Why a command did not do what it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    kind: Kind,
    /// What, where, and what to do about it.
    message: String,
    /// The problem that the gate answered, where it did.
    problem: Option<Value>,
    /// Everything was said already.
    is_told: bool,
}

/// What a command comes to.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
        }
    }
}

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), problem: None, is_told: false }
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, message)
    }

    /// A result that was printed, and is bad.
    pub(super) fn told(kind: Kind) -> Self {
        Self { is_told: true, ..Self::new(kind, "") }
    }

    /// The same, with what the gate answered.
    pub(super) fn with_problem(mut self, problem: Value) -> Self {
        self.problem = Some(problem);
        self
    }

    /// The same, with something said before it.
    pub(super) fn noting(mut self, note: &str) -> Self {
        self.message = format!("{note}\n  {}", self.message);
        self
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) const fn is_told(&self) -> bool {
        self.is_told
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.code())
    }

    /// As `--json` prints it.
    pub(super) fn to_json(&self) -> Value {
        json!({ "error": self.kind.name(), "exit_code": self.kind.code(), "message": self.message, "problem": self.problem })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
