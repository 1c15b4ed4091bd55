//! The account of a trusted wallet's payment: credited before it is settled, on the bill when it is settled, and taken back,
//! below nothing if need be, when it fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

#[path = "limits/client.rs"]
mod client;

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::limit::account::{Account, Rules, StoredAccount};
use tollgate::limit::credit::CREDITS;
use tollgate::limit::decision::{Denied, DeniedBy, Grant, Verdict};
use tollgate::limit::plan::Plans;
use tollgate::limit::tokens::Tokens;
use tollgate::limit::units::Units;
use tollgate::notice::{Kind, Occurrence};
use tollgate::time::{Millis, Span};

use client::{attempt, credit, new_account, plans, rules};

const NOW: Millis = Millis::new(1_700_000_123_000);

fn bucket() -> Plans {
    plans(&json!({
        "bucket": { "capacity": 4, "refill_rate": "0.001" }, "over_limit": "pay", "price": "0.001", "refill": 4,
    }))
}

fn grants(limit: &str) -> Vec<Grant> {
    vec![Grant { limit: limit.to_owned(), quantity: Tokens::whole(4) }]
}

/// So many requests, all of which pass.
fn used(account: Account, rules: &Rules<'_>, count: u32) -> Account {
    (0..count).fold(account, |account, nth| {
        let (account, decision) = account.attempt(rules, &attempt(&nth.to_string(), &Units::default()), NOW);
        assert!(decision.is_admitted(), "{decision:?}");
        account
    })
}

fn denied(account: &Account, rules: &Rules<'_>, now: Millis) -> Denied {
    let (_, decision) = account.clone().attempt(rules, &attempt("r", &Units::default()), now);
    match decision.verdict {
        Verdict::Denied(denied) => denied,
        other => panic!("{other:?}"),
    }
}

/// The tokens of the bucket, and those that it owes.
fn balance(account: &Account, rules: &Rules<'_>) -> (Tokens, Tokens) {
    let survey = account.survey(rules, NOW);
    let standing = &survey.first().unwrap().1.first().unwrap();
    (standing.tokens.unwrap(), standing.owed)
}

#[test]
fn what_is_credited_before_it_is_settled_is_added_once_and_billed_once() {
    let plans = bucket();
    let rules = rules(&plans);
    let paid = credit(1, &grants("bucket"));
    let poor = used(new_account(), &rules, 4);
    let advanced = poor.advance(&rules, &paid, NOW).advance(&rules, &paid, NOW);
    assert_eq!(balance(&advanced, &rules).0, Tokens::whole(4));
    let billed = |account: &Account| account.usage().lines().map(|line| line.tally.payments).sum::<u64>();
    assert_eq!((billed(&advanced), advanced.advanced().count()), (0, 1), "no money has moved");
    assert!(advanced.is_precious(&rules));
    let settled = advanced.credit(&rules, &paid, NOW).credit(&rules, &paid, NOW);
    assert_eq!((billed(&settled), balance(&settled, &rules).0), (1, Tokens::whole(4)));
    let late = settled.clone().advance(&rules, &paid, NOW).take_back(&rules, &paid, NOW);
    assert_eq!(late, settled, "what is settled is neither added nor taken back again");
    assert_eq!(settled.acknowledge(&paid.payment).advanced().count(), 0);
}

#[test]
fn what_was_spent_of_a_credit_that_is_taken_back_is_owed_and_the_next_payment_fills_it_first() {
    let plans = bucket();
    let rules = rules(&plans);
    let failing = credit(1, &grants("bucket"));
    let spent = used(used(new_account(), &rules, 4).advance(&rules, &failing, NOW), &rules, 3);
    let owing = spent.take_back(&rules, &failing, NOW).take_back(&rules, &failing, NOW);
    assert_eq!(balance(&owing, &rules), (Tokens::ZERO, Tokens::whole(3)));
    // 3 that are owed and the one that is asked for, at one in a thousand seconds.
    let denial = denied(&owing, &rules, NOW);
    assert_eq!((denial.by, denial.wait.map(Span::get)), (DeniedBy::Limit, Some(4_000_000)));
    assert!(denial.offer.is_some() && !denial.payment_pending, "the hole may be filled by paying");
    denied(&owing, &rules, Millis::new(NOW.get() + 3_999_999));
    let (_, admitted) =
        owing.clone().attempt(&rules, &attempt("r", &Units::default()), Millis::new(NOW.get() + 4_000_000));
    assert!(admitted.is_admitted());
    assert!(owing.is_precious(&rules), "a debt is not forgotten");
    assert!(!owing.is_whole(&rules, Millis::new(NOW.get() + 6_999_999)));
    let paid = owing.credit(&rules, &credit(2, &grants("bucket")), NOW);
    assert_eq!(balance(&paid, &rules), (Tokens::ONE, Tokens::ZERO));
    used(paid, &rules, 1);
}

#[test]
fn a_refill_that_only_fills_the_hole_is_offered_still() {
    let plans = bucket();
    let rules = rules(&plans);
    let failing = credit(1, &grants("bucket"));
    let spent = used(used(new_account(), &rules, 4).advance(&rules, &failing, NOW), &rules, 4);
    let owing = spent.take_back(&rules, &failing, NOW);
    assert_eq!(balance(&owing, &rules).1, Tokens::whole(4));
    assert!(denied(&owing, &rules, NOW).offer.is_some(), "else nobody could ever pay it back");
    let even = owing.credit(&rules, &credit(2, &grants("bucket")), NOW);
    assert_eq!(balance(&even, &rules), (Tokens::ZERO, Tokens::ZERO));
    assert!(denied(&even, &rules, NOW).offer.is_some());
    used(even.credit(&rules, &credit(3, &grants("bucket")), NOW), &rules, 4);
}

