//! What the ledger is told of an account's usage, whatever fails or is repeated on the way: the bill is right at every moment,
//! and once a flush succeeds the ledger has exactly what was counted.
//!
//! The ledger is a map with the rule of its SQL: a row is replaced by one of no lower revision. The account's object is its
//! protocol: a life that storage may know of is stored before it is flushed, and deleted there when it ends; what could not be
//! stored before it was answered did not happen, and is answered as failed.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate::bill::summary::{LedgerLine, Period, total};
use tollgate::bill::tally::{Line, Overage, Tally};
use tollgate::bill::usage::Usage;
use tollgate::contract::LiveUsage;
use tollgate::endpoint::EndpointName;
use tollgate::limit::tokens::Tokens;
use tollgate::limit::units::Units;
use tollgate::pay::amount::Amount;
use tollgate::time::{Hour, Millis};

/// What becomes of the write of one row.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Written,
    /// Nothing is written.
    Failed,
    /// It is written, and reported as failed.
    Lied,
}

#[derive(Clone, Debug)]
enum Step {
    Call(u8),
    /// A request whose turn in a queue came a while ago, and is counted now.
    Turn(u8),
    Denied(u8),
    Units(u8),
    Overage(u8),
    Payment(u8),
    /// A request that was denied passes with its payment.
    PaidPass(u8),
    Credits(u8),
    Owed(u8),
    /// The object writes the account to its storage.
    Store(Fate),
    /// A request that is stored before it is answered.
    Kept(u8, Fate),
    /// The object forgets an account of which the ledger has everything.
    Gone,
    /// The ledger is told, row by row, until one fails; where the process dies after that many rows, it does. A request
    /// may come in before the object notes that the ledger knows.
    Flush {
        fates: Vec<Fate>,
        dies_after: Option<usize>,
        meanwhile: Option<u8>,
    },
    /// The process dies: what is not in storage is gone.
    Crash,
    /// Rows that were once sent arrive again.
    Late(usize),
    /// Time goes by, in minutes.
    Wait(u64),
}

/// The account's object, its storage, and the ledger.
#[derive(Default)]
struct World {
    now: u64,
    life: u64,
    usage: Usage,
    stored: Option<Usage>,
    /// Whether the object believes that storage may have something.
    has_row: bool,
    ledger: BTreeMap<(String, Hour, EndpointName), (u64, Tally)>,
    /// Rows that this life sent, with their revision.
    sent: Vec<(u64, Vec<Line>)>,
    /// What was counted in this life and not lost, and in earlier ones.
    counted: Tally,
    counted_before: Tally,
    /// The same when the account was stored.
    counted_stored: Tally,
}

impl World {
    fn now(&self) -> Millis {
        Millis::new(self.now)
    }

    fn incarnation(&self) -> String {
        format!("life-{}", self.life)
    }

    fn count(&mut self, more: &Tally) {
        self.counted = std::mem::take(&mut self.counted).plus(more);
    }

    /// Whether the object believes that it is stored.
    fn store(&mut self, fate: Fate) -> bool {
        self.has_row = true;
        if !matches!(fate, Fate::Failed) {
            self.stored = Some(self.usage.clone());
            self.counted_stored = self.counted.clone();
        }
        matches!(fate, Fate::Written)
    }

    fn keep(&mut self, n: u8, fate: Fate) {
        let before = (self.usage.clone(), self.counted.clone());
        self.take(&Step::Call(n));
        if !self.store(fate) {
            (self.usage, self.counted) = before;
        }
    }

    fn forget(&mut self) {
        if self.usage.unflushed_since().is_some() {
            return;
        }
        if self.has_row {
            self.stored = None;
        }
        self.crash();
    }

    fn write(&mut self, revision: u64, line: Line) {
        let row = self.ledger.entry((self.incarnation(), line.hour, line.endpoint)).or_default();
        if revision >= row.0 {
            *row = (revision, line.tally);
        }
    }

