//! The exact cases that the product promises, through the account; what once went wrong; and the account's stored form.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

#[path = "limits/client.rs"]
mod client;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::client::key::{ApiKey, Scope};
use tollgate::config::table::Faults;
use tollgate::contract::{Attempt, Credit, End};
use tollgate::endpoint::{CanonicalPath, EndpointName, Target};
use tollgate::limit::account::{Account, Rules, StoredAccount};
use tollgate::limit::credit::BlockId;
use tollgate::limit::credit::order::{Cut, Gift, Order, OrderKey};
use tollgate::limit::decision::{DeniedBy, Grant, Verdict};
use tollgate::limit::plan::Plans;
use tollgate::limit::tokens::Tokens;
use tollgate::limit::units::Units;
use tollgate::notice::Kind;
use tollgate::pay::amount::Amount;
use tollgate::pay::x402::PaymentId;
use tollgate::time::{Millis, Span};

use client::Client;

/// 2023-11-14T22:15:23Z: 37 s before a minute ends and 6277 s before a day does.
const START: u64 = 1_700_000_123_000;
/// The start of a second and of a minute.
const MINUTE: u64 = 1_700_000_160_000;

fn ms(milliseconds: u64) -> Span {
    Span::millis(milliseconds)
}

fn tokens(text: &str) -> Tokens {
    text.parse().unwrap()
}

// The limits of issue 3.

fn chat() -> Client {
    Client::new(&json!({ "fixed_windows": [
        { "window": "60s", "limit": 3, "unit_type": "request" },
        { "window": "86_400s", "limit": 200 },
        { "window": "60s", "limit": "40_000", "unit_type": "token" },
    ]}))
}

#[test]
fn of_four_requests_in_a_minute_three_pass_and_the_fourth_at_the_next_minute() {
    let mut client = chat();
    for _ in 0..3 {
        client.passes(START, "token=100");
    }
    let denied = client.is_denied(START, "token=100");
    assert_eq!(
        (denied.by, denied.limit.as_str(), denied.wait),
        (DeniedBy::Limit, "request-60s", Some(ms(37_000)))
    );
    let standing = client.standing(START, "request-60s");
    assert_eq!((standing.unit.as_str(), standing.limit, standing.remaining), ("request", 3, 0));
    client.is_denied(MINUTE - 1, "token=100");
    client.passes(MINUTE, "token=100");
    // The fourth counted nowhere while it was denied.
    assert_eq!(client.standing(MINUTE, "request-86400s").remaining, 196);
    assert_eq!(client.standing(MINUTE, "token-60s").remaining, 39_900);
}

#[test]
fn who_asks_for_more_than_the_limit_never_passes_and_is_counted_nowhere() {
    let mut client = chat();
    let denied = client.is_denied(START, "token=40001");
    assert_eq!((denied.limit.as_str(), denied.wait, denied.offer), ("token-60s", None, None));
    for (limit, whole) in [("request-60s", 3), ("request-86400s", 200), ("token-60s", 40_000)] {
        assert_eq!(client.standing(START, limit).remaining, whole, "{limit}");
    }
    client.passes(START, "token=40000");
}

#[test]
fn windows_end_where_the_epoch_says() {
    let mut client = chat();
    client.passes(START, "");
    assert_eq!(client.standing(START, "request-60s").reset_after, Some(ms(37_000)));
    assert_eq!(client.standing(START, "token-60s").reset_after, Some(ms(37_000)));
    assert_eq!(client.standing(START, "request-86400s").reset_after, Some(ms(6_277_000)));
}

#[test]
fn a_sliding_window_is_whole_when_the_window_after_it_has_ended() {
    let mut client = Client::new(&json!({ "sliding_windows": [{ "window": "60s", "limit": 3 }] }));
    client.passes(START, "");
    assert_eq!(client.standing(START, "request-60s-sliding").reset_after, Some(ms(97_000)));
    assert_eq!(client.standing(START + 96_999, "request-60s-sliding").remaining, 2);
    assert_eq!(client.standing(START + 97_000, "request-60s-sliding").remaining, 3);
}

