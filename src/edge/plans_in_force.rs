//! The settings with the owner's plans over them, as this isolate knows them.
//!
//! The ledger has the plans; whoever changes them publishes them to one object, and each isolate asks that object, when
//! [`PlanMemo`] says so. No request waits for the ledger. Whoever is told of the new version before asks at once.

use std::cell::RefCell;
use std::rc::Rc;

use worker::{Env, Error, Result, console_error};

use super::{clock, objects, settings};
use crate::config::Config;
use crate::config::table::Faults;
use crate::contract::{Done, PLANS_OBJECT, PaymentCall};
use crate::owner::plan_book::PlanBook;
use crate::owner::plan_memo::{PlanMemo, Recall};
use crate::time::Millis;

/// The settings with the plans in force, or what is wrong with those.
pub(super) type InForce = std::result::Result<Rc<Config>, Rc<Faults>>;

thread_local! {
    static MEMO: RefCell<PlanMemo<InForce>> = const { RefCell::new(PlanMemo::new()) };
}

/// The settings and plans that are in force. What is still good enough is returned at once; `behind` runs what brings
/// it up to date.
pub(super) async fn config(
    env: &Env,
    behind: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()>>>),
) -> Result<InForce> {
    match MEMO.with_borrow_mut(|memo| memo.recall(clock::now())) {
        Recall::Good(in_force) => Ok(in_force),
        Recall::AskBehind(in_force) => {
            let env = env.clone();
            behind(Box::pin(async move {
                if let Err(error) = ask(&env).await {
                    console_error!("plans: {error}; those that were known stay in force");
                }
            }));
            Ok(in_force)
        }
        Recall::AskFirst(None) => ask(env).await,
        Recall::AskFirst(Some(in_force)) => Ok(ask(env).await.unwrap_or_else(|error| {
            console_error!("plans: {error}; those that were known stay in force");
            in_force
        })),
    }
}

/// The settings as they were deployed, whatever is wrong with the plans in force.
pub(super) fn settings_alone(env: &Env) -> Result<Rc<Config>> {
    let settings = settings::load(env).map_err(|faults| Error::RustError(faults.to_string()))?;
    Ok(Rc::new(settings.config.clone()))
}

/// Takes in that the plans have that version: an older one is no longer used.
pub(super) fn expect(version: u64) {
    MEMO.with_borrow_mut(|memo| memo.expect(version));
}

/// Publishes plans that the ledger has, to this isolate and to all others.
pub(super) async fn publish(env: &Env, book: &PlanBook) -> Result<()> {
    objects::payment::<Done>(env, PLANS_OBJECT, &PaymentCall::PublishPlans(book.clone())).await?;
    take_in(env, book, clock::now()).map(|_| ())
}

/// Publishes plans that the ledger has, where this isolate knows of older ones or none.
pub(super) async fn catch_up(env: &Env, book: &PlanBook) -> Result<()> {
    if MEMO.with_borrow(PlanMemo::version).unwrap_or_default() >= book.version {
        return Ok(());
    }
    publish(env, book).await
}

async fn ask(env: &Env) -> Result<InForce> {
    let asked_at = clock::now();
    let published: Option<PlanBook> = objects::payment(env, PLANS_OBJECT, &PaymentCall::Plans).await?;
    take_in(env, &published.unwrap_or_default(), asked_at)
}

fn take_in(env: &Env, book: &PlanBook, asked_at: Millis) -> Result<InForce> {
    let deployed = settings_alone(env)?;
    let make = || deployed.with_book(book).map(Rc::new).map_err(Rc::new);
    Ok(MEMO.with_borrow_mut(|memo| memo.learn(book.version, asked_at, make)))
}
