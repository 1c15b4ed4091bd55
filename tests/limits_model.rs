//! The account's decisions against what is promised of them: over random plans and schedules they are those of a naive
//! model, and every wait is exact.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

#[path = "limits/client.rs"]
mod client;
#[path = "limits/model.rs"]
mod model;
#[path = "limits/schedule.rs"]
mod schedule;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;
use tollgate::bill::tally::Tally;
use tollgate::contract::Attempt;
use tollgate::endpoint::EndpointName;
use tollgate::limit::account::{Account, Rules};
use tollgate::limit::decision::{Decision, DeniedBy, Grant, Verdict};
use tollgate::time::{Millis, Span};

use model::{Answer, FOR_EVER, Limits, Model, ONE, Over, Uses};
use schedule::{Act, Call, Player, Tick, any_over, call, limits, queues, sales, schedules};

/// So many random cases, unless `PROPTEST_CASES` asks for more.
fn cases(cases: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases)
}

type Schedule = Vec<(Tick, Act)>;

/// Follows a schedule; `each` sees every call with the account before and after it.
fn follow(
    limits: &Limits,
    schedule: &Schedule,
    mut each: impl FnMut(&Rules<'_>, &Moment<'_>) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let plans = client::plans(&limits.written());
    let rules = client::rules(&plans);
    let (mut player, mut account) = (Player::new(), client::new_account());
    for step in schedule {
        let made = player.next(step);
        let (after, decision) = call(account.clone(), &rules, &made, player.now);
        player.learn(&made, decision.as_ref());
        each(&rules, &Moment { now: player.now, call: &made, before: &account, after: &after, decision })?;
        account = after;
    }
    Ok(())
}

struct Moment<'a> {
    now: u64,
    call: &'a Call,
    before: &'a Account,
    after: &'a Account,
    decision: Option<Decision>,
}

impl Moment<'_> {
    /// The request that was denied here and for how long, if one was.
    fn denied(&self) -> Option<(&Attempt, Option<Span>)> {
        match (self.call, &self.decision) {
            (Call::Attempt(attempt, _), Some(Decision { verdict: Verdict::Denied(denied), .. })) => {
                Some((attempt, denied.wait))
            }
            _ => None,
        }
    }
}

/// What an account that nothing else happens to says of a request at `t`.
fn verdict(account: &Account, rules: &Rules<'_>, attempt: &Attempt, t: u64) -> Verdict {
    account.clone().attempt(rules, attempt, Millis::new(t)).1.verdict
}

fn admits(account: &Account, rules: &Rules<'_>, attempt: &Attempt, t: u64) -> bool {
    matches!(verdict(account, rules, attempt, t), Verdict::Admitted(_))
}

fn pairs(grants: &[Grant]) -> Vec<(String, u64)> {
    grants.iter().map(|grant| (grant.limit.clone(), grant.quantity.get())).collect()
}

/// Whether a verdict is the model's answer.
fn agrees(verdict: &Verdict, answer: &Answer) -> bool {
    match (verdict, answer) {
        (Verdict::Admitted(admitted), Answer::Passes { paid }) => {
            admitted.wait == Span::ZERO && !admitted.degraded && admitted.paid.get() == *paid
        }
        (Verdict::Admitted(admitted), Answer::Degraded) => admitted.degraded && admitted.wait == Span::ZERO,
        (Verdict::Admitted(admitted), Answer::Waits(wait)) => {
            admitted.wait.get() == *wait && !admitted.degraded
        }
        (Verdict::Denied(denied), Answer::Slots) => denied.by == DeniedBy::Slots && denied.offer.is_none(),
        (Verdict::Denied(denied), Answer::QueueFull) => {
            denied.by == DeniedBy::QueueFull && denied.offer.is_none()
        }
        (Verdict::Denied(denied), Answer::Limit(limits, offer)) => {
            let known = limits.contains(&denied.limit) || limits.is_empty();
            let offered = denied.offer.as_ref().map(|terms| pairs(&terms.grants));
            denied.by == kind_of(&denied.limit) && known && offered == *offer
        }
        _ => false,
    }
}

