//! The pay page: what a person at a browser gets in place of the JSON of a 402. It says what was asked for, when that is free
//! again, and what more costs; its script pays one of the offers with a wallet in the browser.
//!
//! Without its script it still says all of that, and how to pay with a program. What the script needs is in the document, as
//! JSON; it sends the request again with the payment as any client does.

mod chain;
mod sale;
mod words;

use std::fmt::Write;

use serde_json::Value;

use super::lean::{self, lean};
use super::{Page, escaped};
use crate::limit::standing::Standing;
use crate::problem::{Problem, ProblemKind};
use crate::time::Millis;

pub use sale::Sale;

const SOURCE: &str = concat!(
    include_str!("shared/dom.js"),
    include_str!("pay/wallet.js"),
    include_str!("pay/payment.js"),
    include_str!("pay/answer.js"),
    include_str!("pay/time.js"),
    include_str!("pay/desk.js"),
    include_str!("pay/page.js")
);
static SCRIPT: ([u8; SOURCE.len()], usize) = lean(SOURCE);

/// The page, and what runs in it.
pub static PAGE: Page = Page { style: include_str!("pay/pay.css"), script: lean::text(&SCRIPT) };

/// A 402 as a person reads it.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// What a program would be told.
    pub problem: &'a Problem,
    /// What the owner finds the request by.
    pub request_id: &'a str,
    /// Where the gate's own endpoints stand.
    pub prefix: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// Its URL, absolute and as it was sent: nothing in it is to be believed.
    pub url: &'a str,
    /// When it was refused.
    pub at: Millis,
    /// Where the client stands with each limit.
    pub standings: &'a [Standing],
    /// What is for sale, if anything is.
    pub sale: Option<&'a Sale<'a>>,
}

/// The document.
#[must_use]
pub fn html(refusal: &Refusal<'_>) -> String {
    let title = headline(refusal);
    let body = format!(
        "<main>
<p class=\"status\" id=\"status\">{} · <a href=\"{}/problems/{}\"><code>{}</code></a></p>
<h1 id=\"title\">{title}</h1>
<p class=\"asked\"><span class=\"soft\">You asked for</span> <code id=\"asked\">{}</code></p>
{}{}{}<section class=\"card\" id=\"answer\" tabindex=\"-1\" aria-labelledby=\"answer-title\" hidden></section>
{}{}</main>
{}",
        refusal.problem.status,
        refusal.prefix,
        refusal.problem.kind.page_name(),
        refusal.problem.kind.name(),
        escaped(&format!("{} {}", refusal.method, path(refusal.url))),
        what_was_wrong(refusal),
        wait(refusal),
        refusal.sale.map(|sale| sale.html(refusal)).unwrap_or_default(),
        programs(refusal),
        footer(refusal),
        refusal.sale.map(|sale| sale.for_script(refusal)).unwrap_or_default(),
    );
    PAGE.html(&format!("{} {title}", refusal.problem.status), &body)
}

