//! The owner's commands: plans, keys, accounts, credits, usage, payments, top. Each is one request to the admin API, and a
//! table of what it answers.

use std::path::Path;

use serde_json::{Value, json};

use super::arguments::{Accounts, Credits, Keys, Payments, Plans, Top, Usage};
use super::failure::Outcome;
use super::file::SettingsFile;
use super::gate::{Gate, Order};
use super::screen::{GOOD, NAME, Screen, cell, listing, print, styled};
use crate::config::document::Format;

/// A gate and where its answers are shown.
pub(super) struct Owner {
    pub(super) screen: Screen,
    pub(super) gate: Gate,
}

impl Owner {
    pub(super) fn plans(&self, command: &Plans) -> Outcome {
        match command {
            Plans::Apply { file, replace } => self.apply_plans(file, *replace),
            Plans::List => {
                let plans = self.gate.ordered(&Order::get(&["plans"]))?;
                self.screen.result(&plans, || {
                    let columns = [("plan", "name"), ("title", "title"), ("default", "is_default")];
                    listing(&plans, &columns)
                })
            }
        }
    }

    /// Sends the file as it is: the gate reads it, and says what is wrong with it by line.
    fn apply_plans(&self, path: &Path, replace: bool) -> Outcome {
        let file = SettingsFile::read(path)?;
        let content_type = match file.format {
            Format::Yaml => "application/yaml",
            Format::Toml => "application/toml",
            Format::Json => "application/json",
        };
        let order = Order {
            method: "PUT",
            query: if replace { vec![("replace", "true".to_owned())] } else { Vec::new() },
            content_type: Some(content_type),
            body: Some(file.text.into_bytes()),
            ..Order::get(&["plans"])
        };
        let applied = self.gate.ordered(&order)?;
        self.screen.result(&applied, || {
            let removed = cell(&applied, "removed");
            let removed = if removed.is_empty() { String::new() } else { format!("; removed: {removed}") };
            format!("{}: {}{removed}", styled(GOOD, "applied"), cell(&applied, "applied"))
        })
    }

    pub(super) fn keys(&self, command: &Keys) -> Outcome {
        match command {
            Keys::Create { account, label, plan, scopes } => {
                let mut wanted = json!({ "account": account, "label": label, "scopes": scopes });
                set(&mut wanted, "plan", plan.as_deref());
                let key = self.gate.ordered(&Order::with_json("POST", &["keys"], &wanted))?;
                self.screen.result(&key, || cell(&key, "key"))?;
                let id = styled(NAME, cell(&key, "id"));
                self.screen.step(format!("made {id} for {account}; the key is shown this once"));
                Ok(())
            }
            Keys::List => {
                let keys = self.gate.list(&["keys"], &[])?;
                let columns = [
                    ("id", "id"),
                    ("account", "account"),
                    ("label", "label"),
                    ("scopes", "scopes"),
                    ("created", "created_at"),
                    ("last used", "last_used_at"),
                    ("revoked", "revoked_at"),
                ];
                self.screen.result(&keys, || listing(&keys, &columns))
            }
            Keys::Revoke { id } => {
                self.gate.ordered(&Order::delete(&["keys", id]))?;
                self.screen.result(&json!({ "id": id, "revoked": true }), || {
                    format!("{} {id}", styled(GOOD, "revoked"))
                })
            }
        }
    }

    pub(super) fn accounts(&self, command: &Accounts) -> Outcome {
        match command {
            Accounts::Show { account } => {
                let shown = self.gate.ordered(&Order::get(&["accounts", account]))?;
                self.screen.result(&shown, || show_account(&shown))
            }
            Accounts::Plan { account, name, default: _ } => {
                let path = ["accounts", account.as_str(), "plan"];
                let given = self.gate.ordered(&Order::with_json("PUT", &path, &json!({ "name": name })))?;
                self.screen.result(&given, || {
                    format!("{account} has the plan {}", styled(NAME, cell(&given, "plan")))
                })
            }
        }
    }

    pub(super) fn credits(&self, command: &Credits) -> Outcome {
        match command {
            Credits::Grant { account, amount, expires, metadata } => {
                let mut wanted = json!({ "amount": amount.to_string() });
                set(&mut wanted, "expires_at", expires.as_deref());
                set(&mut wanted, "metadata", metadata.clone());
                let path = ["accounts", account.as_str(), "credits"];
                let block = self.gate.ordered(&Order::with_json("POST", &path, &wanted))?;
                self.screen.result(&block, || {
                    let id = styled(NAME, cell(&block, "id"));
                    format!("{} {amount} to {account} as {id}", styled(GOOD, "granted"))
                })
            }
            Credits::List { account } => {
                let blocks = self.gate.list(&["accounts", account, "credits"], &[])?;
                let columns = [
                    ("id", "id"),
                    ("#amount", "amount"),
                    ("#remaining", "remaining"),
                    ("expires", "expires_at"),
                    ("created", "created_at"),
                    ("metadata", "metadata"),
                ];
                self.screen.result(&blocks, || listing(&blocks, &columns))
            }
            Credits::Deduct { account, amount, require_full } => {
                let wanted = json!({ "amount": amount.to_string(), "require_full": require_full });
                let path = ["accounts", account.as_str(), "credits", "deduct"];
                let taken = self.gate.ordered(&Order::with_json("POST", &path, &wanted))?;
                self.screen.result(&taken, || {
                    let (deducted, balance) = (cell(&taken, "deducted"), cell(&taken, "balance"));
                    format!("{} {deducted} of {amount}; {balance} left", styled(GOOD, "deducted"))
                })
            }
        }
    }

