//! The exact cases that the product promises of quotas and prepaid credits, through the account.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

#[path = "limits/client.rs"]
mod client;

use serde_json::{Value, json};
use tollgate::bill::tally::Tally;
use tollgate::config::table::Faults;
use tollgate::contract::Refund;
use tollgate::endpoint::EndpointName;
use tollgate::limit::account::credit_sale::sell_to_any_wallet;
use tollgate::limit::account::{Account, StoredAccount};
use tollgate::limit::credit::order::{Cut, Done, Gift, Order, OrderKey};
use tollgate::limit::credit::sale::CreditSale;
use tollgate::limit::credit::{BlockId, CREDITS};
use tollgate::limit::decision::{Denied, DeniedBy, Grant, Verdict};
use tollgate::limit::plan::Plans;
use tollgate::limit::tokens::Tokens;
use tollgate::pay::amount::Amount;
use tollgate::time::{Millis, Span};

use client::{Client, new_account, plans, rules};

/// 2023-11-14T22:15:23Z.
const NOW: u64 = 1_700_000_123_000;
/// The midnight after it.
const MIDNIGHT: u64 = 1_700_006_400_000;
/// Midnight before December.
const DECEMBER: u64 = 1_701_388_800_000;

fn total(account: &Account) -> Tally {
    account.usage().lines().fold(Tally::default(), |sum, line| sum.plus(&line.tally))
}

/// A client of an endpoint that was granted so many credits.
fn with_credits(endpoint: &Value, amount: u64) -> Client {
    let mut client = Client::new(endpoint);
    orders(&mut client, &grant("1", amount, None), NOW);
    client
}

fn orders(client: &mut Client, order: &Order, now: u64) -> Done {
    let (account, done) = client.account.clone().ordered(&rules(&client.plans), order, Millis::new(now));
    client.account = account;
    done
}

fn grant(id: &str, amount: u64, expires_at: Option<u64>) -> Order {
    let gift = Gift {
        amount: Tokens::whole(amount),
        expires_at: expires_at.map(Millis::new),
        metadata: Value::Null,
    };
    Order::Grant(BlockId::new(id), gift, None)
}

fn deduct(amount: u64, require_full: bool, key: Option<&str>) -> Order {
    Order::Deduct(Cut { amount: Tokens::whole(amount), require_full }, key.map(OrderKey::of))
}

fn balance(client: &Client, now: u64) -> Tokens {
    client.account.credits().balance(Millis::new(now))
}

fn is_by(denied: &Denied, by: DeniedBy, limit: &str) -> bool {
    (denied.by, denied.limit.as_str()) == (by, limit)
}

// Quotas.

#[test]
fn of_twenty_calls_of_ten_under_a_quota_of_fifty_five_pass_and_again_after_midnight() {
    let mut client =
        Client::new(&json!({ "quotas": [{ "period": "day", "limit": 50, "unit_type": "token" }] }));
    let passed =
        (0..20).filter(|_| matches!(client.asks(NOW, "token=10").verdict, Verdict::Admitted(_))).count();
    assert_eq!(passed, 5);
    let denied = client.is_denied(NOW, "token=10");
    assert!(is_by(&denied, DeniedBy::Quota, "token-day"), "{denied:?}");
    assert_eq!((denied.wait, denied.offer), (Some(Span::millis(MIDNIGHT - NOW)), None));
    client.is_denied(MIDNIGHT - 1, "token=10");
    client.passes(MIDNIGHT, "token=10");
    let standing = client.standing(MIDNIGHT, "token-day");
    assert_eq!((standing.limit, standing.remaining), (50, 40));
    assert_eq!(
        (standing.window, standing.reset_after),
        (Some(Span::seconds(86_400)), Some(Span::seconds(86_400)))
    );
}

#[test]
fn the_old_day_and_month_stay_readable_after_they_are_over() {
    let mut client = Client::new(&json!({ "quotas": [
        { "period": "day", "limit": 5 }, { "period": "month", "limit": 100 },
    ] }));
    client.passes(NOW, "request=4");
    client.passes(DECEMBER - 1, "request=3");
    client.passes(DECEMBER, "request=2");
    let uses = client.account.quota_uses(&rules(&client.plans), Millis::new(DECEMBER));
    let told: Vec<_> = uses.iter().map(|(_, quota)| (quota.start.rfc3339(), quota.used.floor())).collect();
    let expected = [
        ("2023-12-01T00:00:00Z", 2),
        ("2023-11-30T00:00:00Z", 3),
        ("2023-12-01T00:00:00Z", 2),
        ("2023-11-01T00:00:00Z", 7),
    ];
    assert_eq!(told, expected.map(|(start, used)| (start.to_owned(), used)));
}

