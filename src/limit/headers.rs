//! The header fields that tell a client where it stands: `X-RateLimit-*`, and `RateLimit-Policy` and `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers-10 (structured fields, RFC 9651).

use super::standing::{Standing, nearest};
use crate::time::Millis;

/// The fields for these limits, names and values; none where no limit applies.
#[must_use]
pub fn fields(standings: &[Standing], now: Millis) -> Vec<(String, String)> {
    let Some(first) = nearest(standings) else {
        return Vec::new();
    };
    let mut fields = legacy(first, "", now);
    let mut units = vec![first.unit.as_str()];
    for standing in standings {
        if !units.contains(&standing.unit.as_str()) {
            let same_unit: Vec<Standing> =
                standings.iter().filter(|s| s.unit == standing.unit).cloned().collect();
            fields.extend(legacy(nearest(&same_unit).unwrap_or(standing), &standing.unit, now));
            units.push(&standing.unit);
        }
    }
    fields.push(("RateLimit-Policy".to_owned(), list(standings, policy_item)));
    fields.push(("RateLimit".to_owned(), list(standings, state_item)));
    fields
}

fn legacy(standing: &Standing, unit: &str, now: Millis) -> Vec<(String, String)> {
    let name = |part: &str| {
        if unit.is_empty() { format!("X-RateLimit-{part}") } else { format!("X-RateLimit-{part}-{unit}") }
    };
    let mut fields = vec![
        (name("Limit"), standing.limit.to_string()),
        (name("Remaining"), standing.remaining.to_string()),
    ];
    if let Some(span) = standing.reset_after {
        fields.push((name("Reset"), now.plus(span).seconds_up().to_string()));
    }
    fields
}

fn list(standings: &[Standing], item: fn(&Standing) -> String) -> String {
    standings.iter().map(item).collect::<Vec<_>>().join(", ")
}

fn policy_item(standing: &Standing) -> String {
    let window = standing.window.map(|span| format!(";w={}", span.seconds_up())).unwrap_or_default();
    format!("{};q={}{window}", quoted(&standing.name), standing.quota)
}

fn state_item(standing: &Standing) -> String {
    let reset = standing.reset_after.map(|span| format!(";t={}", span.seconds_up())).unwrap_or_default();
    format!("{};r={}{reset}", quoted(&standing.name), standing.remaining)
}

/// A structured-field string (RFC 9651 §3.3.3).
fn quoted(text: &str) -> String {
    let printable: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    format!("\"{}\"", printable.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn standing(name: &str, unit: &str, limit: u64, remaining: u64) -> Standing {
        Standing {
            name: name.to_owned(),
            unit: unit.to_owned(),
            limit,
            quota: limit,
            remaining,
            window: Some(Span::seconds(60)),
            reset_after: Some(Span::millis(36_500)),
            tokens: None,
            owed: crate::limit::tokens::Tokens::ZERO,
        }
    }

    #[test]
    fn the_nearest_limit_leads_and_each_further_unit_follows() {
        let standings = [
            standing("minute", "request", 3, 2),
            standing("day", "request", 200, 1),
            standing("tokens", "token", 40_000, 39_000),
        ];
        let fields = fields(&standings, Millis::new(1_700_000_123_000));
        let shown: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            shown,
            [
                "X-RateLimit-Limit: 200",
                "X-RateLimit-Remaining: 1",
                "X-RateLimit-Reset: 1700000160",
                "X-RateLimit-Limit-token: 40000",
                "X-RateLimit-Remaining-token: 39000",
                "X-RateLimit-Reset-token: 1700000160",
                "RateLimit-Policy: \"minute\";q=3;w=60, \"day\";q=200;w=60, \"tokens\";q=40000;w=60",
                "RateLimit: \"minute\";r=2;t=37, \"day\";r=1;t=37, \"tokens\";r=39000;t=37",
            ]
        );
    }

    #[test]
    fn no_limit_no_fields() {
        assert_eq!(fields(&[], Millis::new(0)), []);
    }

    #[test]
    fn a_name_cannot_break_out_of_its_quotes() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\cd\"");
    }
}
