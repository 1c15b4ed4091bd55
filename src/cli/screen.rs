//! What is shown: results on standard output, everything else on standard error. Colour is for terminals alone, and not where
//! `NO_COLOR` is set.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::failure::{Failure, Outcome};

pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const NAME: Style = AnsiColor::Cyan.on_default();
pub(super) const DIM: Style = Style::new().dimmed();

/// A text in a style; `anstream` takes the style away where no colour is wanted.
pub(super) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Whether results are JSON.
    pub(super) json: bool,
}

impl Screen {
    /// A result: `value` as JSON, or what `text` makes of it.
    pub(super) fn result(self, value: &Value, text: impl FnOnce() -> String) -> Outcome {
        let shown = if self.json { serde_json::to_string_pretty(value).unwrap_or_default() } else { text() };
        print_line(&shown)
    }

    /// A step on the way, for people.
    pub(super) fn step(self, text: impl Display) {
        if !self.json {
            say(text);
        }
    }

    /// A bar for work of so many steps that takes long enough to ask how far it is.
    pub(super) fn progress(self, steps: u64, what: &'static str) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{msg} {bar:40} {percent}% {eta}");
        let bar = ProgressBar::new(steps).with_message(what);
        style.map_or(bar.clone(), |style| bar.with_style(style))
    }

    /// A sign that something is awaited.
    pub(super) fn waiting(self, what: impl Into<String>) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let spinner = ProgressBar::new_spinner().with_message(what.into());
        spinner.enable_steady_tick(std::time::Duration::from_millis(100));
        spinner
    }

    /// Says why a command failed.
    pub(super) fn failure(self, failure: &Failure) {
        if self.json {
            say(serde_json::to_string_pretty(&failure.to_json()).unwrap_or_default());
        } else {
            say(format!("{}: {failure}", styled(BAD, "error")));
        }
    }
}

/// A line on standard error. Where nobody listens, nobody is told.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A line on standard output. A reader that has gone (`| head`) is no failure.
pub(super) fn print_line(text: &str) -> Outcome {
    print(format!("{text}\n").as_bytes(), true)
}

/// Bytes on standard output; `is_styled` where they may hold colours.
pub(super) fn print(bytes: &[u8], is_styled: bool) -> Outcome {
    let written = if is_styled {
        anstream::stdout().write_all(bytes)
    } else {
        std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush())
    };
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A table of texts. Columns of numbers are named with a `#` before their heading, and stand to the right.
pub(super) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.trim_start_matches('#')));
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return "nothing".to_owned();
    }
    for row in rows {
        table.add_row(row);
    }
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index).filter(|_| heading.starts_with('#')) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A member of a JSON object as a cell: texts without quotes, what is absent or null as nothing.
pub(super) fn cell(value: &Value, member: &str) -> String {
    match value.get(member) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The table of a list of JSON objects: the heading of each column, and the member that it shows.
pub(super) fn listing(items: &Value, columns: &[(&str, &str)]) -> String {
    let items = items.get("items").unwrap_or(items);
    let rows = items.as_array().into_iter().flatten();
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    table(&headings, rows.map(|item| columns.iter().map(|(_, member)| cell(item, member)).collect()))
}
