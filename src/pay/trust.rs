//! Trust in a wallet: whether its next payment is credited before it is settled.
//!
//! A wallet earns it with payments that were settled, for one payee and in one token, and keeps it until one fails. A pure
//! value with time as an argument.
//!
//! What must stay true, in whatever order wallets pay and settlements end:
//! - nobody is trusted without [`TrustPolicy::after`] payments that were settled within [`TrustPolicy::window`], and after
//!   the last failure;
//! - what is credited and not settled yet is never more than what the last `after` of those came to;
//! - so all that a wallet was ever credited for payments that failed is never more than what it paid before;
//! - while the outcome of one of its payments is unknown, none of its payments is credited before it is settled.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::x402::PaymentId;
use crate::time::{Millis, Span};

/// Whom the owner trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// So many payments must have been settled; never zero.
    pub after: usize,
    /// In the time before now that is this long.
    pub window: Span,
}

/// What became of a wallet's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// Settling began, and its outcome is not known.
    Unknown,
    /// A transaction settled it.
    Settled,
    /// It was refused for certain when it was to be settled.
    Failed,
    /// It ended otherwise: settling never began, or it was credited in doubt.
    Ended,
}

/// The trust in one wallet.
///
/// Invariants: `settled` is in the order of its times, and none of them is before `ended_at`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The last payments that were settled, as many as the policy asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    settled: Vec<Settled>,
    /// What is credited and not settled yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    open: BTreeMap<PaymentId, Amount>,
    /// Payments of unknown outcome, credited or not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    doubts: BTreeSet<PaymentId>,
    /// When a payment failed last: what was settled until then is worth nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Millis>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settled {
    at: Millis,
    payment: PaymentId,
    amount: Amount,
}

/// The trust as it is stored, with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredTrust {
    /// The first form.
    TrustV1(Trust),
}

impl Trust {
    /// Whether this payment is credited before it is settled. Asked again, the answer to the same payment is the same while
    /// it is open.
    #[must_use]
    pub fn ask(
        mut self,
        payment: &PaymentId,
        amount: Amount,
        policy: &TrustPolicy,
        now: Millis,
    ) -> (Self, bool) {
        self.forget(policy, now);
        if self.open.contains_key(payment) {
            return (self, true);
        }
        let earned = self.settled.len() >= policy.after && self.doubts.is_empty();
        let given = earned && self.covers(amount);
        if given {
            self.open.insert(payment.clone(), amount);
        }
        (self, given)
    }

    /// Takes in what became of a payment. Told again, it changes nothing.
    #[must_use]
    pub fn told(
        mut self,
        payment: &PaymentId,
        news: News,
        (amount, at): (Amount, Millis),
        policy: &TrustPolicy,
    ) -> Self {
        if news == News::Unknown {
            self.doubts.insert(payment.clone());
            return self;
        }
        self.open.remove(payment);
        self.doubts.remove(payment);
        match news {
            News::Settled => self.earn(Settled { at, payment: payment.clone(), amount }, policy),
            News::Failed => {
                self.settled.clear();
                self.ended_at = self.ended_at.max(Some(at));
            }
            News::Unknown | News::Ended => {}
        }
        self
    }

    /// Whether nothing is left to remember at `now`.
    #[must_use]
    pub fn is_over(mut self, policy: &TrustPolicy, now: Millis) -> bool {
        self.forget(policy, now);
        let remembers_failure = self.ended_at.is_some_and(|at| now.since(at) <= policy.window);
        self.settled.is_empty() && self.open.is_empty() && self.doubts.is_empty() && !remembers_failure
    }

    fn earn(&mut self, settled: Settled, policy: &TrustPolicy) {
        let is_known = self.settled.iter().any(|known| known.payment == settled.payment);
        if is_known || self.ended_at.is_some_and(|ended| settled.at <= ended) {
            return;
        }
        self.settled.push(settled);
        self.settled.sort_by_key(|settled| settled.at);
        let surplus = self.settled.len().saturating_sub(policy.after);
        self.settled.drain(..surplus);
    }

    fn forget(&mut self, policy: &TrustPolicy, now: Millis) {
        self.settled.retain(|settled| now.since(settled.at) <= policy.window);
    }

