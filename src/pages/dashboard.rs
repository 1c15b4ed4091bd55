//! The owner's dashboard: a page that asks the owner's API. It holds nothing of the owner's itself, and is the same for
//! everybody who opens it; who signs in with the admin token sees what the API tells whoever has that.

use super::lean::{self, lean};
use super::{Page, escaped};

const STYLE: &str = include_str!("dashboard/dashboard.css");

/// One scope, in the order in which its parts are run; `app.js` starts it.
const SOURCE: &str = concat!(
    include_str!("shared/dom.js"),
    include_str!("dashboard/gate.js"),
    include_str!("dashboard/words.js"),
    include_str!("dashboard/parts.js"),
    include_str!("dashboard/chart.js"),
    include_str!("dashboard/overview.js"),
    include_str!("dashboard/payments.js"),
    include_str!("dashboard/accounts.js"),
    include_str!("dashboard/keys.js"),
    include_str!("dashboard/plans.js"),
    include_str!("dashboard/usage.js"),
    include_str!("dashboard/audit.js"),
    include_str!("dashboard/app.js"),
);
static SCRIPT: ([u8; SOURCE.len()], usize) = lean(SOURCE);

/// The page where the owner's API is on.
static ON: Page = Page { style: STYLE, script: lean::text(&SCRIPT) };
/// The page where it is off: nothing runs in it.
static OFF: Page = Page { style: STYLE, script: "" };

/// The dashboard of a gate whose bills are written in that currency, and what makes it; where the owner's API is off, how
/// to turn it on.
#[must_use]
pub fn page(is_on: bool, currency: &str) -> (&'static Page, String) {
    if is_on {
        let body = include_str!("dashboard/page.html").replace("{currency}", &escaped(currency));
        (&ON, ON.html("Dashboard · Tollgate", &body))
    } else {
        (&OFF, OFF.html("Dashboard · Tollgate", include_str!("dashboard/off.html")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::policy_fits;

    #[test]
    fn the_policy_fits_the_page_whether_the_api_is_on_or_off() {
        for is_on in [true, false] {
            let (page, html) = page(is_on, "USDC");
            policy_fits(page, &html);
            assert_eq!(html.contains("wrangler secret put ADMIN_TOKEN"), !is_on);
        }
    }

    #[test]
    fn the_page_is_small_and_builds_no_html_from_what_it_is_told() {
        let (_, html) = page(true, "USDC");
        assert!(html.len() < 60_000, "{}", html.len());
        for dangerous in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "localStorage",
            "alert(",
        ] {
            assert!(!html.contains(dangerous), "{dangerous}");
        }
    }

    #[test]
    fn no_text_of_the_script_goes_over_several_lines() {
        for line in SOURCE.lines() {
            assert!(line.matches('`').count() % 2 == 0, "{line}");
        }
    }

    #[test]
    fn the_currency_is_text() {
        assert!(page(true, "\"><b>").1.contains("data-currency=\"&quot;&gt;&lt;b&gt;\""));
    }
}
