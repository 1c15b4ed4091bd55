//! A plan file: plans under `plans`, read whole or not at all. Every fault is told with its line, plan, endpoint and field.

use std::fmt;

use serde_json::{Map, Value};

use super::document::Document;
use super::table::{Fault, Faults, Table, member_name};
use crate::limit::plan::Plans;

/// The plans of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanFile {
    /// The plans.
    pub plans: Plans,
    /// Each plan as it was written, by name: what `PLANS` would hold.
    pub written: Map<String, Value>,
}

/// What is wrong with a plan file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFault {
    /// The line, from 1.
    pub line: usize,
    /// The setting's full name, such as `plans.free.endpoints."GET /cpu".cost`.
    pub setting: String,
    /// The plan that it is in.
    pub plan: Option<String>,
    /// The endpoint of that plan.
    pub endpoint: Option<String>,
    /// What of that endpoint, or else of that plan, such as `fixed_windows[0].limit`.
    pub field: Option<String>,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.setting, self.message)
    }
}

/// The member of the file that holds the plans.
const PLANS: &str = "plans";

impl PlanFile {
    /// Reads the plans of a file.
    ///
    /// # Errors
    /// Every fault, in the order of the lines.
    pub fn read(document: &Document) -> Result<Self, Vec<PlanFault>> {
        let mut faults = Faults::default();
        let read = Self::read_root(document.value(), &mut faults);
        match read {
            Some(read) if faults.is_empty() => Ok(read),
            read => {
                let written = read.map(|read| read.written).unwrap_or_default();
                Err(locate(&faults, document, None, &written))
            }
        }
    }

    fn read_root(root: &Value, faults: &mut Faults) -> Option<Self> {
        let Value::Object(members) = root else {
            faults.add(PLANS, "is missing; a plan file is a table with the plans by name under `plans`");
            return None;
        };
        let written = match members.get(PLANS) {
            None | Some(Value::Null) => {
                faults.add(PLANS, "is missing; write the plans by name under it");
                None
            }
            Some(value) => {
                Some((Plans::read(PLANS, value, faults), value.as_object().cloned().unwrap_or_default()))
            }
        };
        let mut table = Table::open("", root, faults)?;
        table.value(PLANS);
        table.finish(faults);
        written.map(|(plans, written)| Self { plans, written })
    }
}

/// Every fault of one plan that a file holds alone, under the name that it will have.
///
/// # Errors
/// The same as of a plan file.
pub fn read_plan(name: &str, document: &Document) -> Result<(), Vec<PlanFault>> {
    let plans = Map::from_iter([(name.to_owned(), document.value().clone())]);
    let mut faults = Faults::default();
    let _ = Plans::read(PLANS, &Value::Object(plans.clone()), &mut faults);
    let faults = locate(&faults, document, Some(name), &plans);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Where faults of plans stand in the file that they came in: under `plans`, or alone as the plan of that name. Faults of
/// anything else stand in its first line.
#[must_use]
pub fn locate(
    faults: &Faults,
    document: &Document,
    alone: Option<&str>,
    written: &Map<String, Value>,
) -> Vec<PlanFault> {
    let in_file = |setting: &str| match alone {
        Some(name) => setting.strip_prefix(&member_name(PLANS, name)).map(str::to_owned),
        None => Some(setting.to_owned()),
    };
    let mut faults: Vec<PlanFault> = faults
        .list()
        .iter()
        .map(|fault| {
            // What is in force is checked under the name of the variable.
            let setting = match fault.setting.strip_prefix("PLANS.") {
                Some(rest) => format!("{PLANS}.{rest}"),
                None => fault.setting.clone(),
            };
            let fault = Fault { setting, message: fault.message.clone() };
            let line = in_file(&fault.setting).map_or(1, |setting| document.line_of(&setting));
            PlanFault { line, ..PlanFault::new(&fault, document, written) }
        })
        .collect();
    faults.sort_by_key(|fault| fault.line);
    faults
}

impl PlanFault {
    fn new(fault: &Fault, document: &Document, written: &Map<String, Value>) -> Self {
        let (plan, rest) = member_of(PLANS, &fault.setting, written);
        let endpoints = plan.as_ref().and_then(|plan| written.get(plan)?.get("endpoints")?.as_object());
        let (endpoint, rest) = match (rest.strip_prefix("endpoints"), endpoints) {
            (Some(_), Some(endpoints)) => member_of("endpoints", rest, endpoints),
            _ => (None, rest),
        };
        Self {
            line: document.line_of(&fault.setting),
            setting: fault.setting.clone(),
            field: (plan.is_some() && !rest.is_empty()).then(|| rest.to_owned()),
            plan,
            endpoint,
            message: fault.message.clone(),
        }
    }
}

/// Which member of the table `parent` a setting is or is in, and the rest of its name.
fn member_of<'a>(parent: &str, setting: &'a str, members: &Map<String, Value>) -> (Option<String>, &'a str) {
    let rest_in = |member: &String| {
        let rest = setting.strip_prefix(&member_name(parent, member))?;
        match rest.strip_prefix('.') {
            Some(rest) => Some((Some(member.clone()), rest)),
            None => (rest.is_empty() || rest.starts_with('[')).then(|| (Some(member.clone()), rest)),
        }
    };
    members.keys().find_map(rest_in).unwrap_or((None, setting))
}

