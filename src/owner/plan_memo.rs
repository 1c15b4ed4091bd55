//! What an isolate remembers of the plans in force, and when it asks again: a change is in force everywhere within a
//! minute, and a busy isolate never keeps a request waiting for it.

use crate::time::{Millis, Span};

/// From this age on it is asked again, behind a request.
const ASK_BEHIND: Span = Span::seconds(30);
/// From this age on it is asked before the request is decided. The five seconds to a minute are for the question itself.
const ASK_FIRST: Span = Span::seconds(55);
/// How soon it is asked behind another request after nobody answered.
const RETRY: Span = Span::seconds(5);

/// What is remembered.
#[derive(Clone, Debug)]
pub struct PlanMemo<T> {
    known: Option<Known<T>>,
    /// Somebody told that there is this version.
    expected: u64,
}

#[derive(Clone, Debug)]
struct Known<T> {
    value: T,
    version: u64,
    /// When it was asked for: it is no newer than that.
    asked_at: Millis,
    /// When it was asked for again.
    asked_again_at: Option<Millis>,
}

/// What to do for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recall<T> {
    /// Use that.
    Good(T),
    /// Use that, and ask behind it.
    AskBehind(T),
    /// Ask first. If nobody answers, that is the best there is.
    AskFirst(Option<T>),
}

impl<T: Clone> PlanMemo<T> {
    /// Nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self { known: None, expected: 0 }
    }

    /// The version that is known.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.known.as_ref().map(|known| known.version)
    }

    /// What to do for a request at `now`.
    pub fn recall(&mut self, now: Millis) -> Recall<T> {
        let Some(known) = &mut self.known else { return Recall::AskFirst(None) };
        let age = now.since(known.asked_at);
        if known.version < self.expected || age >= ASK_FIRST {
            return Recall::AskFirst(Some(known.value.clone()));
        }
        let is_asked = known.asked_again_at.is_some_and(|at| now.since(at) < RETRY);
        if age < ASK_BEHIND || is_asked {
            return Recall::Good(known.value.clone());
        }
        known.asked_again_at = Some(now);
        Recall::AskBehind(known.value.clone())
    }

    /// Takes in that there is that version: an older one is no longer used.
    pub fn expect(&mut self, version: u64) {
        self.expected = self.expected.max(version);
    }

    /// Takes in what was asked for at `asked_at`, made by `make`, and returns what is known then: a version that is not
    /// newer than the known one only confirms it.
    pub fn learn(&mut self, version: u64, asked_at: Millis, make: impl FnOnce() -> T) -> T {
        let known = match self.known.take() {
            Some(known) if known.version > version => known,
            Some(known) if known.version == version => {
                Known { asked_at: known.asked_at.max(asked_at), asked_again_at: None, ..known }
            }
            Some(_) | None => Known { value: make(), version, asked_at, asked_again_at: None },
        };
        let value = known.value.clone();
        self.known = Some(known);
        value
    }
}

impl<T: Clone> Default for PlanMemo<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Millis {
        Millis::new(1_000_000).plus(Span::seconds(seconds))
    }

    fn knowing(version: u64) -> PlanMemo<&'static str> {
        let mut memo = PlanMemo::new();
        assert_eq!(memo.recall(at(0)), Recall::AskFirst(None));
        memo.learn(version, at(0), || "old");
        memo
    }

    #[test]
    fn nothing_older_than_a_minute_is_used_unless_nobody_answers() {
        let mut memo = knowing(1);
        assert_eq!(memo.recall(at(29)), Recall::Good("old"));
        assert_eq!(memo.recall(at(30)), Recall::AskBehind("old"));
        assert_eq!(memo.recall(at(34)), Recall::Good("old"), "it is being asked");
        assert_eq!(memo.recall(at(35)), Recall::AskBehind("old"), "nobody answered");
        assert_eq!(memo.recall(at(55)), Recall::AskFirst(Some("old")));
        assert_eq!(memo.recall(at(36_000)), Recall::AskFirst(Some("old")), "after a quiet night");
    }

    #[test]
    fn what_was_asked_for_is_as_old_as_the_question() {
        let mut memo = knowing(1);
        assert_eq!(memo.learn(2, at(30), || "new"), "new");
        assert_eq!(memo.recall(at(59)), Recall::Good("new"));
        assert_eq!(memo.recall(at(60)), Recall::AskBehind("new"));
    }

    #[test]
    fn an_answer_that_was_overtaken_changes_nothing() {
        let mut memo = knowing(3);
        assert_eq!(memo.learn(2, at(20), || "older"), "old");
        assert_eq!(memo.recall(at(30)), Recall::AskBehind("old"), "it confirms nothing");
    }

    #[test]
    fn once_a_version_is_told_no_older_one_is_used() {
        let mut memo = knowing(1);
        memo.expect(2);
        assert_eq!(memo.recall(at(1)), Recall::AskFirst(Some("old")));
        memo.learn(1, at(1), || "late answer");
        assert_eq!(memo.recall(at(2)), Recall::AskFirst(Some("old")));
        memo.learn(2, at(2), || "new");
        assert_eq!(memo.recall(at(3)), Recall::Good("new"));
    }
}
