//! What of an account's life its owner is told: see [`crate::notice`].

use super::{Account, Rules};
use crate::endpoint::EndpointName;
use crate::limit::allowance::BUCKET;
use crate::limit::decision::{Denied, DeniedBy};
use crate::limit::plan::Endpoint;
use crate::limit::quota::QuotaUse;
use crate::limit::standing::Standing;
use crate::limit::tokens::Tokens;
use crate::notice::outbox::Outbox;
use crate::notice::{Kind, Notice, Occurrence, Sum};
use crate::time::{Millis, Span};

/// A bucket has no window to be told of once in: it is told of once a minute at most.
const BUCKET_WINDOW: Span = Span::seconds(60);

/// That credits run low is told of once in this time.
const A_DAY: Span = Span::seconds(86_400);

impl Account {
    /// What waits to be told.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Notes something for the owner, if it is of a kind that the owner wants to know.
    pub(super) fn tell(&mut self, rules: &Rules<'_>, what: Occurrence, now: Millis) {
        if rules.notices.has(what.kind()) {
            self.outbox.put(Notice::new(&self.id, what, now), now);
        }
    }

    /// Notes that a limit was exceeded, once until it is whole again.
    pub(super) fn tell_exceeded(
        &mut self,
        rules: &Rules<'_>,
        endpoint: &EndpointName,
        denied: &Denied,
        standings: &[Standing],
        now: Millis,
    ) {
        if !matches!(denied.by, DeniedBy::Limit | DeniedBy::Quota) || !rules.notices.has(Kind::Exceeded) {
            return;
        }
        let standing = standings.iter().find(|standing| standing.name == denied.limit);
        let whole = standing.and_then(|standing| standing.reset_after).unwrap_or_default();
        // A request that asks for more than there ever is finds the limit whole.
        let is_told_by_the_minute = denied.limit == BUCKET || whole == Span::ZERO;
        let span = if is_told_by_the_minute { whole.max(BUCKET_WINDOW) } else { whole };
        let resets_at = now.plus(span);
        if self.outbox.may_tell(&format!("{endpoint} {}", denied.limit), resets_at, now) {
            let (endpoint, limit) = (endpoint.clone(), denied.limit.clone());
            self.tell(rules, Occurrence::Exceeded { endpoint, limit, resets_at }, now);
        }
    }

    /// Notes what a request that was counted did to quotas and credits.
    pub(super) fn tell_metered(&mut self, rules: &Rules<'_>, endpoint: &Endpoint, now: Millis) {
        if !endpoint.policy.quotas.is_empty() {
            self.tell_quotas(rules, endpoint, now);
        }
        if !endpoint.policy.credits.is_empty() {
            self.tell_credits(rules, now);
        }
    }

    /// Notes that four fifths of a quota of an endpoint are used, or all of it: each once in its day or month.
    fn tell_quotas(&mut self, rules: &Rules<'_>, endpoint: &Endpoint, now: Millis) {
        if !(rules.notices.has(Kind::Quota80) || rules.notices.has(Kind::Quota100)) {
            return;
        }
        let Some(allowance) = self.allowances.get(&endpoint.name) else { return };
        let uses = allowance.quota_uses(&endpoint.policy, now).into_iter();
        let present: Vec<QuotaUse> = uses.filter(|used| used.period.around(now).0 == used.start).collect();
        for used in present {
            let whole = u128::from(used.limit.get());
            let reached =
                |fifths: u128| u128::from(used.used.get()).saturating_mul(5) >= whole.saturating_mul(fifths);
            for (fifths, what) in [(4, Occurrence::Quota80 as fn(_, _) -> _), (5, Occurrence::Quota100)] {
                let what = what(endpoint.name.clone(), used.clone());
                let subject =
                    format!("{} {} {}-{}", what.kind().name(), endpoint.name, used.unit, used.period.name());
                let ends = used.period.around(now).1;
                if reached(fifths)
                    && rules.notices.has(what.kind())
                    && self.outbox.may_tell(&subject, ends, now)
                {
                    self.tell(rules, what, now);
                }
            }
        }
    }

    /// Notes that a fifth or less is left of the prepaid credits that are still good, once a day.
    pub(super) fn tell_credits(&mut self, rules: &Rules<'_>, now: Millis) {
        if !rules.notices.has(Kind::CreditsLow) {
            return;
        }
        let balance = self.credits.balance(now);
        let granted = self.credits.blocks().iter().filter(|block| block.is_good(now));
        let granted = granted.fold(Tokens::ZERO, |sum, block| sum.plus(block.amount));
        let is_low = u128::from(balance.get()).saturating_mul(5) <= u128::from(granted.get());
        if is_low && self.outbox.may_tell("credits-low", now.plus(A_DAY), now) {
            self.tell(rules, Occurrence::CreditsLow(balance, now), now);
        }
    }

    /// Takes in that it is not known whether a payment went through.
    #[must_use]
    pub fn doubt(mut self, rules: &Rules<'_>, sum: Sum, now: Millis) -> Self {
        self.tell(rules, Occurrence::PaymentUnknown(sum), now);
        self
    }

    /// Notes that the owner's server took a notice, or did not.
    #[must_use]
    pub fn told_owner(mut self, notice: &str, taken: bool, now: Millis) -> Self {
        if taken {
            self.outbox.delivered(notice, now);
        } else {
            self.outbox.failed(now);
        }
        self
    }

    /// Gives up what was tried long enough, and everything where nobody is told any more.
    pub(super) fn tidy_outbox(&mut self, rules: &Rules<'_>, now: Millis) {
        self.outbox.tidy(now);
        if rules.notices.is_empty() {
            self.outbox = Outbox::default();
        }
    }
}