#[cfg(test)]
mod tests {
    use super::super::document::Format;
    use super::*;

    fn read(text: &str) -> Result<PlanFile, Vec<PlanFault>> {
        PlanFile::read(&Document::parse(text, Format::Yaml).unwrap())
    }

    #[test]
    fn plans_are_read_with_what_was_written() {
        let file = read("plans:\n  free:\n    endpoints:\n      /cpu: { cost: 2 }\n").unwrap();
        assert_eq!(file.plans.names(), "free");
        assert_eq!(file.written["free"]["endpoints"]["/cpu"]["cost"], 2);
        assert_eq!(read("plans: {}\n").unwrap().plans, Plans::default());
    }

    #[test]
    fn a_plan_alone_is_read_like_one_in_a_file() {
        let document = Document::parse("name: Pro\nendpoints:\n  /a:\n    cost: x\n", Format::Yaml).unwrap();
        let faults = read_plan("my.pro", &document).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(
            (faults[0].line, faults[0].plan.as_deref(), faults[0].field.as_deref()),
            (4, Some("my.pro"), Some("cost"))
        );
        let document = Document::parse("endpoints: {}\n", Format::Yaml).unwrap();
        assert_eq!(read_plan("pro", &document), Ok(()));
        let mut late = Faults::default();
        late.add("PLANS.pro.endpoints", "is wrong in some other way");
        late.add("TOLLGATE.default_plan", "is gone");
        let written = Map::from_iter([("pro".to_owned(), document.value().clone())]);
        let located = locate(&late, &document, Some("pro"), &written);
        assert_eq!(located[0].to_string(), "line 1: plans.pro.endpoints: is wrong in some other way");
        assert_eq!(located[1].to_string(), "line 1: TOLLGATE.default_plan: is gone");
    }

    #[test]
    fn a_fault_is_told_with_line_plan_endpoint_and_field() {
        let text = "plans:\n  free.er:\n    endpoints:\n      GET /a:\n        fixed_windows:\n          - { window: 60s,\n              limit: 0 }\n      get /b: {}\n    nam: x\nplan: {}\n";
        let faults = read(text).unwrap_err();
        let told =
            |fault: &PlanFault| (fault.line, fault.plan.clone(), fault.endpoint.clone(), fault.field.clone());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            faults.iter().map(told).collect::<Vec<_>>(),
            [
                (7, some("free.er"), some("GET /a"), some("fixed_windows[0].limit")),
                (8, some("free.er"), some("get /b"), None),
                (9, some("free.er"), None, some("nam")),
                (10, None, None, None),
            ]
        );
        assert_eq!(
            faults[0].to_string(),
            "line 7: plans.\"free.er\".endpoints.\"GET /a\".fixed_windows[0].limit: must be more than 0"
        );
        assert_eq!(faults[3].to_string(), "line 10: plan: is not a setting; did you mean `plans`?");
    }
}