#[test]
fn credits_that_were_spent_are_a_debt_and_others_are_taken_first() {
    let plans =
        plans(&json!({ "credits": { "request": 1 }, "over_limit": "pay", "price": "0.001", "refill": 4 }));
    let rules = rules(&plans);
    let (kept, failing) = (credit(1, &grants(CREDITS)), credit(2, &grants(CREDITS)));
    let both = new_account().credit(&rules, &kept, NOW).advance(&rules, &failing, NOW);
    let taken = used(both.clone(), &rules, 6).take_back(&rules, &failing, NOW);
    assert_eq!((taken.credits().balance(NOW), taken.credits().debt()), (Tokens::ZERO, Tokens::whole(2)));
    let unspent = both.take_back(&rules, &failing, NOW);
    assert_eq!((unspent.credits().balance(NOW), unspent.credits().debt()), (Tokens::whole(4), Tokens::ZERO));
    let next = taken.credit(&rules, &credit(3, &grants(CREDITS)), NOW);
    assert_eq!((next.credits().balance(NOW), next.credits().debt()), (Tokens::whole(2), Tokens::ZERO));
}

#[test]
fn a_window_and_a_quota_are_as_much_lower_until_they_end() {
    for (limits, name) in [
        (json!({ "fixed_windows": [{ "window": "60s", "limit": 3 }] }), "request-60s"),
        (json!({ "quotas": [{ "period": "day", "limit": 3, "over_quota": "pay" }] }), "request-day"),
    ] {
        let mut endpoint = json!({ "over_limit": "pay", "price": "0.001", "refill": 4 });
        endpoint.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        let plans = plans(&endpoint);
        let rules = rules(&plans);
        let failing = credit(1, &grants(name));
        let spent = used(used(new_account(), &rules, 3).advance(&rules, &failing, NOW), &rules, 2);
        let over = spent.take_back(&rules, &failing, NOW);
        assert!(denied(&over, &rules, NOW).offer.is_some(), "{name}");
        used(over.credit(&rules, &credit(2, &grants(name)), NOW), &rules, 2);
    }
}

#[test]
fn the_owner_is_told_of_a_failure_and_of_a_payment_when_it_is_settled() {
    let plans = bucket();
    let rules = Rules { notices: [Kind::Paid, Kind::PaymentFailed].into_iter().collect(), ..rules(&plans) };
    let (good, failing) = (credit(1, &grants("bucket")), credit(2, &grants("bucket")));
    let advanced = new_account().advance(&rules, &good, NOW).advance(&rules, &failing, NOW);
    assert!(advanced.outbox().due(NOW).is_none(), "nothing is known yet");
    let failed = advanced.clone().take_back(&rules, &failing, NOW);
    assert!(
        matches!(failed.outbox().due(NOW).unwrap().what(), Occurrence::PaymentFailed(sum) if sum.payment == failing.payment)
    );
    let settled = advanced.credit(&rules, &good, NOW);
    assert!(
        matches!(settled.outbox().due(NOW).unwrap().what(), Occurrence::Paid(sum) if sum.payment == good.payment)
    );
}

#[test]
fn the_form_of_what_is_credited_before_it_is_settled_is_pinned() {
    let plans = bucket();
    let rules = rules(&plans);
    let paid = credit(1, &grants("bucket"));
    let account = new_account().advance(&rules, &paid, NOW);
    let stored = serde_json::to_value(StoredAccount::V1(account.clone())).unwrap();
    assert_eq!(stored.pointer("/v1/advanced"), Some(&json!([paid.payment.as_str()])));
    let StoredAccount::V1(read) = serde_json::from_value(stored).unwrap();
    assert_eq!(read, account);
    let taken_back: Value =
        serde_json::to_value(StoredAccount::V1(account.take_back(&rules, &paid, NOW))).unwrap();
    assert_eq!(taken_back.pointer("/v1/advanced"), None);
}

proptest! {
    /// Whatever is used in between, an account from which all is taken back has exactly what it had without, less what was
    /// used; and one whose payments settle has exactly what it would have if they had settled at first.
    #[test]
    fn nothing_is_lost_or_given(refills in 1..4_usize, uses in 0..12_u32, settles in any::<bool>()) {
        let plans = bucket();
        let rules = rules(&plans);
        let payments: Vec<_> = (0..refills).map(|nth| credit(nth, &grants("bucket"))).collect();
        let poor = used(new_account(), &rules, 4);
        let tokens = u32::try_from(refills * 4).unwrap();
        let uses = uses.min(tokens);
        let advanced = payments.iter().fold(poor, |account, credit| account.advance(&rules, credit, NOW));
        let ended = payments.iter().fold(used(advanced, &rules, uses), |account, credit| {
            if settles { account.credit(&rules, credit, NOW) } else { account.take_back(&rules, credit, NOW) }
        });
        let expected = if settles {
            (Tokens::whole(u64::from(tokens - uses)), Tokens::ZERO)
        } else {
            (Tokens::ZERO, Tokens::whole(u64::from(uses)))
        };
        prop_assert_eq!(balance(&ended, &rules), expected);
        prop_assert_eq!(ended.advanced().count(), 0);
    }
}
