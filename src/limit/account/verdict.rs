//! The verdict on a request: which limits deny it, what its endpoint's plan makes of that, and what a payment would change.

use crate::limit::allowance::{Allowance, CONCURRENT, Denier, LOOKS_AHEAD, Need, NoTurn};
use crate::limit::bucket::Wait;
use crate::limit::credit::{CREDITS, Purse};
use crate::limit::decision::{Admitted, Denied, DeniedBy, Grant, SaleTerms, Verdict};
use crate::limit::plan::{OverLimit, Policy, QueuePolicy};
use crate::limit::tokens::Tokens;
use crate::pay::amount::Price;
use crate::time::{Millis, Span};

/// A call that is to be paid and is not: denied for its price where the limits would let it pass, and else as they deny
/// it. It counts nowhere.
pub(super) fn unpaid(
    allowance: &Allowance,
    policy: &Policy,
    price: Price,
    need: &Need,
    purse: Option<&Purse>,
    now: Millis,
) -> Verdict {
    let offer = Some(SaleTerms { price, grants: Vec::new(), single: Vec::new(), one_call: true });
    Verdict::Denied(match decide(allowance.clone(), policy, need, purse, "", now).1 {
        Verdict::Denied(denied) => Denied { offer, ..denied },
        Verdict::Admitted(_) | Verdict::NoAccess => {
            Denied::new(DeniedBy::Price, "price".to_owned(), None, offer)
        }
    })
}

/// Decides, and makes of a denial's wait a promise.
pub(super) fn decide(
    allowance: Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    let (allowance, verdict) = judge(allowance, policy, need, purse, request, now);
    let Verdict::Denied(denied) = verdict else { return (allowance, verdict) };
    let wait = denied.wait.and_then(|wait| promise(&allowance, policy, need, purse, wait, now));
    (allowance, Verdict::Denied(Denied { wait, ..denied }))
}

/// How long a denied request must wait, at least `wait`. What admits now may deny by then: an extension that was paid
/// for ends with its window, and who gets a slot may find the queue too long.
fn promise(
    allowance: &Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    mut wait: Span,
    now: Millis,
) -> Option<Span> {
    for _ in 0..LOOKS_AHEAD {
        let then = now.plus(wait);
        match judge(allowance.clone().at(policy, then), policy, need, purse, "", then).1 {
            Verdict::Denied(Denied { wait: further, .. }) => wait = wait.plus(further?),
            Verdict::Admitted(_) | Verdict::NoAccess => break,
        }
    }
    Some(wait)
}

/// The limits that deny, the account's credits among them.
fn deniers(
    allowance: &Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    now: Millis,
) -> Vec<Denier> {
    let mut deniers = allowance.check(policy, need, now);
    if purse.is_some_and(|purse| !purse.affords(need.credits, now)) {
        deniers.push(Denier { limit: CREDITS.to_owned(), wait: Wait::Never });
    }
    deniers
}

/// Whether nobody gets past that limit by waiting in line or passing degraded. A quota has a strategy of its own.
fn bars(policy: &Policy, limit: &str) -> bool {
    match policy.over_limit {
        OverLimit::Block | OverLimit::Pay(_) => true,
        OverLimit::Queue(_) => [CONCURRENT, CREDITS].contains(&limit) || policy.quota(limit).is_some(),
        OverLimit::Degrade(_) => limit == CONCURRENT || policy.quota(limit).is_some(),
    }
}

/// Checks everything, and counts it when the request may pass.
fn judge(
    allowance: Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    let deniers = deniers(&allowance, policy, need, purse, now);
    let (barring, others): (Vec<Denier>, Vec<Denier>) =
        deniers.into_iter().partition(|denier| bars(policy, &denier.limit));
    match &policy.over_limit {
        _ if !barring.is_empty() => {
            let terms = terms(&allowance, policy, need, purse, &barring, now);
            deny(allowance, policy, &barring, terms)
        }
        // Nobody overtakes those who wait already.
        OverLimit::Queue(queue) if !others.is_empty() || allowance.queued() > 0 => {
            wait_in_line(allowance, policy, queue, need, &others, request, now)
        }
        OverLimit::Degrade(to) if !others.is_empty() => {
            let admitted = Admitted {
                degraded: true,
                degrade_to: to.clone(),
                tell_end: policy.counts_ends(),
                ..Admitted::default()
            };
            (allowance.holding_slot(policy, request, now), Verdict::Admitted(admitted))
        }
        OverLimit::Block | OverLimit::Pay(_) | OverLimit::Queue(_) | OverLimit::Degrade(_) => {
            pass(allowance, policy, need, request, now)
        }
    }
}

fn pass(
    allowance: Allowance,
    policy: &Policy,
    need: &Need,
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    let before = allowance.paid();
    let allowance = allowance.counted(policy, need, now).holding_slot(policy, request, now);
    let paid = before.minus(allowance.paid()).unwrap_or_default();
    let admitted = Admitted {
        paid,
        credits: need.credits,
        tell_end: policy.counts_ends(),
        bought: allowance.was_extended(),
        ..Admitted::default()
    };
    (allowance, Verdict::Admitted(admitted))
}