fn kind_of(limit: &str) -> DeniedBy {
    match limit.rsplit('-').next() {
        Some("day" | "month") => DeniedBy::Quota,
        Some("credits") => DeniedBy::Credits,
        _ => DeniedBy::Limit,
    }
}

/// What the account's usage says of overage (how much, for how much) and of spent credits.
fn metered(account: &Account) -> (u64, u128, u64) {
    account.usage().lines().fold((0, 0, 0), |(quantity, charge, spent), line| {
        let excess: u64 = line.tally.overage.units.values().map(|excess| excess.quantity.get()).sum();
        (quantity + excess, charge + line.tally.overage.charge().atomic(), spent + line.tally.credits.get())
    })
}

/// The model takes in what the account was told.
fn note(model: &mut Model, made: &Call, answer: Option<&Answer>, now: u64) {
    match (made, answer) {
        (Call::Attempt(attempt, uses), Some(answer)) => model.note(&attempt.request, uses, answer, now),
        (Call::End(end, uses), _) => model.ended(&end.request, uses, now),
        (Call::Leave(request), _) => model.left(request),
        (Call::Order(_, amount, end), _) => model.granted(*amount, *end, now),
        (Call::Credit(credit), _) => model.credited(&pairs(&credit.grants), now),
        (Call::Attempt(..), None) | (Call::Look, _) => {}
    }
}

fn remaining(account: &Account, rules: &Rules<'_>, now: u64) -> Vec<u64> {
    let standings = account.standings_at(rules, &EndpointName::new(client::ENDPOINT), Millis::new(now));
    standings.iter().map(|standing| standing.remaining).collect()
}

/// Also longer than a day and the next, after which a used quota is forgotten.
fn idle_times() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..4_000_u64, 1 => 0..200_000_000_u64]
}

fn asks(made: &Call) -> Option<(&Attempt, &Uses)> {
    match made {
        Call::Attempt(attempt, uses) => Some((attempt, uses)),
        _ => None,
    }
}

/// All that the account knows but what it used.
fn apart_from_usage(account: &Account) -> Value {
    let mut stored = serde_json::to_value(account).unwrap();
    stored.as_object_mut().unwrap().remove("usage");
    stored
}

