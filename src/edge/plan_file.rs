//! Plan files as the owner sends them.

use serde_json::{Map, Value, json};

use super::asked::bad;
use super::exchange::{Exchange, Outcome};
use crate::config::table::{Fault, Faults};
use crate::problem::{Problem, ProblemKind};

/// Reads the plans of a plan file.
pub(super) fn read(_exchange: &Exchange, body: &[u8]) -> Outcome<Map<String, Value>> {
    let value: Value = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    Ok(value.get("plans").and_then(Value::as_object).cloned().unwrap_or_default())
}

/// Reads one plan.
pub(super) fn read_one(_exchange: &Exchange, _name: &str, body: &[u8]) -> Outcome<Value> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

/// What is wrong with it.
pub(super) fn problem(faults: &Faults, _line: Option<&Fault>) -> Problem {
    let list: Vec<Value> = faults.list().iter().map(|fault| json!({ "setting": fault.setting, "message": fault.message })).collect();
    Problem::new(ProblemKind::BadRequest, faults.to_string()).with("faults", list)
}
