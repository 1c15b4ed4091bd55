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

use payments::faults::{Fault, Life, START, World as _, faults, run};
use proptest::prelude::*;
use tollgate::pay::amount::Amount;
use tollgate::pay::chain::Finding;
use tollgate::pay::eip712::Hash32;
use tollgate::pay::purchase::call::{ANSWER_LIFE, CALL_PATIENCE, Call, Told};
use tollgate::pay::purchase::{Event, Progress, Purchase, SettlementPolicy, State, Step, StoredPurchase};
use tollgate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer};
use tollgate::time::Span;

/// Everything outside of the machine.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of the world of its own")]
struct World {
    life: Life,
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
    delivered: u32,
    creditable_at: Option<u64>,
}

impl World {
    /// Of a gate that asks for the payment's call.
    fn asking(status: u16, small: bool, asks_chain: bool, owner_is_impatient: bool) -> Self {
        let life = Life::of(owner_is_impatient);
        Self { life, status, small, asks_chain, gate: true, asked: true, ..Self::default() }
    }

    fn buy(&mut self, faults: &[Fault]) -> Purchase {
        let purchase = payments::purchase(self.life.now()).for_one_call("sha256:q".to_owned());
        run(self, purchase, faults)
    }

    fn settle(&mut self) -> SettleAnswer {
        assert!(self.status < 400 && self.origin_calls == 1, "settled for nothing: {self:?}");
        if self.settled {
            return SettleAnswer::NonceUsed { reason: "nonce_already_used".to_owned() };
        }
        self.settled = true;
        SettleAnswer::Settled { transaction: Hash32::new([7; 32]).to_string(), payer: None }
    }
}

impl payments::faults::World for World {
    fn life(&mut self) -> &mut Life {
        &mut self.life
    }

    fn policy(&self) -> SettlementPolicy {
        SettlementPolicy {
            unconfirmed_limit: Amount::new(1_000_000),
            give_up_after: Span::seconds(86_460),
            receipt_patience: Span::seconds(300),
            asks_chain: self.asks_chain,
        }
    }

    fn lose_gate(&mut self) {
        self.gate = false;
    }

    fn lose_object(&mut self) {
        (self.gate, self.asked) = (false, false);
    }

    /// The gate that asked is answered, if there is an answer: what the object says then holds whether or not it is heard.
    fn between(&mut self, purchase: Purchase) -> Purchase {
        let purchase = self.answer_gate(purchase);
        let is_over = matches!(purchase.progress(), Progress::Credited(_) | Progress::NotSold(_));
        if is_over && self.creditable_at.is_none() {
            self.creditable_at = Some(self.life.now);
        }
        purchase
    }

    fn instead(&mut self, purchase: &Purchase, fault: Fault) -> Option<Purchase> {
        let is_called = self.gate && purchase.progress() == Progress::Serving;
        is_called.then(|| self.call(purchase.clone(), fault))
    }

    fn refuse(&mut self, step: &Step) -> Option<Event> {
        match step {
            Step::Admit => Some(Event::Admitted(false)),
            Step::Settle if !self.settled => {
                Some(Event::Settled(SettleAnswer::Refused { reason: "no".to_owned() }))
            }
            _ => None,
        }
    }

    fn perform(&mut self, purchase: &Purchase, step: &Step) -> Event {
        match step {
            Step::Admit => Event::Admitted(true),
            Step::Announce => {
                self.pending_at_account = true;
                Event::Announced
            }
            Step::Settle => Event::Settled(self.settle()),
            Step::AskChain if self.settled => {
                Event::ChainSaid(Finding::Paid { transaction: Hash32::new([7; 32]) })
            }
            Step::AskChain => Event::ChainSaid(Finding::Unused),
            Step::Credit => {
                self.credited = 1;
                self.pending_at_account = false;
                Event::Credited
            }
            Step::Withdraw => {
                self.pending_at_account = false;
                Event::Withdrawn
            }
            Step::Acknowledge => Event::Acknowledged,
            Step::Record => Event::Recorded(purchase.state()),
            Step::ForgetAnswer => {
                let since = self.creditable_at.map(|at| self.life.now - at);
                let sold = purchase.state() == State::Credited
                    || matches!(purchase.progress(), Progress::NotSold(_));
                assert!(!sold || since.unwrap() >= ANSWER_LIFE.get(), "forgotten too early: {self:?}");
                Event::AnswerForgotten
            }
            step => panic!("a call is never credited before it is settled: {step:?}"),
        }
    }
}

