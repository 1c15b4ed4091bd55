//! Simulated runs as an SVG picture: one chart for each plan, time from left to right, requests stacked.

use std::fmt::Write;

use super::plot::LAYERS;
use crate::limit::simulation::{Counts, Summary};
use crate::pages::escaped;

/// The colours of [`LAYERS`], told apart by the colour-blind too (after Okabe and Ito).
const COLOURS: [&str; 5] = ["#009e73", "#56b4e9", "#f0e442", "#cc79a7", "#d55e00"];
const WIDTH: u64 = 760;
const CHART_HEIGHT: u64 = 240;
const LEFT: u64 = 60;
const PLOT_WIDTH: u64 = 660;
const PLOT_HEIGHT: u64 = 160;
const TOP: u64 = 44;

/// The picture of these runs, each under its title.
pub(super) fn picture(runs: &[(String, &Summary)]) -> String {
    let charts = u64::try_from(runs.len()).unwrap_or(0);
    let height = charts.saturating_mul(CHART_HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut offset = 0_u64;
    for (title, summary) in runs {
        let _ = writeln!(svg, "<g transform=\"translate(0 {offset})\">");
        chart(&mut svg, title, summary);
        svg.push_str("</g>\n");
        offset = offset.saturating_add(CHART_HEIGHT);
    }
    svg.push_str("</svg>\n");
    svg
}

fn chart(svg: &mut String, title: &str, summary: &Summary) {
    let most = summary.parts.iter().map(Counts::total).max().unwrap_or(0).max(1);
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>", escaped(title));
    legend(svg, &summary.counts);
    let columns = u64::try_from(summary.parts.len()).unwrap_or(1).max(1);
    for (index, counts) in (0..columns).zip(&summary.parts) {
        let (from, to) =
            (part(PLOT_WIDTH, index, columns), part(PLOT_WIDTH, index.saturating_add(1), columns));
        column(svg, LEFT.saturating_add(from), to.saturating_sub(from), counts, most);
    }
    axes(svg, &summary.length.to_string(), most);
}

/// `nth` of `all` parts of a length.
fn part(length: u64, nth: u64, all: u64) -> u64 {
    length.saturating_mul(nth).checked_div(all).unwrap_or(0)
}

fn column(svg: &mut String, x: u64, width: u64, counts: &Counts, most: u64) {
    let mut below = 0_u64;
    for ((_, _, _, count), colour) in LAYERS.iter().zip(COLOURS) {
        let above = below.saturating_add(count(counts));
        let (bottom, top) = (part(PLOT_HEIGHT, below, most), part(PLOT_HEIGHT, above, most));
        let (y, height) = (TOP.saturating_add(PLOT_HEIGHT).saturating_sub(top), top.saturating_sub(bottom));
        if height > 0 {
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>"
            );
        }
        below = above;
    }
}

fn axes(svg: &mut String, length: &str, most: u64) {
    let (bottom, right) = (TOP.saturating_add(PLOT_HEIGHT), LEFT.saturating_add(PLOT_WIDTH));
    let (under, beside) = (bottom.saturating_add(16), LEFT.saturating_sub(6));
    let _ = writeln!(svg, "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#333333\"/>");
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{under}\">0</text>");
    let _ = writeln!(svg, "<text x=\"{right}\" y=\"{under}\" text-anchor=\"end\">{length}</text>");
    let label = TOP.saturating_add(10);
    let _ = writeln!(svg, "<text x=\"{beside}\" y=\"{label}\" text-anchor=\"end\">{most}</text>");
    let _ = writeln!(svg, "<text x=\"{beside}\" y=\"{bottom}\" text-anchor=\"end\">0</text>");
}

fn legend(svg: &mut String, counts: &Counts) {
    let mut x = LEFT;
    for ((name, _, _, count), colour) in LAYERS.iter().zip(COLOURS) {
        if count(counts) > 0 {
            let text = x.saturating_add(14);
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"27\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{text}\" y=\"36\">{name} {}</text>",
                count(counts)
            );
            x = x.saturating_add(130);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn a_picture_holds_each_run_and_every_request() {
        let mut summary = Summary::new(Span::seconds(2), 2);
        let counts = |admitted, refused| Counts { admitted, refused, ..Counts::default() };
        summary.parts = vec![counts(10, 0), counts(4, 4)];
        summary.counts = counts(14, 4);
        let svg = picture(&[("free <GET /cpu>".to_owned(), &summary)]);
        assert!(svg.contains(">free &lt;GET /cpu&gt;</text>"), "{svg}");
        // Ten requests are as high as the plot, four of them two fifths of it, on top of each other.
        for bar in [
            r##"<rect x="60" y="44" width="330" height="160" fill="#009e73"/>"##,
            r##"<rect x="390" y="140" width="330" height="64" fill="#009e73"/>"##,
            r##"<rect x="390" y="76" width="330" height="64" fill="#d55e00"/>"##,
        ] {
            assert!(svg.contains(bar), "{bar} is not in {svg}");
        }
        assert!(svg.contains("admitted 14</text>") && svg.contains("refused 4</text>"));
        assert!(!svg.contains("queued"));
    }
}
