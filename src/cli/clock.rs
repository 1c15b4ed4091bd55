//! The clock, the dice and the environment: the one place of the tool where they are read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::failure::{Failure, Outcome};
use crate::pay::eip712::Hash32;
use crate::time::{Millis, Span};

/// The time now.
#[allow(clippy::disallowed_methods, reason = "everything else is given the time")]
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Lets time pass.
pub(super) fn wait(span: Span) {
    std::thread::sleep(duration(span));
}

/// A span as the standard library has it.
pub(super) const fn duration(span: Span) -> Duration {
    Duration::from_millis(span.get())
}

/// A nonce that was never used before.
pub(super) fn nonce() -> Outcome<Hash32> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::usage(format!("the system has no randomness: {error}")))?;
    Ok(Hash32::new(random))
}

/// A variable of the environment that is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
