//! A payment for one call (`payment: always`) in a world that fails: the gate or the payment's object may die at any
//! step, and every step may fail. Whatever happens, the origin is called once for it; it is settled only when the origin
//! answered below 400; and an answer that was paid for is delivered, kept, or owed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod payments;

use proptest::prelude::*;
use tollgate::pay::amount::Amount;
use tollgate::pay::chain::Finding;
use tollgate::pay::eip712::Hash32;
use tollgate::pay::purchase::call::{ANSWER_LIFE, CALL_PATIENCE, Call, Told};
use tollgate::pay::purchase::{Event, Progress, Purchase, SettlementPolicy, State, Step, StoredPurchase};
use tollgate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer};
use tollgate::time::{Millis, Span};

const START: u64 = 1_740_672_100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// It does nothing and fails.
    Fails,
    /// It works and is reported failed.
    WorksButReportsFailure,
    /// Who does it dies before it.
    DiesBefore,
    /// Who does it dies after it.
    DiesAfter,
    /// The gate dies, and the object lives.
    GateDies,
    /// The other side refuses, for certain, where it can.
    Refuses,
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::Fails),
        1 => Just(Fault::WorksButReportsFailure),
        1 => Just(Fault::DiesBefore),
        1 => Just(Fault::DiesAfter),
        1 => Just(Fault::GateDies),
        1 => Just(Fault::Refuses),
    ];
    prop::collection::vec(fault, 0..24)
}

/// Everything outside of the machine.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of the world of its own")]
struct World {
    now: u64,
    status: u16,
    /// Whether the answer is small enough to be kept.
    small: bool,
    asks_chain: bool,
    /// Whether a gate waits for the payment.
    gate: bool,
    /// Whether the object is to answer a gate, dead or alive.
    asked: bool,
    /// The object handed an answer over to a gate that was dead by then.
    handed_to_nobody: bool,
    settled: bool,
    pending_at_account: bool,
    credited: u32,
    origin_calls: u32,
    answer_kept: bool,
    delivered: u32,
    creditable_at: Option<u64>,
    stored: Option<String>,
    /// Whether the owner does not wait for the alarm.
    owner_is_impatient: bool,
}

impl World {
    /// What goes on with a payment that nobody drives.
    fn waking(&self) -> Event {
        if self.owner_is_impatient { Event::Retried } else { Event::Resumed }
    }

    fn now(&self) -> Millis {
        Millis::new(START + self.now)
    }

    fn policy(&self) -> SettlementPolicy {
        SettlementPolicy {
            unconfirmed_limit: Amount::new(1_000_000),
            give_up_after: Span::seconds(86_460),
            receipt_patience: Span::seconds(300),
            asks_chain: self.asks_chain,
        }
    }

    fn settle(&mut self) -> SettleAnswer {
        assert!(self.status < 400 && self.origin_calls == 1, "settled for nothing: {self:?}");
        if self.settled {
            return SettleAnswer::NonceUsed { reason: "nonce_already_used".to_owned() };
        }
        self.settled = true;
        SettleAnswer::Settled { transaction: Hash32::new([7; 32]).to_string(), payer: None }
    }

    fn apply(&mut self, purchase: Purchase, event: Event) -> Purchase {
        if event == Event::AnswerForgotten {
            self.answer_kept = false;
        }
        let next = purchase.apply(event, &self.policy(), self.now());
        self.stored =
            next.is_stored().then(|| serde_json::to_string(&StoredPurchase::V1(next.clone())).unwrap());
        next
    }
}

