//! Where a client stands with one limit: what the rate-limit headers and `GET /limits` tell.

use serde::{Deserialize, Serialize};

use super::allowance::{BUCKET, CONCURRENT};
use super::bucket::{Bucket, BucketPolicy, Wait};
use super::quota::{Quota, QuotaPolicy};
use super::slots::{SlotPolicy, Slots};
use super::tokens::Tokens;
use super::units::REQUEST;
use super::window::{Window, WindowPolicy};
use crate::time::{Millis, Span};

/// A limit of an endpoint and how much of it is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// What the limit is called in the `RateLimit` fields: unique among the limits of an endpoint.
    pub name: String,
    /// What is counted, such as `request`.
    pub unit: String,
    /// The number shown as the limit.
    pub limit: u64,
    /// The most that may be used in `window`: the quota of `RateLimit-Policy`.
    pub quota: u64,
    /// What may be used now, rounded down.
    pub remaining: u64,
    /// The span in which the quota comes back, if it does.
    pub window: Option<Span>,
    /// How long until the limit is whole again, if it will be.
    pub reset_after: Option<Span>,
    /// The tokens in the bucket, for a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// What was taken back after it had been used: it comes off what is added next.
    #[serde(default, skip_serializing_if = "Tokens::is_zero")]
    pub owed: Tokens,
}

impl Standing {
    /// Where a client stands with a token bucket that was brought up to `now`.
    #[must_use]
    pub fn of_bucket(bucket: &Bucket, policy: &BucketPolicy, now: Millis) -> Self {
        let span = |wait| match wait {
            Wait::For(span) => Some(span),
            Wait::Never => None,
        };
        let empty = Bucket::holding(Tokens::ZERO, now);
        Self {
            name: BUCKET.to_owned(),
            unit: REQUEST.to_owned(),
            limit: policy.shown_limit,
            quota: policy.capacity.floor(),
            remaining: bucket.level().floor(),
            window: span(empty.until_whole(policy, now)),
            reset_after: span(bucket.until_whole(policy, now)),
            tokens: Some(bucket.level()),
            owed: bucket.owed(),
        }
    }

    /// Where a client stands with a window that was brought up to `now`.
    #[must_use]
    pub fn of_window(window: &Window, policy: &WindowPolicy, now: Millis) -> Self {
        Self {
            name: policy.name.clone(),
            unit: policy.unit.clone(),
            limit: policy.limit.plus(window.bought().extra()).floor(),
            quota: policy.limit.floor(),
            remaining: window.remaining(policy, now).floor(),
            window: Some(policy.length),
            reset_after: Some(window.reset_after(policy, now)),
            tokens: None,
            owed: window.bought().owed(),
        }
    }

    /// Where a client stands with a quota that was brought up to `now`.
    #[must_use]
    pub fn of_quota(quota: &Quota, policy: &QuotaPolicy, now: Millis) -> Self {
        Self {
            name: policy.name.clone(),
            unit: policy.unit.clone(),
            limit: quota.limit(policy).floor(),
            quota: policy.limit.floor(),
            remaining: quota.remaining(policy).floor(),
            window: Some(quota.length()),
            reset_after: Some(quota.left(now)),
            tokens: None,
            owed: quota.bought().owed(),
        }
    }

    /// Where a client stands with slots that were brought up to `now`.
    #[must_use]
    pub fn of_slots(slots: &Slots, policy: &SlotPolicy, now: Millis) -> Self {
        Self {
            name: CONCURRENT.to_owned(),
            unit: CONCURRENT.to_owned(),
            limit: policy.max,
            quota: policy.max,
            remaining: policy.max.saturating_sub(slots.held()),
            window: None,
            reset_after: Some(slots.until_lapsed(now)),
            tokens: None,
            owed: Tokens::ZERO,
        }
    }
}

/// The limit that is nearest to running out: the least share of its limit left. Slots come and go with every request,
/// so they lead only where there is no other limit.
#[must_use]
pub fn nearest(standings: &[Standing]) -> Option<&Standing> {
    let lasting = standings.iter().filter(|standing| standing.name != CONCURRENT);
    least(lasting).or_else(|| least(standings.iter()))
}

fn least<'a>(standings: impl Iterator<Item = &'a Standing>) -> Option<&'a Standing> {
    standings.min_by(|a, b| {
        let left = u128::from(a.remaining).saturating_mul(u128::from(b.limit));
        let right = u128::from(b.remaining).saturating_mul(u128::from(a.limit));
        left.cmp(&right)
    })
}
