//! Credit before settlement, in a world that fails: every step may fail, do its work and be reported failed, or be the last
//! thing that the process does. Whatever the order, a wallet without trust is credited nothing that was not settled; one
//! with trust is credited once, and it is taken back once, if and only if its settlement was refused for certain.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

mod payments;

use std::collections::{BTreeMap, BTreeSet};

use payments::faults::{Fault, Life, START, faults, run};
use proptest::prelude::*;
use tollgate::pay::amount::Amount;
use tollgate::pay::eip712::Hash32;
use tollgate::pay::purchase::{Event, Progress, Purchase, SettlementPolicy, State, Step, StoredPurchase};
use tollgate::pay::trust::{News, Trust, TrustPolicy};
use tollgate::pay::x402::PaymentId;
use tollgate::pay::x402::facilitator::{SettleAnswer, VerifyAnswer};
use tollgate::time::{Millis, Span};

const TRUST: TrustPolicy = TrustPolicy { after: 2, window: Span::seconds(30 * 86_400) };
const POLICY: SettlementPolicy = SettlementPolicy {
    unconfirmed_limit: Amount::new(1_000_000),
    give_up_after: Span::seconds(86_460),
    receipt_patience: Span::seconds(300),
    asks_chain: false,
};

/// Everything outside of the machine. The account does with each payment what `Account` does (see its own tests).
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct World {
    life: Life,
    settled_on_chain: bool,
    refused_for_certain: bool,
    trust: Trust,
    advanced: bool,
    credited: bool,
    tokens: i64,
    times_added: u32,
    times_taken_back: u32,
    announced: bool,
    /// Whether the owner was shown it, and whether it was ever settled on trust without.
    shown: bool,
    settled_unseen: bool,
    /// Whether anything was ever credited before the money moved.
    early: bool,
}
impl World {
    fn of(trust: Trust, owner_is_impatient: bool) -> Self {
        let life = Life::of(owner_is_impatient);
        Self { life, trust, ..Self::default() }
    }

    fn buy(&mut self, faults: &[Fault]) -> Purchase {
        let purchase = payments::purchase(self.life.now()).on_trust();
        run(self, purchase, faults)
    }

    fn settle(&mut self) -> SettleAnswer {
        if self.settled_on_chain {
            return SettleAnswer::NonceUsed { reason: "invalid_exact_evm_nonce_already_used".to_owned() };
        }
        self.settled_on_chain = true;
        SettleAnswer::Settled { transaction: Hash32::new([7; 32]).to_string(), payer: None }
    }

    fn add(&mut self) {
        self.tokens += 4;
        self.times_added += 1;
    }

    fn advance(&mut self) {
        if !self.credited && !self.advanced {
            self.advanced = true;
            self.add();
        }
    }

    fn credit(&mut self) {
        self.announced = false;
        if !self.credited && !self.advanced {
            self.add();
        }
        (self.credited, self.advanced) = (true, false);
    }

    fn take_back(&mut self) {
        if self.advanced {
            self.advanced = false;
            self.tokens -= 4;
            self.times_taken_back += 1;
        }
    }

    fn ask(&mut self, purchase: &Purchase) -> bool {
        let amount = purchase.payment().offer().amount;
        let (trust, given) =
            std::mem::take(&mut self.trust).ask(&purchase.id(), amount, &TRUST, self.life.now());
        self.trust = trust;
        given
    }

    fn tell(&mut self, purchase: &Purchase, news: News) {
        let about = (purchase.payment().offer().amount, self.life.now());
        self.trust = std::mem::take(&mut self.trust).told(&purchase.id(), news, about, &TRUST);
    }
}

/// Of a wallet that settled two payments before.
fn earned() -> Trust {
    let about = |at: u64| (Amount::new(10_000), Millis::new(START - at));
    let first = Trust::default().told(&PaymentId::of("first"), News::Settled, about(20), &TRUST);
    first.told(&PaymentId::of("second"), News::Settled, about(10), &TRUST)
}

impl payments::faults::World for World {
    fn life(&mut self) -> &mut Life {
        &mut self.life
    }

    fn policy(&self) -> SettlementPolicy {
        POLICY
    }

    fn between(&mut self, purchase: Purchase) -> Purchase {
        self.early |= purchase.is_advanced() || (self.tokens > 0 && !self.settled_on_chain);
        if purchase.step(self.life.now()) == Step::Settle {
            self.shown |= purchase.is_to_be_shown();
            self.settled_unseen |= purchase.is_advanced() && !self.shown;
        }
        purchase
    }

    fn refuse(&mut self, step: &Step) -> Option<Event> {
        if *step != Step::Settle || self.settled_on_chain {
            return None;
        }
        self.refused_for_certain = true;
        let reason = "invalid_exact_evm_payload_signature".to_owned();
        Some(Event::Settled(SettleAnswer::Refused { reason }))
    }