    /// Whether what was settled is at least what would be open with that much more.
    fn covers(&self, amount: Amount) -> bool {
        let settled = sum(self.settled.iter().map(|settled| settled.amount));
        let open = sum(self.open.values().copied().chain([amount]));
        settled.zip(open).is_some_and(|(settled, open)| open <= settled)
    }
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Option<Amount> {
    amounts.into_iter().try_fold(Amount::default(), Amount::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: TrustPolicy = TrustPolicy { after: 2, window: Span::seconds(3600) };

    fn at(seconds: u64) -> Millis {
        Millis::new(1_700_000_000_000).plus(Span::seconds(seconds))
    }

    fn payment(n: u64) -> PaymentId {
        PaymentId::of(&n.to_string())
    }

    fn told(trust: Trust, n: u64, news: News, seconds: u64) -> Trust {
        trust.told(&payment(n), news, (Amount::new(10), at(seconds)), &POLICY)
    }

    fn asked(trust: &Trust, n: u64, amount: u128, seconds: u64) -> (Trust, bool) {
        trust.clone().ask(&payment(n), Amount::new(amount), &POLICY, at(seconds))
    }

    /// Two payments of ten, settled at 1 and 2.
    fn earned() -> Trust {
        told(told(Trust::default(), 1, News::Settled, 1), 2, News::Settled, 2)
    }

    #[test]
    fn trust_is_earned_by_settled_payments_within_the_window() {
        assert!(!asked(&Trust::default(), 9, 1, 3).1);
        assert!(!asked(&told(Trust::default(), 1, News::Settled, 1), 9, 1, 3).1);
        assert!(asked(&earned(), 9, 10, 3).1);
        assert!(asked(&earned(), 9, 10, 3_601).1);
        assert!(!asked(&earned(), 9, 10, 3_602).1, "the first is longer ago than the window");
    }

    #[test]
    fn a_payment_that_is_told_of_twice_counts_once() {
        let twice = told(told(Trust::default(), 1, News::Settled, 1), 1, News::Settled, 1);
        assert!(!asked(&twice, 9, 1, 3).1);
    }

    #[test]
    fn what_is_open_is_at_most_what_was_settled() {
        assert!(!asked(&earned(), 9, 21, 3).1);
        let (one, given) = asked(&earned(), 8, 15, 3);
        assert!(given && !asked(&one, 9, 6, 3).1 && asked(&one, 9, 5, 3).1);
        let (again, given) = asked(&one, 8, 15, 4);
        assert!(given && again == one, "the same payment again is open once");
        assert!(asked(&told(one, 8, News::Ended, 5), 9, 20, 5).1);
    }

    #[test]
    fn a_failure_ends_the_trust_and_what_was_settled_until_then_is_worth_nothing() {
        let failed = told(asked(&earned(), 8, 10, 3).0, 8, News::Failed, 5);
        assert!(!asked(&failed, 9, 1, 6).1);
        let late = told(failed, 3, News::Settled, 4);
        let anew = told(late, 4, News::Settled, 6);
        assert!(
            !asked(&anew, 9, 1, 7).1,
            "what was settled before the failure and told after it does not count"
        );
        assert!(asked(&told(anew, 5, News::Settled, 7), 9, 1, 8).1);
    }

    #[test]
    fn while_an_outcome_is_unknown_nobody_is_trusted() {
        let doubtful = told(earned(), 8, News::Unknown, 3);
        assert!(!asked(&doubtful, 9, 1, 4).1);
        assert!(asked(&told(doubtful, 8, News::Settled, 5), 9, 1, 6).1);
    }

    #[test]
    fn nothing_is_left_when_the_window_is_over_and_nothing_is_open() {
        assert!(Trust::default().is_over(&POLICY, at(0)));
        assert!(!earned().is_over(&POLICY, at(3_602)));
        assert!(earned().is_over(&POLICY, at(3_603)));
        let (open, _) = asked(&earned(), 8, 10, 3);
        assert!(!open.clone().is_over(&POLICY, at(9_999)));
        let failed = told(open, 8, News::Failed, 10_000);
        assert!(!failed.clone().is_over(&POLICY, at(10_001)));
        assert!(failed.is_over(&POLICY, at(13_601)));
    }

    #[test]
    fn stored_form_is_pinned() {
        let trust = told(asked(&earned(), 8, 10, 3).0, 7, News::Unknown, 4);
        let trust = Trust { ended_at: Some(at(0)), ..trust };
        let [one, two, seven, eight] = [1, 2, 7, 8].map(payment);
        let stored = format!(
            concat!(
                r#"{{"trust_v1":{{"settled":[{{"at":1700000001000,"payment":"{}","amount":"10"}},"#,
                r#"{{"at":1700000002000,"payment":"{}","amount":"10"}}],"open":{{"{}":"10"}},"doubts":["{}"],"#,
                r#""ended_at":1700000000000}}}}"#
            ),
            one, two, eight, seven
        );
        let kept = StoredTrust::TrustV1(trust);
        assert_eq!(serde_json::to_string(&kept).unwrap(), stored);
        assert_eq!(serde_json::from_str::<StoredTrust>(&stored).unwrap(), kept);
        let empty = StoredTrust::TrustV1(Trust::default());
        assert_eq!(serde_json::to_string(&empty).unwrap(), r#"{"trust_v1":{}}"#);
    }
}
