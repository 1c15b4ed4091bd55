//! The world of a payment as it fails: what may go wrong with each step, and how a purchase is driven through it, as the edge
//! does, until it rests for good. What the world is, each test says.

#![allow(dead_code, reason = "not every test of payments drives one")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

use proptest::prelude::*;
use tollgate::pay::purchase::{Event, Purchase, SettlementPolicy, Step, StoredPurchase};
use tollgate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer};
use tollgate::time::Millis;

/// When a purchase begins.
pub(crate) const START: u64 = 1_740_672_100_000;
/// The most steps that any purchase takes until it rests.
const PATIENCE: u32 = 600;

/// What a fault does to one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It works.
    None,
    /// It does nothing and fails.
    Fails,
    /// It works and is reported failed.
    WorksButReportsFailure,
    /// The process dies before it.
    DiesBefore,
    /// It works, and the process dies before hearing of it.
    DiesAfter,
    /// The gate that waits dies, and the payment's object lives.
    GateDies,
    /// The other side refuses, for certain, where it can.
    Refuses,
}

/// The faults of a purchase's first steps; with `gate`, of one that a gate waits for. No further step has any.
pub(crate) fn faults(steps: usize, gate: bool) -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        8 => Just(Fault::None),
        3 => Just(Fault::Fails),
        3 => Just(Fault::WorksButReportsFailure),
        2 => Just(Fault::DiesBefore),
        3 => Just(Fault::DiesAfter),
        3 => Just(Fault::Refuses),
        2 => Just(if gate { Fault::GateDies } else { Fault::None }),
    ];
    prop::collection::vec(fault, 0..steps)
}

/// The time in a world, what is stored of the purchase, and who wakes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    /// Milliseconds since it began.
    pub(crate) now: u64,
    stored: Option<String>,
    /// Whether the owner does not wait for the alarm.
    owner_is_impatient: bool,
}

impl Life {
    pub(crate) fn of(owner_is_impatient: bool) -> Self {
        Self { owner_is_impatient, ..Self::default() }
    }

    pub(crate) fn now(&self) -> Millis {
        Millis::new(START + self.now)
    }

    /// What goes on with a payment that nobody drives.
    pub(crate) fn waking(&self) -> Event {
        if self.owner_is_impatient { Event::Retried } else { Event::Resumed }
    }
}

/// Everything outside of the machine.
pub(crate) trait World {
    fn life(&mut self) -> &mut Life;

    fn policy(&self) -> SettlementPolicy;

    /// Does a step as it is meant to be done, but for those that are the same in every world.
    fn perform(&mut self, purchase: &Purchase, step: &Step) -> Event;

    /// What the other side of a step says that refuses it for certain, where it can.
    fn refuse(&mut self, step: &Step) -> Option<Event>;

    /// What happens between two steps.
    fn between(&mut self, purchase: Purchase) -> Purchase {
        purchase
    }

    /// What is done in place of the next step.
    fn instead(&mut self, _purchase: &Purchase, _fault: Fault) -> Option<Purchase> {
        None
    }

    /// The gate that waits dies.
    fn lose_gate(&mut self) {}

    /// The payment's object dies.
    fn lose_object(&mut self) {}

    /// Takes in what happened, and stores it.
    fn apply(&mut self, purchase: Purchase, event: Event) -> Purchase {
        let (policy, now) = (self.policy(), self.life().now());
        let next = purchase.apply(event, &policy, now);
        self.life().stored =
            next.is_stored().then(|| serde_json::to_string(&StoredPurchase::V1(next.clone())).unwrap());
        next
    }
}

/// What is heard of a step that failed, or is said to have.
fn failure(step: &Step) -> Event {
    match step {
        Step::Verify => Event::Verified(None, VerifyAnswer::NoAnswer { why: "injected".to_owned() }),
        Step::Settle => {
            Event::Settled(SettleAnswer::Unknown { why: "injected".to_owned(), transaction: None })
        }
        _ => Event::StepFailed("injected".to_owned()),
    }
}

fn work(world: &mut impl World, purchase: &Purchase, step: &Step) -> Event {
    match step {
        Step::Verify => Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
        Step::ClaimTransaction(_) => Event::TransactionClaimed(true),
        Step::SignReceipt => Event::ReceiptSigned(Box::new(super::receipt())),
        Step::KeepReceipt => Event::ReceiptKept,
        Step::Rest(_) => world.life().waking(),
        step => world.perform(purchase, step),
    }
}

/// Does one step under a fault; `None` when the process died.
pub(crate) fn perform(
    world: &mut impl World,
    purchase: &Purchase,
    step: &Step,
    fault: Fault,
) -> Option<Event> {
    let rests = matches!(step, Step::Rest(_));
    match fault {
        Fault::DiesBefore => None,
        Fault::Fails if !rests => Some(failure(step)),
        Fault::Refuses => Some(world.refuse(step).unwrap_or_else(|| work(world, purchase, step))),
        Fault::DiesAfter => {
            work(world, purchase, step);
            None
        }
        Fault::WorksButReportsFailure if !rests => {
            work(world, purchase, step);
            Some(failure(step))
        }
        Fault::GateDies => {
            world.lose_gate();
            Some(work(world, purchase, step))
        }
        Fault::None | Fault::Fails | Fault::WorksButReportsFailure => Some(work(world, purchase, step)),
    }
}

/// Drives a purchase as the edge does, until it rests for good.
pub(crate) fn run(world: &mut impl World, mut purchase: Purchase, faults: &[Fault]) -> Purchase {
    let mut faults = faults.iter().copied();
    for _ in 0..PATIENCE {
        purchase = world.between(purchase);
        let step = purchase.step(world.life().now());
        let fault = faults.next().unwrap_or(Fault::None);
        if let Some(next) = world.instead(&purchase, fault) {
            purchase = next;
            continue;
        }
        match step {
            Step::Rest(None) => return purchase,
            Step::Rest(Some(at)) => world.life().now = world.life().now.max(at.get() - START),
            _ => {}
        }
        let event = if let Some(event) = perform(world, &purchase, &step, fault) {
            event
        } else {
            world.lose_object();
            // What is stored goes on, by alarm or by the owner; what was not stored never was.
            let Some(stored) = &world.life().stored else { return purchase };
            let StoredPurchase::V1(read) = serde_json::from_str(stored).unwrap();
            purchase = read;
            world.life().waking()
        };
        if matches!(event, Event::StepFailed(_)) {
            world.life().now += 1_000;
        }
        purchase = world.apply(purchase, event);
    }
    panic!("it never came to rest: {purchase:?}");
}
