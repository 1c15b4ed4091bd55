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
use tollgate::limit::account::Account;
use tollgate::limit::decision::{Decision, Grant, Verdict};
use tollgate::limit::tokens::Tokens;
use tollgate::limit::units::Units;
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