fn four_at_once() -> Client {
    let mut client = Client::new(&json!({ "max_concurrent": 4, "concurrency_expiry": "60s" }));
    for _ in 0..4 {
        assert!(client.passes(START, "").tell_end);
    }
    client
}

#[test]
fn a_fifth_at_once_passes_when_one_ends() {
    let mut client = four_at_once();
    let denied = client.is_denied(START + 10, "");
    assert_eq!(
        (denied.by, denied.limit.as_str(), denied.wait),
        (DeniedBy::Slots, "concurrent", Some(ms(59_990)))
    );
    client.ends(START + 20, 2, "");
    client.passes(START + 20, "");
    client.is_denied(START + 20, "");
}

#[test]
fn a_fifth_at_once_passes_after_sixty_seconds_though_none_was_told_to_end() {
    let mut client = four_at_once();
    client.is_denied(START + 59_999, "");
    client.passes(START + 60_000, "");
}

#[test]
fn tokens_told_at_the_end_count_past_the_limit_and_the_next_waits() {
    let mut client = Client::new(&json!({
        "fixed_windows": [{ "window": "60s", "limit": 100, "unit_type": "token" }], "max_concurrent": 1,
    }));
    client.passes(START, "token=10");
    client.ends(START + 1_000, 1, "token=200");
    let stored = serde_json::to_value(&client.account).unwrap();
    let used = &stored["allowances"][client::ENDPOINT]["windows"]["token-60s"]["used"];
    assert_eq!(*used, json!(Tokens::whole(210).get()));
    let denied = client.is_denied(START + 1_000, "token=1");
    // Its slot is free: the tokens alone deny.
    assert_eq!(
        (denied.by, denied.limit.as_str(), denied.wait),
        (DeniedBy::Limit, "token-60s", Some(ms(36_000)))
    );
    assert_eq!(client.standing(START + 1_000, "concurrent").remaining, 1);
    client.passes(MINUTE, "token=1");
}

#[test]
fn ten_a_minute_with_a_burst_of_five_holds_the_sixth_for_six_seconds() {
    let mut client = Client::new(&json!({ "bucket": { "rpm": 10, "burst": 5 } }));
    for _ in 0..5 {
        client.passes(START, "");
    }
    assert_eq!(client.is_denied(START, "").wait, Some(ms(6_000)));
    client.is_denied(START + 5_999, "");
    client.passes(START + 6_000, "");
    client.is_denied(START + 6_001, "");
}

#[test]
fn a_call_each_300_ms_does_not_keep_a_window_shut() {
    let mut client = Client::new(&json!({ "fixed_windows": [{ "window": "1s", "limit": 3 }] }));
    let calls = (0..10_000_u64).step_by(300).map(|elapsed| START + elapsed);
    let admitted = calls.filter(|now| matches!(client.asks(*now, "").verdict, Verdict::Admitted(_)));
    let open: BTreeSet<u64> = admitted.map(|now| now / 1_000).collect();
    assert_eq!(open.len(), 10);
}

#[test]
fn of_five_at_once_three_pass_now_and_two_when_the_second_turns_in_order() {
    let mut client = Client::new(&json!({
        "fixed_windows": [{ "window": "1s", "limit": 3 }], "over_limit": "queue", "max_queue": 2, "max_wait": "2s",
    }));
    let waits: Vec<u64> = (0..5).map(|_| client.passes(START + 400, "").wait.get()).collect();
    assert_eq!(waits, [0, 0, 0, 600, 605]);
    let denied = client.is_denied(START + 400, "");
    assert_eq!((denied.by, denied.wait), (DeniedBy::QueueFull, Some(ms(600))));
    // Both had their turn in the second that began: one more passes at once, the next waits for the one after.
    assert_eq!(client.passes(START + 1_005, "").wait, Span::ZERO);
    assert_eq!(client.passes(START + 1_005, "").wait, Span::millis(995));
}

#[test]
fn over_the_limit_a_request_passes_degraded() {
    let mut client = Client::new(&json!({
        "fixed_windows": [{ "window": "60s", "limit": 3 }], "over_limit": "degrade", "degrade_to": "/small",
    }));
    for _ in 0..3 {
        let admitted = client.passes(START, "");
        assert_eq!((admitted.degraded, admitted.degrade_to), (false, None));
    }
    let fourth = client.passes(START, "");
    assert_eq!((fourth.degraded, fourth.degrade_to.as_deref()), (true, Some("/small")));
    assert!(!client.passes(MINUTE, "").degraded);
}