    pub(super) fn usage(&self, arguments: &Usage) -> Outcome {
        let query = [
            ("account", &arguments.account),
            ("from", &arguments.from),
            ("to", &arguments.to),
            ("group_by", &arguments.group_by),
        ];
        let query: Vec<(&str, String)> =
            query.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        if arguments.csv {
            let order = Order { accept: Some("text/csv"), query, ..Order::get(&["usage"]) };
            return print(&self.gate.order(&order)?.body, false);
        }
        let usage = self.gate.list(&["usage"], &query)?;
        self.screen.result(&usage, || usage_table(&usage))
    }

    pub(super) fn payments(&self, command: &Payments) -> Outcome {
        match command {
            Payments::List { state, account } => {
                let query = [("state", state), ("account", account)];
                let query: Vec<(&str, String)> =
                    query.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
                let payments = self.gate.list(&["payments"], &query)?;
                let columns = [
                    ("id", "id"),
                    ("state", "state"),
                    ("#amount", "amount"),
                    ("currency", "currency"),
                    ("account", "account"),
                    ("endpoint", "endpoint"),
                    ("presented", "presented_at"),
                ];
                self.screen.result(&payments, || listing(&payments, &columns))
            }
            Payments::Retry { id } => {
                let path = ["payments", id.as_str(), "retry"];
                let order = Order { method: "POST", ..Order::get(&path) };
                let state = self.gate.ordered(&order)?;
                self.screen.result(&state, || format!("{id} is {}", styled(NAME, cell(&state, "state"))))
            }
        }
    }

    pub(super) fn top(&self, arguments: &Top) -> Outcome {
        let order = Order { query: vec![("n", arguments.n.to_string())], ..Order::get(&["top"]) };
        let top = self.gate.ordered(&order)?;
        let columns = [
            ("client", "client"),
            ("#requests", "total_requests"),
            ("#admitted", "request_count"),
            ("#blocked", "blocked_count"),
            ("last request", "last_request"),
        ];
        self.screen.result(&top, || listing(&top, &columns))
    }
}

/// Sets a member that is there.
fn set(table: &mut Value, member: &str, value: Option<impl Into<Value>>) {
    if let (Value::Object(members), Some(value)) = (table, value) {
        members.insert(member.to_owned(), value.into());
    }
}

fn show_account(account: &Value) -> String {
    let own = if cell(account, "own_plan").is_empty() { " (the default)" } else { "" };
    let keys = account.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = vec![format!(
        "{} has the plan {}{own}",
        cell(account, "account"),
        styled(NAME, cell(account, "plan"))
    )];
    if !keys.is_empty() {
        let columns =
            [("key", "id"), ("label", "label"), ("last used", "last_used_at"), ("revoked", "revoked_at")];
        lines.push(listing(&Value::Array(keys), &columns));
    }
    let columns = [
        ("endpoint", "endpoint"),
        ("limit", "name"),
        ("#of", "limit"),
        ("#remaining", "remaining"),
        ("#whole in (s)", "reset_after"),
    ];
    lines.push(listing(&Value::Array(limits(account)), &columns));
    lines.join("\n")
}

/// Every limit of an account, with its endpoint.
fn limits(account: &Value) -> Vec<Value> {
    let endpoints = account.get("endpoints").and_then(Value::as_array).into_iter().flatten();
    let of_endpoint = |endpoint: &Value| {
        let limits = endpoint.get("limits").and_then(Value::as_array).cloned().unwrap_or_default();
        let name = endpoint.get("endpoint").cloned();
        limits.into_iter().map(move |mut limit| {
            set(&mut limit, "endpoint", name.clone());
            limit
        })
    };
    endpoints.flat_map(of_endpoint).collect()
}

/// What rows of usage may be told by, and then what they tell, in the order of the contract.
const USAGE: [&str; 13] = [
    "account",
    "endpoint",
    "unit",
    "hour",
    "day",
    "month",
    "calls",
    "quantity",
    "overage_quantity",
    "overage_charge",
    "paid",
    "credits",
    "owed",
];

/// The columns are the members that the rows have.
fn usage_table(rows: &Value) -> String {
    let has = |member: &str| rows.as_array().into_iter().flatten().any(|row| row.get(member).is_some());
    let columns: Vec<(&str, &str)> =
        USAGE.into_iter().filter(|member| has(member)).map(|member| (member, member)).collect();
    listing(rows, &columns)
}
