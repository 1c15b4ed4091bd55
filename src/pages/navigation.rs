//! Who is a person at a browser: a request by which a browser opens a document, told from those that programs and pages send.

use super::problem::wants_html;

/// The fields by which a browser says how it came to ask (Fetch Metadata, W3C), that of the mode first.
const FETCH_METADATA: [&str; 4] = ["Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-Site", "Sec-Fetch-User"];

/// Whether a browser opens a document by a request with these fields.
///
/// A browser that says how it came to ask is believed: no page can change these fields. One that says nothing (it is old, or
/// the gate was reached without TLS) is known by what all of them send: HTML among what it accepts, and a name that begins with
/// `Mozilla`.
#[must_use]
pub fn is_navigation(field: impl Fn(&str) -> Option<String>) -> bool {
    if let [Some(mode), ..] = FETCH_METADATA.map(&field) {
        return mode == "navigate";
    }
    let says_nothing = FETCH_METADATA.iter().all(|name| field(name).is_none());
    let is_browser = || field("User-Agent").is_some_and(|agent| agent.starts_with("Mozilla"));
    says_nothing && wants_html(field("Accept").as_deref()) && is_browser()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: (&str, &str) =
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8");
    const FIREFOX: (&str, &str) =
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");

    fn navigates(fields: &[(&str, &str)]) -> bool {
        is_navigation(|wanted| {
            fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_browser_that_says_it_navigates_does() {
        assert!(navigates(&[("Sec-Fetch-Mode", "navigate")]));
        assert!(navigates(&[
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ACCEPT,
            FIREFOX
        ]));
    }

    #[test]
    fn a_browser_that_says_it_does_anything_else_does_not() {
        for mode in ["cors", "no-cors", "same-origin", "websocket", "", "Navigate", "navigate, cors"] {
            assert!(!navigates(&[("Sec-Fetch-Mode", mode), ACCEPT, FIREFOX]), "{mode}");
        }
        for name in ["Sec-Fetch-Dest", "Sec-Fetch-Site", "Sec-Fetch-User"] {
            assert!(!navigates(&[(name, "document"), ACCEPT, FIREFOX]), "{name}");
        }
    }

    #[test]
    fn a_browser_that_says_nothing_is_known_by_its_name_and_what_it_accepts() {
        assert!(navigates(&[ACCEPT, FIREFOX]));
        assert!(!navigates(&[ACCEPT]) && !navigates(&[FIREFOX]) && !navigates(&[]));
        assert!(!navigates(&[("Accept", "*/*"), FIREFOX]), "a fetch of a page");
    }

    #[test]
    fn programs_do_not_navigate() {
        for agent in ["curl/8.5.0", "node", "python-httpx/0.28", "x402-reqwest", "Not Mozilla/5.0"] {
            assert!(!navigates(&[ACCEPT, ("User-Agent", agent)]), "{agent}");
            assert!(!navigates(&[("Accept", "*/*"), ("User-Agent", agent)]), "{agent}");
        }
    }
}
