//! What whoever asks the gate is told when its ledger does not do what it was asked.

use super::{Problem, ProblemKind};
use crate::time::Span;

/// How soon to ask again: 10 s.
const BACK: Span = Span::seconds(10);
/// In what the ledger says of a change that was refused and undone: `D1_ERROR: …: SQLITE_CONSTRAINT`.
const UNDONE: &str = "SQLITE_";

/// What is known of a question that the ledger failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerFailure {
    /// Nothing was changed.
    Unchanged,
    /// A change was made, all of it, or nothing was: nobody knows.
    Unknown,
}

impl LedgerFailure {
    /// What is known of a change. `said` is what the ledger said of it, if it said anything: of one that it does not
    /// answer, or whose connection was lost, nothing is known.
    #[must_use]
    pub fn of_change(said: Option<&str>) -> Self {
        if said.is_some_and(|said| said.contains(UNDONE)) { Self::Unchanged } else { Self::Unknown }
    }

    /// The answer: when to ask again, and what to count on until then.
    #[must_use]
    pub fn problem(self) -> Problem {
        let problem =
            |detail: &str| Problem::new(ProblemKind::LedgerUnavailable, detail).retry_after(Some(BACK));
        match self {
            Self::Unchanged => problem(
                "the ledger does not answer now: nothing was looked up and nothing was changed; nothing is lost, ask \
                 again in a while",
            ),
            Self::Unknown => problem(
                "the ledger does not say whether it made this change: it made all of it, or nothing; nothing is lost, \
                 but look at what is there before you send the change again",
            )
            .with("outcome", "unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_that_was_refused_is_known_to_be_undone() {
        for (said, known) in [
            (
                Some("D1_ERROR: UNIQUE constraint failed: keys.id: SQLITE_CONSTRAINT"),
                LedgerFailure::Unchanged,
            ),
            (Some("D1_ERROR: no such table: keys: SQLITE_ERROR"), LedgerFailure::Unchanged),
            (Some("D1_ERROR: Network connection lost."), LedgerFailure::Unknown),
            (
                Some("D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset."),
                LedgerFailure::Unknown,
            ),
            (None, LedgerFailure::Unknown),
        ] {
            assert_eq!(LedgerFailure::of_change(said), known, "{said:?}");
        }
    }

    #[test]
    fn whoever_asked_is_told_when_to_ask_again_and_whether_something_may_have_changed() {
        let body = |failure: LedgerFailure| failure.problem().body("/_tollgate", "req_1");
        for failure in [LedgerFailure::Unchanged, LedgerFailure::Unknown] {
            let problem = failure.problem();
            assert_eq!((problem.status, problem.retry_after), (503, Some(Span::seconds(10))));
        }
        assert_eq!(body(LedgerFailure::Unknown)["outcome"], "unknown");
        assert!(body(LedgerFailure::Unchanged).get("outcome").is_none());
    }
}
