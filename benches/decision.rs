//! What the one decision about a request costs, natively: `Account::attempt` under 1, 5 and 20 limits, admitted and denied.
//!
//! `cargo bench --no-default-features --bench decision`

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a benchmark fails loudly and has no readers but us"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use tollgate::config::table::Faults;
use tollgate::contract::Attempt;
use tollgate::endpoint::{CanonicalPath, Target};
use tollgate::limit::account::{Account, Rules};
use tollgate::limit::decision::Verdict;
use tollgate::limit::plan::Plans;
use tollgate::limit::units::Units;
use tollgate::notice::Kinds;
use tollgate::time::Millis;

/// A bucket, and with more than one limit also slots and windows: of three units, each of another length, every second
/// one sliding. The bucket holds `capacity` requests, all others more than are made.
fn endpoint(limits: u64, capacity: u64) -> Value {
    let window = |nth: u64| {
        let unit = ["request", "token", "image"].into_iter().cycle().nth(usize::try_from(nth).unwrap());
        json!({ "window": format!("{}s", 3_600 + nth), "limit": 1_000_000, "unit_type": unit })
    };
    let windows = |odd: u64| (2..limits).filter(|nth| nth % 2 == odd).map(window).collect::<Vec<_>>();
    json!({
        "bucket": { "capacity": capacity, "refill_rate": 1 },
        "fixed_windows": windows(0),
        "sliding_windows": windows(1),
        "max_concurrent": (limits > 1).then_some(1_000),
    })
}

fn plans(limits: u64, capacity: u64) -> Plans {
    let mut faults = Faults::default();
    let plan = json!({ "free": { "endpoints": { "POST /v1/chat": endpoint(limits, capacity) } } });
    let plans = Plans::read("PLANS", &plan, &mut faults);
    assert!(faults.is_empty(), "{faults}");
    plans
}

fn attempt() -> Attempt {
    let path = CanonicalPath::parse("/v1/chat").unwrap();
    Attempt {
        request: "req_1".to_owned(),
        target: Target { method: "POST".to_owned(), path, logical: None },
        units: Units::parse_field("token=3, image=1").unwrap(),
        paid: false,
    }
}

fn decisions(criterion: &mut Criterion) {
    let now = Millis::new(1_700_000_123_000);
    for (name, capacity) in [("admitted", 1_000), ("denied", 1)] {
        for limits in [1, 5, 20] {
            let plans = plans(limits, capacity);
            let rules =
                Rules { plans: &plans, plan: "free", payment: true, decimals: 6, notices: Kinds::NONE };
            // The account was used before, so that it holds the state of every limit.
            let account = Account::new("ip:203.0.113.7".parse().unwrap(), "life".to_owned());
            let (account, _) = account.attempt(&rules, &attempt(), now);
            let (_, decision) = account.clone().attempt(&rules, &attempt(), now);
            assert_eq!(matches!(decision.verdict, Verdict::Admitted(_)), name == "admitted");
            assert_eq!(decision.standings.len(), usize::try_from(limits).unwrap());
            criterion.bench_function(&format!("{name}, {limits} limits"), |bencher| {
                let attempt = attempt();
                let decide = |account: Account| account.attempt(&rules, black_box(&attempt), now);
                bencher.iter_batched(|| account.clone(), decide, BatchSize::SmallInput);
            });
        }
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
