//! Reads a table of settings strictly, and gathers every fault with the setting's full name instead of
//! stopping at the first.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting's full name, such as `TOLLGATE.payment.network`.
    pub setting: String,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.message)
    }
}

/// Every fault found so far, in the order of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault.
    pub fn add(&mut self, setting: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { setting: setting.into(), message: message.into() });
    }

    /// Notes the faults of another list after those of this one.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The faults.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

/// The full name of a member of the table `parent`: `parent.member`, or `parent."member"` where it is no plain word. The
/// outermost table has the empty name.
#[must_use]
pub fn member_name(parent: &str, member: &str) -> String {
    let plain =
        !member.is_empty() && member.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let dot = if parent.is_empty() { "" } else { "." };
    if plain { format!("{parent}{dot}{member}") } else { format!("{parent}{dot}{member:?}") }
}

/// A table whose members are read one by one; members that nobody asked for are faults.
pub struct Table<'a> {
    name: String,
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// Opens `value` under `name`, or notes that it is not a table.
    pub fn open(name: impl Into<String>, value: &'a Value, faults: &mut Faults) -> Option<Self> {
        let name = name.into();
        if let Value::Object(members) = value {
            return Some(Self { name, members, known: Vec::new() });
        }
        faults.add(name, format!("must be a table, not {}", kind(value)));
        None
    }

    /// The table's own full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full name of a member.
    #[must_use]
    pub fn name_of(&self, member: &str) -> String {
        member_name(&self.name, member)
    }

    /// A member as it stands.
    pub fn value(&mut self, member: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&member) {
            self.known.push(member);
        }
        self.members.get(member).filter(|value| !value.is_null())
    }

    /// A member that `read` turns into what is wanted; absent is `None`, and so is a fault.
    pub fn optional<T>(
        &mut self,
        member: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, String>,
        faults: &mut Faults,
    ) -> Option<T> {
        match read(self.value(member)?) {
            Ok(value) => Some(value),
            Err(message) => {
                faults.add(self.name_of(member), message);
                None
            }
        }
    }

    /// A member that must be there; `None` when it is missing or faulty, which is then noted.
    pub fn required<T>(
        &mut self,
        member: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, String>,
        faults: &mut Faults,
    ) -> Option<T> {
        if self.value(member).is_none() {
            faults.add(self.name_of(member), "is missing");
            return None;
        }
        self.optional(member, read, faults)
    }

    /// A table inside this one.
    pub fn table(&mut self, member: &'static str, faults: &mut Faults) -> Option<Table<'a>> {
        let value = self.value(member)?;
        Table::open(self.name_of(member), value, faults)
    }

    /// All members with their full names, for tables whose names the owner chooses.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, String, &'a Value)> + use<'a, '_> {
        self.members.iter().map(|(member, value)| (member.as_str(), self.name_of(member), value))
    }

    /// Notes every member that was never asked for.
    pub fn finish(self, faults: &mut Faults) {
        for member in self.members.keys().filter(|member| !self.known.contains(&member.as_str())) {
            faults.add(self.name_of(member), unknown("a setting", member, &self.known));
        }
    }
}

/// What is said of a name that is none of those that are known: it is not `what`, and perhaps a misspelt one of them.
#[must_use]
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min();
    match nearest {
        Some((distance, meant)) if distance <= 2 => format!("is not {what}; did you mean `{meant}`?"),
        _ => format!("is not {what}; known here: {}", known.join(", ")),
    }
}

/// What a value is, in a word, for messages.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// Reads a text.
///
/// # Errors
/// A message when it is not one, or an empty one.
pub fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::String(text) if text.is_empty() => Err("must not be empty".to_owned()),
        Value::String(text) => Ok(text),
        other => Err(format!("must be a text, not {}", kind(other))),
    }
}

/// Reads a text that `T` can be parsed from.
///
/// # Errors
/// A message when it is not a text, or `T`'s own.
pub fn parsed<T: FromStr<Err: fmt::Display>>(value: &Value) -> Result<T, String> {
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// Reads a number, or a text that holds one, such as `40_000`.
///
/// # Errors
/// A message when it is neither, or `T`'s own.
pub fn number<T: FromStr<Err: fmt::Display>>(value: &Value) -> Result<T, String> {
    let written = match value {
        // Never with an exponent, as a small fraction of JSON has it.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => return Err(format!("must be a number, not {}", kind(other))),
    };
    written.parse().map_err(|error: T::Err| error.to_string())
}

/// Reads a whole number; digits may be grouped, as in `40_000`.
///
/// # Errors
/// A message when it is not one.
pub fn count(value: &Value) -> Result<u64, String> {
    let written = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.replace('_', ""),
        other => return Err(format!("must be a whole number, not {}", kind(other))),
    };
    written.parse().map_err(|_| format!("must be a whole number from 0, not `{written}`"))
}

/// Reads `true` or `false`.
///
/// # Errors
/// A message when it is neither.
pub fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
}

/// Reads a list of texts.
///
/// # Errors
/// A message when it is not a list, or holds something else.
pub fn texts(value: &Value) -> Result<Vec<&str>, String> {
    let Value::Array(items) = value else {
        return Err(format!("must be a list of texts, not {}", kind(value)));
    };
    items.iter().map(text).collect()
}

/// Reads a list, or nothing.
pub(crate) fn list(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(format!("must be a list, not {}", kind(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_fault_is_named_with_its_place() {
        let value = json!({ "origin": 3, "orign": "x", "prefx": 1, "zzzzzz": {} });
        let mut faults = Faults::default();
        let mut table = Table::open("TOLLGATE", &value, &mut faults).unwrap();
        assert_eq!(table.optional("origin", text, &mut faults), None);
        assert_eq!(table.optional("prefix", text, &mut faults), None);
        assert_eq!(table.required("default_plan", text, &mut faults), None);
        table.finish(&mut faults);
        let said: Vec<String> = faults.list().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "TOLLGATE.origin: must be a text, not a number",
                "TOLLGATE.default_plan: is missing",
                "TOLLGATE.orign: is not a setting; did you mean `origin`?",
                "TOLLGATE.prefx: is not a setting; did you mean `prefix`?",
                "TOLLGATE.zzzzzz: is not a setting; known here: origin, prefix, default_plan",
            ]
        );
    }

    #[test]
    fn small_fractions_are_numbers_however_json_writes_them() {
        use crate::limit::tokens::Tokens;
        for written in ["0.000001", "1e-6", "\"0.000001\""] {
            let value = serde_json::from_str(written).unwrap();
            assert_eq!(number::<Tokens>(&value), Ok(Tokens::micro(1)), "{written}");
        }
        assert!(number::<Tokens>(&json!(1e-7)).is_err());
    }
}