#[test]
fn over_a_quota_that_is_sold_paying_makes_the_call_pass_until_it_resets() {
    let mut client = Client::new(&json!({
        "quotas": [{ "period": "day", "limit": 50, "unit_type": "token", "over_quota": "402" }],
        "price": "0.001", "refill": 20,
    }));
    client.passes(NOW, "token=50");
    let denied = client.is_denied(NOW, "token=10");
    let terms = denied.offer.unwrap();
    assert_eq!(
        (denied.wait, terms.price.to_string()),
        (Some(Span::millis(MIDNIGHT - NOW)), "0.001".to_owned())
    );
    client.pays(NOW, &terms.grants);
    client.passes(NOW, "token=10");
    client.passes(NOW, "token=10");
    assert_eq!(client.standing(NOW, "token-day").limit, 70);
    client.is_denied(NOW, "token=1");
    // What a payment cannot make room for is not offered.
    assert_eq!(client.is_denied(NOW, "token=21").offer, None);
    assert_eq!(client.standing(MIDNIGHT, "token-day").remaining, 50);
}

#[test]
fn a_thousand_calls_beyond_a_quota_at_a_tenth_of_a_cent_bill_exactly_a_million() {
    let mut client = Client::new(&json!({ "quotas": [
        { "period": "month", "limit": 3, "over_quota": "overage", "overage_price": "0.001" },
    ] }));
    for _ in 0..1003 {
        client.passes(NOW, "");
    }
    let overage = total(&client.account).overage;
    assert_eq!((overage.calls, overage.charge()), (1000, Amount::new(1_000_000)));
    assert_eq!(client.standing(NOW, "request-month").remaining, 0);
    client.passes(DECEMBER, "");
    assert_eq!(total(&client.account).overage.charge(), Amount::new(1_000_000));
}

#[test]
fn units_that_are_told_at_the_end_go_beyond_and_the_request_is_one() {
    let mut client = Client::new(&json!({ "quotas": [
        { "period": "day", "limit": 10, "unit_type": "token", "over_quota": "overage", "overage_price": "0.002" },
    ] }));
    assert!(!client.passes(NOW, "token=4").beyond);
    client.ends(NOW, 1, "token=7.5");
    let overage = total(&client.account).overage;
    assert_eq!((overage.calls, overage.units["token"].quantity), (1, Tokens::micro(1_500_000)));
    assert_eq!(overage.charge(), Amount::new(3000));
    assert!(client.passes(NOW, "token=1").beyond);
    let end = tollgate::contract::End { beyond: true, ..client::end("2", &client::units("token=1")) };
    let account = client.account.clone().end(&rules(&client.plans), &end, Millis::new(NOW));
    assert_eq!((total(&account).overage.calls, total(&account).overage.charge()), (2, Amount::new(7000)));
}

#[test]
fn told_units_count_past_a_quota_and_the_next_request_waits_for_the_next_day() {
    let mut client =
        Client::new(&json!({ "quotas": [{ "period": "day", "limit": 100, "unit_type": "token" }] }));
    assert!(client.passes(NOW, "").tell_end);
    client.ends(NOW, 1, "token=210");
    assert_eq!(client.is_denied(NOW, "").wait, Some(Span::millis(MIDNIGHT - NOW)));
    assert_eq!(client.is_denied(NOW, "token=101").wait, None);
    client.passes(MIDNIGHT, "");
}

