//! What a payment adds to the limits of an endpoint, and what is taken back of it.

use super::{Allowance, BUCKET};
use crate::limit::bought::Bought;
use crate::limit::bucket::Bucket;
use crate::limit::quota::Quota;
use crate::limit::tokens::Tokens;
use crate::limit::window::{Window, WindowPolicy};
use crate::time::{Millis, Span};

impl Allowance {
    /// The tokens of the bucket that were paid for.
    #[must_use]
    pub fn paid(&self) -> Tokens {
        self.bucket.map(|bucket| bucket.paid()).unwrap_or_default()
    }

    /// Adds what was paid for to a limit: tokens on top of a bucket, units to a window or quota until it ends.
    #[must_use]
    pub fn granted(mut self, limit: &str, quantity: Tokens, now: Millis) -> Self {
        let more = |bought: Bought| bought.plus(quantity);
        if limit == BUCKET {
            let bucket = self.bucket.unwrap_or(Bucket::holding(Tokens::ZERO, now));
            self.bucket = Some(bucket.add_paid(quantity));
        } else if let Some(window) = self.windows.get_mut(limit) {
            *window = window.with_bought(more);
        } else if let Some(quota) = self.quotas.get_mut(limit) {
            *quota = quota.with_bought(more);
        } else if let Some(gone) = WindowPolicy::named(limit) {
            self.windows.insert(limit.to_owned(), Window::default().at(&gone, now).with_bought(more));
        } else if let Some(unused) = Quota::named(limit) {
            // The plan changed since: what was paid for counts when it has the quota again.
            self.quotas.insert(limit.to_owned(), unused.at(now).with_bought(more));
        }
        self
    }

    /// Takes back what was added to a limit, though it was used: then the limit owes it.
    #[must_use]
    pub fn taken_back(mut self, limit: &str, quantity: Tokens, now: Millis) -> Self {
        let less = |bought: Bought| bought.less(quantity);
        if limit == BUCKET {
            let bucket = self.bucket.unwrap_or(Bucket::holding(Tokens::ZERO, now));
            self.bucket = Some(bucket.take_back(quantity));
        } else if let Some(window) = self.windows.get_mut(limit) {
            *window = window.with_bought(less);
        } else if let Some(quota) = self.quotas.get_mut(limit) {
            *quota = quota.with_bought(less);
        } else if let Some(unused) = Quota::named(limit) {
            self.quotas.insert(limit.to_owned(), unused.at(now).with_bought(less));
        }
        self
    }

    /// The allowance as if its limits owed nothing.
    #[must_use]
    pub fn forgiven(mut self) -> Self {
        self.bucket = self.bucket.map(Bucket::forgiven);
        self.windows.values_mut().for_each(|window| *window = window.with_bought(Bought::forgiven));
        self.quotas.values_mut().for_each(|quota| *quota = quota.with_bought(Bought::forgiven));
        self
    }
}

/// How long what was paid for in a window can still be used, whatever the plan says of it.
pub(super) fn paid_window_left(name: &str, window: &Window, now: Millis) -> Span {
    let policy = WindowPolicy::named(name).filter(|_| window.bought().extra() > Tokens::ZERO);
    policy.map_or(Span::ZERO, |policy| window.left(&policy, now))
}