    fn perform(&mut self, purchase: &Purchase, step: &Step) -> Event {
        match step {
            Step::AskTrust => Event::Trusted(self.ask(purchase)),
            Step::Advance => {
                self.advance();
                Event::Credited
            }
            Step::TakeBack => {
                self.take_back();
                Event::Withdrawn
            }
            Step::TellTrust(news) => {
                self.tell(purchase, *news);
                Event::TrustTold(*news)
            }
            Step::Announce => {
                self.announced = true;
                Event::Announced
            }
            Step::Settle => Event::Settled(self.settle()),
            Step::Credit => {
                self.credit();
                Event::Credited
            }
            Step::Withdraw => {
                self.announced = false;
                Event::Withdrawn
            }
            Step::Acknowledge => Event::Acknowledged,
            Step::Record => {
                self.shown = true;
                Event::Recorded(purchase.state())
            }
            step => panic!("nothing here has this step: {step:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// In the end the credit is kept if and only if the money moved; it was given once, and taken back at most once, and
    /// only if the settlement was refused for certain.
    #[test]
    fn a_trusted_wallets_credit_is_kept_if_and_only_if_its_money_moved(faults in faults(40, false), owner_is_impatient: bool) {
        let mut world = World::of(earned(), owner_is_impatient);
        let purchase = world.buy(&faults);
        prop_assert_eq!(world.tokens, if world.settled_on_chain { 4 } else { 0 }, "{:?}", purchase);
        prop_assert!(world.times_added <= 1 && world.times_taken_back <= world.times_added);
        prop_assert!(world.times_taken_back == 0 || world.refused_for_certain);
        prop_assert!(!world.advanced && !world.announced, "{purchase:?}");
        prop_assert!(!world.settled_unseen, "the owner sees what is open");
        let asked = |trust: Trust| trust.ask(&PaymentId::of("next"), Amount::new(1), &TRUST, world.life.now()).1;
        prop_assert_eq!(asked(world.trust.clone()), !world.refused_for_certain, "a failure ends the trust");
        let last_of_all = Millis::new(u64::MAX);
        prop_assert!(world.trust.clone().is_over(&TRUST, last_of_all), "nothing is left open: {:?}", world.trust);
        if world.times_taken_back > 0 {
            prop_assert_eq!(purchase.progress(), Progress::Refused("invalid_exact_evm_payload_signature"));
        }
    }

    /// Who has earned no trust is credited nothing before the money moved.
    #[test]
    fn a_wallet_without_trust_is_credited_when_it_has_paid(faults in faults(40, false), owner_is_impatient: bool) {
        let mut world = World::of(Trust::default(), owner_is_impatient);
        world.buy(&faults);
        prop_assert!(!world.early);
        prop_assert_eq!(world.tokens, if world.settled_on_chain { 4 } else { 0 });
        prop_assert!(!world.announced);
    }

    /// One wallet, many payments at once, settled and failing in any order: what is open is never more than what was
    /// settled, nobody is trusted in doubt or after a failure, and all that failed is never more than all that was paid.
    #[test]
    fn a_wallet_that_cheats_gets_at_most_what_it_paid(moves in prop::collection::vec((0..5_u8, 0..12_u8, 1..30_u128), 0..200)) {
        let mut trust = Trust::default();
        let (mut open, mut doubts) = (BTreeMap::<u8, u128>::new(), BTreeSet::<u8>::new());
        let (mut paid, mut lost, mut since_failure) = (0_u128, 0_u128, 0_usize);
        let mut next = 12_u8;
        for (second, (what, which, amount)) in moves.into_iter().enumerate() {
            let at = Millis::new(START + 1_000 * second as u64);
            let id = |n: u8| PaymentId::of(&n.to_string());
            match what {
                0 => {
                    let (after, given) = trust.clone().ask(&id(next), Amount::new(amount), &TRUST, at);
                    trust = after;
                    if given {
                        prop_assert!(since_failure >= TRUST.after && doubts.is_empty());
                        open.insert(next, amount);
                    }
                    next = next.wrapping_add(1).max(12);
                }
                1 => {
                    trust = trust.told(&PaymentId::of(&format!("first {second}")), News::Settled, (Amount::new(amount), at), &TRUST);
                    (paid, since_failure) = (paid + amount, since_failure + 1);
                }
                _ => {
                    let Some((&n, &sum)) = open.iter().nth(usize::from(which) % open.len().max(1)) else { continue };
                    let news = [News::Settled, News::Failed, News::Unknown][usize::from(what - 2)];
                    trust = trust.told(&id(n), news, (Amount::new(sum), at), &TRUST);
                    match news {
                        News::Unknown => drop(doubts.insert(n)),
                        News::Settled => (paid, since_failure) = (paid + sum, since_failure + 1),
                        News::Failed | News::Ended => (lost, since_failure) = (lost + sum, 0),
                    }
                    if news != News::Unknown {
                        open.remove(&n);
                        doubts.remove(&n);
                    }
                }
            }
            prop_assert!(lost + open.values().sum::<u128>() <= paid, "{open:?}: {lost} lost of {paid}");
        }
    }
}

fn after(events: impl IntoIterator<Item = Event>) -> Purchase {
    let now = Millis::new(START);
    events.into_iter().fold(payments::purchase(now).on_trust(), |p, event| p.apply(event, &POLICY, now))
}

fn valid() -> Event {
    Event::Verified(Some("f".to_owned()), VerifyAnswer::Valid { payer: None })
}

/// The client is answered as soon as it is credited, and the alarm settles.
#[test]
fn a_trusted_wallet_is_answered_before_it_is_settled() {
    let now = Millis::new(START);
    assert_eq!(after([valid()]).step(now), Step::AskTrust);
    assert_eq!(after([valid(), Event::Trusted(true)]).step(now), Step::Advance);
    let credited = after([valid(), Event::Trusted(true), Event::Credited]);
    assert!(credited.can_answer() && credited.is_stored());
    assert_eq!((credited.progress(), credited.step(now)), (Progress::Advanced, Step::Rest(Some(now))));
    assert_eq!(credited.settlement(), None, "there is no transaction to tell of");
    assert_eq!(credited.apply(Event::Resumed, &POLICY, now).step(now), Step::Settle);
}

/// Whoever is not trusted, or of whom nobody can tell, is settled first.
#[test]
fn without_trust_it_is_settled_first() {
    for said in [Event::Trusted(false), Event::StepFailed("down".to_owned())] {
        let announced = after([valid(), said]);
        assert_eq!(announced.step(Millis::new(START)), Step::Announce);
        assert!(!announced.can_answer());
    }
}

/// The trust hears of a failure before the credit is taken back; the owner sees it until the authorization has expired.
#[test]
fn a_failure_ends_the_trust_and_then_takes_the_credit_back() {
    let now = Millis::new(START);
    let refused = Event::Settled(SettleAnswer::Refused { reason: "insufficient_funds".to_owned() });
    let failing = after([valid(), Event::Trusted(true), Event::Credited, Event::Resumed, refused]);
    assert_eq!(failing.step(now), Step::TellTrust(News::Failed));
    let told = failing.apply(Event::TrustTold(News::Failed), &POLICY, now);
    assert_eq!(told.step(now), Step::TakeBack);
    let taken_back = told.apply(Event::Withdrawn, &POLICY, now);
    assert_eq!((taken_back.state(), taken_back.step(now)), (State::TakenBack, Step::Record));
    assert_eq!(taken_back.progress(), Progress::Refused("insufficient_funds"));
    let recorded = taken_back.apply(Event::Recorded(State::TakenBack), &POLICY, now);
    let expired = Millis::new(1_740_672_155_000);
    assert_eq!(recorded.step(now), Step::Rest(Some(expired)));
    assert!(recorded.is_stored() && !recorded.apply(Event::Resumed, &POLICY, expired).is_stored());
}

/// A doubt keeps the credit, and nobody is trusted until it is resolved.
#[test]
fn a_doubt_keeps_the_credit_and_suspends_the_trust() {
    let now = Millis::new(START);
    let unknown = Event::Settled(SettleAnswer::Unknown { why: "cut".to_owned(), transaction: None });
    let doubtful = after([valid(), Event::Trusted(true), Event::Credited, Event::Resumed, unknown]);
    assert_eq!((doubtful.state(), doubtful.progress()), (State::Unknown, Progress::Advanced));
    assert_eq!(doubtful.step(now), Step::TellTrust(News::Unknown));
    let told = doubtful.apply(Event::TrustTold(News::Unknown), &POLICY, now);
    assert_eq!(told.step(now), Step::Record);
}

/// The receipt is made when it is settled, of the answer that the gate told of before.
#[test]
fn the_receipt_waits_for_the_settlement() {
    let now = Millis::new(START);
    let settled = SettleAnswer::Settled { transaction: Hash32::new([7; 32]).to_string(), payer: None };
    let hashed =
        after([valid(), Event::Trusted(true), Event::Credited, Event::AnswerHashed("sha256:1".to_owned())]);
    let events = [
        Event::Resumed,
        Event::Settled(settled),
        Event::TransactionClaimed(true),
        Event::Credited,
        Event::Acknowledged,
        Event::TrustTold(News::Settled),
        Event::Recorded(State::Credited),
    ];
    let credited = events.into_iter().fold(hashed, |p, event| p.apply(event, &POLICY, now));
    assert_eq!((credited.response_hash(), credited.step(now)), (Some("sha256:1"), Step::SignReceipt));
}

#[test]
fn stored_form_is_pinned() {
    let stored: serde_json::Value = serde_json::to_value(StoredPurchase::V1(after([
        valid(),
        Event::Trusted(true),
        Event::Credited,
        Event::AnswerHashed("sha256:1".to_owned()),
        Event::TrustTold(News::Unknown),
    ])))
    .unwrap();
    let trusting = serde_json::json!({ "advance": "given", "told": "unknown", "response_hash": "sha256:1" });
    assert_eq!(stored["v1"]["trusting"], trusting);
    assert_eq!(stored["v1"]["stage"], serde_json::json!({ "advanced": { "at": START } }));
    let plain = serde_json::to_value(StoredPurchase::V1(payments::purchase(Millis::new(START)))).unwrap();
    assert_eq!(plain["v1"].get("trusting"), None, "without trust nothing of it is stored");
}