#[test]
fn a_plan_that_changes_in_mid_period_keeps_what_was_used_even_where_it_is_gone_meanwhile() {
    let quota = |limit: u64| plans(&json!({ "quotas": [{ "period": "month", "limit": limit }] }));
    let mut client = Client::new(&json!({ "quotas": [{ "period": "month", "limit": 5 }] }));
    client.passes(NOW, "request=5");
    client.plans = quota(100);
    assert_eq!(client.standing(NOW, "request-month").remaining, 95);
    client.passes(NOW, "request=10");
    client.plans = plans(&json!({}));
    client.passes(NOW, "");
    client.plans = tollgate::limit::plan::Plans::default();
    client.account = client.account.clone().tidied(&rules(&client.plans), Millis::new(NOW));
    assert!(!client.account.is_whole(&rules(&client.plans), Millis::new(NOW)));
    client.plans = quota(20);
    assert_eq!(client.standing(NOW, "request-month").remaining, 5);
    // After the month and the one in which it can be read, nothing is left of it.
    client.plans = tollgate::limit::plan::Plans::default();
    let gone = Millis::new(DECEMBER + 31 * 86_400_000);
    let account = client.account.clone().tidied(&rules(&client.plans), gone);
    let account = account.clone().flushed(account.usage().revision(), gone, gone);
    assert!(account.is_whole(&rules(&client.plans), gone));
}

#[test]
fn what_was_paid_for_in_a_quota_is_not_lost_while_the_plan_lacks_it() {
    let endpoint =
        json!({ "quotas": [{ "period": "day", "limit": 5 }], "over_limit": "pay", "price": "0.001" });
    let mut client = Client::new(&endpoint);
    client.passes(NOW, "request=5");
    let grants = client.is_denied(NOW, "").offer.unwrap().grants;
    client.plans = tollgate::limit::plan::Plans::default();
    client.account = Account::new("ip:203.0.113.7".parse().unwrap(), "life".to_owned());
    client.pays(NOW, &grants);
    client.plans = plans(&endpoint);
    assert_eq!(client.standing(NOW, "request-day").remaining, 10);
}

#[test]
fn what_was_paid_for_in_a_window_is_not_lost_while_the_plan_lacks_it_and_ends_with_it() {
    for (kind, name, end) in [
        ("fixed_windows", "request-3600s", 1_700_002_800_000),
        ("sliding_windows", "request-3600s-sliding", 1_700_002_800_000),
    ] {
        let endpoint =
            json!({ kind: [{ "window": "1h", "limit": 5 }], "over_limit": "pay", "price": "0.001" });
        let mut client = Client::new(&endpoint);
        client.passes(NOW, "request=5");
        let grants = client.is_denied(NOW, "").offer.unwrap().grants;
        // Another life of the account, and the plan without the window, and then without the endpoint.
        client.account = Account::new("ip:203.0.113.7".parse().unwrap(), "life".to_owned());
        client.plans = plans(&json!({}));
        client.pays(NOW, &grants);
        client.passes(NOW + 1, "");
        client.account = client.account.clone().acknowledge(&client::credit(1, &grants).payment);
        client.plans = Plans::default();
        client.account = client.account.clone().tidied(&rules(&client.plans), Millis::new(NOW + 2));
        assert!(client.account.is_precious(&rules(&client.plans)), "{name}");
        client.plans = plans(&endpoint);
        assert_eq!(client.standing(NOW + 2, name).remaining, 10);
        // Nothing is kept of it when its hour is over.
        client.plans = Plans::default();
        let gone = client.account.clone().tidied(&rules(&client.plans), Millis::new(end));
        assert!(!gone.is_precious(&rules(&client.plans)), "{name}");
    }
}

#[test]
fn a_queued_request_that_goes_beyond_a_quota_at_its_turn_and_at_its_end_is_one_such_call() {
    let mut client = Client::new(&json!({
        "bucket": { "capacity": 1, "refill_rate": 1 }, "over_limit": "queue", "max_concurrent": 9,
        "quotas": [
            { "period": "day", "limit": 1, "over_quota": "overage", "overage_price": "0.001" },
            { "period": "day", "limit": 0, "unit_type": "token", "over_quota": "overage", "overage_price": "0.001" },
        ],
    }));
    client.passes(NOW, "");
    let queued = client.passes(NOW, "");
    assert_eq!((queued.wait, queued.beyond), (Span::seconds(1), false));
    client.account = client.account.clone().tidied(&rules(&client.plans), Millis::new(NOW + 1500));
    let stored = serde_json::to_value(StoredAccount::V1(client.account.clone())).unwrap();
    assert_eq!(stored["v1"]["allowances"][client::ENDPOINT]["beyond"], json!({ "2": NOW + 1000 }));
    client.ends(NOW + 2000, 2, "token=5");
    client.ends(NOW + 2000, 1, "token=5");
    let overage = total(&client.account).overage;
    assert_eq!((overage.calls, overage.charge()), (2, Amount::new(11_000)));
}

