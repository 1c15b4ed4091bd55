//! What an account counts, and what of it a client and its owner are told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

#[path = "limits/client.rs"]
mod client;

use serde_json::json;
use tollgate::bill::tally::Tally;
use tollgate::endpoint::EndpointName;
use tollgate::limit::account::{Account, Rules};
use tollgate::limit::credit::BlockId;
use tollgate::limit::credit::order::{Gift, Order};
use tollgate::limit::decision::{Decision, Grant, Verdict};
use tollgate::limit::plan::Plans;
use tollgate::limit::tokens::Tokens;
use tollgate::limit::units::Units;
use tollgate::notice::{Kind, Occurrence, Sum};
use tollgate::pay::amount::Amount;
use tollgate::time::Millis;

use client::{attempt, credit, new_account, plans, rules};

const NOW: Millis = Millis::new(1_700_000_123_000);

fn total(account: &Account) -> Tally {
    account.usage().lines().fold(Tally::default(), |sum, line| sum.plus(&line.tally))
}

fn denied(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Denied(_))
}

#[test]
fn who_is_denied_is_counted_as_blocked_and_not_as_a_call() {
    let plans = plans(&json!({ "fixed_windows": [{ "window": "60s", "limit": 3 }] }));
    let mut account = new_account();
    for nth in 0_u64..12 {
        let decision;
        let at = Millis::new(NOW.get() + nth);
        (account, decision) = account.attempt(&rules(&plans), &attempt("r", &Units::default()), at);
        assert_eq!(denied(&decision), nth >= 3);
    }
    let total = total(&account);
    assert_eq!((total.calls, total.blocked, total.last), (3, 9, Some(Millis::new(NOW.get() + 11))));
    assert_eq!(account.usage().lines().count(), 1, "denied requests have no line of their own");
}

#[test]
fn a_request_that_is_denied_and_then_paid_for_is_one_request() {
    let plans = plans(
        &json!({ "fixed_windows": [{ "window": "60s", "limit": 1 }], "over_limit": "pay", "price": "0.001" }),
    );
    let rules = rules(&plans);
    let request = attempt("r", &Units::default());
    let (account, _) = new_account().attempt(&rules, &request, NOW);
    let (account, offered) = account.attempt(&rules, &request, NOW);
    let (account, brings_payment) = account.attempt(&rules, &request, NOW);
    assert!(denied(&offered) && denied(&brings_payment));
    let grants = [Grant { limit: "request-60s".to_owned(), quantity: Tokens::ONE }];
    let account = account.credit(&rules, &credit(1, &grants), NOW);
    let (account, decision) = account.attempt_again(&rules, &request, NOW);
    assert!(!denied(&decision));
    let total = total(&account);
    assert_eq!((total.calls, total.blocked, total.payments), (2, 1, 1));
}

#[test]
fn a_flood_of_requests_that_can_never_pass_does_not_keep_an_account() {
    let plans = plans(&json!({ "fixed_windows": [{ "window": "60s", "limit": 3, "unit_type": "token" }] }));
    let too_much = Units::default().with("token", Tokens::whole(4));
    let mut account = new_account();
    for _ in 0..1000 {
        account = account.attempt(&rules(&plans), &attempt("r", &too_much), NOW).0;
    }
    assert_eq!(total(&account).blocked, 1000);
    assert!(!account.is_precious(&rules(&plans)), "nothing is written before a denial is answered");
    let revision = account.usage().revision();
    assert!(account.flushed(revision, NOW, NOW).is_whole(&rules(&plans), NOW));
}

/// What the owner is told of: everything.
fn telling(plans: &Plans) -> Rules<'_> {
    Rules { notices: Kind::ALL.into_iter().collect(), ..rules(plans) }
}

/// What the owner was told, in order, and the account without it.
fn told(mut account: Account, now: Millis) -> (Account, Vec<Occurrence>) {
    let mut all = Vec::new();
    while let Some(notice) = account.outbox().due(now).cloned() {
        all.push(notice.what().clone());
        account = account.told_owner(notice.id(), true, now);
    }
    (account, all)
}

fn exceeded(limit: &str, resets_at: u64) -> Occurrence {
    let endpoint = EndpointName::new(client::ENDPOINT);
    Occurrence::Exceeded { endpoint, limit: limit.to_owned(), resets_at: Millis::new(resets_at) }
}

/// The account after twenty requests of one instant, and what its owner was told of them.
fn after_twenty(account: Account, plans: &Plans, at: u64) -> (Account, Vec<Occurrence>) {
    let ask = |account: Account, _| {
        account.attempt(&telling(plans), &attempt("r", &Units::default()), Millis::new(at)).0
    };
    told((0..20).fold(account, ask), Millis::new(at))
}

