//! `/llms.txt`: how to use the API and pay for it, in the words of a person and the form of llmstxt.org.

use std::fmt::Write;

use super::Site;
use super::catalogue::{Catalogue, CreditPrice, Ware};
use super::openapi;

/// The text: Markdown.
#[must_use]
pub fn text(site: Site<'_>, catalogue: &Catalogue) -> String {
    let mut text = format!(
        "# {}\n\n> An API behind a gate: each caller has a free allowance, and where it is used up, more can be paid for on \
the spot over HTTP 402. No account and no sign-up are needed.\n\n",
        site.host()
    );
    text.push_str(&what_is_for_sale(site, catalogue));
    if !catalogue.is_empty() {
        text.push_str(HOW_TO_PAY);
    }
    text.push_str(&own_endpoints(site));
    text
}

const HOW_TO_PAY: &str = "## How to pay\n
1. Call the API as usual. While the allowance lasts, it answers as usual.
2. A 402 says what more costs: the header PAYMENT-REQUIRED (x402 version 2), `accepts` in its body (x402 version 1), and
   WWW-Authenticate: Payment (MPP), where the owner takes that. Waiting helps, too: Retry-After says how long.
3. Sign one of the offers and send the same request again with the payment in PAYMENT-SIGNATURE (version 2), X-PAYMENT
   (version 1) or Authorization: Payment (MPP). Any client of these protocols does this by itself.
4. The answer brings a receipt (X-402-Receipt) and Tollgate-Session: send that token with later requests to spend what was
   paid for from anywhere.
5. After a 503, send the request again and do not pay again: nothing is lost.
6. Every error is JSON (RFC 9457); its `type` leads to an explanation.\n
";

fn what_is_for_sale(site: Site<'_>, catalogue: &Catalogue) -> String {
    if catalogue.is_empty() {
        return "Nothing is for sale here at present: over the limit, wait as long as Retry-After says.\n\n"
            .to_owned();
    }
    let credits = catalogue.credits.iter().map(|credits| credit_line(site, credits));
    let lines: String = catalogue.wares.iter().map(line).chain(credits).collect();
    format!("## What is for sale\n\n{lines}\n")
}

fn line(ware: &Ware) -> String {
    let method = ware.place.method.as_deref().unwrap_or("any method");
    let below = if ware.place.below { " and all below it" } else { "" };
    format!(
        "- `{}` ({method}, {}{below}): {} for {}\n",
        ware.endpoint,
        ware.place.path,
        ware.goods(),
        ware.price()
    )
}

fn credit_line(site: Site<'_>, CreditPrice { accounts, price, currency, .. }: &CreditPrice) -> String {
    let prefix = site.prefix;
    format!(
        "- prepaid credits, for the account of a {accounts}: {price} {currency} each (`POST {prefix}/credits` with `{{\"amount\": 100}}`)\n"
    )
}

/// What the gate itself answers. Only what can be read, and has no parameter in its path, can be a link.
fn own_endpoints(site: Site<'_>) -> String {
    let mut text = "## Endpoints of the gate\n\n".to_owned();
    for (method, path, summary) in openapi::summaries() {
        let url = format!("{}{}{path}", site.origin, site.prefix);
        let name = format!("{method} {}{path}", site.prefix);
        let entry = if path.contains('{') || method != "GET" {
            format!("`{name}`")
        } else {
            format!("[{name}]({url})")
        };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "- {entry}: {summary}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::catalogue::tests::shop;

    const SITE: Site<'_> = Site { origin: "https://api.example.com", prefix: "/_tollgate" };

    #[test]
    fn it_has_the_form_of_llmstxt_and_says_what_things_cost() {
        let text = text(SITE, &shop());
        assert!(text.starts_with("# api.example.com\n\n> "), "{text}");
        assert!(text.contains("- `GET /cpu` (GET, /cpu): 4 more requests for 0.001 USDC\n"), "{text}");
        assert!(text.contains("- `/files/*` (any method, /files and all below it): 2.5 more"), "{text}");
        assert!(
            text.contains(
                "- [GET /_tollgate/offers](https://api.example.com/_tollgate/offers): What is for sale"
            ),
            "{text}"
        );
        assert!(text.contains("- `GET /_tollgate/receipts/{id}`: "), "{text}");
        assert!(text.contains("- `POST /_tollgate/credits`: Buy"), "{text}");
        assert!(!text.contains("/dashboard"), "it is the owner's");
        assert!(text.contains("- prepaid credits, for the account of a key: 0.01 USDC each (`POST /_tollgate/credits` with `{\"amount\": 100}`)\n"), "{text}");
    }

    #[test]
    fn where_nothing_is_sold_nobody_is_told_how_to_pay() {
        let text = text(SITE, &Catalogue { plan: "free".to_owned(), wares: Vec::new(), credits: Vec::new() });
        assert!(text.contains("Nothing is for sale") && !text.contains("PAYMENT-SIGNATURE"));
    }
}
