//! The payment machine in a world that fails: every step may fail, do its work and be reported failed, or be the last
//! thing that the process does. Whatever the order, nothing is credited that was not settled, nothing twice, and what
//! was settled is credited in the end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

mod payments;

use payments::faults::{Fault, Life, START, faults, perform, run};
use proptest::prelude::*;
use tollgate::contract::Credit;
use tollgate::limit::account::{Account, Rules};
use tollgate::limit::credit::{CREDITS, sale};
use tollgate::limit::decision::Grant;
use tollgate::limit::plan::Plans;
use tollgate::limit::tokens::Tokens;
use tollgate::notice::Kinds;
use tollgate::pay::amount::Amount;
use tollgate::pay::chain::Finding;
use tollgate::pay::eip712::Hash32;
use tollgate::pay::purchase::{Event, Progress, Purchase, SettlementPolicy, State, Step, StoredPurchase};
use tollgate::pay::x402::PaymentId;
use tollgate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer};
use tollgate::time::{Millis, Span};

/// The account that is credited, as it is: the payment buys it prepaid credits.
struct Buyer(Account);

impl Default for Buyer {
    fn default() -> Self {
        Self(Account::new("key:buyer".parse().unwrap(), "1".to_owned()))
    }
}

/// What the payment buys.
const BOUGHT: u64 = 4;

/// Everything outside of the machine.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct World {
    life: Life,
    policy: Option<SettlementPolicy>,
    settled_on_chain: bool,
    /// The payer used the nonce for something else.
    spent_elsewhere: bool,
    pending_at_account: bool,
    buyer: Buyer,
}

impl World {
    /// Under these settings of the owner.
    fn under(policy: SettlementPolicy, owner_is_impatient: bool) -> Self {
        let life = Life::of(owner_is_impatient);
        Self { life, policy: Some(policy), ..Self::default() }
    }

    fn buy(&mut self, faults: &[Fault]) -> Purchase {
        let purchase = payments::purchase(self.life.now());
        run(self, purchase, faults)
    }

    fn settle(&mut self) -> SettleAnswer {
        if self.settled_on_chain || self.spent_elsewhere {
            return SettleAnswer::NonceUsed { reason: "invalid_exact_evm_nonce_already_used".to_owned() };
        }
        self.settled_on_chain = true;
        SettleAnswer::Settled { transaction: Hash32::new([7; 32]).to_string(), payer: None }
    }

    fn chain_says(&self) -> Finding {
        if self.spent_elsewhere {
            return Finding::Never { why: "authorization_used_for_another_payment".to_owned() };
        }
        if self.settled_on_chain {
            Finding::Paid { transaction: Hash32::new([7; 32]) }
        } else {
            Finding::Unused
        }
    }

    fn credit(&mut self, payment: PaymentId) {
        let grants = vec![Grant { limit: CREDITS.to_owned(), quantity: Tokens::whole(BOUGHT) }];
        let credit = Credit { payment, endpoint: sale::endpoint(), grants, amount: Amount::new(1000) };
        let plans = Plans::default();
        let rules = Rules { plans: &plans, plan: "", payment: true, notices: Kinds::NONE, decimals: 6 };
        self.buyer.0 = self.buyer.0.clone().credit(&rules, &credit, self.life.now());
        self.pending_at_account = false;
    }

    fn acknowledge(&mut self, payment: &PaymentId) {
        self.buyer.0 = self.buyer.0.clone().acknowledge(payment);
    }

    /// The credits that the account has, in blocks that the bill agrees with.
    fn credited(&self) -> u64 {
        let (credits, usage) = (self.buyer.0.credits(), self.buyer.0.usage());
        let payments: u64 = usage.lines().map(|line| line.tally.payments).sum();
        assert_eq!(u64::try_from(credits.blocks().len()), Ok(payments));
        credits.balance(self.life.now()).floor()
    }

