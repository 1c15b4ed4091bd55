//! What holds at an endpoint of a plan: its limits, and what happens over them.

use serde_json::Value;

use super::limits::{check_names, read_bucket, read_slots, read_windows};
use super::quotas;
use super::strategy::{read_over_limit, read_per_call};
use crate::config::table::{Faults, Table, number};
use crate::limit::allowance::BUCKET;
use crate::limit::bucket::BucketPolicy;
use crate::limit::credit::CREDITS;
use crate::limit::quota::{OverQuota, QuotaPolicy};
use crate::limit::slots::SlotPolicy;
use crate::limit::tokens::Tokens;
use crate::limit::units::{REQUEST, Units};
use crate::limit::window::{Motion, WindowPolicy};
use crate::pay::amount::Price;
use crate::time::Span;

/// What holds at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The token bucket, if there is one.
    pub bucket: Option<BucketPolicy>,
    /// Tokens that a request takes from the bucket.
    pub cost: Tokens,
    /// Windows, fixed and sliding, in the order of the plan.
    pub windows: Vec<WindowPolicy>,
    /// Quotas of days and months.
    pub quotas: Vec<QuotaPolicy>,
    /// What of which unit costs how many prepaid credits.
    pub credits: Units,
    /// How many requests may run at the same time, if that is limited.
    pub slots: Option<SlotPolicy>,
    /// What happens over the limit.
    pub over_limit: OverLimit,
    /// What each call costs, where each one is paid (`payment: always`).
    pub per_call: Option<Price>,
}

/// What happens to a request over the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// It is refused with 429.
    Block,
    /// It may be paid for.
    Pay(Sale),
    /// It waits for its turn.
    Queue(QueuePolicy),
    /// It passes degraded: to this path or URL, if there is one.
    Degrade(Option<String>),
}

/// What is for sale at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// What one refill costs.
    pub price: Price,
    /// What one refill adds to the limit that denied; as much as the limit itself where the plan does not say.
    pub refill: Option<Tokens>,
}

/// How requests wait for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// How long a request may wait.
    pub max_wait: Span,
    /// How many may wait at the same time.
    pub max_queue: u64,
}

impl Policy {
    pub(super) fn read(full: &str, value: &Value, faults: &mut Faults) -> Option<Self> {
        let mut table = Table::open(full, value, faults)?;
        let bucket = table.table("bucket", faults).and_then(|bucket| read_bucket(bucket, faults));
        let cost = table.optional("cost", number, faults).unwrap_or(Tokens::ONE);
        let mut windows = read_windows(&mut table, "fixed_windows", Motion::Fixed, faults);
        windows.extend(read_windows(&mut table, "sliding_windows", Motion::Sliding, faults));
        check_names(table.name(), &windows, faults);
        let slots = read_slots(&mut table, faults);
        let per_call = read_per_call(&mut table, faults);
        let credits = quotas::read_credits(&mut table, faults);
        let has_quota =
            table.value("quotas").and_then(Value::as_array).is_some_and(|items| !items.is_empty());
        let has_limit = bucket.is_some() || !windows.is_empty() || has_quota || !credits.is_empty();
        let over_limit = read_over_limit(&mut table, has_limit, faults);
        let quotas = quotas::read(&mut table, over_limit.as_ref().unwrap_or(&OverLimit::Block), faults);
        if per_call.is_some() && quotas.iter().any(|quota| matches!(quota.over, OverQuota::Pay(_))) {
            let message = "cannot be sold (402) where `payment: always` sells each call; let them block";
            faults.add(table.name_of("quotas"), message);
        }
        table.finish(faults);
        Some(Self { bucket, cost, windows, quotas, credits, slots, over_limit: over_limit?, per_call })
    }

    /// Whether the end of an admitted request matters: it holds a slot, or units are counted that only its end tells.
    #[must_use]
    pub fn counts_ends(&self) -> bool {
        let windows = self.windows.iter().map(|window| window.unit.as_str());
        let quotas = self.quotas.iter().map(|quota| quota.unit.as_str());
        let credits = self.credits.iter().map(|(unit, _)| unit);
        self.slots.is_some() || windows.chain(quotas).chain(credits).any(|unit| unit != REQUEST)
    }

    /// The quota of that name.
    #[must_use]
    pub fn quota(&self, limit: &str) -> Option<&QuotaPolicy> {
        self.quotas.iter().find(|quota| quota.name == limit)
    }

    /// The unit that a window or quota of that name counts.
    #[must_use]
    pub fn unit_of(&self, limit: &str) -> Option<&str> {
        let windows = self.windows.iter().map(|window| (&window.name, &window.unit));
        let quotas = self.quotas.iter().map(|quota| (&quota.name, &quota.unit));
        windows.chain(quotas).find(|(name, _)| *name == limit).map(|(_, unit)| unit.as_str())
    }

    /// What is for sale here: the price is that of the endpoint, whatever of it is sold.
    #[must_use]
    pub fn sale(&self) -> Option<&Sale> {
        let quotas = self.quotas.iter().find_map(|quota| match &quota.over {
            OverQuota::Pay(sale) => Some(sale),
            OverQuota::Block | OverQuota::Overage(_) => None,
        });
        match &self.over_limit {
            OverLimit::Pay(sale) => Some(sale),
            OverLimit::Block | OverLimit::Queue(_) | OverLimit::Degrade(_) => quotas,
        }
    }

    /// The name of the first limit: the one to tell of where only the queue denies.
    #[must_use]
    pub fn first_limit(&self) -> String {
        self.windows
            .first()
            .filter(|_| self.bucket.is_none())
            .map_or_else(|| BUCKET.to_owned(), |window| window.name.clone())
    }

    /// What a payment adds to a limit that denies a request which costs `credits`: the plan's refill, else as much as the
    /// limit itself; of credits, as many as the request costs. Nothing where the limit is not for sale.
    #[must_use]
    pub fn refill_of(&self, limit: &str, credits: Tokens) -> Option<Tokens> {
        if let Some(quota) = self.quota(limit) {
            let OverQuota::Pay(sale) = &quota.over else { return None };
            return Some(sale.refill.unwrap_or(quota.limit));
        }
        let OverLimit::Pay(sale) = &self.over_limit else { return None };
        let own = match limit {
            BUCKET => self.bucket.as_ref().map(|bucket| bucket.capacity),
            CREDITS => Some(credits.max(Tokens::ONE)),
            _ => self.windows.iter().find(|window| window.name == limit).map(|window| window.limit),
        };
        own.map(|own| sale.refill.unwrap_or(own))
    }
}
