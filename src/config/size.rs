//! Sizes in bytes in settings.

use std::str::FromStr;

/// A size in bytes: `10MiB`, `64kB`, `1024`.
pub(super) struct Bytes(pub(super) u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "`{text}` is not a size; write a whole number of bytes, kB, KiB, MB or MiB, such as 10MiB"
            )
        };
        let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let (digits, unit) = text.split_at(unit_at);
        let count: u64 = digits.replace('_', "").parse().map_err(|_| error())?;
        let factor: u64 = match unit {
            "" | "B" => 1,
            "kB" => 1_000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            _ => return Err(error()),
        };
        count.checked_mul(factor).map(Self).ok_or_else(error)
    }
}