    /// What it must have.
    fn paid_for(&self) -> u64 {
        if self.settled_on_chain { BOUGHT } else { 0 }
    }
}

fn policy(limit: u128) -> SettlementPolicy {
    SettlementPolicy {
        unconfirmed_limit: Amount::new(limit),
        give_up_after: Span::seconds(86_460),
        receipt_patience: Span::seconds(300),
        asks_chain: false,
    }
}

impl payments::faults::World for World {
    fn life(&mut self) -> &mut Life {
        &mut self.life
    }

    fn policy(&self) -> SettlementPolicy {
        self.policy.unwrap_or_else(|| policy(1_000_000))
    }

    fn refuse(&mut self, step: &Step) -> Option<Event> {
        match step {
            Step::Verify => {
                let answer = VerifyAnswer::Invalid { reason: "no".to_owned() };
                Some(Event::Verified(Some("f".into()), answer))
            }
            // A facilitator that is certain: only while the money has not moved.
            Step::Settle if !self.settled_on_chain => {
                Some(Event::Settled(SettleAnswer::Refused { reason: "insufficient_funds".to_owned() }))
            }
            _ => None,
        }
    }

    fn perform(&mut self, purchase: &Purchase, step: &Step) -> Event {
        match step {
            Step::Announce => {
                self.pending_at_account = true;
                Event::Announced
            }
            Step::Settle => Event::Settled(self.settle()),
            Step::Credit => {
                self.credit(purchase.id());
                Event::Credited
            }
            Step::Withdraw => {
                self.pending_at_account = false;
                Event::Withdrawn
            }
            Step::Acknowledge => {
                self.acknowledge(&purchase.id());
                Event::Acknowledged
            }
            Step::Record => Event::Recorded(purchase.state()),
            Step::AskChain => Event::ChainSaid(self.chain_says()),
            step => panic!("no refill has this step where nobody is trusted: {step:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// No credit without settlement, never two credits, and what was settled is credited in the end.
    #[test]
    fn settled_if_and_only_if_credited(
        faults in faults(40, false), owner_is_impatient: bool,
    ) {
        let mut world = World::under(policy(1_000_000), owner_is_impatient);
        let purchase = world.buy(&faults);
        prop_assert_eq!(world.credited(), world.paid_for(), "{:?}", purchase);
        prop_assert!(!world.pending_at_account, "the account would ask nobody to pay for ever: {purchase:?}");
        if world.settled_on_chain {
            prop_assert_eq!(purchase.state(), State::Credited);
        }
    }

    /// Above the owner's limit nothing is credited in doubt: it is credited with its transaction, or held.
    #[test]
    fn above_the_limit_doubt_is_held_for_the_owner(faults in faults(40, false)) {
        let mut world = World::under(policy(0), false);
        let purchase = world.buy(&faults);
        match purchase.state() {
            State::Credited => prop_assert!(purchase.settlement().unwrap().confirmed),
            State::Held => prop_assert!(world.credited() == 0 && world.settled_on_chain),
            _ => prop_assert!(!world.settled_on_chain && world.credited() == 0),
        }
    }

    /// Where the chain can be asked, it decides: whatever fails, what was settled is credited with its transaction, though
    /// the owner's limit is nothing.
    #[test]
    fn with_a_chain_to_ask_no_doubt_remains(
        faults in faults(40, false), owner_is_impatient: bool,
    ) {
        let mut world = World::under(SettlementPolicy { asks_chain: true, ..policy(0) }, owner_is_impatient);
        let purchase = world.buy(&faults);
        prop_assert_eq!(world.credited(), world.paid_for(), "{:?}", purchase);
        prop_assert!(purchase.settlement().is_none_or(|settlement| settlement.confirmed));
        prop_assert!(!world.pending_at_account);
    }

    /// A payer who used the nonce for something else gets nothing for it.
    #[test]
    fn a_nonce_that_was_spent_elsewhere_buys_nothing(faults in faults(40, false)) {
        let world = World::under(SettlementPolicy { asks_chain: true, ..policy(1_000_000) }, false);
        let mut world = World { spent_elsewhere: true, ..world };
        let purchase = world.buy(&faults);
        prop_assert_eq!((world.credited(), world.pending_at_account), (0, false), "{:?}", purchase);
        prop_assert!(!purchase.is_stored(), "{purchase:?}");
    }

    /// Events in an order that no driver would send still credit nothing without a settlement.
    #[test]
    fn no_order_of_events_credits_without_a_settlement(order in prop::collection::vec(0..9_usize, 0..60)) {
        let events = [
            Event::Resumed,
            Event::Announced,
            Event::TransactionClaimed(true),
            Event::Credited,
            Event::Withdrawn,
            Event::Acknowledged,
            Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
            Event::StepFailed("x".to_owned()),
            Event::Settled(SettleAnswer::Unknown { why: "x".to_owned(), transaction: None }),
        ];
        let mut purchase = payments::purchase(Millis::new(START));
        for index in order {
            purchase = purchase.apply(events[index].clone(), &policy(1_000_000), Millis::new(START));
            prop_assert!(purchase.step(Millis::new(START)) != Step::Credit);
            prop_assert!(!matches!(purchase.progress(), Progress::Credited(_)));
        }
    }
}

/// The first answer to a settlement is certain; afterwards a used nonce is not a refusal.
#[test]
fn a_used_nonce_is_a_refusal_only_before_settling_began() {
    let begin = |purchase: Purchase| {
        let valid = VerifyAnswer::Valid { payer: None };
        let events = [Event::Verified(Some("f".to_owned()), valid), Event::Announced];
        events.into_iter().fold(purchase, |p, event| p.apply(event, &policy(1_000_000), Millis::new(START)))
    };
    let used = || Event::Settled(SettleAnswer::NonceUsed { reason: "nonce_already_used".to_owned() });
    let first =
        begin(payments::purchase(Millis::new(START))).apply(used(), &policy(1_000_000), Millis::new(START));
    assert_eq!(first.progress(), Progress::Refused("nonce_already_used"));
    let unknown = Event::Settled(SettleAnswer::Unknown { why: "cut".to_owned(), transaction: None });
    let second = [unknown, Event::Resumed, used()]
        .into_iter()
        .zip([START, START + 1_000, START + 1_100])
        .fold(begin(payments::purchase(Millis::new(START))), |p, (event, now)| {
            p.apply(event, &policy(1_000_000), Millis::new(now))
        });
    assert_eq!(second.step(Millis::new(START + 1_100)), Step::Credit);
    assert!(!second.settlement().unwrap().confirmed);
}

/// The first try took the last of the money, and its answer was lost: that the second finds none is no refusal.
#[test]
fn an_empty_wallet_after_settling_began_is_no_refusal() {
    let begun = [
        Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
        Event::Announced,
        Event::Settled(SettleAnswer::Unknown { why: "cut".to_owned(), transaction: None }),
        Event::Retried,
        Event::Settled(SettleAnswer::Refused { reason: "insufficient_funds".to_owned() }),
    ];
    let purchase = begun.into_iter().fold(payments::purchase(Millis::new(START)), |p, event| {
        p.apply(event, &policy(1_000_000), Millis::new(START))
    });
    assert_eq!((purchase.state(), purchase.progress()), (State::Unknown, Progress::Pending));
}

/// What is held for the owner is tried again when the owner says so, and not by itself.
#[test]
fn the_owner_has_a_held_payment_tried_again() {
    let held = [
        Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
        Event::Announced,
        Event::Settled(SettleAnswer::Unknown { why: "cut".to_owned(), transaction: None }),
        Event::Retried,
        Event::Settled(SettleAnswer::NonceUsed { reason: "nonce_already_used".to_owned() }),
        Event::Recorded(State::Held),
    ];
    let now = Millis::new(START);
    let held = held.into_iter().fold(payments::purchase(now), |p, event| p.apply(event, &policy(0), now));
    assert_eq!((held.state(), held.step(now)), (State::Held, Step::Rest(None)));
    assert_eq!(held.clone().apply(Event::Resumed, &policy(0), now).step(now), Step::Rest(None));
    assert_eq!(held.apply(Event::Retried, &policy(0), now).step(now), Step::Settle);
}

/// Somebody carried the authorization out before us: where the chain can be asked, it says that we were paid. Where it
/// says nothing, a used nonce before settling began is a refusal.
#[test]
fn a_nonce_that_was_used_before_us_is_looked_up() {
    let now = Millis::new(START);
    let policy = SettlementPolicy { asks_chain: true, ..policy(0) };
    let used = [
        Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
        Event::Announced,
        Event::Settled(SettleAnswer::NonceUsed { reason: "nonce_already_used".to_owned() }),
    ];
    let asked = used.into_iter().fold(payments::purchase(now), |p, event| p.apply(event, &policy, now));
    assert_eq!(asked.step(now), Step::AskChain);
    let after = |finding: Finding| asked.clone().apply(Event::ChainSaid(finding), &policy, now);
    let transaction = Hash32::new([7; 32]);
    let paid = after(Finding::Paid { transaction });
    assert_eq!(paid.step(now), Step::ClaimTransaction(transaction.to_string()));
    assert_eq!(after(Finding::TooFresh).progress(), Progress::Pending);
    for silent in [Finding::Unused, Finding::Unclear { why: "down".to_owned() }] {
        assert_eq!(after(silent).progress(), Progress::Refused("nonce_already_used"));
    }
}

/// Another payment's transaction settles nothing: the outcome stays unknown.
#[test]
fn a_transaction_that_another_payment_claimed_settles_nothing() {
    let settled = SettleAnswer::Settled { transaction: Hash32::new([7; 32]).to_string(), payer: None };
    let events = [
        Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None }),
        Event::Announced,
        Event::Settled(settled),
        Event::TransactionClaimed(false),
    ];
    let purchase = events.into_iter().fold(payments::purchase(Millis::new(START)), |p, event| {
        p.apply(event, &policy(1_000_000), Millis::new(START))
    });
    assert_eq!((purchase.state(), purchase.settlement()), (State::Unknown, None));
}

/// Retries back off from a second to five minutes, and after a day the owner decides.
#[test]
fn an_unknown_outcome_is_retried_for_a_day_and_then_held() {
    let mut world = World::default();
    let mut purchase = payments::purchase(world.life.now());
    let mut waits = Vec::new();
    for _ in 0..2_000 {
        let step = purchase.step(world.life.now());
        let event = match step {
            Step::Rest(Some(at)) => {
                waits.push((at.get() - START - world.life.now) / 1_000);
                world.life.now = at.get() - START;
                Event::Resumed
            }
            Step::Rest(None) => break,
            Step::Settle => {
                Event::Settled(SettleAnswer::Unknown { why: "down".to_owned(), transaction: None })
            }
            other => perform(&mut world, &purchase, &other, Fault::None).unwrap(),
        };
        purchase = purchase.apply(event, &policy(1_000_000), world.life.now());
    }
    assert_eq!(purchase.state(), State::Held);
    assert_eq!(&waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert!((86_400..87_000).contains(&(world.life.now / 1_000)), "{}", world.life.now);
}

#[test]
fn stored_form_is_pinned() {
    let purchase = payments::purchase(Millis::new(START));
    let stored = serde_json::to_value(StoredPurchase::V1(purchase.clone())).unwrap();
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/purchase_v1.json")).unwrap();
    assert_eq!(stored, golden);
    let StoredPurchase::V1(read) = serde_json::from_value(golden).unwrap();
    assert_eq!(read, purchase);
    assert_eq!(purchase.goods().1[0].quantity, Tokens::whole(4));
}
