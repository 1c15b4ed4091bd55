//! `Accept-Payment`: which challenges a client can answer, and which it would rather (draft-httpauth-payment-00,
//! "Client Payment Preferences").

use super::challenge::Terms;

/// One range of the field: a method and an intent, `*` for any, and its weight in thousandths.
struct Range<'a> {
    method: &'a str,
    intent: &'a str,
    weight: u16,
}

/// The challenges that the client takes, best first; all of them in our order where the field is absent or malformed, or
/// where it takes none.
#[must_use]
pub fn preferred(challenges: Vec<Terms>, field: Option<&str>) -> Vec<Terms> {
    let Some(ranges) = field.and_then(read) else { return challenges };
    let mut taken: Vec<(u16, Terms)> = challenges
        .iter()
        .filter_map(|terms| Some((weight(&ranges, terms)?, terms.clone())))
        .filter(|(weight, _)| *weight > 0)
        .collect();
    if taken.is_empty() {
        return challenges;
    }
    // Stable: of equal weight, our order stands.
    taken.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    taken.into_iter().map(|(_, terms)| terms).collect()
}

/// The weight of the most specific range that names the challenge.
fn weight(ranges: &[Range<'_>], terms: &Terms) -> Option<u16> {
    let names = |range: &&Range<'_>| {
        ["*", terms.method].contains(&range.method) && ["*", terms.intent].contains(&range.intent)
    };
    let specific = |range: &&Range<'_>| {
        let precision = [range.method, range.intent].into_iter().filter(|part| *part != "*").count();
        (precision, range.weight)
    };
    ranges.iter().filter(names).max_by_key(specific).map(|range| range.weight)
}

fn read(field: &str) -> Option<Vec<Range<'_>>> {
    field.split(',').map(str::trim).filter(|range| !range.is_empty()).map(read_range).collect()
}

fn read_range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (method, intent) = parts.next()?.split_once('/')?;
    let mut weight = 1000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") {
            weight = thousandths(value.trim())?;
        }
    }
    let (method, intent) = (method.trim(), intent.trim());
    (!method.is_empty() && !intent.is_empty()).then_some(Range { method, intent, weight })
}

/// A weight (RFC 9110 §12.4.2): `0` to `1` with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = decimals.len() <= 3 && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let fraction: u16 = if digits { format!("{decimals:0<3}").parse().ok()? } else { return None };
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(field: &str) -> Vec<String> {
        let terms = |method, intent| Terms { method, intent, request: serde_json::Map::new() };
        let ours = vec![terms("evm", "charge"), terms("tempo", "charge"), terms("tempo", "session")];
        preferred(ours, Some(field))
            .iter()
            .map(|terms| format!("{}/{}", terms.method, terms.intent))
            .collect()
    }

    const ALL: [&str; 3] = ["evm/charge", "tempo/charge", "tempo/session"];

    #[test]
    fn challenges_are_those_that_the_client_takes_best_first() {
        for (field, taken) in [
            ("evm/charge", &["evm/charge"][..]),
            ("tempo/*, evm/charge;q=0.5", &["tempo/charge", "tempo/session", "evm/charge"]),
            ("tempo/*;q=0.3, */charge;q=0.9", &["evm/charge", "tempo/charge", "tempo/session"]),
            ("*/*, tempo/session;q=0", &["evm/charge", "tempo/charge"]),
            ("tempo/charge;q=0, */*;q=0.1", &["evm/charge", "tempo/session"]),
            (" tempo/session ; q=1.000 ,", &["tempo/session"]),
        ] {
            assert_eq!(order(field), taken, "{field}");
        }
    }

    #[test]
    fn a_field_that_says_nothing_usable_changes_nothing() {
        for field in [
            "",
            "evm",
            "evm/",
            "evm/charge;q=2",
            "evm/charge;q=0.1234",
            "evm/charge;q",
            "stripe/charge",
            "*/*;q=0",
        ] {
            assert_eq!(order(field), ALL, "{field}");
        }
    }
}