#[test]
fn nobody_waits_in_line_or_passes_degraded_over_a_quota() {
    for over in ["queue", "degrade"] {
        let mut client = Client::new(&json!({
            "quotas": [{ "period": "day", "limit": 1 }], "fixed_windows": [{ "window": "1s", "limit": 100 }],
            "over_limit": over,
        }));
        client.passes(NOW, "");
        let denied = client.is_denied(NOW, "");
        assert!(is_by(&denied, DeniedBy::Quota, "request-day"), "{over}: {denied:?}");
        assert_eq!(denied.wait, Some(Span::millis(MIDNIGHT - NOW)));
    }
}

#[test]
fn what_counts_towards_a_quota_is_stored_before_it_is_answered() {
    let mut client = Client::new(&json!({ "quotas": [{ "period": "day", "limit": 50 }] }));
    assert!(!client.account.is_precious(&rules(&client.plans)));
    client.passes(NOW, "");
    assert!(client.account.is_precious(&rules(&client.plans)));
}

// Credits.

#[test]
fn a_request_costs_credits_when_it_is_decided_and_what_is_not_there_denies() {
    let mut client = with_credits(&json!({ "credits": { "request": 1, "image": "0.5" } }), 3);
    client.passes(NOW, "image=2");
    assert_eq!((balance(&client, NOW), total(&client.account).credits), (Tokens::ONE, Tokens::whole(2)));
    let denied = client.is_denied(NOW, "image=1");
    assert!(is_by(&denied, DeniedBy::Credits, "credits"), "{denied:?}");
    assert_eq!((denied.wait, denied.offer), (None, None));
    client.passes(NOW, "");
    assert_eq!(balance(&client, NOW), Tokens::ZERO);
    orders(&mut client, &grant("2", 10, Some(NOW + 5)), NOW);
    client.is_denied(NOW + 5, "");
    client.passes(NOW + 4, "");
}

#[test]
fn what_a_request_turns_out_to_cost_is_a_debt_that_the_next_block_settles() {
    let mut client = with_credits(&json!({ "credits": { "token": "0.01" } }), 1);
    client.passes(NOW, "");
    client.ends(NOW, 1, "token=250");
    assert_eq!(client.account.credits().debt(), Tokens::micro(1_500_000));
    assert_eq!(total(&client.account).credits, Tokens::micro(2_500_000));
    client.is_denied(NOW, "");
    orders(&mut client, &grant("2", 1, None), NOW);
    client.is_denied(NOW, "");
    orders(&mut client, &grant("3", 1, None), NOW);
    assert_eq!(balance(&client, NOW), Tokens::micro(500_000));
    client.passes(NOW, "");
}

#[test]
fn the_blocks_of_document_three_are_spent_in_their_order() {
    let day = 86_400_000;
    let mut client = Client::new(&json!({}));
    for (id, amount, end) in [
        ("a", 100, Some(NOW + day)),
        ("b", 50, Some(NOW + 2 * day)),
        ("c", 30, None),
        ("d", 500, Some(NOW - 1)),
    ] {
        orders(&mut client, &grant(id, amount, end), NOW);
    }
    assert!(matches!(orders(&mut client, &deduct(120, true, None), NOW), Done::Deducted(_)));
    let blocks = client.account.credits().blocks().iter();
    let left: Vec<_> = blocks.map(|block| (block.id.as_str(), block.remaining.floor())).collect();
    assert_eq!(left, [("blk_a", 0), ("blk_b", 30), ("blk_c", 30), ("blk_d", 500)]);
    let Done::Deducted(deduction) = orders(&mut client, &deduct(100, false, None), NOW) else {
        panic!("it is deducted in part")
    };
    assert_eq!((deduction.deducted, deduction.remaining()), (Tokens::whole(60), Tokens::whole(40)));
    assert_eq!(balance(&client, NOW), Tokens::ZERO);
}

#[test]
fn of_twenty_all_or_nothing_deductions_of_ten_from_a_hundred_ten_succeed_and_are_billed() {
    let mut client = with_credits(&json!({}), 100);
    let made =
        (0..20).filter(|_| matches!(orders(&mut client, &deduct(10, true, None), NOW), Done::Deducted(_)));
    assert_eq!(made.count(), 10);
    assert_eq!((balance(&client, NOW), total(&client.account).credits), (Tokens::ZERO, Tokens::whole(100)));
}