impl World {
    /// The gate calls the origin, and tells what it answered, if it lives so long.
    fn call(&mut self, purchase: Purchase, fault: Fault) -> Purchase {
        match fault {
            Fault::DiesBefore | Fault::Fails => self.gate = false,
            Fault::DiesAfter | Fault::GateDies | Fault::WorksButReportsFailure => {
                self.origin_calls += 1;
                self.gate = false;
            }
            Fault::None | Fault::Refuses => {
                self.origin_calls += 1;
                return self.apply(purchase, Event::Answered(Told { status: self.status, kept: self.small }));
            }
        }
        purchase
    }

    fn answer_gate(&mut self, purchase: Purchase) -> Purchase {
        if !self.asked || !purchase.can_answer() || purchase.progress() == Progress::Serving {
            return purchase;
        }
        let heard = std::mem::take(&mut self.gate);
        self.asked = false;
        if matches!(purchase.progress(), Progress::Credited(_)) && purchase.call() != Some(Call::Owed) {
            self.delivered += u32::from(heard);
            self.handed_to_nobody = !heard;
            return self.apply(purchase, Event::Delivered);
        }
        self.apply(purchase, Event::Undelivered)
    }
}

/// What must be true of a payment for a call in the end.
fn check(world: &World, purchase: &Purchase) -> Result<(), TestCaseError> {
    prop_assert!(world.origin_calls <= 1, "{world:?}");
    prop_assert_eq!(world.credited == 1, world.settled, "{:?} {:?}", world, purchase);
    prop_assert!(!world.pending_at_account, "{world:?} {purchase:?}");
    prop_assert!(world.status < 400 || !world.settled);
    if world.settled {
        let owed = purchase.owes_call();
        // What was kept was kept for ten minutes (see `Step::ForgetAnswer` above), and told to whoever asked.
        let was_kept = world.small && matches!(purchase.call(), Some(Call::Passed { status: 200 }));
        // What could not be kept dies with the gate that holds it, once it was handed over.
        let died = !world.small && world.handed_to_nobody;
        prop_assert!(world.delivered == 1 || owed || was_kept || died, "{world:?} {purchase:?}");
        prop_assert!(!owed || world.delivered == 0, "{world:?} {purchase:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn one_payment_one_call_one_settlement_and_no_answer_lost_in_silence(
        faults in faults(24, true), small: bool, asks_chain: bool, sold: bool, owner_is_impatient: bool,
    ) {
        let status = if sold { 200 } else { 500 };
        let mut world = World::asking(status, small, asks_chain, owner_is_impatient);
        let purchase = world.buy(&faults);
        check(&world, &purchase)?;
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
        let mut purchase = payments::purchase(world.life.now()).for_one_call("sha256:q".to_owned());
        for event in order.into_iter().filter_map(|index| events.get(index)) {
            purchase = purchase.apply(event.clone(), &world.policy(), world.life.now());
            prop_assert!(!matches!(purchase.step(world.life.now()), Step::Settle | Step::Credit));
        }
    }
}

/// A gate that died while it held an answer too large to keep, before the payment was settled: found by the property above.
#[test]
fn an_answer_that_died_with_its_gate_before_it_was_paid_for() {
    let faults = [
        Fault::None,
        Fault::None,
        Fault::None,
        Fault::GateDies,
        Fault::GateDies,
        Fault::None,
        Fault::GateDies,
        Fault::None,
        Fault::Fails,
        Fault::GateDies,
    ];
    let mut world = World::asking(200, false, false, false);
    let purchase = world.buy(&faults);
    check(&world, &purchase).unwrap();
}

/// A purchase whose origin is being called.
fn serving() -> (World, Purchase) {
    let mut world = World { status: 200, small: true, ..World::default() };
    let events =
        [Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }), Event::Admitted(true)];
    let purchase = payments::purchase(world.life.now()).for_one_call("sha256:q".to_owned());
    let purchase = events.into_iter().fold(purchase, |purchase, event| world.apply(purchase, event));
    assert_eq!(purchase.progress(), Progress::Serving);
    (world, purchase)
}

#[test]
fn a_gate_that_falls_silent_has_lost_the_answer_and_nothing_is_taken() {
    let (mut world, mut purchase) = serving();
    world.life.now += CALL_PATIENCE.get() - 1;
    purchase = world.apply(purchase, Event::StillServing);
    world.life.now += CALL_PATIENCE.get() - 1;
    purchase = world.apply(purchase, Event::Resumed);
    assert_eq!(purchase.progress(), Progress::Serving, "it was heard of meanwhile");
    world.life.now += 1;
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
    let until = world.life.now().plus(ANSWER_LIFE);
    assert_eq!(purchase.step(world.life.now()), Step::Rest(Some(until)));
    world.life.now += ANSWER_LIFE.get();
    assert_eq!(purchase.step(world.life.now()), Step::ForgetAnswer);
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
