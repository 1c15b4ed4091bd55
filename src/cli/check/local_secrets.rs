//! The secrets that lie beside a `wrangler.toml` for `wrangler dev`, in `.dev.vars`. None of them is ever shown.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::failure::Outcome;
use crate::cli::file::read_text;
use crate::cli::screen::{BAD, WARN, styled};
use crate::config::Config;
use crate::config::gate_file::Remark;
use crate::config::secrets::uses;
use crate::config::table::{Fault, Faults};

/// What is said of them.
pub(super) struct LocalSecrets {
    /// The file.
    pub(super) name: String,
    pub(super) faults: Vec<Remark>,
    pub(super) surprises: Vec<Remark>,
}

/// A line of the file: where it begins, and what it sets.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    line: usize,
    name: String,
    value: String,
}

impl LocalSecrets {
    /// Checks what lies beside that file for that environment, as wrangler chooses it, if anything does.
    pub(super) fn beside(file: &Path, environment: Option<&str>, config: &Config) -> Outcome<Option<Self>> {
        let of_environment = environment.map(|name| format!(".dev.vars.{name}"));
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let mut paths =
            of_environment.into_iter().chain([".dev.vars".to_owned()]).map(|name| folder.join(name));
        let Some(path) = paths.find(|path| path.is_file()) else { return Ok(None) };
        let entries = read(&read_text(&path)?);
        let at_hand: BTreeMap<String, String> =
            entries.iter().map(|entry| (entry.name.clone(), entry.value.clone())).collect();
        let (faults, surprises) = uses::check(config, &at_hand);
        let name = path.display().to_string();
        Ok(Some(Self { name, faults: located(&faults, &entries), surprises: located(&surprises, &entries) }))
    }

    pub(super) fn to_json(&self) -> Value {
        let remark = |remark: &Remark| json!({ "line": remark.line, "setting": remark.setting, "message": remark.message });
        json!({
            "file": self.name,
            "errors": self.faults.iter().map(remark).collect::<Vec<_>>(),
            "warnings": self.surprises.iter().map(remark).collect::<Vec<_>>(),
        })
    }

    pub(super) fn to_lines(&self) -> Vec<String> {
        let told = |style, kind, remarks: &[Remark]| -> Vec<String> {
            let line = |Remark { line, setting, message }: &Remark| {
                format!("{}:{line}: {}: {setting}: {message}", self.name, styled(style, kind))
            };
            remarks.iter().map(line).collect()
        };
        let mut lines = [told(BAD, "error", &self.faults), told(WARN, "warning", &self.surprises)].concat();
        lines.push(super::summary(&self.name, &self.faults, &self.surprises));
        lines
    }
}

/// With the line of what was set last under that name.
fn located(faults: &Faults, entries: &[Entry]) -> Vec<Remark> {
    let line_of = |setting: &str| {
        let is_it = |entry: &&Entry| setting.split('[').next() == Some(entry.name.as_str());
        entries.iter().rfind(is_it).map_or(1, |entry| entry.line)
    };
    let remark = |fault: &Fault| Remark {
        line: line_of(&fault.setting),
        setting: fault.setting.clone(),
        message: fault.message.clone(),
    };
    let mut remarks: Vec<Remark> = faults.list().iter().map(remark).collect();
    remarks.sort_by_key(|remark| remark.line);
    remarks
}

/// Reads lines of `NAME=value` as dotenv does: a value may stand in quotes, and then go over several lines.
fn read(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((line, written)) = lines.next() {
        let written = written.trim();
        let Some((name, value)) = written.split_once('=').filter(|_| !written.starts_with('#')) else {
            continue;
        };
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim().to_owned();
        let value = value.trim();
        let value = match value.chars().next().filter(|first| "\"'`".contains(*first)) {
            Some(quote) => quoted(value, quote, lines.by_ref().map(|(_, line)| line)),
            None => value.split_once(" #").map_or(value, |(value, _)| value.trim_end()).to_owned(),
        };
        entries.push(Entry { line, name, value });
    }
    entries
}

/// The value that begins with that quote; lines follow until it ends.
fn quoted<'a>(first: &str, quote: char, mut more: impl Iterator<Item = &'a str>) -> String {
    let mut value = first.get(1..).unwrap_or_default().to_owned();
    while !value.contains(quote) {
        let Some(line) = more.next() else { break };
        value = format!("{value}\n{line}");
    }
    let value = value.split(quote).next().unwrap_or_default();
    if quote == '"' { value.replace("\\n", "\n") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_wrangler_reads_them() {
        let text = "# local\nA=1 # one\n\nexport B = 'x # y'\nC=\"a\\nb\"\nD=\"-----BEGIN\nEND\" # \nE=\nnothing\nF=`\"`";
        let entry =
            |line, name: &str, value: &str| Entry { line, name: name.to_owned(), value: value.to_owned() };
        assert_eq!(
            read(text),
            [
                entry(2, "A", "1"),
                entry(4, "B", "x # y"),
                entry(5, "C", "a\nb"),
                entry(6, "D", "-----BEGIN\nEND"),
                entry(8, "E", ""),
                entry(10, "F", "\""),
            ]
        );
    }
}
