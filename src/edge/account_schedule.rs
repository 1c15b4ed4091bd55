//! An account in memory, and when its object has something to do without a request.

use crate::config::Config;
use crate::limit::account::Account;
use crate::limit::bucket::Wait;
use crate::time::{Millis, Span};

/// Usage is saved this soon after it was counted: before an idle object is evicted (10 s).
const USAGE_AT_RISK: Span = Span::seconds(8);
/// How soon a flush that failed is tried again, at most: where flushes come more often, with the next.
const FLUSH_RETRY: Span = Span::seconds(10);

/// The account in memory, and what storage has of it.
pub(super) struct Memory {
    pub(super) account: Account,
    /// The account as it was last written; `None` when nothing is, for certain.
    pub(super) stored: Option<(Account, Millis)>,
    /// Whether storage may have an account: a write that was reported failed may have been made.
    pub(super) has_row: bool,
    /// Whether anything but counts of denied requests came after that: those wait for the alarm.
    pub(super) unsaved: bool,
    /// When the alarm rings.
    pub(super) alarm_at: Option<Millis>,
    /// When it was called last.
    pub(super) called_at: Millis,
}

impl Memory {
    /// Whether the ledger is to be told now.
    pub(super) fn flush_due(&self, config: &Config, now: Millis) -> bool {
        self.flush_at(config).is_some_and(|at| at <= now)
    }

    /// When the ledger is to be told, if there is something to tell: soon after the first count, as most visitors are gone
    /// by then.
    fn flush_at(&self, config: &Config) -> Option<Millis> {
        let (usage, interval) = (self.account.usage(), config.flush_interval);
        let since = usage.unflushed_since()?;
        let first = since.plus(USAGE_AT_RISK.min(interval));
        Some(usage.flushed_at().map_or(first, |at| at.plus(interval)))
    }

    /// When the alarm must ring; `None` when it is set early enough already.
    pub(super) fn plan_alarm(&mut self, config: &Config, now: Millis) -> Option<Millis> {
        let wanted = self.wanted_alarm(config, now)?;
        if self.alarm_at.is_some_and(|at| at <= wanted) {
            return None;
        }
        self.alarm_at = Some(wanted);
        Some(wanted)
    }

    /// When the alarm must ring again, after it has rung: a flush that is due then has just failed.
    pub(super) fn next_alarm(&self, config: &Config, now: Millis) -> Option<Millis> {
        let wanted = self.wanted_alarm(config, now)?;
        Some(if self.flush_due(config, now) {
            wanted.max(now.plus(FLUSH_RETRY.min(config.flush_interval)))
        } else {
            wanted
        })
    }

    /// When a client counts as gone. One that is still there keeps its account: each life of an account has rows of its
    /// own in the ledger.
    pub(super) fn gone_at(&self, config: &Config) -> Millis {
        self.called_at.plus(USAGE_AT_RISK.min(config.flush_interval))
    }

    /// When something is to be done without a request.
    fn wanted_alarm(&self, config: &Config, now: Millis) -> Option<Millis> {
        let usage = match self.flush_at(config) {
            Some(flush_at) => Some(self.save_at(config, now).map_or(flush_at, |at| at.min(flush_at))),
            None => self.end_at(config, now),
        };
        usage.into_iter().chain(self.account.outbox().next_at()).min()
    }

    /// When usage is to be saved, if storage has not all of it.
    fn save_at(&self, config: &Config, now: Millis) -> Option<Millis> {
        let stored = self.stored.as_ref().map(|(account, _)| account.usage().revision());
        let at_risk = stored != Some(self.account.usage().revision());
        at_risk.then(|| now.plus(USAGE_AT_RISK.min(config.flush_interval)))
    }

    /// When its storage is to be deleted: once it is whole.
    fn end_at(&self, config: &Config, now: Millis) -> Option<Millis> {
        if !self.has_row {
            return None;
        }
        let rules = config.rules(self.account.id().kind(), self.account.plan());
        match self.account.until_whole(&rules, now) {
            Wait::For(span) => Some(now.plus(span).max(self.gone_at(config))),
            Wait::Never => None,
        }
    }
}
