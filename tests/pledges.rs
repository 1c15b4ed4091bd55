//! A wallet that signs for what it will owe: only one that the owner gave a plan, within that plan.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside of test functions")]

use serde_json::json;
use tollgate::config::table::Faults;
use tollgate::contract::Attempt;
use tollgate::endpoint::Target;
use tollgate::limit::account::{Account, Rules};
use tollgate::limit::decision::Verdict;
use tollgate::limit::plan::Plans;
use tollgate::limit::units::Units;
use tollgate::notice::Kinds;
use tollgate::pay::amount::Amount;
use tollgate::time::Millis;

const NOW: Millis = Millis::new(1_700_000_123_000);
const PRICE: Amount = Amount::new(1_000);

fn plans() -> Plans {
    let endpoint = json!({ "bucket": { "capacity": 2, "refill_rate": "0.001" } });
    let written = json!({ "partner": { "endpoints": { "/cpu": endpoint } } });
    let mut faults = Faults::default();
    let plans = Plans::read("PLANS", &written, &mut faults);
    assert!(faults.is_empty(), "{faults}");
    plans
}

fn account() -> Account {
    let id = "wallet:0x14791697260e4c9a71f18484c9f997b308e59325".parse().unwrap();
    Account::new(id, "life".to_owned())
}

fn attempt(path: &str) -> Attempt {
    Attempt {
        request: "req_1".to_owned(),
        target: Target::named(path).unwrap(),
        units: Units::default(),
        paid: true,
    }
}

fn owed(account: &Account) -> Amount {
    account
        .usage()
        .lines()
        .map(|line| line.tally.owed)
        .fold(Amount::ZERO, |sum, owed| sum.checked_add(owed).unwrap())
}

#[test]
fn a_wallet_without_a_plan_of_its_own_owes_nothing_and_passes_nowhere() {
    let plans = plans();
    let rules = Rules { plans: &plans, plan: "partner", payment: true, decimals: 6, notices: Kinds::NONE };
    let (after, decision) = account().pledge(&rules, &attempt("/cpu"), PRICE, NOW);
    assert_eq!((decision, &after), (None, &account()));
}

#[test]
fn a_registered_wallet_owes_for_what_its_plan_lets_pass_and_for_nothing_else() {
    let plans = plans();
    let rules = Rules { plans: &plans, plan: "partner", payment: true, decimals: 6, notices: Kinds::NONE };
    let mut wallet = account().with_plan(Some("partner".to_owned()));
    for count in 1..=2 {
        let (next, decision) = wallet.pledge(&rules, &attempt("/cpu"), PRICE, NOW);
        assert!(decision.unwrap().is_admitted());
        assert_eq!(owed(&next), Amount::new(1_000 * count));
        wallet = next;
    }
    let (wallet, denied) = wallet.pledge(&rules, &attempt("/cpu"), PRICE, NOW);
    assert!(matches!(denied.unwrap().verdict, Verdict::Denied(_)));
    let (wallet, elsewhere) = wallet.pledge(&rules, &attempt("/elsewhere"), PRICE, NOW);
    assert_eq!(elsewhere.unwrap().verdict, Verdict::NoAccess);
    assert_eq!(owed(&wallet), Amount::new(2_000));
}
