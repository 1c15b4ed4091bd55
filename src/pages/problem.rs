//! `/problems/{type}`: what a problem means and what to do about it, as JSON and as a page.

use serde_json::{Value, json};

use super::{Page, escaped};
use crate::problem::ProblemKind;

/// The page; nothing runs in it.
pub const PAGE: Page = Page { style: include_str!("problem.css"), script: "" };

/// The explanation as JSON.
#[must_use]
pub fn json(kind: ProblemKind) -> Value {
    json!({
        "type": kind.name(),
        "title": kind.title(),
        "status": kind.status(),
        "meaning": kind.meaning(),
        "what_to_do": kind.advice(),
    })
}

/// Whether a request with that `Accept` (RFC 9110 §12.5.1) wants the page: browsers name HTML, programs do not.
#[must_use]
pub fn wants_html(accept: Option<&str>) -> bool {
    accept.unwrap_or_default().split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("text/html"));
        named && !parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// The explanation as a page. `prefix` is where the gate's own endpoints stand.
#[must_use]
pub fn html(kind: ProblemKind, prefix: &str) -> String {
    let (status, name) = (kind.status(), kind.name());
    let (title, meaning, advice) = (escaped(kind.title()), escaped(kind.meaning()), escaped(kind.advice()));
    let others: String = ProblemKind::ALL.iter().map(|other| link(*other, *other == kind, prefix)).collect();
    let body = format!(
        "<main>
<p class=\"status\">{status} · <code>{name}</code></p>
<h1>{title}</h1>
<section class=\"card\"><h2>What it means</h2><p>{meaning}</p></section>
<section class=\"card\"><h2>What to do</h2><p>{advice}</p></section>
<section class=\"card\"><h2>Where it is told</h2><p>In the member <code>type</code> of the answer's body
(<code>application/problem+json</code>, RFC 9457). Its <code>detail</code> says what was wrong in that very request, and
its <code>request_id</code> is what the API's owner finds it by.</p></section>
<nav aria-labelledby=\"others\"><h2 id=\"others\">All problems of this gate</h2><ul>
{others}</ul>
<p class=\"soft\">See also: <a href=\"{prefix}/offers\">what is for sale</a>,
<a href=\"{prefix}/openapi.json\">the whole API</a>, <a href=\"{prefix}/llms.txt\">how to use it</a>.</p></nav>
</main>"
    );
    PAGE.html(&format!("{status} {}", kind.title()), &body)
}

fn link(kind: ProblemKind, is_current: bool, prefix: &str) -> String {
    let current = if is_current { " aria-current=\"page\"" } else { "" };
    format!(
        "<li><span class=\"number\">{}</span> <a href=\"{prefix}/problems/{}\"{current}>{}</a></li>\n",
        kind.status(),
        kind.page_name(),
        escaped(kind.title())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::policy_fits;

    #[test]
    fn every_problem_has_a_page_that_leads_to_all_others() {
        for kind in ProblemKind::ALL {
            let page = html(kind, "/_tollgate");
            assert!(page.contains(&format!("<h1>{}</h1>", escaped(kind.title()))));
            assert!(page.contains(&escaped(kind.advice())) && page.contains(&escaped(kind.meaning())));
            assert_eq!(page.matches("aria-current").count(), 2, "one link, one rule of the style");
            for other in ProblemKind::ALL {
                assert!(page.contains(&format!("href=\"/_tollgate/problems/{}\"", other.page_name())));
            }
        }
        assert!(html(ProblemKind::Unauthorized, "").contains("Bearer &lt;ADMIN_TOKEN&gt;"));
    }

    #[test]
    fn browsers_get_the_page_and_programs_get_json() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert!(wants_html(Some(browser)) && wants_html(Some("application/json;q=0.5, TEXT/HTML;q=0.9")));
        for program in [None, Some("*/*"), Some("application/json"), Some("text/*"), Some("text/html;q=0")] {
            assert!(!wants_html(program), "{program:?}");
        }
    }

    #[test]
    fn the_policy_fits_every_page() {
        for kind in ProblemKind::ALL {
            policy_fits(&PAGE, &html(kind, "/_tollgate"));
        }
    }
}