/// Does one step under a fault; `None` when the process died.
fn perform(world: &mut World, purchase: &Purchase, step: &Step, fault: Fault) -> Option<Event> {
    let unknown = || Event::Settled(SettleAnswer::Unknown { why: "cut".to_owned(), transaction: None });
    let no_answer = || Event::Verified(None, VerifyAnswer::NoAnswer { why: "injected".to_owned() });
    match (fault, step) {
        (Fault::DiesBefore, _) => return None,
        (Fault::Fails, Step::Verify) => return Some(no_answer()),
        (Fault::Fails, Step::Settle) => return Some(unknown()),
        (Fault::Fails, step) if !matches!(step, Step::Rest(_)) => {
            return Some(Event::StepFailed("injected".to_owned()));
        }
        (Fault::Refuses, Step::Admit) => return Some(Event::Admitted(false)),
        (Fault::Refuses, Step::Settle) if !world.settled => {
            return Some(Event::Settled(SettleAnswer::Refused { reason: "no".to_owned() }));
        }
        (Fault::GateDies, _) => world.gate = false,
        _ => {}
    }
    let event = match step {
        Step::Verify => Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
        Step::Admit => Event::Admitted(true),
        Step::Announce => {
            world.pending_at_account = true;
            Event::Announced
        }
        Step::Settle => Event::Settled(world.settle()),
        Step::AskChain if world.settled => {
            Event::ChainSaid(Finding::Paid { transaction: Hash32::new([7; 32]) })
        }
        Step::AskChain => Event::ChainSaid(Finding::Unused),
        Step::ClaimTransaction(_) => Event::TransactionClaimed(true),
        Step::Credit => {
            world.credited = 1;
            world.pending_at_account = false;
            Event::Credited
        }
        Step::Withdraw => {
            world.pending_at_account = false;
            Event::Withdrawn
        }
        Step::Acknowledge => Event::Acknowledged,
        Step::Record => Event::Recorded(purchase.state()),
        Step::SignReceipt => Event::ReceiptSigned(Box::new(payments::receipt())),
        Step::KeepReceipt => Event::ReceiptKept,
        Step::ForgetAnswer => {
            let since = world.creditable_at.map(|at| world.now - at);
            let sold =
                purchase.state() == State::Credited || matches!(purchase.progress(), Progress::NotSold(_));
            assert!(!sold || since.unwrap() >= ANSWER_LIFE.get(), "forgotten too early: {world:?}");
            Event::AnswerForgotten
        }
        Step::Rest(_) => world.waking(),
        Step::AskTrust | Step::Advance | Step::TakeBack | Step::TellTrust(_) => {
            panic!("a call is never credited before it is settled: {step:?}")
        }
    };
    match (fault, step) {
        (Fault::DiesAfter, _) => None,
        (Fault::WorksButReportsFailure, Step::Settle) => Some(unknown()),
        (Fault::WorksButReportsFailure, Step::Verify) => Some(no_answer()),
        (Fault::WorksButReportsFailure, step) if !matches!(step, Step::Rest(_)) => {
            Some(Event::StepFailed("cut off".to_owned()))
        }
        _ => Some(event),
    }
}

/// The gate calls the origin, and tells what it answered, if it lives so long.
fn gate_calls(world: &mut World, purchase: Purchase, fault: Fault) -> Purchase {
    match fault {
        Fault::DiesBefore | Fault::Fails => world.gate = false,
        Fault::DiesAfter | Fault::GateDies | Fault::WorksButReportsFailure => {
            world.origin_calls += 1;
            world.gate = false;
        }
        Fault::None | Fault::Refuses => {
            world.origin_calls += 1;
            let told = Told { status: world.status, kept: world.small };
            world.answer_kept = world.small;
            return world.apply(purchase, Event::Answered(told));
        }
    }
    purchase
}

/// The gate that asked is answered, if there is an answer: what the object says then holds whether or not it is heard.
fn answer_gate(world: &mut World, purchase: Purchase) -> Purchase {
    if !world.asked || !purchase.can_answer() || purchase.progress() == Progress::Serving {
        return purchase;
    }
    let heard = std::mem::take(&mut world.gate);
    world.asked = false;
    if matches!(purchase.progress(), Progress::Credited(_)) && purchase.call() != Some(Call::Owed) {
        world.delivered += u32::from(heard);
        world.handed_to_nobody = !heard;
        return world.apply(purchase, Event::Delivered);
    }
    world.apply(purchase, Event::Undelivered)
}