// The bucket of issue 2.

fn cpu() -> Client {
    Client::new(
        &json!({ "bucket": { "capacity": 4, "refill_rate": 4 }, "over_limit": "pay", "price": "0.001", "refill": 4 }),
    )
}

/// A client that has just used up its bucket, and what it is offered.
fn exhausted() -> (Client, Vec<Grant>) {
    let mut client = cpu();
    for _ in 0..4 {
        client.passes(START, "");
    }
    let terms = client.is_denied(START, "").offer.unwrap();
    assert_eq!(terms.price.to_string(), "0.001");
    assert_eq!(terms.grants, [Grant { limit: "bucket".to_owned(), quantity: Tokens::whole(4) }]);
    (client, terms.grants)
}

#[test]
fn a_second_after_exhaustion_there_are_four_again_and_never_more() {
    let (client, _) = exhausted();
    assert_eq!(client.standing(START + 999, "bucket").tokens, Some(tokens("3.996")));
    assert_eq!(client.standing(START + 1_000, "bucket").tokens, Some(tokens("4")));
    assert_eq!(client.standing(START + 600_000, "bucket").tokens, Some(tokens("4")));
}

#[test]
fn paid_at_nothing_three_are_left_after_the_paid_request() {
    let (mut client, grants) = exhausted();
    client.pays(START, &grants);
    assert_eq!(client.passes(START, "").paid, Tokens::ONE);
    assert_eq!(client.standing(START, "bucket").tokens, Some(tokens("3")));
}

#[test]
fn a_payment_settled_after_210_ms_leaves_3_84_whether_or_not_anyone_looked() {
    let (mut client, grants) = exhausted();
    let (mut looked, _) = exhausted();
    for elapsed in 1..210 {
        looked.is_denied(START + elapsed, "");
    }
    for client in [&mut client, &mut looked] {
        client.pays(START + 210, &grants);
        client.passes(START + 210, "");
        assert_eq!(client.standing(START + 210, "bucket").tokens, Some(tokens("3.84")));
    }
}

#[test]
fn what_is_above_the_capacity_stays_while_idle() {
    let (mut client, grants) = exhausted();
    client.pays(START + 210, &grants);
    assert_eq!(client.standing(START + 210, "bucket").tokens, Some(tokens("4.84")));
    assert_eq!(client.standing(START + 5_000, "bucket").tokens, Some(tokens("4.84")));
    client.passes(START + 5_000, "");
    assert_eq!(client.standing(START + 5_000, "bucket").tokens, Some(tokens("3.84")));
    assert_eq!(client.standing(START + 6_000, "bucket").tokens, Some(tokens("4")));
}

#[test]
fn twelve_paid_tokens_are_twelve_after_ten_idle_minutes_and_a_round_trip_through_storage() {
    let (mut client, grants) = exhausted();
    for _ in 0..3 {
        client.pays(START, &grants);
    }
    client.account = client::stored_and_read(&client.account);
    assert_eq!(client.standing(START + 600_000, "bucket").tokens, Some(tokens("12")));
    client.account =
        client.account.clone().tidied(&client::rules(&client.plans), Millis::new(START + 600_000));
    for _ in 0..12 {
        client.passes(START + 600_000, "");
    }
    client.is_denied(START + 600_000, "");
}

#[test]
fn the_same_payment_credited_again_adds_nothing_until_and_after_it_is_stored() {
    let (mut client, grants) = exhausted();
    let rules = client::rules(&client.plans);
    let credit = client::credit(1, &grants);
    let once = client.account.clone().credit(&rules, &credit, Millis::new(START));
    let twice = client::stored_and_read(&once).credit(&rules, &credit, Millis::new(START));
    assert_eq!(once, twice);
    client.account = twice;
    assert_eq!(client.standing(START, "bucket").tokens, Some(tokens("4")));
}

