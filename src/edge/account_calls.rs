//! The one step of each call to an account: what the call does to it, and what is answered. Nothing here stores or waits.

use serde::Serialize;
use worker::{Response, Result};

use super::objects;
use crate::client::key::KeyHash;
use crate::contract::{AccountCall, Attempt, CreditBook, Done, LiveUsage, Refusal, Survey};
use crate::endpoint::Target;
use crate::limit::account::{Account, Rules};
use crate::limit::decision::{Decision, Verdict};
use crate::time::Millis;

/// What a call came to.
pub(super) struct Handled {
    pub(super) account: Account,
    pub(super) reply: Result<Response>,
    /// It was a request that was denied: nothing was taken, so that nothing need be stored before it is answered.
    pub(super) denied: bool,
}

fn answered(account: Account, value: &impl Serialize) -> Handled {
    Handled { account, reply: objects::reply_in_header(value), denied: false }
}

/// The same, unless it is asked in the name of a key that is not good.
pub(super) fn handle_in_name_of(
    key: Option<&KeyHash>,
    account: Account,
    call: AccountCall,
    rules: &Rules<'_>,
    now: Millis,
) -> Handled {
    let Some(key) = key else { return handle(account, call, rules, now) };
    match account.present_key(key, now) {
        (account, false) => Handled { account, reply: objects::refuse(&Refusal::UnknownKey), denied: false },
        (account, true) => match call {
            AccountCall::Allows(scope) => {
                let allowed = account.keys().allows(key, scope);
                answered(account, &allowed)
            }
            call => handle(account, call, rules, now),
        },
    }
}

/// The one step: the call to the account, and what is answered.
fn handle(account: Account, call: AccountCall, rules: &Rules<'_>, now: Millis) -> Handled {
    let done = |account: Account| answered(account, &Done);
    match call {
        AccountCall::Attempt(attempt) => {
            let (account, decision) = account.attempt(rules, &attempt, now);
            let denied = matches!(decision.verdict, Verdict::Denied(_) | Verdict::NoAccess);
            Handled { denied, ..answered(account, &decision) }
        }
        AccountCall::AttemptAgain(attempt) => {
            let (account, decision) = account.attempt_again(rules, &attempt, now);
            answered(account, &decision)
        }
        AccountCall::Further(endpoint, units) => {
            let (account, furthered) = account.further(rules, &endpoint, &units, now);
            answered(account, &furthered)
        }
        AccountCall::End(end) => done(account.end(rules, &end, now)),
        AccountCall::Leave(request) => done(account.leave(&request)),
        AccountCall::SignIn(nonce, expires) => {
            let (account, unused) = account.sign_in(nonce, expires, now);
            answered(account, &unused)
        }
        AccountCall::LookUpReceipt => {
            let (account, admitted) = account.look_up_receipt(now);
            answered(account, &admitted)
        }
        AccountCall::Survey(target) => {
            let survey = survey(&account, rules, target.as_ref(), now);
            answered(account, &survey)
        }
        AccountCall::OrderCredits(order) => {
            let (account, done) = account.ordered(rules, &order, now);
            answered(account, &done)
        }
        AccountCall::SellCredits(count) => {
            let sale = account.sell_credits(rules, count, now);
            Handled { denied: true, ..answered(account, &sale) }
        }
        AccountCall::Credits => {
            let account = account.tidied(rules, now);
            let reply = objects::reply(&credit_book(&account, now));
            Handled { account, reply, denied: false }
        }
        AccountCall::Usage => {
            // Queued requests whose turn has come are on the bill, too.
            let account = account.tidied(rules, now);
            let usage = live_usage(&account, rules, now);
            answered(account, &usage)
        }
        AccountCall::TryAdmin(is_right) => {
            let (account, admitted) = account.try_admin(is_right, now);
            answered(account, &admitted)
        }
        // Without a key nothing is allowed.
        AccountCall::Allows(_) => answered(account, &false),
        // A key that is not good was refused before.
        AccountCall::KnowsKey => Handled { denied: true, ..answered(account, &true) },
        AccountCall::AddKey(key, scopes) => done(account.with_key(key, scopes)),
        AccountCall::RemoveKey(key) => done(account.without_key(&key)),
        AccountCall::SetPlan(plan) => done(account.with_plan(plan)),
        AccountCall::NewPlans(_) => done(account),
        AccountCall::Announce(payment) => done(account.announce(payment)),
        AccountCall::Withdraw(payment) => done(account.withdraw(&payment)),
        AccountCall::Acknowledge(payment) => done(account.acknowledge(&payment)),
        AccountCall::Doubt(sum) => done(account.doubt(rules, sum, now)),
        AccountCall::Credit(credit, request) => {
            admitted_by(account.credit(rules, &credit, now), request.as_ref(), rules, now)
        }
        AccountCall::Advance(credit, request) => {
            admitted_by(account.advance(rules, &credit, now), request.as_ref(), rules, now)
        }
        AccountCall::TakeBack(credit) => done(account.take_back(rules, &credit, now)),
        AccountCall::FailPayment => {
            let (account, wait) = account.fail_payment(now);
            answered(account, &wait)
        }
        AccountCall::UnfailPayment => done(account.unfail_payment(now)),
        AccountCall::HasPlan => {
            let has_plan = account.plan().is_some();
            Handled { denied: true, ..answered(account, &has_plan) }
        }
        AccountCall::Pledge(attempt, amount) => {
            let (account, decision) = account.pledge(rules, &attempt, amount, now);
            let denied = !decision.as_ref().is_some_and(Decision::is_admitted);
            Handled { denied, ..answered(account, &decision) }
        }
        AccountCall::GiveBack(endpoint, refund) => {
            let account = account.given_back(rules, &endpoint, refund, now);
            let standings = account.standings_at(rules, &endpoint, now);
            answered(account, &standings)
        }
    }
}

fn survey(account: &Account, rules: &Rules<'_>, target: Option<&Target>, now: Millis) -> Survey {
    let mut endpoints = account.survey(rules, now);
    if let Some(target) = target {
        let wanted = rules.plans.get(rules.plan).and_then(|plan| plan.find(target)).map(|found| &found.name);
        endpoints.retain(|(name, _)| Some(name) == wanted);
    }
    let advanced = account.advanced().cloned().collect();
    Survey { plan: rules.plan.to_owned(), endpoints, credits: account.credits().balance(now), advanced }
}

/// The request that brought a payment, if it waits, with what that added.
fn admitted_by(account: Account, request: Option<&Attempt>, rules: &Rules<'_>, now: Millis) -> Handled {
    let Some(attempt) = request else { return answered(account, &None::<Decision>) };
    let (account, decision) = account.attempt_again(rules, attempt, now);
    answered(account, &Some(decision))
}

fn credit_book(account: &Account, now: Millis) -> CreditBook {
    let credits = account.credits();
    CreditBook { blocks: credits.blocks().to_vec(), balance: credits.balance(now), debt: credits.debt() }
}

fn live_usage(account: &Account, rules: &Rules<'_>, now: Millis) -> LiveUsage {
    LiveUsage {
        plan: rules.plan.to_owned(),
        incarnation: account.incarnation().to_owned(),
        lines: account.usage().lines().collect(),
        quotas: account.quota_uses(rules, now),
        credits: account.credits().balance(now),
        at: now,
    }
}