/// Drives a purchase as the edge does, with one gate at first, until it rests for good.
fn run(world: &mut World, faults: &[Fault]) -> Purchase {
    let mut purchase = payments::purchase(world.now()).for_one_call("sha256:q".to_owned());
    (world.gate, world.asked) = (true, true);
    let mut faults = faults.iter().copied();
    for _ in 0..600 {
        purchase = answer_gate(world, purchase);
        if world.creditable_at.is_none()
            && matches!(purchase.progress(), Progress::Credited(_) | Progress::NotSold(_))
        {
            world.creditable_at = Some(world.now);
        }
        let step = purchase.step(world.now());
        let fault = faults.next().unwrap_or(Fault::None);
        if world.gate && purchase.progress() == Progress::Serving {
            purchase = gate_calls(world, purchase, fault);
            continue;
        }
        match step {
            Step::Rest(None) => return purchase,
            Step::Rest(Some(at)) => world.now = world.now.max(at.get() - START),
            _ => {}
        }
        let Some(event) = perform(world, &purchase, &step, fault) else {
            (world.gate, world.asked) = (false, false);
            let Some(stored) = &world.stored else { return purchase };
            let StoredPurchase::V1(read) = serde_json::from_str(stored).unwrap();
            purchase = world.apply(read, world.waking());
            continue;
        };
        if matches!(event, Event::StepFailed(_)) {
            world.now += 1_000;
        }
        purchase = world.apply(purchase, event);
    }
    panic!("it never came to rest: {purchase:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn one_payment_one_call_one_settlement_and_no_answer_lost_in_silence(
        faults in faults(), small: bool, asks_chain: bool, sold: bool, owner_is_impatient: bool,
    ) {
        let status = if sold { 200 } else { 500 };
        let mut world = World { status, small, asks_chain, owner_is_impatient, ..World::default() };
        let purchase = run(&mut world, &faults);
        prop_assert!(world.origin_calls <= 1, "{world:?}");
        prop_assert_eq!(world.credited == 1, world.settled, "{:?} {:?}", world, purchase);
        prop_assert!(!world.pending_at_account, "{world:?} {purchase:?}");
        prop_assert!(sold || !world.settled);
        if world.settled {
            let owed = purchase.owes_call();
            // What was kept was kept for ten minutes (see `Step::ForgetAnswer` above), and told to whoever asked.
            let was_kept = small && matches!(purchase.call(), Some(Call::Passed { status: 200 }));
            // What could not be kept dies with the gate that holds it, once it was handed over.
            let died = !small && world.handed_to_nobody;
            prop_assert!(world.delivered == 1 || owed || was_kept || died, "{world:?} {purchase:?}");
            prop_assert!(!owed || world.delivered == 0, "{world:?} {purchase:?}");
        }
    }

    /// Events in an order that no driver would send still settle nothing that the origin did not answer.
    #[test]
    fn no_order_of_events_settles_without_an_answer(order in prop::collection::vec(0..11_usize, 0..60)) {
        let events = [
            Event::Resumed,
            Event::Retried,
            Event::Announced,
            Event::Admitted(true),
            Event::StillServing,
            Event::Delivered,
            Event::Undelivered,
            Event::AnswerForgotten,
            Event::StepFailed("x".to_owned()),
            Event::Answered(Told { status: 404, kept: true }),
            Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
        ];
        let world = World::default();
        let mut purchase = payments::purchase(world.now()).for_one_call("sha256:q".to_owned());
        for event in order.into_iter().filter_map(|index| events.get(index)) {
            purchase = purchase.apply(event.clone(), &world.policy(), world.now());
            prop_assert!(!matches!(purchase.step(world.now()), Step::Settle | Step::Credit));
        }
    }
}