#[test]
fn with_tokens_left_nothing_is_offered_for_sale() {
    let mut client = cpu();
    client.passes(START, "");
    client.passes(START, "");
    assert_eq!(client.passes(START, "").paid, Tokens::ZERO);
}

#[test]
fn who_has_a_payment_on_its_way_is_told_so_until_it_is_credited_or_withdrawn() {
    let (mut client, grants) = exhausted();
    let credit = client::credit(1, &grants);
    client.account = client.account.announce(credit.payment.clone());
    assert!(client.is_denied(START, "").payment_pending);
    let withdrawn = client.account.clone().withdraw(&credit.payment);
    client.account = client::stored_and_read(&client.account);
    assert!(client.is_denied(START, "").payment_pending);

    client.pays(START, &grants);
    assert_eq!(client.passes(START, "").paid, Tokens::ONE);
    // An announcement that comes after its credit changes nothing.
    client.account = client.account.announce(credit.payment.clone());
    for _ in 0..3 {
        client.passes(START, "");
    }
    assert!(!client.is_denied(START, "").payment_pending);

    client.account = withdrawn;
    assert!(!client.is_denied(START, "").payment_pending);
}

#[test]
fn a_window_that_was_paid_for_is_longer_until_it_ends() {
    let mut client = Client::new(&json!({
        "fixed_windows": [{ "window": "60s", "limit": 3 }], "over_limit": "pay", "price": "0.001", "refill": 2,
    }));
    for _ in 0..3 {
        client.passes(START, "");
    }
    let terms = client.is_denied(START, "").offer.unwrap();
    assert_eq!(terms.grants, [Grant { limit: "request-60s".to_owned(), quantity: Tokens::whole(2) }]);
    client.pays(START, &terms.grants);
    client.passes(START, "");
    client.passes(START, "");
    assert_eq!(client.is_denied(START, "").wait, Some(ms(37_000)));
    assert_eq!(client.standing(MINUTE, "request-60s").remaining, 3);
}

#[test]
fn an_endpoint_that_the_plan_does_not_list_is_not_allowed() {
    let client = cpu();
    let mut attempt = client::attempt("1", &Units::default());
    attempt.target.path = CanonicalPath::parse("/other").unwrap();
    let (account, decision) =
        client.account.clone().attempt(&client::rules(&client.plans), &attempt, Millis::new(START));
    assert_eq!((decision.verdict, decision.endpoint.as_str()), (Verdict::NoAccess, "POST /other"));
    assert_eq!(account, client.account);
}

// What once went wrong.

fn one_in_ten_seconds(max_wait: &str, max_queue: u64) -> Client {
    let mut client = Client::new(&json!({
        "fixed_windows": [{ "window": "10s", "limit": 1 }],
        "over_limit": "queue", "max_wait": max_wait, "max_queue": max_queue,
    }));
    client.passes(MINUTE, "");
    client
}

#[test]
fn a_full_queue_promised_a_place_that_was_still_too_far_from_its_turn() {
    let mut client = one_in_ten_seconds("5s", 1);
    assert_eq!(client.passes(MINUTE + 6_000, "").wait, Span::seconds(4));
    // The place is free after 3 s, but its turn would then be 10 s away, and nobody waits for more than 5.
    let denied = client.is_denied(MINUTE + 7_000, "");
    assert_eq!((denied.by, denied.wait), (DeniedBy::QueueFull, Some(ms(8_000))));
    client.is_denied(MINUTE + 14_999, "");
    assert_eq!(client.passes(MINUTE + 15_000, "").wait, Span::seconds(5));
}

#[test]
fn a_full_queue_promised_a_turn_to_a_request_that_no_window_holds() {
    let mut client = one_in_ten_seconds("20s", 1);
    client.passes(MINUTE, "");
    let denied = client.is_denied(MINUTE, "request=2");
    assert_eq!((denied.by, denied.wait), (DeniedBy::Limit, None));
}

#[test]
fn a_queue_without_places_told_everyone_to_come_back_at_once() {
    let mut client = one_in_ten_seconds("20s", 0);
    assert_eq!(client.is_denied(MINUTE + 1_000, "").wait, Some(ms(9_000)));
    assert_eq!(client.passes(MINUTE + 10_000, "").wait, Span::ZERO);
}

