//! What a plan says of buckets, windows and slots, as an owner writes it.

use serde_json::Value;

use crate::config::table::{Faults, Table, count, number, text};
use crate::config::{list, positive_span};
use crate::limit::bucket::BucketPolicy;
use crate::limit::slots::SlotPolicy;
use crate::limit::tokens::{Rate, Tokens};
use crate::limit::units::{REQUEST, is_unit_name};
use crate::limit::window::{Motion, WindowPolicy};
use crate::time::Span;

/// How long a slot is held at most where the plan does not say.
const DEFAULT_EXPIRY: Span = Span::seconds(60);

pub(super) fn read_bucket(mut table: Table<'_>, faults: &mut Faults) -> Option<BucketPolicy> {
    let by_rpm = table.value("rpm").is_some() || table.value("burst").is_some();
    let by_rate = table.value("capacity").is_some() || table.value("refill_rate").is_some();
    let policy = match (by_rpm, by_rate) {
        (true, false) => {
            let rpm: Option<Tokens> = table.required("rpm", number, faults);
            let burst = table.required("burst", positive, faults);
            rpm.zip(burst).map(|(rpm, burst)| BucketPolicy {
                capacity: burst,
                rate: Rate::per_minute(rpm),
                shown_limit: rpm.floor(),
            })
        }
        (false, true) => {
            let capacity: Option<Tokens> = table.required("capacity", positive, faults);
            let rate = table.required("refill_rate", number, faults);
            capacity.zip(rate).map(|(capacity, rate)| BucketPolicy {
                capacity,
                rate: Rate::per_second(rate),
                shown_limit: capacity.floor(),
            })
        }
        _ => {
            let message = "must be { capacity, refill_rate } (tokens, tokens per second) or { rpm, burst }";
            faults.add(table.name(), message);
            None
        }
    };
    table.finish(faults);
    policy
}

pub(super) fn read_windows(
    table: &mut Table<'_>,
    member: &'static str,
    motion: Motion,
    faults: &mut Faults,
) -> Vec<WindowPolicy> {
    let name = table.name_of(member);
    let items = table.optional(member, list, faults).unwrap_or_default();
    let windows = items.iter().enumerate().filter_map(|(index, value)| {
        Table::open(format!("{name}[{index}]"), value, faults)
            .and_then(|table| read_window(table, motion, faults))
    });
    windows.collect()
}

fn read_window(mut table: Table<'_>, motion: Motion, faults: &mut Faults) -> Option<WindowPolicy> {
    let length = table.required("window", positive_span, faults);
    let limit = table.required("limit", positive, faults);
    let unit = read_unit(&mut table, faults).to_owned();
    table.finish(faults);
    Some(WindowPolicy::new(&unit, length?, limit?, motion))
}

/// Reads what a limit counts; requests where it does not say.
pub(super) fn read_unit<'a>(table: &mut Table<'a>, faults: &mut Faults) -> &'a str {
    let unit = table.optional("unit_type", unit_name, faults);
    let alias = table.optional("unit_kind", unit_name, faults);
    if unit.is_some() && alias.is_some() {
        faults.add(table.name_of("unit_kind"), "is the same as unit_type; write one of them");
    }
    unit.or(alias).unwrap_or(REQUEST)
}

pub(super) fn check_names(full: &str, windows: &[WindowPolicy], faults: &mut Faults) {
    for (index, window) in windows.iter().enumerate() {
        if windows.iter().take(index).any(|other| other.name == window.name) {
            faults.add(
                full,
                format!(
                    "has two windows of {} for the unit {}; keep the smaller",
                    window.length, window.unit
                ),
            );
        }
    }
}

pub(super) fn unit_name(value: &Value) -> Result<&str, String> {
    match text(value)? {
        name if is_unit_name(name) => Ok(name),
        other => Err(format!("`{other}` is not a unit; write letters, digits, - and _, such as token")),
    }
}

pub(super) fn read_slots(table: &mut Table<'_>, faults: &mut Faults) -> Option<SlotPolicy> {
    let expiry = table.optional("concurrency_expiry", positive_span, faults);
    let Some(max) = table.optional("max_concurrent", count, faults) else {
        if expiry.is_some() && table.value("max_concurrent").is_none() {
            faults.add(table.name_of("concurrency_expiry"), "has no effect without max_concurrent");
        }
        return None;
    };
    if max == 0 {
        faults.add(table.name_of("max_concurrent"), "must be more than 0");
        return None;
    }
    Some(SlotPolicy { max, expiry: expiry.unwrap_or(DEFAULT_EXPIRY) })
}

pub(super) fn positive(value: &Value) -> Result<Tokens, String> {
    match number(value)? {
        Tokens::ZERO => Err("must be more than 0".to_owned()),
        tokens => Ok(tokens),
    }
}
