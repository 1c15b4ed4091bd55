//! The pages that the gate serves: their HTML, and the fields that go with it.
//!
//! They are files beside this one, built into the worker: what is deployed is one thing, and no file is reachable under
//! the paths of the API behind the gate. A page is one document: its style and script stand in it, and its policy allows
//! just these two, by their hashes, and requests to the gate that it came from. Nothing is loaded from elsewhere.

pub mod dashboard;
mod lean;
pub mod navigation;
pub mod pay;
pub mod problem;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// What all pages look like: colours for light and dark, type, focus.
const BASE: &str = include_str!("pages/base.css");
/// In the page, so that no browser asks the API behind the gate for `/favicon.ico`, at the visitor's expense.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%23c2410c' d='M2 3h2v10H2zm4 2h9v2H6z'/%3E%3C/svg%3E";

/// What makes a page beside its text.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Its rules beside those of all pages.
    pub style: &'static str,
    /// What runs in it, as a module: after the document is read, with names of its own. Empty where nothing does.
    pub script: &'static str,
}

/// Who may keep a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Everybody, for so many seconds: it is the same for all.
    Public(u32),
    /// Nobody, and no search engine lists it.
    Never,
}

impl Page {
    /// The document. The title is text; the body is HTML, in which the caller has [`escaped`] every text.
    #[must_use]
    pub fn html(&self, title: &str, body: &str) -> String {
        let Self { style, script } = self;
        let title = escaped(title);
        let script = if script.is_empty() {
            String::new()
        } else {
            format!("<script type=\"module\">{script}</script>\n")
        };
        format!(
            "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title}</title>
<link rel=\"icon\" href=\"{ICON}\">
<style>{BASE}</style>
<style>{style}</style>
</head>
<body>
{body}
{script}</body>
</html>
"
        )
    }

    /// The fields of the answer that carries the document.
    #[must_use]
    pub fn fields(&self, kept: Kept) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("Content-Type", "text/html; charset=utf-8".to_owned()),
            ("Content-Security-Policy", self.policy()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("Referrer-Policy", "no-referrer".to_owned()),
        ];
        match kept {
            Kept::Public(seconds) => fields.push(("Cache-Control", format!("public, max-age={seconds}"))),
            Kept::Never => {
                fields.push(("Cache-Control", "no-store".to_owned()));
                fields.push(("X-Robots-Tag", "noindex, nofollow".to_owned()));
            }
        }
        fields
    }

    /// What the page may load and do (Content Security Policy Level 3).
    fn policy(&self) -> String {
        let (base, style) = (hash(BASE), hash(self.style));
        let script = if self.script.is_empty() {
            String::new()
        } else {
            format!("script-src {}; connect-src 'self'; ", hash(self.script))
        };
        format!(
            "default-src 'none'; style-src {base} {style}; {script}img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    }
}

/// How a policy names the text of a `<style>` or `<script>`.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// Text as it stands in HTML and SVG, also in the value of an attribute.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const PAGE: Page = Page { style: "p { color: red; }", script: "document.title = 'run';" };

    fn field(fields: &[(&'static str, String)], wanted: &str) -> Option<String> {
        fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    }

    /// What stands between the tags of that name, each time.
    fn inside<'h>(html: &'h str, tag: &str) -> Vec<&'h str> {
        let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
        let parts = html.split(&open).skip(1).map(|part| part.split_once('>').unwrap().1);
        parts.map(|part| part.split_once(&close).unwrap().0).collect()
    }

    /// What must hold of every page: its policy allows exactly the styles and the script that stand in it.
    pub(crate) fn policy_fits(page: &Page, html: &str) {
        let policy = field(&page.fields(Kept::Never), "Content-Security-Policy").unwrap();
        let hashes: Vec<String> =
            [inside(html, "style"), inside(html, "script")].concat().into_iter().map(hash).collect();
        for hash in &hashes {
            assert!(policy.contains(hash.as_str()), "{policy} lacks {hash}");
        }
        assert_eq!(policy.matches("sha256-").count(), hashes.len());
        assert!(
            policy.starts_with("default-src 'none'; ")
                && !policy.contains("unsafe")
                && !policy.contains("http")
        );
        for closed in ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(closed), "{policy}");
        }
        for handler in [" onclick=", " onload=", " onsubmit=", " style=\"", "javascript:", "//cdn"] {
            assert!(!html.contains(handler), "{handler}");
        }
    }

    #[test]
    fn the_policy_allows_what_stands_in_the_page_and_nothing_else() {
        policy_fits(&PAGE, &PAGE.html("Title", "<p>text</p>"));
        let silent = Page { script: "", ..PAGE };
        policy_fits(&silent, &silent.html("Title", "<p>text</p>"));
        assert!(!silent.policy().contains("script-src") && !silent.policy().contains("connect-src"));
    }

    #[test]
    fn a_page_for_all_may_be_kept_and_one_for_its_reader_may_not() {
        assert_eq!(field(&PAGE.fields(Kept::Public(300)), "Cache-Control").unwrap(), "public, max-age=300");
        assert_eq!(field(&PAGE.fields(Kept::Public(300)), "X-Robots-Tag"), None);
        assert_eq!(field(&PAGE.fields(Kept::Never), "Cache-Control").unwrap(), "no-store");
        assert_eq!(field(&PAGE.fields(Kept::Never), "X-Robots-Tag").unwrap(), "noindex, nofollow");
    }

    #[test]
    fn text_stays_text_wherever_it_stands() {
        assert_eq!(
            escaped("<b title=\"a\" class='b'>&"),
            "&lt;b title=&quot;a&quot; class=&#39;b&#39;&gt;&amp;"
        );
        assert!(PAGE.html("</title><script>", "").contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
    }
}