#[test]
fn who_only_lacked_a_slot_to_pass_degraded_or_queue_was_told_to_wait_for_the_window() {
    for (over_limit, wait_in_line) in [("degrade", Span::ZERO), ("queue", Span::seconds(55))] {
        let mut client = Client::new(&json!({
            "fixed_windows": [{ "window": "60s", "limit": 1 }], "max_concurrent": 1, "concurrency_expiry": "5s",
            "over_limit": over_limit, "max_wait": "60s",
        }));
        client.passes(MINUTE, "");
        let denied = client.is_denied(MINUTE, "");
        assert_eq!(
            (denied.by, denied.limit.as_str(), denied.wait),
            (DeniedBy::Slots, "concurrent", Some(ms(5_000)))
        );
        assert_eq!(client.passes(MINUTE + 5_000, "").wait, wait_in_line);
    }
}

#[test]
fn who_would_get_a_slot_too_early_to_queue_was_promised_to_pass_then() {
    let mut client = Client::new(&json!({
        "fixed_windows": [{ "window": "60s", "limit": 1 }], "max_concurrent": 1, "concurrency_expiry": "5s",
        "over_limit": "queue", "max_wait": "10s",
    }));
    client.passes(MINUTE, "");
    assert_eq!(client.is_denied(MINUTE, "").wait, Some(ms(50_000)));
    client.is_denied(MINUTE + 49_999, "");
    assert_eq!(client.passes(MINUTE + 50_000, "").wait, Span::seconds(10));
}

#[test]
fn a_wait_was_promised_past_the_end_of_the_window_that_was_paid_for() {
    let mut client = Client::new(&json!({
        "fixed_windows": [{ "window": "1s", "limit": 3, "unit_type": "token" }],
        "bucket": { "capacity": 2, "refill_rate": "0.5" },
        "over_limit": "pay", "price": "0.001", "refill": 3,
    }));
    client.pays(MINUTE, &[Grant { limit: "token-1s".to_owned(), quantity: Tokens::whole(3) }]);
    client.passes(MINUTE, "token=1");
    client.passes(MINUTE, "token=1");
    // The window would hold four more now, and never again when the bucket has a token.
    let denied = client.is_denied(MINUTE, "token=4");
    assert_eq!((denied.limit.as_str(), denied.wait), ("bucket", None));
    assert_eq!(client.is_denied(MINUTE + 2_000, "token=4").wait, None);
}

#[test]
fn a_sliding_window_promised_its_end_though_what_was_paid_for_ended_with_it() {
    let mut client = Client::new(&json!({
        "sliding_windows": [{ "window": "1s", "limit": 3 }], "over_limit": "pay", "price": "0.001", "refill": 3,
    }));
    client.passes(MINUTE - 1, "request=3");
    client.pays(MINUTE, &[Grant { limit: "request-1s-sliding".to_owned(), quantity: Tokens::whole(3) }]);
    client.passes(MINUTE, "request=3");
    // At the end of this second its three weigh all that a window holds; a second later they weigh nothing.
    assert_eq!(client.is_denied(MINUTE, "request=3").wait, Some(ms(2_000)));
    client.is_denied(MINUTE + 1_999, "request=3");
    client.passes(MINUTE + 2_000, "request=3");
}

// What is stored.

/// A plan with every kind of limit: one endpoint sells, the other queues.
fn every_limit() -> Plans {
    let plan = json!({ "free": { "endpoints": {
        "GET /sold": {
            "bucket": { "rpm": 7, "burst": 4 }, "over_limit": "pay", "price": "0.001",
            "fixed_windows": [{ "window": "60s", "limit": 5 }],
            "sliding_windows": [{ "window": "60s", "limit": 100, "unit_type": "token" }],
        },
        "GET /queued": {
            "fixed_windows": [{ "window": "60s", "limit": 1 }], "max_concurrent": 3, "over_limit": "queue", "max_wait": "60s",
        },
        "GET /metered": {
            "fixed_windows": [{ "window": "60s", "limit": 1 }], "over_limit": "queue", "max_wait": "60s",
            "quotas": [
                { "period": "day", "limit": 2, "unit_type": "image", "over_quota": "overage", "overage_price": "0.002" },
                { "period": "month", "limit": 50, "over_quota": "402" },
            ],
            "price": "0.001", "credits": { "image": "0.5" },
        },
    }}});
    let mut faults = Faults::default();
    let plans = Plans::read("PLANS", &plan, &mut faults);
    assert!(faults.is_empty(), "{faults}");
    plans
}

