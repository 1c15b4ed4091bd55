//! What of an account's life its owner is told: see [`crate::notice`].

use super::{Account, Rules};
use crate::endpoint::EndpointName;
use crate::limit::allowance::BUCKET;
use crate::limit::decision::{Denied, DeniedBy};
use crate::limit::standing::Standing;
use crate::notice::outbox::Outbox;
use crate::notice::{Kind, Notice, Occurrence, Sum};
use crate::time::{Millis, Span};

/// A bucket has no window to be told of once in: it is told of once a minute at most.
const BUCKET_WINDOW: Span = Span::seconds(60);

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
