//! A `wrangler.toml` as its author sees it: the settings and plans that the worker would get from it, and the bindings that
//! the worker needs. Every fault and every surprise is told with its line.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::Config;
use super::advice;
use super::document::Document;
use super::secrets::uses::{self, Use, uses};
use super::table::{Fault, Faults, member_name};

/// The most bytes that Cloudflare takes in one text variable: 5 kB.
const MAX_VARIABLE: usize = 5 * 1024;

/// What is said of a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The line, from 1.
    pub line: usize,
    /// The setting's full name, as the worker gives it, such as `TOLLGATE.payment.network`.
    pub setting: String,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.setting, self.message)
    }
}

/// What a file was found to be.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The settings, where nothing is wrong with them.
    pub config: Option<Config>,
    /// What the worker would refuse, or a deploy would lack, in the order of the lines.
    pub faults: Vec<Remark>,
    /// What is valid and will surprise, in the order of the lines.
    pub surprises: Vec<Remark>,
    /// What each secret is to a gate of these settings.
    pub secrets: BTreeMap<String, Use>,
}

/// The objects that the worker is made of: the name of the binding, and the class.
const OBJECTS: [(&str, &str); 2] = [("ACCOUNT", "AccountObject"), ("PAYMENT", "PaymentObject")];

/// A file of wrangler's, read for one of its environments.
struct GateFile<'a> {
    document: &'a Document,
    /// The table that variables and bindings are in, and its full name: the root, or `env.NAME`.
    scope: &'a Map<String, Value>,
    within: String,
}

/// Checks a file of wrangler's: its top level, or the environment of that name.
#[must_use]
pub fn check(document: &Document, environment: Option<&str>) -> Checked {
    match GateFile::open(document, environment) {
        Ok(file) => file.check(),
        Err(remark) => Checked { faults: vec![remark], ..Checked::default() },
    }
}

impl<'a> GateFile<'a> {
    fn open(document: &'a Document, environment: Option<&str>) -> Result<Self, Remark> {
        let missing = |setting: String, message: &str| Remark {
            line: document.line_of(&setting),
            setting,
            message: message.to_owned(),
        };
        let root = document.value().as_object();
        let root = root.ok_or_else(|| missing("vars".to_owned(), "is missing; the file holds no table"))?;
        let Some(name) = environment else {
            return Ok(Self { document, scope: root, within: String::new() });
        };
        let within = member_name("env", name);
        let scope = root.get("env").and_then(|all| all.get(name)).and_then(Value::as_object);
        match scope {
            Some(scope) => Ok(Self { document, scope, within }),
            None => Err(missing(within, "is missing; the file has no such environment")),
        }
    }

    fn check(&self) -> Checked {
        let mut faults = Faults::default();
        let mut surprises = Faults::default();
        let tollgate = self.variable("TOLLGATE", &mut faults);
        let plans = self.variable("PLANS", &mut faults);
        let mut config = None;
        if let Some((tollgate, plans)) = tollgate.zip(plans) {
            check_size(&[("TOLLGATE", &tollgate), ("PLANS", &plans)], &mut surprises);
            match Config::read(&tollgate, &plans, self.binds("services", "ORIGIN")) {
                Ok(read) => config = Some(read),
                Err(more) => faults.extend(more),
            }
        }
        let mut secrets = BTreeMap::new();
        if let Some(config) = &config {
            secrets = uses(config, &mut faults);
            surprises.extend(advice::on_gate(config));
            self.check_secrets(config, &secrets, (&mut faults, &mut surprises));
        }
        let mut faults = self.located(&faults, |setting| self.of_variable(setting));
        let mut surprises = self.located(&surprises, |setting| self.of_variable(setting));
        let mut lacks = Faults::default();
        if self.is_whole() {
            self.check_bindings(&mut lacks);
            faults.extend(self.located(&lacks, |setting| member_name_in(&self.within, setting)));
        } else {
            lacks.add(
                "main",
                "is missing; this is a part of a wrangler.toml, and its bindings were not checked",
            );
            surprises.extend(self.located(&lacks, str::to_owned));
        }
        for remarks in [&mut faults, &mut surprises] {
            remarks.sort_by_key(|remark| remark.line);
        }
        let config = config.filter(|_| faults.is_empty());
        Checked { config, faults, surprises, secrets }
    }