/// An account with everything in it that an account can hold.
fn full_account(plans: &Plans) -> Account {
    let rules = Rules { notices: Kind::ALL.into_iter().collect(), ..client::rules(plans) };
    let at = |seconds: u64| Millis::new(START + seconds * 1_000);
    let attempt = |request: &str, path: &str, units: &str| Attempt {
        request: request.to_owned(),
        target: Target { method: "GET".to_owned(), path: CanonicalPath::parse(path).unwrap(), logical: None },
        units: client::units(units),
        paid: false,
    };
    let yesterday = Millis::new(START - 86_400_000);
    let gift = Gift { amount: tokens("100"), expires_at: Some(at(600)), metadata: json!({ "order": "42" }) };
    let grants = [("bucket", "0.5"), ("request-60s", "7"), ("token-60s-sliding", "7")]
        .map(|(limit, quantity)| Grant { limit: limit.to_owned(), quantity: quantity.parse().unwrap() });
    let payment = |name: &str| PaymentId::of(name);
    let mut account =
        Account::new("wallet:0x14791697260e4c9a71f18484c9f997b308e59325".parse().unwrap(), "5eed".to_owned());
    for order in [
        Order::Grant(BlockId::new("a"), gift, Some(OrderKey::of("once"))),
        Order::Deduct(Cut { amount: tokens("1"), require_full: true }, Some(OrderKey::of("twice"))),
    ] {
        account = account.ordered(&rules, &order, at(0)).0;
    }
    account = account.attempt(&rules, &attempt("req_0", "/metered", "image=1"), yesterday).0;
    for (seconds, request, path, units) in [
        (0, "req_1", "/sold", "token=12.5"),
        (37, "req_2", "/sold", "token=7"),
        (38, "req_3", "/queued", ""),
        (39, "req_4", "/queued", "token=3"),
        (39, "req_6", "/metered", "image=3"),
        (39, "req_7", "/metered", "image=3"),
    ] {
        account = account.attempt(&rules, &attempt(request, path, units), at(seconds)).0;
    }
    let end = End {
        request: "req_2".to_owned(),
        endpoint: EndpointName::new("GET /sold"),
        units: client::units("token=9"),
        beyond: false,
    };
    account = account.end(&rules, &end, at(40)).announce(payment("credited")).announce(payment("pending"));
    let revision = account.usage().revision();
    account = account.flushed(revision, at(40), at(40));
    let credit = Credit {
        payment: payment("credited"),
        endpoint: EndpointName::new("GET /sold"),
        grants: grants.to_vec(),
        amount: Amount::new(1000),
    };
    account = account.credit(&rules, &credit, at(41));
    account = account.attempt(&rules, &attempt("req_5", "/sold", ""), Millis::new(START + 41_123)).0;
    let quota = Grant { limit: "request-month".to_owned(), quantity: tokens("7") };
    account = account.granted(&rules, &EndpointName::new("GET /metered"), &quota, at(41));
    let account = account.sign_in("8f14e45fceea167a".to_owned(), at(300), at(42)).0;
    let account = account.look_up_receipt(at(42)).0.try_admin(false, at(42)).0;
    let account = account.fail_payment(at(42)).0;
    let key = ApiKey::new([7; 32]).hash();
    let account = account.with_plan(Some("gold".to_owned())).with_key(key.clone(), [Scope::Decide].into());
    account.told_uses(&[(key.clone(), at(1))]).present_key(&key, at(120)).0
}