#[test]
fn a_deduction_that_is_sent_again_is_neither_made_nor_billed_again() {
    let mut client = with_credits(&json!({}), 100);
    let first = orders(&mut client, &deduct(10, true, Some("k")), NOW);
    assert_eq!(orders(&mut client, &deduct(10, true, Some("k")), NOW), first);
    assert_eq!(
        (balance(&client, NOW), total(&client.account).credits),
        (Tokens::whole(90), Tokens::whole(10))
    );
}

#[test]
fn who_has_too_few_credits_passes_degraded_for_nothing_and_does_not_wait_in_line() {
    let limits = json!({ "fixed_windows": [{ "window": "1s", "limit": 9 }], "credits": { "request": 1 } });
    let over = |strategy: &str| {
        let mut endpoint = limits.clone();
        endpoint["over_limit"] = json!(strategy);
        with_credits(&endpoint, 1)
    };
    let mut client = over("degrade");
    client.passes(NOW, "");
    assert!(client.passes(NOW, "").degraded);
    assert_eq!((balance(&client, NOW), client.account.credits().debt()), (Tokens::ZERO, Tokens::ZERO));
    let mut client = over("queue");
    client.passes(NOW, "");
    assert_eq!(client.is_denied(NOW, "").by, DeniedBy::Credits);
}

#[test]
fn who_waits_in_line_pays_at_its_turn_and_nobody_else_spends_it_meanwhile() {
    let mut client = with_credits(
        &json!({
            "fixed_windows": [{ "window": "1s", "limit": 1 }], "credits": { "request": 1 },
            "over_limit": "queue", "max_wait": "30s",
        }),
        3,
    );
    client.passes(NOW, "");
    assert_eq!(client.passes(NOW, "").wait, Span::seconds(1));
    assert_eq!(client.passes(NOW, "").wait, Span::seconds(2));
    assert_eq!((balance(&client, NOW), client.is_denied(NOW, "").by), (Tokens::whole(2), DeniedBy::Credits));
    // The second leaves: its credit is free for another.
    client.account = client.account.clone().leave("2");
    client.passes(NOW, "");
    let settled = client.account.clone().tidied(&rules(&client.plans), Millis::new(NOW + 5_000));
    assert_eq!(
        (settled.credits().balance(Millis::new(NOW)), total(&settled).credits),
        (Tokens::ZERO, Tokens::whole(3))
    );
}

#[test]
fn credits_can_be_paid_for_where_the_other_limits_can() {
    let mut client = Client::new(&json!({
        "credits": { "image": 2 }, "over_limit": "pay", "price": "0.01", "refill": 10,
    }));
    let terms = client.is_denied(NOW, "image=3").offer.unwrap();
    client.pays(NOW, &terms.grants);
    assert_eq!(balance(&client, NOW), Tokens::whole(10));
    client.passes(NOW, "image=3");
    assert_eq!(client.is_denied(NOW, "image=8").offer, None, "ten more would not do");
    assert_eq!(client.account.credits().blocks()[0].amount, Tokens::whole(10));
}

#[test]
fn credits_are_never_forgotten() {
    let client = with_credits(&json!({}), 1);
    let (rules, later) = (rules(&client.plans), Millis::new(NOW + 400 * 86_400_000));
    let account = client.account.clone().tidied(&rules, later);
    let account = account.clone().flushed(account.usage().revision(), later, later);
    assert!(account.is_precious(&rules) && !account.is_whole(&rules, later));
    assert!(new_account().is_whole(&rules, later));
}

/// What the account of that kind is told that wants to buy credits of a plan.
fn wants_to_buy(plan: &Value, account: &str, count: u64) -> CreditSale {
    let mut faults = Faults::default();
    let plans = Plans::read("PLANS", &json!({ "free": plan }), &mut faults);
    assert!(faults.is_empty(), "{faults}");
    let account = Account::new(account.parse().unwrap(), "1".to_owned());
    account.sell_credits(&rules(&plans), count, Millis::new(NOW))
}