    /// The rows of a life that storage never knew of.
    fn of_this_life(&self) -> Tally {
        let mine = self.ledger.iter().filter(|((life, ..), _)| *life == self.incarnation());
        mine.fold(Tally::default(), |sum, (_, (_, tally))| sum.plus(tally))
    }

    fn crash(&mut self) {
        self.has_row = self.stored.is_some();
        if let Some(stored) = &self.stored {
            self.usage = stored.clone();
            self.counted = self.counted_stored.clone();
        } else {
            // A new life begins; of the old one there is what the ledger was told.
            self.counted_before = std::mem::take(&mut self.counted_before).plus(&self.of_this_life());
            self.life += 1;
            (self.usage, self.counted, self.sent) = (Usage::default(), Tally::default(), Vec::new());
        }
    }

    fn flush(&mut self, fates: &[Fate], dies_after: Option<usize>, meanwhile: Option<u8>) {
        if self.has_row {
            self.store(Fate::Written);
        }
        let (revision, taken) = (self.usage.revision(), self.now());
        let lines: Vec<Line> = self.usage.lines().collect();
        self.sent.push((revision, lines.clone()));
        for (nth, line) in lines.into_iter().enumerate() {
            if dies_after == Some(nth) {
                return self.crash();
            }
            let fate = fates.get(nth).copied().unwrap_or(Fate::Written);
            if matches!(fate, Fate::Written | Fate::Lied) {
                self.write(revision, line);
            }
            if matches!(fate, Fate::Failed | Fate::Lied) {
                return;
            }
        }
        if let Some(n) = meanwhile {
            self.take(&if n % 2 == 0 { Step::Call(n) } else { Step::Turn(n) });
        }
        self.usage.flushed(revision, taken, taken);
    }

    fn take(&mut self, step: &Step) {
        let (now, name) = (self.now(), |n: &u8| EndpointName::new(format!("/{}", n % 3)));
        let last = Some(now);
        match step {
            Step::Call(n) => {
                self.usage.count_call(&name(n), now);
                self.count(&Tally { calls: 1, last, ..Tally::default() });
            }
            Step::Turn(n) => {
                let turn = Millis::new(self.now.saturating_sub(40 * 60_000));
                self.usage.count_call(&name(n), turn);
                self.count(&Tally { calls: 1, ..Tally::default() });
            }
            Step::Denied(n) => {
                self.usage.count_blocked(&name(n), now);
                self.count(&Tally { blocked: 1, last, ..Tally::default() });
            }
            Step::PaidPass(n) => {
                self.usage.count_blocked(&name(n), now);
                self.usage.count_payment(&name(n), Amount::new(7), now);
                self.usage.uncount_blocked(&name(n));
                self.usage.count_call(&name(n), now);
                self.count(&Tally { calls: 1, payments: 1, paid: Amount::new(7), last, ..Tally::default() });
            }
            Step::Units(n) => {
                let units = Units::default().with("token", Tokens::micro(u64::from(*n) + 1));
                self.usage.count_units(&name(n), &units, now);
                self.count(&Tally { units, ..Tally::default() });
            }
            Step::Overage(n) => {
                let overage =
                    Overage { calls: 1, ..Overage::of("image", Tokens::ONE, Amount::new(u128::from(*n))) };
                self.usage.count_overage(&name(n), overage.clone(), now);
                self.count(&Tally { overage, ..Tally::default() });
            }
            Step::Payment(n) => {
                self.usage.count_payment(&name(n), Amount::new(1000), now);
                self.count(&Tally { payments: 1, paid: Amount::new(1000), ..Tally::default() });
            }
            Step::Credits(n) => {
                self.usage.count_credits(&name(n), Tokens::ONE, now);
                self.count(&Tally { credits: Tokens::ONE, ..Tally::default() });
            }
            Step::Owed(n) => {
                self.usage.count_owed(&name(n), Amount::new(5), now);
                self.count(&Tally { owed: Amount::new(5), ..Tally::default() });
            }
            Step::Store(fate) => _ = self.store(*fate),
            Step::Kept(n, fate) => self.keep(*n, *fate),
            Step::Gone => self.forget(),
            Step::Flush { fates, dies_after, meanwhile } => self.flush(fates, *dies_after, *meanwhile),
            Step::Crash => self.crash(),
            Step::Late(nth) => {
                if !self.sent.is_empty() {
                    let (revision, lines) = self.sent[nth % self.sent.len()].clone();
                    for line in lines {
                        self.write(revision, line);
                    }
                }
            }
            Step::Wait(minutes) => self.now += minutes * 60_000,
        }
    }