/// What it used.
fn total(account: &Account) -> Tally {
    account.usage().lines().fold(Tally::default(), |sum, line| sum.plus(&line.tally))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(2_000), ..ProptestConfig::default() })]

    /// Whatever the plan and the schedule, every decision is the naive model's, and so is what is left of each limit.
    #[test]
    fn every_decision_is_the_models(limits in limits(any_over()), schedule in schedules(false)) {
        let mut model = Model::new(&limits);
        follow(&limits, &schedule, |rules, moment| {
            let now = moment.now;
            let answer = asks(moment.call).map(|(_, uses)| model.judge(uses, now));
            if let (Some(decision), Some(answer)) = (&moment.decision, &answer) {
                prop_assert!(agrees(&decision.verdict, answer), "at {now}: {:?} is not {answer:?}", decision.verdict);
            }
            note(&mut model, moment.call, answer.as_ref(), now);
            prop_assert_eq!(remaining(moment.after, rules, now), model.remaining(now));
            let (credits, wallet) = (moment.after.credits(), model.wallet(now));
            let (over, charge) = model.overage(now);
            let settled = moment.after.clone().tidied(rules, Millis::new(now));
            prop_assert_eq!(metered(&settled), (over, u128::from(charge), wallet.spent));
            prop_assert_eq!(settled.credits().balance(Millis::new(now)).get(), wallet.balance(now));
            prop_assert_eq!((settled.credits().debt().get(), credits.is_empty()), (wallet.debt, wallet == model::Wallet::default()));
            Ok(())
        })?;
    }

    /// Retry-After is a promise: while nothing else happens, the millisecond before denies and that moment admits; where
    /// there is none, no moment admits. Whatever the clock did before.
    #[test]
    fn the_wait_is_exact(limits in limits(any_over()), schedule in schedules(true), part in 0.0..1.0) {
        follow(&limits, &schedule, |rules, moment| {
            let Some((attempt, wait)) = moment.denied() else { return Ok(()) };
            let admits = |t: u64| admits(moment.after, rules, attempt, t);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let some = |most: u64| moment.now + (most as f64 * part) as u64;
            match wait.map(Span::get) {
                Some(wait) => {
                    prop_assert!(wait > 0, "{:?}", moment.decision);
                    prop_assert!(admits(moment.now + wait), "not after {wait}: {:?}", moment.decision);
                    prop_assert!(!admits(moment.now + wait - 1), "before {wait}: {:?}", moment.decision);
                    prop_assert!(!admits(some(wait)), "before {wait}: {:?}", moment.decision);
                }
                None => for t in [some(100), some(3_000), some(1_000_000), moment.now + FOR_EVER] {
                    prop_assert!(!admits(t), "never, but at {t}: {:?}", moment.decision);
                },
            }
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(500), ..ProptestConfig::default() })]

    /// A denied request counts nowhere but as denied: the account is what it would be had nobody asked.
    #[test]
    fn a_denied_request_counts_nowhere(limits in limits(any_over()), schedule in schedules(true)) {
        follow(&limits, &schedule, |rules, moment| {
            if moment.denied().is_some() {
                let now = Millis::new(moment.now);
                let (after, before) = (moment.after.clone().tidied(rules, now), moment.before.clone().tidied(rules, now));
                prop_assert_eq!(apart_from_usage(&after), apart_from_usage(&before));
                let (after, before) = (total(&after), total(&before));
                prop_assert_eq!(after.blocked, before.blocked + 1);
                prop_assert_eq!(Tally { blocked: before.blocked, last: before.last, ..after }, before);
            }
            Ok(())
        })?;
    }

    /// Nobody pays in vain, and nobody pays once and gets twice: who takes an offer passes, and the same payment credited
    /// again adds nothing.
    #[test]
    fn a_payment_that_is_offered_lets_the_request_pass_and_counts_once(
        limits in limits(sales()), schedule in schedules(true), late in 0..2_000_u64,
    ) {
        follow(&limits, &schedule, |rules, moment| {
            let Some(Decision { verdict: Verdict::Denied(denied), .. }) = &moment.decision else { return Ok(()) };
            let (Some(terms), Some((attempt, _))) = (&denied.offer, moment.denied()) else { return Ok(()) };
            let (now, credit) = (Millis::new(moment.now), client::credit(usize::MAX, &terms.grants));
            let paid = moment.after.clone().credit(rules, &credit, now);
            prop_assert!(matches!(verdict(&paid, rules, attempt, moment.now),
                Verdict::Admitted(admitted) if admitted.wait == Span::ZERO && !admitted.degraded));
            prop_assert_eq!(&paid.clone().credit(rules, &credit, now), &paid);
            let later = now.plus(Span::millis(late));
            prop_assert_eq!(paid.clone().credit(rules, &credit, later).tidied(rules, later), paid.tidied(rules, later));
            Ok(())
        })?;
    }

    /// Tidied, stored and read back at any point, an account decides as it would have. (Not when the clock then steps back
    /// past the end of a window that was whole: what is forgotten holds nothing against it.)
    #[test]
    fn an_account_that_was_tidied_stored_and_read_back_decides_the_same(
        limits in limits(any_over()), schedule in schedules(false), when in prop::collection::vec(any::<bool>(), 40),
    ) {
        let (mut other, mut when) = (client::new_account(), when.into_iter());
        follow(&limits, &schedule, |rules, moment| {
            if when.next().unwrap_or(false) {
                other = client::stored_and_read(&other.clone().tidied(rules, Millis::new(moment.now)));
            }
            let (after, decision) = call(other.clone(), rules, moment.call, moment.now);
            prop_assert_eq!(&decision, &moment.decision);
            prop_assert_eq!(&client::stored_and_read(&after), &after);
            other = after;
            Ok(())
        })?;
    }

    /// What is whole may be forgotten: once the ledger has its usage, a new account decides the same at any later time.
    #[test]
    fn a_whole_account_decides_as_a_new_one(
        limits in limits(any_over()), schedule in schedules(false), idle in idle_times(), later in 0..300_u64,
    ) {
        follow(&limits, &schedule, |rules, moment| {
            // The payments of this client are done with, and its usage is in the ledger.
            let Call::Attempt(attempt, _) = moment.call else { return Ok(()) };
            let now = Millis::new(moment.now + idle);
            let account = (0..50).fold(moment.after.clone().tidied(rules, now), |account, nth| {
                account.acknowledge(&client::credit(nth, &[]).payment)
            });
            let account = account.clone().flushed(account.usage().revision(), now, now);
            if account.is_whole(rules, now) {
                let then = now.plus(Span::millis(later));
                let (_, decision) = account.attempt(rules, attempt, then);
                prop_assert_eq!(decision, client::new_account().attempt(rules, attempt, then).1);
            }
            Ok(())
        })?;
    }

    /// The queue keeps its order and its bounds: turns come in the order of asking and 5 ms apart, nobody waits longer than
    /// `max_wait`, never more than `max_queue` wait, and each turn lies in a window that has room for it.
    #[test]
    fn the_queue_keeps_its_order_and_its_bounds(limits in limits(queues()), schedule in schedules(false)) {
        let Over::Queue { max_wait, max_queue } = limits.over else { panic!("it queues") };
        let mut starts: Vec<(u64, String, u64)> = Vec::new();
        follow(&limits, &schedule, |_, moment| {
            if let Call::Leave(request) = moment.call {
                starts.retain(|(_, other, _)| other != request);
            }
            let Some(Decision { verdict: Verdict::Admitted(admitted), .. }) = &moment.decision else { return Ok(()) };
            let (turn, (attempt, uses)) = (moment.now + admitted.wait.get(), asks(moment.call).unwrap());
            let waiting = starts.iter().filter(|(other, ..)| *other > moment.now).count();
            let last = starts.iter().map(|(other, ..)| *other).max().unwrap_or(0);
            prop_assert!(turn >= last + if waiting > 0 { 5 } else { 0 }, "{turn} comes before {last}");
            prop_assert!(admitted.wait == Span::ZERO || (admitted.wait.get() <= max_wait && waiting < max_queue));
            starts.push((turn, attempt.request.clone(), uses.get("request").copied().unwrap_or(ONE)));
            Ok(())
        })?;
        for window in limits.windows.iter().filter(|window| !window.sliding && window.unit == "request") {
            let mut used: BTreeMap<u64, u64> = BTreeMap::new();
            for (turn, _, requests) in &starts {
                *used.entry(turn / window.length).or_default() += requests;
            }
            prop_assert!(used.values().all(|used| *used <= window.limit), "{window:?}: {used:?}");
        }
    }

    /// A place that was left is free again: whoever takes the last place and leaves makes room for another, whose turn is
    /// the same.
    #[test]
    fn a_place_that_was_left_is_free_again(limits in limits(queues()), schedule in schedules(true)) {
        follow(&limits, &schedule, |rules, moment| {
            let Some(Decision { verdict: Verdict::Admitted(admitted), .. }) = &moment.decision else { return Ok(()) };
            let (attempt, _) = asks(moment.call).unwrap();
            if admitted.wait > Span::ZERO {
                let left = moment.after.clone().leave(&attempt.request);
                let again = Attempt { request: "another".to_owned(), ..attempt.clone() };
                prop_assert_eq!(&verdict(&left, rules, &again, moment.now), &Verdict::Admitted(admitted.clone()));
                // Its moment comes and nothing is counted of it.
                let turn = Millis::new(moment.now).plus(admitted.wait);
                prop_assert_eq!(left.tidied(rules, turn), moment.before.clone().tidied(rules, turn));
            }
            Ok(())
        })?;
    }
}