#[test]
fn credits_are_sold_to_keys_and_wallets_where_the_plan_has_a_price_for_one() {
    let plan = json!({ "credit_price": "0.005", "endpoints": { "*": {} } });
    let wallet = "wallet:0x14791697260e4c9a71f18484c9f997b308e59325";
    for account in ["key:acme", wallet] {
        let CreditSale::Offered(decision) = wants_to_buy(&plan, account, 200) else { panic!("{account}") };
        let Verdict::Denied(Denied { offer: Some(terms), wait: None, .. }) = decision.verdict else {
            panic!("{account}")
        };
        assert_eq!((terms.price.to_string().as_str(), terms.one_call), ("1", false));
        assert_eq!(terms.grants, [Grant { limit: CREDITS.to_owned(), quantity: Tokens::whole(200) }]);
    }
    for account in ["ip:203.0.113.7", "session:0x01"] {
        assert_eq!(
            wants_to_buy(&plan, account, 200),
            CreditSale::NotToThisKind { failures_wait: None },
            "{account}"
        );
    }
    let plan = json!({ "endpoints": { "*": {} } });
    assert_eq!(wants_to_buy(&plan, "key:acme", 1), CreditSale::NotSold("free".to_owned()));
    let plan = json!({ "credit_price": "100000000000000000000000000000000000000", "endpoints": {} });
    assert_eq!(wants_to_buy(&plan, "key:acme", 1_000_000_000), CreditSale::TooDear);
}

#[test]
fn whoever_pays_is_asked_what_a_wallet_is_asked() {
    let plan = json!({ "free": { "credit_price": "0.005", "endpoints": { "*": {} } } });
    let plans = Plans::read("PLANS", &plan, &mut Faults::default());
    let wait = Some(Span::seconds(7));
    let CreditSale::Offered(decision) = sell_to_any_wallet(&rules(&plans), 200, wait, Millis::new(NOW))
    else {
        panic!("credits are sold")
    };
    let Verdict::Denied(Denied { offer: Some(terms), failures_wait, .. }) = decision.verdict else {
        panic!("they are paid for")
    };
    assert_eq!((terms.price.to_string().as_str(), failures_wait), ("1", wait));
    let plans = Plans::read("PLANS", &json!({ "free": { "endpoints": {} } }), &mut Faults::default());
    let sale = sell_to_any_wallet(&rules(&plans), 200, None, Millis::new(NOW));
    assert_eq!(sale, CreditSale::NotSold("free".to_owned()));
}

#[test]
fn no_credits_are_sold_to_an_account_that_could_not_hold_the_block() {
    let plan = json!({ "free": { "credit_price": "1", "endpoints": {} } });
    let plans = Plans::read("PLANS", &plan, &mut Faults::default());
    let full = (0..1000).fold(Account::new("key:full".parse().unwrap(), "1".to_owned()), |account, nth| {
        account.ordered(&rules(&plans), &grant(&nth.to_string(), 1, None), Millis::new(NOW)).0
    });
    assert_eq!(full.sell_credits(&rules(&plans), 1, Millis::new(NOW)), CreditSale::TooManyBlocks);
}

#[test]
fn credits_of_a_request_that_the_origin_failed_come_back_and_were_not_spent() {
    let endpoint = json!({
        "credits": { "request": 2 }, "bucket": { "capacity": 1, "refill_rate": 1 }, "over_limit": "queue",
    });
    let mut client = with_credits(&endpoint, 5);
    let admitted = client.passes(NOW, "");
    let refund = Refund { tokens: admitted.paid, credits: admitted.credits };
    assert_eq!(refund, Refund { tokens: Tokens::ZERO, credits: Tokens::whole(2) });
    let back = |client: &mut Client, now| {
        let account = client.account.clone();
        let name = EndpointName::new(client::ENDPOINT);
        client.account = account.given_back(&rules(&client.plans), &name, refund, Millis::new(now));
    };
    back(&mut client, NOW);
    assert_eq!((balance(&client, NOW), total(&client.account).credits), (Tokens::whole(5), Tokens::ZERO));
    // One that waited is charged at its turn, and then has it back.
    let queued = client.passes(NOW, "");
    assert_eq!((queued.wait, queued.credits), (Span::seconds(1), Tokens::whole(2)));
    back(&mut client, NOW + 1000);
    assert_eq!(balance(&client, NOW + 1000), Tokens::whole(5));
    assert_eq!((total(&client.account).calls, total(&client.account).credits), (2, Tokens::ZERO));
}