#[test]
fn the_owner_is_told_once_for_each_window_that_a_limit_was_exceeded() {
    let plans = plans(&json!({ "fixed_windows": [{ "window": "60s", "limit": 3 }] }));
    // A minute starts at 1_700_000_160_000.
    let (account, first) = after_twenty(new_account(), &plans, 1_700_000_123_000);
    assert_eq!(first, [exceeded("request-60s", 1_700_000_160_000)]);
    let (account, same) = after_twenty(account, &plans, 1_700_000_159_999);
    assert_eq!(same, []);
    let (account, next) = after_twenty(account, &plans, 1_700_000_160_000);
    assert_eq!(next, [exceeded("request-60s", 1_700_000_220_000)]);
    let gone = Millis::new(1_700_000_220_000);
    let account =
        account.clone().flushed(account.usage().revision(), gone, gone).tidied(&telling(&plans), gone);
    assert!(account.is_whole(&telling(&plans), gone), "nothing is kept of it when the window is over");
}

#[test]
fn the_owner_is_told_of_a_bucket_once_a_minute_at_most() {
    let plans = plans(&json!({ "bucket": { "capacity": 2, "refill_rate": 1 } }));
    let (account, first) = after_twenty(new_account(), &plans, 1_700_000_000_000);
    assert_eq!(first, [exceeded("bucket", 1_700_000_060_000)]);
    let (account, within) = after_twenty(account, &plans, 1_700_000_059_999);
    assert_eq!(within, []);
    assert_eq!(after_twenty(account, &plans, 1_700_000_060_000).1.len(), 1);
}

#[test]
fn who_wants_to_know_nothing_is_told_nothing() {
    let plans = plans(&json!({ "fixed_windows": [{ "window": "60s", "limit": 1 }] }));
    let ask = |account: Account, _| account.attempt(&rules(&plans), &attempt("r", &Units::default()), NOW).0;
    let account = (0..5).fold(new_account(), ask).credit(&rules(&plans), &credit(1, &[]), NOW);
    assert!(account.outbox().is_empty());
    // And what waited is given up when the webhook is taken away.
    let (account, _) = account.attempt(&telling(&plans), &attempt("r", &Units::default()), NOW);
    assert!(!account.outbox().is_empty());
    assert!(account.tidied(&rules(&plans), NOW).outbox().is_empty());
}

#[test]
fn a_payment_is_told_of_once_however_often_it_is_credited() {
    let plans = plans(&json!({ "fixed_windows": [{ "window": "60s", "limit": 1 }] }));
    let rules = telling(&plans);
    let doubt = Sum {
        payment: credit(1, &[]).payment,
        endpoint: EndpointName::new(client::ENDPOINT),
        amount: Amount::new(1000),
    };
    let account = new_account().doubt(&rules, doubt.clone(), NOW).doubt(&rules, doubt.clone(), NOW);
    let account = account.credit(&rules, &credit(1, &[]), NOW).credit(&rules, &credit(1, &[]), NOW);
    assert!(!account.is_whole(&rules, NOW), "it is kept until the owner was told");
    let (_, all) = told(client::stored_and_read(&account), NOW);
    assert_eq!(all, [Occurrence::PaymentUnknown(doubt.clone()), Occurrence::Paid(doubt)]);
}

#[test]
fn the_owner_is_told_when_a_quota_is_nearly_and_when_it_is_quite_used_once_a_day() {
    let plans = plans(&json!({
        "quotas": [{ "period": "day", "limit": 10, "over_quota": "overage", "overage_price": "0.001" }],
    }));
    // Midnight UTC is at 1_700_006_400_000.
    let ask = |account: Account, at: u64| {
        account.attempt(&telling(&plans), &attempt("r", &Units::default()), Millis::new(at)).0
    };
    let mut account = new_account();
    let mut all = Vec::new();
    for nth in 1..=25_u64 {
        let (at, told_now);
        at = if nth <= 15 { 1_700_000_123_000 } else { 1_700_006_400_000 } + nth;
        (account, told_now) = told(ask(account, at), Millis::new(at));
        all.extend(told_now.into_iter().map(|what| (nth, what.kind())));
    }
    assert_eq!(all, [(8, Kind::Quota80), (10, Kind::Quota100), (23, Kind::Quota80), (25, Kind::Quota100)]);
}

#[test]
fn the_owner_is_told_when_credits_run_low_once_a_day() {
    let plans = plans(&json!({ "credits": { "request": 1 } }));
    let rules = telling(&plans);
    let gift = Gift { amount: Tokens::whole(10), expires_at: None, metadata: json!({}) };
    let (mut account, _) = new_account().ordered(&rules, &Order::Grant(BlockId::new("a"), gift, None), NOW);
    let mut all = Vec::new();
    for nth in 1..=10 {
        let told_now;
        account = account.attempt(&rules, &attempt("r", &Units::default()), NOW).0;
        (account, told_now) = told(account, NOW);
        all.extend(told_now.into_iter().map(|what| (nth, what)));
    }
    assert_eq!(all, [(8, Occurrence::CreditsLow(Tokens::whole(2), NOW))]);
}
