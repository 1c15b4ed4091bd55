//! Notices that the owner's server has not taken yet, in the order in which they happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, Notice};
use crate::limit::bucket::Wait;
use crate::time::{Millis, Span};

/// As many notices wait at most. An account is one row: with this many it stays below 20 kB.
const MOST: usize = 50;
/// A notice is sent for a day, then given up.
const PATIENCE: Span = Span::seconds(24 * 3600);
/// After the first failure the next attempt comes this much later, after each further one twice as much …
const FIRST_RETRY: Span = Span::seconds(1);
/// … and at most an hour.
const LONGEST_RETRY: Span = Span::seconds(3600);

/// Notices that wait to be sent.
///
/// Invariants: no two notices have the same id; `next_at` is there as long as one waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Notice>,
    /// What is not told of again until that time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    told: BTreeMap<String, Millis>,
    /// How often in a row the owner's server took none.
    #[serde(default, skip_serializing_if = "is_zero")]
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_at: Option<Millis>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Outbox {
    /// Whether nothing waits and everything may be told of again.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.told.is_empty()
    }

    /// Takes a notice in, unless it waits already. Where too many wait, the oldest of the least weight is given up:
    /// that a limit was exceeded weighs less than what happened to money.
    pub fn put(&mut self, notice: Notice, now: Millis) {
        if self.waiting.iter().any(|waiting| waiting.id() == notice.id()) {
            return;
        }
        self.waiting.push(notice);
        self.next_at.get_or_insert(now);
        if self.waiting.len() > MOST {
            let light = self.waiting.iter().position(|notice| notice.what().kind() == Kind::Exceeded);
            self.waiting.remove(light.unwrap_or_default());
        }
    }

    /// Whether `subject` may be told of: then not again until `until`.
    pub fn may_tell(&mut self, subject: &str, until: Millis, now: Millis) -> bool {
        if self.told.get(subject).is_some_and(|until| now < *until) {
            return false;
        }
        self.told.insert(subject.to_owned(), until);
        true
    }

    /// When the next notice is to be sent.
    #[must_use]
    pub const fn next_at(&self) -> Option<Millis> {
        self.next_at
    }

    /// The notice to send at `now`.
    #[must_use]
    pub fn due(&self, now: Millis) -> Option<&Notice> {
        self.waiting.first().filter(|_| self.next_at.is_some_and(|at| at <= now))
    }

    /// Notes that the owner's server took a notice.
    pub fn delivered(&mut self, id: &str, now: Millis) {
        self.waiting.retain(|notice| notice.id() != id);
        self.failures = 0;
        self.next_at = (!self.waiting.is_empty()).then_some(now);
    }

    /// Notes that it did not: later again.
    pub fn failed(&mut self, now: Millis) {
        let doubled = FIRST_RETRY.get().saturating_mul(1_u64.checked_shl(self.failures).unwrap_or(u64::MAX));
        self.failures = self.failures.saturating_add(1);
        self.next_at = Some(now.plus(Span::millis(doubled).min(LONGEST_RETRY)));
    }

    /// Gives up what was sent for a day, and forgets what may be told of again.
    pub fn tidy(&mut self, now: Millis) {
        self.told.retain(|_, until| now < *until);
        self.waiting.retain(|notice| now.since(notice.at()) < PATIENCE);
        if self.waiting.is_empty() {
            self.failures = 0;
            self.next_at = None;
        }
    }

    /// How long until it is empty; never, while a notice waits: its own time comes first.
    #[must_use]
    pub fn until_empty(&self, now: Millis) -> Wait {
        if !self.waiting.is_empty() {
            return Wait::Never;
        }
        Wait::For(self.told.values().map(|until| until.since(now)).max().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointName;
    use crate::limit::quota::{Period, QuotaUse};
    use crate::limit::tokens::Tokens;
    use crate::notice::{Occurrence, Sum};
    use crate::pay::amount::Amount;
    use crate::pay::x402::PaymentId;

    fn at(milliseconds: u64) -> Millis {
        Millis::new(milliseconds)
    }

    fn exceeded(limit: &str) -> Notice {
        let endpoint = EndpointName::new("*");
        let what = Occurrence::Exceeded { endpoint, limit: limit.to_owned(), resets_at: at(9) };
        Notice::new(&"key:acme".parse().unwrap(), what, at(1))
    }

    fn paid(payment: &str) -> Notice {
        let payment = PaymentId::of(payment);
        let sum = Sum { payment, endpoint: EndpointName::new("*"), amount: Amount::new(1000) };
        Notice::new(&"key:acme".parse().unwrap(), Occurrence::Paid(sum), at(2))
    }

    fn holding(notices: &[Notice]) -> Outbox {
        let mut outbox = Outbox::default();
        for notice in notices {
            outbox.put(notice.clone(), at(5));
        }
        outbox
    }

    #[test]
    fn notices_are_sent_in_order_and_once() {
        let mut outbox = holding(&[exceeded("a"), paid("p"), exceeded("a")]);
        assert_eq!(outbox.next_at(), Some(at(5)));
        assert_eq!(outbox.due(at(4)), None);
        assert_eq!(outbox.due(at(5)), Some(&exceeded("a")));
        outbox.delivered(exceeded("a").id(), at(6));
        assert_eq!(outbox.due(at(6)), Some(&paid("p")));
        outbox.delivered(paid("p").id(), at(7));
        assert_eq!((outbox.due(at(8)), outbox.next_at(), outbox.is_empty()), (None, None, true));
    }

    #[test]
    fn a_server_that_is_down_is_tried_ever_more_rarely_for_a_day() {
        let mut outbox = holding(&[paid("p")]);
        let (mut now, mut attempts, mut waits) = (at(5), 0, Vec::new());
        while outbox.due(now).is_some() {
            attempts += 1;
            outbox.failed(now);
            let next = outbox.next_at().unwrap();
            waits.push(next.since(now).get() / 1000);
            now = next;
            outbox.tidy(now);
        }
        assert_eq!(waits[..4], [1, 2, 4, 8]);
        assert_eq!(waits.iter().max(), Some(&3600));
        assert!(now.since(at(2)) >= PATIENCE, "given up after {now:?}");
        assert!((30..40).contains(&attempts), "{attempts}");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_success_ends_the_waiting_of_the_others() {
        let mut outbox = holding(&[paid("p"), paid("q")]);
        outbox.failed(at(5));
        outbox.failed(at(1_005));
        assert_eq!(outbox.due(at(3_004)), None);
        outbox.delivered(paid("p").id(), at(3_005));
        assert_eq!(outbox.due(at(3_005)), Some(&paid("q")));
        outbox.failed(at(3_005));
        assert_eq!(outbox.next_at(), Some(at(4_005)));
    }

    #[test]
    fn it_holds_fifty_and_gives_up_what_weighs_least() {
        let mut outbox = holding(&[paid("first"), exceeded("light")]);
        for nth in 0..100 {
            outbox.put(paid(&nth.to_string()), at(6));
        }
        assert_eq!(outbox.waiting.len(), MOST);
        assert!(!outbox.waiting.contains(&exceeded("light")));
        assert_eq!(outbox.waiting.last(), Some(&paid("99")));
    }

    #[test]
    fn something_is_told_of_once_until_its_time_is_over() {
        let mut outbox = Outbox::default();
        assert!(outbox.may_tell("bucket", at(100), at(1)));
        assert!(!outbox.may_tell("bucket", at(150), at(99)));
        assert!(outbox.may_tell("window", at(100), at(99)));
        assert_eq!(outbox.until_empty(at(40)), Wait::For(Span::millis(60)));
        assert!(outbox.may_tell("bucket", at(200), at(100)));
        outbox.tidy(at(200));
        assert!(outbox.is_empty());
    }

    #[test]
    fn the_stored_form_of_every_occurrence_is_pinned() {
        let endpoint = || EndpointName::new("*");
        let quota = || QuotaUse {
            unit: "image".to_owned(),
            period: Period::Month,
            start: at(1),
            limit: Tokens::whole(5),
            used: Tokens::whole(4),
        };
        let sum = Sum { payment: PaymentId::of("p"), endpoint: endpoint(), amount: Amount::new(1000) };
        let used = r#"["*",{"unit":"image","period":"month","start":1,"limit":5000000,"used":4000000}]"#;
        let payment = format!(r#"{{"payment":"{}","endpoint":"*","amount":"1000"}}"#, sum.payment);
        for (what, stored) in [
            (Occurrence::PaymentUnknown(sum.clone()), format!(r#"{{"payment_unknown":{payment}}}"#)),
            (Occurrence::PaymentFailed(sum), format!(r#"{{"payment_failed":{payment}}}"#)),
            (Occurrence::Quota80(endpoint(), quota()), format!(r#"{{"quota80":{used}}}"#)),
            (Occurrence::Quota100(endpoint(), quota()), format!(r#"{{"quota100":{used}}}"#)),
            (Occurrence::CreditsLow(Tokens::ONE, at(9)), r#"{"credits_low":[1000000,9]}"#.to_owned()),
        ] {
            assert_eq!(serde_json::to_string(&what).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Occurrence>(&stored).unwrap(), what);
        }
    }

    #[test]
    fn stored_form_is_pinned() {
        let mut outbox = holding(&[exceeded("a"), paid("p")]);
        outbox.may_tell("bucket", at(100), at(1));
        outbox.failed(at(5));
        let stored = concat!(
            r#"{"waiting":[{"id":"evt_EXCEEDED","at":1,"what":{"exceeded":{"endpoint":"*","limit":"a","resets_at":9}}},"#,
            r#"{"id":"evt_PAID","at":2,"what":{"paid":{"payment":"PAYMENT","endpoint":"*","amount":"1000"}}}],"#,
            r#""told":{"bucket":100},"failures":1,"next_at":1005}"#
        );
        let stored = stored
            .replace("evt_EXCEEDED", exceeded("a").id())
            .replace("evt_PAID", paid("p").id())
            .replace("PAYMENT", &PaymentId::of("p").to_string());
        assert_eq!(serde_json::to_string(&outbox).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Outbox>(&stored).unwrap(), outbox);
        assert_eq!(serde_json::to_string(&Outbox::default()).unwrap(), "{}");
    }
}