    /// A variable that is a table, or the JSON text of one; what is not there is empty, as the worker takes it.
    fn variable(&self, name: &str, faults: &mut Faults) -> Option<Value> {
        match self.scope.get("vars").and_then(|vars| vars.get(name)) {
            None => Some(Value::Object(Map::new())),
            Some(Value::String(json)) => match serde_json::from_str(json) {
                Ok(value) => Some(value),
                Err(error) => {
                    faults.add(name, format!("is not JSON: {error}"));
                    None
                }
            },
            Some(value) => Some(value.clone()),
        }
    }

    /// Checks the secrets that stand in the file, where they should not.
    fn check_secrets(
        &self,
        config: &Config,
        uses: &BTreeMap<String, Use>,
        (faults, surprises): (&mut Faults, &mut Faults),
    ) {
        let value = |name: &String| self.scope.get("vars")?.get(name)?.as_str().map(str::to_owned);
        let written: BTreeMap<String, String> =
            uses.keys().filter_map(|name| Some((name.clone(), value(name)?))).collect();
        for name in written.keys().filter(|name| *name != uses::NOT_SECRET) {
            let message = "stands in the file, for everybody who may read it; make a new one and set it with `wrangler secret put`";
            surprises.add(name, message);
        }
        let (bad, unused) = uses::check(config, &written);
        faults.extend(bad);
        surprises.extend(unused);
    }

    fn of_variable(&self, setting: &str) -> String {
        member_name_in(&self.within, &format!("vars.{setting}"))
    }

    fn located(&self, faults: &Faults, in_file: impl Fn(&str) -> String) -> Vec<Remark> {
        let remark = |fault: &Fault| Remark {
            line: self.document.line_of(&in_file(&fault.setting)),
            setting: fault.setting.clone(),
            message: fault.message.clone(),
        };
        let mut remarks: Vec<Remark> = faults.list().iter().map(remark).collect();
        remarks.sort_by_key(|remark| remark.line);
        remarks
    }

    /// The entries of a list of bindings; `path` leads to it, such as `durable_objects.bindings`.
    fn entries(&self, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let mut parts = path.split('.');
        let first = parts.next().and_then(|part| self.scope.get(part));
        let list = parts.fold(first, |found, part| found?.get(part));
        list.and_then(Value::as_array).into_iter().flatten()
    }

    fn binds(&self, list: &str, name: &str) -> bool {
        let is_it = |entry: &Value| {
            ["binding", "name"].iter().any(|member| entry.get(member).and_then(Value::as_str) == Some(name))
        };
        self.entries(list).any(is_it)
    }

    /// Whether it names a worker, and is no part that is to be put into such a file.
    fn is_whole(&self) -> bool {
        self.document.value().get("main").is_some()
    }

    fn check_bindings(&self, lacks: &mut Faults) {
        for (name, class) in OBJECTS {
            let bound = |entry: &Value| {
                entry.get("name").and_then(Value::as_str) == Some(name)
                    && entry.get("class_name").and_then(Value::as_str) == Some(class)
            };
            if !self.entries("durable_objects.bindings").any(bound) {
                let message =
                    format!("has no binding {name}; write {{ name = \"{name}\", class_name = \"{class}\" }}");
                lacks.add("durable_objects.bindings", message);
            }
            if !self.migrates(class) {
                let message = format!("never makes {class}; name it in new_sqlite_classes of a migration");
                lacks.add("migrations", message);
            }
        }
        for (list, name, what) in [
            ("kv_namespaces", "RECEIPTS", "receipts are kept there"),
            ("d1_databases", "LEDGER", "usage and payments are kept there"),
        ] {
            if !self.binds(list, name) {
                let message = format!("has no binding {name}; add {{ binding = \"{name}\", … }}: {what}");
                lacks.add(list, message);
            }
        }
    }

    /// Migrations are inherited by environments that have none.
    fn migrates(&self, class: &str) -> bool {
        let own = self.scope.get("migrations");
        let migrations = own.or_else(|| self.document.value().get("migrations"));
        let classes = migrations.and_then(Value::as_array).into_iter().flatten();
        let mut classes =
            classes.filter_map(|migration| migration.get("new_sqlite_classes")?.as_array()).flatten();
        classes.any(|made| made.as_str() == Some(class))
    }
}

fn member_name_in(within: &str, setting: &str) -> String {
    if within.is_empty() { setting.to_owned() } else { format!("{within}.{setting}") }
}

fn check_size(variables: &[(&str, &Value)], surprises: &mut Faults) {
    for (name, value) in variables {
        let bytes = value.to_string().len();
        if bytes > MAX_VARIABLE {
            let message = format!(
                "has {bytes} bytes as a variable, and Cloudflare takes at most {MAX_VARIABLE}; keep plans in the ledger instead: tollgate plans apply FILE"
            );
            surprises.add(*name, message);
        }
    }
}