/// A purchase whose origin is being called.
fn serving() -> (World, Purchase) {
    let mut world = World { status: 200, small: true, ..World::default() };
    let events =
        [Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }), Event::Admitted(true)];
    let purchase = payments::purchase(world.now()).for_one_call("sha256:q".to_owned());
    let purchase = events.into_iter().fold(purchase, |purchase, event| world.apply(purchase, event));
    assert_eq!(purchase.progress(), Progress::Serving);
    (world, purchase)
}

#[test]
fn a_gate_that_falls_silent_has_lost_the_answer_and_nothing_is_taken() {
    let (mut world, mut purchase) = serving();
    world.now += CALL_PATIENCE.get() - 1;
    purchase = world.apply(purchase, Event::StillServing);
    world.now += CALL_PATIENCE.get() - 1;
    purchase = world.apply(purchase, Event::Resumed);
    assert_eq!(purchase.progress(), Progress::Serving, "it was heard of meanwhile");
    world.now += 1;
    purchase = world.apply(purchase, Event::Resumed);
    assert_eq!(purchase.progress(), Progress::Refused("answer_lost"));
    // The answer comes after all: too late to be sold.
    purchase = world.apply(purchase, Event::Answered(Told { status: 200, kept: true }));
    assert_eq!(purchase.progress(), Progress::Refused("answer_lost"));
    assert!(purchase.is_stored(), "the same payment may not call the origin again");
}

#[test]
fn what_buys_nothing_more_is_forgotten_when_its_authorization_has_expired() {
    let (mut world, purchase) = serving();
    let mut purchase = world.apply(purchase, Event::Answered(Told { status: 500, kept: true }));
    assert_eq!(purchase.progress(), Progress::NotSold(500));
    let until = world.now().plus(ANSWER_LIFE);
    assert_eq!(purchase.step(world.now()), Step::Rest(Some(until)));
    world.now += ANSWER_LIFE.get();
    assert_eq!(purchase.step(world.now()), Step::ForgetAnswer);
    purchase = world.apply(purchase, Event::AnswerForgotten);
    purchase = world.apply(purchase, Event::Resumed);
    assert!(!purchase.is_stored());
}

#[test]
fn an_answer_that_reached_nobody_is_owed_once_it_is_paid_for() {
    let (mut world, purchase) = serving();
    world.origin_calls = 1;
    let unknown = Event::Settled(SettleAnswer::Unknown { why: "cut".to_owned(), transaction: None });
    let told = Told { status: 200, kept: false };
    let mut purchase = [Event::Answered(told), unknown, Event::Announced, Event::Undelivered]
        .into_iter()
        .fold(purchase, |purchase, event| world.apply(purchase, event));
    assert!(!purchase.owes_call(), "it is not paid for yet");
    let settled =
        Event::Settled(SettleAnswer::Settled { transaction: Hash32::new([7; 32]).to_string(), payer: None });
    for event in [Event::Retried, settled, Event::TransactionClaimed(true), Event::Credited] {
        purchase = world.apply(purchase, event);
    }
    assert!(purchase.owes_call());
    purchase = world.apply(purchase, Event::Admitted(true));
    assert!(!purchase.owes_call(), "one gate makes the call");
    // The origin fails: it is owed still. Then it answers.
    purchase = world.apply(purchase, Event::Answered(Told { status: 500, kept: true }));
    assert!(purchase.owes_call());
    for event in [Event::Admitted(true), Event::Answered(told), Event::Delivered] {
        purchase = world.apply(purchase, event);
    }
    assert_eq!(purchase.call(), Some(Call::Passed { status: 200 }));
}

#[test]
fn stored_form_is_pinned() {
    let (_, purchase) = serving();
    let stored = serde_json::to_value(StoredPurchase::V1(purchase)).unwrap();
    assert_eq!(stored["v1"]["call"], serde_json::json!({ "running": { "heard": START } }));
    assert_eq!(stored["v1"]["stage"], serde_json::json!("serving"));
    assert!(stored["v1"].get("announced").is_none());
}