#[test]
fn stored_form_is_pinned() {
    let plans = every_limit();
    let account = full_account(&plans);
    let golden: Value = serde_json::from_str(include_str!("golden/account_v1.json")).unwrap();
    let stored = serde_json::to_value(StoredAccount::V1(account.clone())).unwrap();
    assert_eq!(stored, golden, "{stored:#}");
    let StoredAccount::V1(read) = serde_json::from_value(golden).unwrap();
    assert_eq!(read, account);
}

#[test]
fn an_account_stored_before_there_were_keys_and_plans_of_its_own_still_reads() {
    let mut golden: Value = serde_json::from_str(include_str!("golden/account_v1.json")).unwrap();
    let members = golden["v1"].as_object_mut().unwrap();
    for added in ["plan", "keys", "admin_tries", "outbox", "failures", "credits"] {
        assert!(members.remove(added).is_some(), "{added}");
    }
    let metered = members["allowances"]["GET /metered"].as_object_mut().unwrap();
    assert!(metered.remove("quotas").is_some());
    assert!(metered["queue"][0]["need"].as_object_mut().unwrap().remove("credits").is_some());
    let sold = &mut members["usage"]["hours"]["472222"]["GET /sold"];
    assert!(sold.as_object_mut().unwrap().remove("last").is_some());
    let StoredAccount::V1(read) = serde_json::from_value(golden).unwrap();
    assert_eq!((read.plan(), read.keys().is_empty()), (None, true));
}

#[test]
fn the_pinned_account_holds_everything_that_an_account_can() {
    let golden: Value = serde_json::from_str(include_str!("golden/account_v1.json")).unwrap();
    for pointer in [
        "/allowances/GET ~1sold/bucket/paid",
        "/allowances/GET ~1sold/bucket/carry",
        "/allowances/GET ~1sold/windows/request-60s/extra",
        "/allowances/GET ~1sold/windows/token-60s-sliding/before",
        "/allowances/GET ~1queued/slots/1",
        "/allowances/GET ~1queued/queue/0/need/units/token",
        "/allowances/GET ~1metered/quotas/image-day/before/used",
        "/allowances/GET ~1metered/quotas/request-month/extra",
        "/allowances/GET ~1metered/queue/0/need/credits",
        "/credits/blocks/0/metadata",
        "/credits/blocks/0/expires_at",
        "/credits/orders",
        "/pending/0",
        "/credited/0",
        "/nonces/8f14e45fceea167a",
        "/lookups/level",
        "/admin_tries/level",
        "/failures/level",
        "/plan",
        "/keys",
        "/usage/hours",
        "/usage/unflushed_since",
        "/usage/flushed_at",
        "/outbox/waiting/0/what/quota80",
        "/outbox/waiting/2/what/paid",
        "/outbox/told",
    ] {
        let value = golden.pointer(&format!("/v1{pointer}"));
        assert!(value.is_some_and(|value| !value.is_null() && *value != json!(0)), "{pointer}: {value:?}");
    }
}

#[test]
fn an_account_of_an_unknown_version_or_form_is_an_error_and_never_a_new_account() {
    let golden = include_str!("golden/account_v1.json");
    assert!(serde_json::from_str::<StoredAccount>(golden).is_ok());
    let truncated = &golden[..golden.len() / 2];
    let later = golden.replacen("\"v1\"", "\"v2\"", 1);
    let unknown_field = golden.replacen("\"incarnation\"", "\"colour\": \"gold\", \"incarnation\"", 1);
    let unknown_in_window = golden.replacen("\"index\"", "\"colour\": 1, \"index\"", 1);
    let foreign_id = golden.replacen("wallet:0x", "purse:0x", 1);
    let negative = golden.replacen("\"used\": ", "\"used\": -", 1);
    let bare = golden.replacen("\"v1\"", "\"V1\"", 1);
    for text in [&later, &unknown_field, &unknown_in_window, &foreign_id, &negative, &bare] {
        assert_ne!(text, golden, "it was to be broken");
        assert!(serde_json::from_str::<StoredAccount>(text).is_err(), "{text}");
    }
    for text in ["", "null", "{}", "[]", "\"v1\"", r#"{"v1":null}"#, r#"{"v1":{}}"#, truncated] {
        assert!(serde_json::from_str::<StoredAccount>(text).is_err(), "{text}");
    }
}
