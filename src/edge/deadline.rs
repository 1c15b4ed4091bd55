//! A bound on how long something may take.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::pin_mut;
use worker::Delay;

use crate::time::Span;

/// What comes of `future`, or nothing when it takes longer than `span`; it is then dropped.
pub(super) async fn within<T>(span: Span, future: impl Future<Output = T>) -> Option<T> {
    let late = Delay::from(Duration::from_millis(span.get()));
    pin_mut!(future, late);
    match select(future, late).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), _)) => None,
    }
}
