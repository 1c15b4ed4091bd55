//! The settings with the owner's plans over them, as this isolate knows them.
//!
//! The ledger has the plans; whoever changes them publishes them to one object, and each isolate asks that object at
//! most every 30 s, behind a request and not before it. So no request waits for the ledger, and a change is in force
//! everywhere within a minute. Whoever is told of the new version before asks at once.

use std::cell::RefCell;
use std::rc::Rc;

use worker::{Env, Error, Result, console_error};

use super::{clock, objects, settings};
use crate::config::Config;
use crate::config::table::Faults;
use crate::contract::{Done, PLANS_OBJECT, PaymentCall};
use crate::owner::plan_book::PlanBook;
use crate::time::{Millis, Span};

/// How old what this isolate knows may become before it asks again.
const FRESH: Span = Span::seconds(30);
/// How soon it asks again after nobody answered.
const RETRY: Span = Span::seconds(5);

/// The settings with the plans in force, or what is wrong with those.
pub(super) type InForce = std::result::Result<Rc<Config>, Rc<Faults>>;

struct Known {
    in_force: InForce,
    version: u64,
    /// When this isolate asks again.
    ask_at: Millis,
}

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// The settings and plans that are in force. What is still good enough is returned at once; `behind` runs what brings
/// it up to date.
pub(super) async fn config(
    env: &Env,
    behind: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()>>>),
) -> Result<InForce> {
    let now = clock::now();
    let known = KNOWN.with_borrow_mut(|known| {
        let known = known.as_mut()?;
        let is_old = now >= known.ask_at;
        if is_old {
            known.ask_at = now.plus(RETRY);
        }
        Some((known.in_force.clone(), is_old))
    });
    match known {
        Some((in_force, false)) => Ok(in_force),
        Some((in_force, true)) => {
            let env = env.clone();
            behind(Box::pin(async move {
                if let Err(error) = ask(&env).await {
                    console_error!("plans: {error}; those that were known stay in force");
                }
            }));
            Ok(in_force)
        }
        None => ask(env).await,
    }
}

/// The settings as they were deployed, whatever is wrong with the plans in force.
pub(super) fn settings_alone(env: &Env) -> Result<Rc<Config>> {
    let settings = settings::load(env).map_err(|faults| Error::RustError(faults.to_string()))?;
    Ok(Rc::new(settings.config.clone()))
}

/// Takes in that the plans have that version: an older one is no longer used.
pub(super) fn expect(version: u64) {
    KNOWN.with_borrow_mut(|known| {
        if known.as_ref().is_some_and(|known| known.version < version) {
            *known = None;
        }
    });
}

/// Publishes plans that the ledger has, to this isolate and to all others.
pub(super) async fn publish(env: &Env, book: &PlanBook) -> Result<()> {
    objects::payment::<Done>(env, PLANS_OBJECT, &PaymentCall::PublishPlans(book.clone())).await?;
    take_in(env, book).map(|_| ())
}

async fn ask(env: &Env) -> Result<InForce> {
    let published: Option<PlanBook> = objects::payment(env, PLANS_OBJECT, &PaymentCall::Plans).await?;
    take_in(env, &published.unwrap_or_default())
}

/// A book that is older than what is known changes nothing.
fn take_in(env: &Env, book: &PlanBook) -> Result<InForce> {
    let deployed = settings_alone(env)?;
    let ask_at = clock::now().plus(FRESH);
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known.as_mut().filter(|known| known.version >= book.version) {
            known.ask_at = ask_at;
            return Ok(known.in_force.clone());
        }
        let in_force = deployed.with_book(book).map(Rc::new).map_err(Rc::new);
        *known = Some(Known { in_force: in_force.clone(), version: book.version, ask_at });
        Ok(in_force)
    })
}