fn headline(refusal: &Refusal<'_>) -> &'static str {
    match refusal.sale {
        _ if refusal.problem.kind != ProblemKind::PaymentRequired => "The payment was refused",
        Some(sale) if sale.one_call => "Each call is paid for",
        Some(_) | None => "Your allowance is used up",
    }
}

/// The path of a URL, with what follows it.
fn path(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').and_then(|at| after_scheme.get(at..)).unwrap_or("/")
}

/// Why a payment was refused that came with the request.
fn what_was_wrong(refusal: &Refusal<'_>) -> String {
    if refusal.problem.kind == ProblemKind::PaymentRequired {
        return String::new();
    }
    format!("<p class=\"card wrong\">{}</p>\n", escaped(&words::capitalised(&refusal.problem.detail)))
}

/// When it is free again, counting down.
fn wait(refusal: &Refusal<'_>) -> String {
    let passes = refusal.problem.retry_after;
    let mut limits = String::new();
    for standing in refusal.standings {
        let Some(left) = words::standing(standing) else { continue };
        let whole = standing.reset_after.filter(|span| span.get() > 0 && Some(*span) != passes);
        let whole = whole.map(|span| format!("; whole again in {}", countdown(span, ""))).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(limits, "<li>{}{whole}</li>", escaped(&left));
    }
    let limits = if limits.is_empty() { limits } else { format!("<ul class=\"limits\">\n{limits}</ul>\n") };
    let Some(span) = passes else {
        return if limits.is_empty() { limits } else { card("wait", "What is left", &limits) };
    };
    let again = if refusal.method == "GET" {
        "<p><a id=\"again\" class=\"button\" href=\"\">Ask again</a></p>\n"
    } else {
        ""
    };
    let title = format!("Free again in {}", countdown(span, " id=\"passes\""));
    card("wait", &title, &format!("<div class=\"bar\" id=\"bar\" hidden><div></div></div>\n{limits}{again}"))
}

/// A span of time that the script counts down.
fn countdown(span: crate::time::Span, attributes: &str) -> String {
    let (seconds, words) = (span.seconds_up(), words::span(span));
    format!("<time{attributes} datetime=\"PT{seconds}S\" data-seconds=\"{seconds}\">{words}</time>")
}

fn card(id: &str, title: &str, html: &str) -> String {
    format!(
        "<section class=\"card\" id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{html}</section>\n"
    )
}

/// How to pay without this page.
fn programs(refusal: &Refusal<'_>) -> String {
    if refusal.sale.is_none() {
        return String::new();
    }
    let method =
        if refusal.method == "GET" { String::new() } else { format!(" -X {}", words::shell(refusal.method)) };
    let word = words::shell(refusal.url);
    let command = |line: String| format!("<pre><code>{}</code></pre>\n", escaped(&line));
    let curl = command(format!("curl -i{method} {word}"));
    let tollgate = command(format!("tollgate pay{method} {word}"));
    let fetch = command(format!("await wrapFetchWithPayment(fetch, client)({})", Value::from(refusal.url)));
    let prefix = refusal.prefix;
    format!(
        "<details class=\"card\" id=\"programs\"><summary>Pay with a program</summary>
<p>Any client of <a href=\"https://www.x402.org\">x402</a> or <a href=\"https://mpp.dev\">MPP</a> pays by itself. What it is offered:</p>
{curl}<p>In JavaScript, with <code>@x402/fetch</code>:</p>
{fetch}<p>Like a <code>curl</code> with a wallet, the tool of this gate:</p>
{tollgate}<p><a href=\"{prefix}/llms.txt\">Step by step, for people and programs</a></p></details>
"
    )
}

fn footer(refusal: &Refusal<'_>) -> String {
    let prefix = refusal.prefix;
    format!(
        "<footer class=\"soft\"><a href=\"{prefix}/offers\">All that is for sale</a> · <a href=\"{prefix}/limits\">Your limits</a> · \
<a href=\"{prefix}/usage\">Your bill</a> · <span>Request <code>{}</code></span></footer>
",
        escaped(refusal.request_id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::decision::Grant;
    use crate::limit::tokens::Tokens;
    use crate::pay::amount::Amount;
    use crate::pay::network::{Network, known_asset};
    use crate::pay::offer::{EvmTender, Flow, Offer, OpaqueTender, Resource, Tender, TransferMethod};
    use crate::time::Span;

    const HOSTILE: &str =
        "https://api.example.com/</code><script>alert(1)</script>?q=\"><img src=x onerror=alert(2)>&'";

    fn offer(network: &str, transfer_method: TransferMethod) -> Offer {
        let network = Network::parse(network).unwrap();
        let asset = known_asset(&network, "USDC").unwrap();
        let pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap();
        Offer {
            tender: Tender::Evm(EvmTender { network, asset, pay_to, transfer_method }),
            amount: Amount::new(1000),
            max_timeout_seconds: 60,
            flow: Flow::Upfront,
        }
    }

    fn opaque() -> Offer {
        let tender = OpaqueTender {
            scheme: "exact".to_owned(),
            network: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".to_owned(),
            asset: "EPj".to_owned(),
            pay_to: "<b>2wK".to_owned(),
            decimals: 6,
            symbol: "USDC".to_owned(),
            extra: serde_json::Map::new(),
        };
        Offer { tender: Tender::Opaque(tender), ..offer("base", TransferMethod::Eip3009) }
    }

    fn bucket() -> Standing {
        Standing {
            name: "bucket".to_owned(),
            unit: "request".to_owned(),
            limit: 4,
            quota: 4,
            remaining: 0,
            window: Some(Span::seconds(40)),
            reset_after: Some(Span::seconds(40)),
            tokens: None,
            owed: Tokens::ZERO,
        }
    }

    /// The page of a request with that method and URL, which these offers pay for.
    fn page(method: &str, url: &str, offers: &[Offer], one_call: bool) -> String {
        let problem = Problem::new(ProblemKind::PaymentRequired, "the limit is used up")
            .retry_after(Some(Span::seconds(10)));
        refused(&problem, method, url, offers, one_call)
    }

    fn refused(problem: &Problem, method: &str, url: &str, offers: &[Offer], one_call: bool) -> String {
        let resource = Resource {
            url: url.to_owned(),
            description: format!("{method} {url}"),
            mime_type: String::new(),
        };
        let grant = |quantity| Grant { limit: "bucket".to_owned(), quantity };
        let sale = Sale {
            offers,
            resource: &resource,
            one_call,
            grants: &[grant(Tokens::whole(4))],
            single: &[grant(Tokens::ONE)],
            named: false,
        };
        html(&Refusal {
            problem,
            request_id: "req_1",
            prefix: "/_tollgate",
            method,
            url,
            at: Millis::new(1_700_000_000_000),
            standings: &[bucket()],
            sale: Some(&sale),
        })
    }

    fn data(page: &str) -> Value {
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn it_says_what_was_asked_when_it_is_free_and_what_paying_buys() {
        let page =
            page("GET", "https://api.example.com/cpu?a=1", &[offer("base", TransferMethod::Eip3009)], false);
        for words in [
            "Your allowance is used up",
            "<code id=\"asked\">GET /cpu?a=1</code>",
            ">10 seconds</time>",
            "0 of 4 requests left; whole again in <time datetime=\"PT40S\" data-seconds=\"40\">40 seconds</time>",
            "Or go on now, with <span id=\"bought\">4 more requests</span>",
            "<b>$0.001</b> in USDC on Base",
            "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            "curl -i &#39;https://api.example.com/cpu?a=1&#39;",
        ] {
            assert!(page.contains(words), "{words} in {page}");
        }
        let data = data(&page);
        assert_eq!(data["required"]["accepts"][0]["amount"], "1000");
        assert_eq!(data["offers"][0]["chain"]["chainId"], "0x2105");
        assert_eq!(data["oneCall"], false);
        assert!(page.len() < 30_000, "{}", page.len());
    }

    #[test]
    fn no_text_of_the_script_goes_over_several_lines() {
        for line in SOURCE.lines() {
            assert!(line.matches('`').count() % 2 == 0, "{line}");
        }
    }

    #[test]
    fn what_a_client_chose_stays_text_wherever_it_stands() {
        let page = page("GET", HOSTILE, &[offer("base", TransferMethod::Eip3009), opaque()], false);
        let text = page.replace(PAGE.script, "");
        assert!(!text.contains("<script>") && !text.contains("<img") && !text.contains("<b>2wK"), "{text}");
        assert_eq!(text.matches("</script>").count(), 2, "that of the data and that of the page");
        assert_eq!(data(&page)["required"]["resource"]["url"], HOSTILE);
        // What is no script needs no leave to run.
        let (before, rest) = page.split_once("<script type=\"application/json\"").unwrap();
        let (_, after) = rest.split_once("</script>").unwrap();
        crate::pages::tests::policy_fits(&PAGE, &format!("{before}{after}"));
    }

    #[test]
    fn what_the_page_cannot_pay_is_told_and_not_to_be_chosen() {
        let others = [offer("base", TransferMethod::Permit2), opaque()];
        let page = page("GET", "https://api.example.com/cpu", &others, false);
        assert!(
            page.contains("by Permit2, with a program")
                && page.contains("in USDC on Solana")
                && page.contains("None of these can be paid")
        );
        assert!(!page.contains("type=\"radio\"") && !page.contains("id=\"go\""));
        assert_eq!(data(&page)["offers"][0]["chain"], Value::Null);
    }

    #[test]
    fn a_form_cannot_be_sent_again_from_the_page() {
        let page =
            page("POST", "https://api.example.com/form", &[offer("base", TransferMethod::Eip3009)], false);
        assert!(
            page.contains("This page cannot send a POST again") && page.contains("curl -i -X &#39;POST&#39;")
        );
        assert!(!page.contains("id=\"go\"") && !page.contains("id=\"again\""));
    }

    #[test]
    fn one_call_is_sold_as_one_call() {
        let page =
            page("GET", "https://api.example.com/call", &[offer("base", TransferMethod::Eip3009)], true);
        assert!(
            page.contains("Each call is paid for")
                && page.contains("Pay for <span id=\"bought\">this call</span>")
        );
    }

    #[test]
    fn a_refused_payment_is_told_with_its_reason() {
        let problem = Problem::new(ProblemKind::VerificationFailed, "the payment was refused: <no funds>")
            .with("reason", "insufficient_funds");
        let offers = [offer("base", TransferMethod::Eip3009)];
        let page = refused(&problem, "GET", "https://api.example.com/cpu", &offers, false);
        assert!(page.contains("The payment was refused: &lt;no funds&gt;"));
        assert_eq!(data(&page)["problem"]["reason"], "insufficient_funds");
    }
}
