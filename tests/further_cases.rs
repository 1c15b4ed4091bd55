//! Units that a request uses while it is answered, by a client that pays for them as they come: what the limits have room for
//! is taken, and the rest is sold exactly.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

#[path = "limits/client.rs"]
mod client;

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::endpoint::EndpointName;
use tollgate::limit::account::Account;
use tollgate::limit::decision::{Furthered, SaleTerms};
use tollgate::limit::tokens::Tokens;
use tollgate::time::Millis;

use client::{Client, ENDPOINT, credit, rules, units};

/// The start of a day.
const START: u64 = 1_700_006_400_000;

fn further(client: &Client, account: Account, text: &str) -> (Account, Furthered) {
    let endpoint = EndpointName::new(ENDPOINT);
    account.further(&rules(&client.plans), &endpoint, &units(text), Millis::new(START))
}

fn sold(limits: &Value) -> Client {
    let mut endpoint = limits.clone();
    endpoint["over_limit"] = json!("pay");
    endpoint["price"] = json!("0.01");
    endpoint["refill"] = json!(10);
    Client::new(&endpoint)
}

fn window(limit: u64) -> Value {
    json!({ "fixed_windows": [{ "window": "86_400s", "limit": limit, "unit_type": "token" }, { "window": "60s", "limit": 1 }] })
}

fn terms(furthered: Furthered) -> SaleTerms {
    match furthered {
        Furthered::ForSale(terms) => terms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_there_is_room_for_is_taken_whatever_other_limits_say() {
    let mut client = sold(&window(5));
    client.passes(START, "");
    let account = client.account.clone();
    let (account, taken) = further(&client, account, "token=3");
    assert_eq!(taken, Furthered::Taken, "no request is left in the minute, and none is asked for");
    let (account, short) = further(&client, account, "token=4");
    let terms = terms(short);
    let quantity = |grants: &[tollgate::limit::decision::Grant]| {
        grants.iter().map(|grant| grant.quantity).collect::<Vec<_>>()
    };
    assert_eq!(
        (quantity(&terms.single), quantity(&terms.grants)),
        (vec![Tokens::whole(2)], vec![Tokens::whole(10)])
    );
    let paid = account.credit(&rules(&client.plans), &credit(1, &terms.single), Millis::new(START));
    let (account, taken) = further(&client, paid, "token=4");
    assert_eq!(taken, Furthered::Taken);
    client.account = account;
    assert_eq!(client.standing(START, "token-86400s").remaining, 0);
}

#[test]
fn more_than_a_refill_is_sold_as_well() {
    let client = sold(&window(5));
    let terms = terms(further(&client, client.account.clone(), "token=99").1);
    assert_eq!(terms.single.first().unwrap().quantity, Tokens::whole(94));
}

#[test]
fn a_request_whose_unit_is_used_up_begins_with_one_of_it_and_what_was_used_past_the_limit() {
    for (used, bought) in [("token=5", 1), ("token=8", 4), ("token=14", 10)] {
        let mut client =
            sold(&json!({ "fixed_windows": [{ "window": "86_400s", "limit": 5, "unit_type": "token" }] }));
        client.passes(START, "");
        client.ends(START, 1, used);
        let offer = client.is_denied(START, "").offer.unwrap();
        assert_eq!(offer.single.first().unwrap().quantity, Tokens::whole(bought), "{used}");
        assert_eq!(offer.grants.first().unwrap().quantity, Tokens::whole(10));
        client.pays(START, &offer.single);
        client.passes(START, "");
        let (account, taken) = further(&client, client.account.clone(), "token=1");
        assert_eq!(taken, Furthered::Taken, "it is that one");
        assert!(matches!(further(&client, account, "token=1").1, Furthered::ForSale(_)));
    }
}

#[test]
fn where_nothing_is_sold_units_count_at_the_end() {
    let blocks = Client::new(&window(5));
    let overage = sold(&json!({ "quotas": [
        { "period": "day", "limit": 1, "unit_type": "token", "over_quota": "overage", "overage_price": "0.1" },
    ]}));
    let each_call = Client::new(&json!({ "payment": "always", "price": "0.01" }));
    let quota = sold(
        &json!({ "quotas": [{ "period": "day", "limit": 1, "unit_type": "token", "over_quota": "block" }] }),
    );
    for client in [blocks, overage, each_call, quota] {
        let (account, furthered) = further(&client, client.account.clone(), "token=6");
        assert_eq!(furthered, Furthered::NotSold);
        assert!(account.usage().lines().next().is_none(), "nothing was counted");
    }
}

proptest! {
    /// Whatever comes in whatever pieces, no more is taken than the limit and what was paid for, and what is paid for is
    /// exactly what passes beyond the limit.
    #[test]
    fn nothing_passes_that_is_not_covered(pieces in prop::collection::vec(1_u64..30, 1..20), limit in 1_u64..40) {
        let client = sold(&window(limit));
        let mut account = client.account.clone();
        let (mut passed, mut bought) = (Tokens::ZERO, Tokens::ZERO);
        for (nth, piece) in pieces.iter().enumerate() {
            let text = format!("token={piece}");
            let (next, furthered) = further(&client, account, &text);
            account = next;
            if let Furthered::ForSale(terms) = furthered {
                bought = terms.single.iter().fold(bought, |sum, grant| sum.plus(grant.quantity));
                account = account.credit(&rules(&client.plans), &credit(nth, &terms.single), Millis::new(START));
                let (next, furthered) = further(&client, account, &text);
                prop_assert_eq!(furthered, Furthered::Taken);
                account = next;
            }
            passed = passed.plus(Tokens::whole(*piece));
            prop_assert!(passed <= Tokens::whole(limit).plus(bought));
        }
        prop_assert_eq!(bought, passed.minus(Tokens::whole(limit)).unwrap_or_default());
    }
}
