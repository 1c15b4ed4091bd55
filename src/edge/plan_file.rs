//! Plans as the owner sends them: YAML, TOML or JSON, by `Content-Type`.

use serde_json::{Map, Value, json};

use super::asked::{self, bad};
use super::exchange::{Exchange, Outcome};
use crate::config::document::{Document, Format};
use crate::config::plan_file::{PlanFault, PlanFile, locate, read_plan};
use crate::config::table::Faults;
use crate::problem::{Problem, ProblemKind};

/// The largest plan file: 1 MiB.
const MAX_FILE: usize = 1 << 20;

/// Plans that were sent, with the file that they came in.
pub(super) struct SentPlans {
    /// Each plan as it was written, by name.
    pub(super) plans: Map<String, Value>,
    document: Document,
    /// The name of the plan that the file is, where it is one alone.
    alone: Option<String>,
}

impl SentPlans {
    /// Reads the plan file that a request brings.
    pub(super) async fn read(exchange: &Exchange) -> Outcome<Self> {
        let document = document(exchange).await?;
        let file = PlanFile::read(&document).map_err(|faults| problem(&faults))?;
        Ok(Self { plans: file.written, document, alone: None })
    }

    /// Reads the one plan that a request brings.
    pub(super) async fn read_one(exchange: &Exchange, name: &str) -> Outcome<Self> {
        let document = document(exchange).await?;
        read_plan(name, &document).map_err(|faults| problem(&faults))?;
        let plans = Map::from_iter([(name.to_owned(), document.value().clone())]);
        Ok(Self { plans, document, alone: Some(name.to_owned()) })
    }

    /// What is wrong with the plans once they are in force.
    pub(super) fn problem(&self, faults: &Faults) -> Problem {
        problem(&locate(faults, &self.document, self.alone.as_deref(), &self.plans))
    }
}

async fn document(exchange: &Exchange) -> Outcome<Document> {
    let media_type = exchange.header("Content-Type").unwrap_or_default();
    let format = Format::of_media_type(&media_type).unwrap_or(Format::Json);
    let body = asked::body(exchange, MAX_FILE).await?;
    let text = String::from_utf8(body).map_err(|_| bad("the plan file is not UTF-8"))?;
    Document::parse(&text, format).map_err(|fault| {
        let hint = match format {
            Format::Yaml | Format::Toml => "",
            Format::Json => {
                " (read as JSON; for others send Content-Type: application/yaml or application/toml)"
            }
        };
        bad(format!("line {}: {}{hint}", fault.line, fault.message)).with("line", fault.line)
    })
}

fn problem(faults: &[PlanFault]) -> Problem {
    let detail = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let list: Vec<Value> = faults.iter().map(item).collect();
    Problem::new(ProblemKind::BadRequest, detail).with("faults", list)
}

fn item(fault: &PlanFault) -> Value {
    json!({
        "line": fault.line,
        "setting": fault.setting,
        "plan": fault.plan,
        "endpoint": fault.endpoint,
        "field": fault.field,
        "message": fault.message,
    })
}
