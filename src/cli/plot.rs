//! A simulated run, drawn with characters: time from left to right, requests from the bottom up.

use anstyle::{AnsiColor, Style};

use super::screen::{DIM, styled};
use crate::limit::simulation::{Counts, Summary};
use crate::time::Span;

/// How many rows a plot has.
const ROWS: u64 = 10;
/// How many columns at most.
pub(super) const COLUMNS: u64 = 60;

/// What is told apart, from the bottom up: its name, its character, its colour, and how many there are of it.
type Layer = (&'static str, char, Style, fn(&Counts) -> u64);

/// The layers of a plot.
pub(super) const LAYERS: [Layer; 5] = [
    ("admitted", '█', AnsiColor::Green.on_default(), |counts| counts.admitted),
    ("queued", '▓', AnsiColor::Cyan.on_default(), |counts| counts.queued),
    ("degraded", '▒', AnsiColor::Yellow.on_default(), |counts| counts.degraded),
    ("paid", '$', AnsiColor::Magenta.on_default(), |counts| counts.paid),
    ("refused", '·', AnsiColor::Red.on_default(), |counts| counts.refused),
];

/// Into how many parts a run of so many requests is divided: if it can be, so that all have equally many.
pub(super) fn parts_of(requests: u64) -> usize {
    let even = (COLUMNS / 3..=COLUMNS).rev().find(|parts| requests.is_multiple_of(*parts));
    let parts = even.unwrap_or(COLUMNS).min(requests.max(1));
    usize::try_from(parts).unwrap_or(1)
}

/// The plot of a run.
pub(super) fn drawn(summary: &Summary) -> String {
    let most = summary.parts.iter().map(Counts::total).max().unwrap_or(0);
    let mut lines: Vec<String> = (0..ROWS).rev().map(|row| line(summary, row, most)).collect();
    lines.push(axis(summary.length, summary.parts.len()));
    lines.push(legend(&summary.counts));
    lines.join("\n")
}

fn line(summary: &Summary, row: u64, most: u64) -> String {
    let label = if row.saturating_add(1) == ROWS { most.to_string() } else { String::new() };
    let cells: String = summary.parts.iter().map(|counts| cell(counts, row, most)).collect();
    format!("{label:>6} {} {cells}", styled(DIM, "│"))
}

/// What stands in the middle of a row. With `r` rows and a scale of `most` the middle of row `i` is at
/// `(2i + 1) · most / 2r`.
fn cell(counts: &Counts, row: u64, most: u64) -> String {
    let middle = row.saturating_mul(2).saturating_add(1).saturating_mul(most);
    let mut top = 0_u64;
    for (_, character, style, count) in LAYERS {
        top = top.saturating_add(count(counts));
        if top.saturating_mul(2).saturating_mul(ROWS) > middle {
            return styled(style, character);
        }
    }
    " ".to_owned()
}

fn axis(length: Span, columns: usize) -> String {
    let end = length.to_string();
    let width = columns.saturating_sub(1);
    format!(
        "{:>6} {}\n{:>8} 0{end:>width$}",
        0,
        styled(DIM, format!("└{}", "─".repeat(columns.saturating_add(1)))),
        ""
    )
}

fn legend(counts: &Counts) -> String {
    let layers = LAYERS.iter().filter(|(_, _, _, count)| count(counts) > 0);
    let named = layers.map(|(name, character, style, _)| format!("{} {name}", styled(*style, character)));
    format!("{:>8} {}", "", named.collect::<Vec<_>>().join("   "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_divided_evenly_where_it_can_be() {
        for (requests, parts) in
            [(3000, 60), (10, 10), (1, 1), (0, 1), (50, 50), (59, 59), (61, 60), (110, 55)]
        {
            assert_eq!(parts_of(requests), parts, "{requests}");
        }
    }

    #[test]
    fn a_plot_stacks_what_became_of_the_requests() {
        let counts = |admitted, paid, refused| Counts { admitted, paid, refused, ..Counts::default() };
        let mut summary = Summary::new(Span::seconds(3), 3);
        summary.parts = vec![counts(10, 0, 0), counts(5, 5, 0), counts(2, 0, 2)];
        summary.counts = counts(17, 5, 2);
        let plain = anstream::adapter::strip_str(&drawn(&summary)).to_string();
        let lines: Vec<&str> = plain.lines().collect();
        assert_eq!(
            lines,
            [
                "    10 │ █$ ",
                "       │ █$ ",
                "       │ █$ ",
                "       │ █$ ",
                "       │ █$ ",
                "       │ ██ ",
                "       │ ██·",
                "       │ ██·",
                "       │ ███",
                "       │ ███",
                "     0 └────",
                "         03s",
                "         █ admitted   $ paid   · refused",
            ]
        );
    }
}