    /// What was counted and not lost. When the last request came is not a sum, and is looked at apart.
    fn truth(&self) -> Tally {
        Tally { last: None, ..self.counted_before.clone().plus(&self.counted) }
    }

    /// What `GET /usage` adds up.
    fn bill(&self) -> Tally {
        let ledger: Vec<LedgerLine> = self
            .ledger
            .iter()
            .map(|((incarnation, hour, endpoint), (_, tally))| {
                let line = Line { hour: *hour, endpoint: endpoint.clone(), tally: tally.clone() };
                LedgerLine { incarnation: incarnation.clone(), line }
            })
            .collect();
        let live = LiveUsage {
            plan: "free".to_owned(),
            incarnation: self.incarnation(),
            lines: self.usage.lines().collect(),
            quotas: Vec::new(),
            credits: Tokens::ZERO,
            at: self.now(),
        };
        let ever = Period { from: Hour::new(0), to: Hour::new(u64::MAX) };
        Tally { last: None, ..total(&ledger, &live, ever) }
    }

    /// What the ledger alone adds up to: the owner's bill.
    fn owners_bill(&self) -> Tally {
        let sum = self.ledger.values().fold(Tally::default(), |sum, (_, tally)| sum.plus(tally));
        Tally { last: None, ..sum }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = || prop_oneof![4 => Just(Fate::Written), 1 => Just(Fate::Failed), 1 => Just(Fate::Lied)];
    let n = any::<u8>;
    let step = prop_oneof![
        4 => n().prop_map(Step::Call),
        1 => n().prop_map(Step::Turn),
        2 => n().prop_map(Step::Denied),
        1 => n().prop_map(Step::Units),
        1 => n().prop_map(Step::Overage),
        1 => n().prop_map(Step::Payment),
        1 => n().prop_map(Step::PaidPass),
        1 => n().prop_map(Step::Credits),
        1 => n().prop_map(Step::Owed),
        2 => fate().prop_map(Step::Store),
        2 => (n(), fate()).prop_map(|(n, fate)| Step::Kept(n, fate)),
        1 => Just(Step::Gone),
        4 => (prop::collection::vec(fate(), 0..6), prop::option::weighted(0.2, 0_usize..6), prop::option::weighted(0.3, n()))
            .prop_map(|(fates, dies_after, meanwhile)| Step::Flush { fates, dies_after, meanwhile }),
        1 => Just(Step::Crash),
        2 => any::<prop::sample::Index>().prop_map(|index| Step::Late(index.index(1000))),
        2 => (0_u64..90).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// Whatever fails, is repeated, arrives late or dies half-way: the client's bill is what was counted, at every moment,
    /// and after a flush that succeeds the owner's is the same.
    #[test]
    fn nothing_is_lost_and_nothing_counts_twice(steps in steps()) {
        let mut world = World::default();
        for step in &steps {
            world.take(step);
            prop_assert_eq!(world.bill(), world.truth(), "after {:?}", step);
        }
        if world.usage.unflushed_since().is_some() {
            world.flush(&[], None, None);
        }
        prop_assert_eq!(world.owners_bill(), world.truth());
        // And once more, and an hour later, and with everything arriving again: nothing changes.
        let truth = world.truth();
        world.take(&Step::Wait(90));
        world.flush(&[], None, None);
        for nth in 0..world.sent.len() {
            world.take(&Step::Late(nth));
        }
        prop_assert_eq!(world.owners_bill(), truth.clone());
        prop_assert_eq!(world.bill(), truth);
        prop_assert_eq!(world.usage.lines().count(), 0, "an hour that is over and flushed is not held");
    }
}
