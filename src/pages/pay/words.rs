//! The words of the pay page: spans of time, counts, prices and shell arguments, as people read them.

use crate::limit::allowance::{BUCKET, CONCURRENT};
use crate::limit::credit::CREDITS;
use crate::limit::decision::Grant;
use crate::limit::standing::Standing;
use crate::limit::tokens::Tokens;
use crate::pay::offer::{Offer, Tender};
use crate::time::Span;

use super::chain;

/// A span of time in its two largest units, rounded up to seconds: `2 minutes 5 seconds`.
pub(super) fn span(span: Span) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let mut left = span.seconds_up();
    let mut parts: Vec<String> = Vec::new();
    for (length, unit) in UNITS {
        let count = left.checked_div(length).unwrap_or_default();
        // What comes two units after the first is not worth the words.
        if count > 0 && parts.len() < 2 {
            parts.push(plural(&count.to_string(), unit));
        }
        left = left.checked_rem(length).unwrap_or_default();
    }
    if parts.is_empty() { "a moment".to_owned() } else { parts.join(" ") }
}

/// So many of a unit: `1 request`, `4 requests`.
pub(super) fn plural(count: &str, unit: &str) -> String {
    if count == "1" { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// What a price is in an offer's token, and what that is: `$0.001`, `in USDC on Base`.
pub(super) fn price(offer: &Offer) -> (String, String) {
    let (price, symbol) = (offer.price(), offer.tender.symbol());
    let network = network(&offer.tender);
    if is_dollar(symbol) {
        (format!("${price}"), format!("in {symbol} on {network}"))
    } else {
        (format!("{price} {symbol}"), format!("on {network}"))
    }
}

/// Whether a token of that symbol stands for a US dollar: then the amount is told in dollars.
fn is_dollar(symbol: &str) -> bool {
    ["USDC", "USDT", "DAI", "PYUSD", "USDbC"].contains(&symbol)
}

/// What people call the network that is paid on.
pub(super) fn network(tender: &Tender) -> String {
    let known = chain::name(tender.chain_id()).map(str::to_owned);
    known.or_else(|| tender.v1_name().map(capitalised)).unwrap_or_else(|| tender.caip2())
}

/// The text with a capital letter first.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What a refill buys: `4 more requests and 500 more tokens`. `single` is what this request alone takes of each limit.
pub(super) fn refill(grants: &[Grant], single: &[Grant], standings: &[Standing]) -> String {
    let bought = grants.iter().map(|grant| {
        let alone = single.iter().find(|alone| alone.limit == grant.limit).map(|alone| alone.quantity);
        let standing = standings.iter().find(|standing| standing.name == grant.limit);
        match (grant.limit.as_str(), standing, alone) {
            (CREDITS, ..) => plural(&grant.quantity.to_string(), "prepaid credit"),
            // Tokens of a bucket are requests only where each takes one.
            (BUCKET, _, Some(alone)) if !alone.is_zero() && alone != Tokens::ONE => {
                let requests = grant.quantity.get().checked_div(alone.get()).unwrap_or(1);
                plural(&requests.max(1).to_string(), "more request")
            }
            (_, Some(standing), _) => plural(&grant.quantity.to_string(), &format!("more {}", standing.unit)),
            (_, None, _) => plural(&grant.quantity.to_string(), "more request"),
        }
    });
    bought.collect::<Vec<_>>().join(" and ")
}

/// Where a client stands with a limit, and in what its reader may be interested: `0 of 4 requests left`.
pub(super) fn standing(standing: &Standing) -> Option<String> {
    if standing.name == CONCURRENT {
        return None;
    }
    // A bucket's shown limit may be a rate; of a window it counts what was bought, too.
    let most = if standing.name == BUCKET { standing.quota } else { standing.limit };
    let remaining = standing.remaining;
    Some(format!("{remaining} of {} left", plural(&most.to_string(), &standing.unit)))
}

/// A word of a POSIX shell command, quoted.
pub(super) fn shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(quantity: &str) -> Vec<Grant> {
        vec![Grant { limit: BUCKET.to_owned(), quantity: quantity.parse().unwrap() }]
    }

    #[test]
    fn time_is_told_in_its_two_largest_units() {
        for (milliseconds, words) in [
            (0, "a moment"),
            (1, "1 second"),
            (10_000, "10 seconds"),
            (60_000, "1 minute"),
            (125_000, "2 minutes 5 seconds"),
            (7_199_000, "1 hour 59 minutes"),
            (86_400_000 + 61_000, "1 day 1 minute"),
        ] {
            assert_eq!(span(Span::millis(milliseconds)), words);
        }
    }

    #[test]
    fn what_is_bought_is_told_in_requests_where_it_can_be() {
        assert_eq!(refill(&grants("4"), &grants("1"), &[]), "4 more requests");
        assert_eq!(refill(&grants("1"), &grants("1"), &[]), "1 more request");
        assert_eq!(refill(&grants("10"), &grants("2.5"), &[]), "4 more requests");
        assert_eq!(refill(&grants("2"), &grants("3"), &[]), "1 more request");
        let credits = [Grant { limit: CREDITS.to_owned(), quantity: Tokens::whole(100) }];
        assert_eq!(refill(&credits, &[], &[]), "100 prepaid credits");
    }

    #[test]
    fn units_keep_their_names() {
        let day = Standing {
            name: "day".to_owned(),
            unit: "gpu-second".to_owned(),
            limit: 900,
            quota: 900,
            remaining: 1,
            window: None,
            reset_after: None,
            tokens: None,
            owed: Tokens::ZERO,
        };
        let grants = [Grant { limit: "day".to_owned(), quantity: Tokens::whole(300) }];
        assert_eq!(refill(&grants, &[], std::slice::from_ref(&day)), "300 more gpu-seconds");
        assert_eq!(standing(&day).as_deref(), Some("1 of 900 gpu-seconds left"));
        assert_eq!(standing(&Standing { name: CONCURRENT.to_owned(), ..day }), None);
    }

    #[test]
    fn a_word_cannot_leave_its_quotes_in_a_shell() {
        assert_eq!(shell("https://h/a'b$(c)"), "'https://h/a'\\''b$(c)'");
    }
}
