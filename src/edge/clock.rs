//! The clock and the dice: the one place where time and randomness are read.

use crate::time::Millis;

/// The time now, as the platform tells it.
pub(super) fn now() -> Millis {
    Millis::new(worker::Date::now().as_millis())
}

/// `N` random bytes.
pub(super) fn random_bytes<const N: usize>() -> worker::Result<[u8; N]> {
    let mut random = [0; N];
    getrandom::fill(&mut random).map_err(|error| worker::Error::RustError(error.to_string()))?;
    Ok(random)
}

/// `bytes` random bytes in hex.
pub(super) fn random_hex(bytes: usize) -> worker::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| worker::Error::RustError(error.to_string()))?;
    Ok(hex::encode(random))
}