fn wait_in_line(
    allowance: Allowance,
    policy: &Policy,
    queue: &QueuePolicy,
    need: &Need,
    deniers: &[Denier],
    request: &str,
    now: Millis,
) -> (Allowance, Verdict) {
    match allowance.turn(policy, queue, need, now) {
        Ok(turn) => {
            let (wait, credits) = (turn.since(now), need.credits);
            let admitted = Admitted {
                wait,
                credits,
                tell_end: policy.counts_ends(),
                bought: allowance.was_extended(),
                ..Admitted::default()
            };
            let waiting = allowance.holding_slot(policy, request, turn).reserved(request, turn, need.clone());
            (waiting, Verdict::Admitted(admitted))
        }
        Err(no_turn) => {
            let (by, wait) = match no_turn {
                NoTurn::QueueFull(wait) => (DeniedBy::QueueFull, Some(wait)),
                NoTurn::TooLong(wait) => (DeniedBy::Limit, Some(wait)),
                NoTurn::Never => (DeniedBy::Limit, None),
            };
            let limit = deniers.first().map_or_else(|| policy.first_limit(), |denier| denier.limit.clone());
            (allowance, Verdict::Denied(Denied::new(by, limit, wait, None)))
        }
    }
}

fn deny(
    allowance: Allowance,
    policy: &Policy,
    deniers: &[Denier],
    offer: Option<SaleTerms>,
) -> (Allowance, Verdict) {
    // The limit that denies longest is the one to tell of; one that denies for ever before all others.
    let worst = deniers
        .iter()
        .reduce(|worst, next| if Wait::longer(worst.wait, next.wait) == worst.wait { worst } else { next });
    let limit = worst.map(|denier| denier.limit.clone()).unwrap_or_default();
    let by = match limit.as_str() {
        _ if deniers.iter().all(|denier| denier.limit == CONCURRENT) => DeniedBy::Slots,
        CREDITS => DeniedBy::Credits,
        limit if policy.quota(limit).is_some() => DeniedBy::Quota,
        _ => DeniedBy::Limit,
    };
    let wait = match worst.map(|denier| denier.wait) {
        Some(Wait::For(span)) => Some(span),
        Some(Wait::Never) | None => None,
    };
    (allowance, Verdict::Denied(Denied::new(by, limit, wait, offer)))
}

/// What one payment would add to the limits that deny, if the request passes then: nobody pays in vain.
fn terms(
    allowance: &Allowance,
    policy: &Policy,
    need: &Need,
    purse: Option<&Purse>,
    deniers: &[Denier],
    now: Millis,
) -> Option<SaleTerms> {
    let sale = policy.sale()?;
    let grant = |denier: &Denier| {
        let quantity = policy.refill_of(&denier.limit, need.credits)?;
        Some(Grant { limit: denier.limit.clone(), quantity })
    };
    let grants: Vec<Grant> = deniers.iter().map(grant).collect::<Option<_>>()?;
    // What is owed for a payment that failed is filled first: then it may be the payment after this one that admits.
    let even = allowance.clone().forgiven();
    let paid = grants.iter().fold(even, |paid, grant| paid.granted(&grant.limit, grant.quantity, now));
    let credits = grants.iter().find(|grant| grant.limit == CREDITS);
    let credits = credits.map(|grant| grant.quantity).unwrap_or_default();
    let refilled = purse.map(|purse| purse.clone().with(credits));
    let helps = self::deniers(&paid, policy, need, refilled.as_ref(), now).is_empty();
    let single = single(allowance, policy, need, &grants, now);
    let passes =
        single.iter().fold(allowance.clone(), |paid, grant| paid.granted(&grant.limit, grant.quantity, now));
    // Credits are sold by the refill.
    let suffices = self::deniers(&passes, policy, need, purse, now).is_empty();
    let single = if suffices { single } else { grants.clone() };
    helps.then_some(SaleTerms { price: sale.price, grants, single, one_call: false })
}

/// What the request itself has no room for in the limits that deny, of each refill at most the whole. Of a unit that is told while
/// it is answered or at its end it needs one to begin with. What was used past a limit, by final units, is bought too.
fn single(allowance: &Allowance, policy: &Policy, need: &Need, refills: &[Grant], now: Millis) -> Vec<Grant> {
    let begun = refills.iter().filter_map(|refill| policy.unit_of(&refill.limit)).fold(
        need.units.clone(),
        |units, unit| {
            if units.of(unit) > Tokens::ZERO { units } else { units.with(unit, Tokens::ONE) }
        },
    );
    let short = allowance.shortfalls(policy, &begun, now);
    let part = |refill: &Grant| {
        let short = short.iter().find(|grant| grant.limit == refill.limit);
        let quantity = short.map_or(need.cost, |grant| grant.quantity);
        Grant { limit: refill.limit.clone(), quantity: quantity.min(refill.quantity) }
    };
    refills.iter().map(part).collect()
}
