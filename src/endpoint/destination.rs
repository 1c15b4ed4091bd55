//! Where an admitted request goes: the URL at the origin, or where a degraded request goes instead.

use url::Url;

use super::CanonicalPath;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The whole URL.
    pub url: String,
    /// It is another origin than the one that the settings name: what the owner adds for that one must not go there.
    pub elsewhere: bool,
}

impl Destination {
    /// The URL of `path` and `query` at the origin `base`. `degrade_to` takes the place of the path where it starts with
    /// `/`, and of the base where it is a URL.
    #[must_use]
    pub fn new(base: &str, path: &CanonicalPath, query: Option<&str>, degrade_to: Option<&str>) -> Self {
        let (base_taken, path_taken) = match degrade_to {
            Some(path) if path.starts_with('/') => (base, path),
            Some(url) => (url, path.as_str()),
            None => (base, path.as_str()),
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{}{path_taken}{query}", base_taken.trim_end_matches('/'));
        Self { url, elsewhere: base_taken != base && !same_origin(base_taken, base) }
    }
}

/// Whether two URLs have the same scheme, host and port.
fn same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(query: Option<&str>, degrade_to: Option<&str>) -> (String, bool) {
        let path = CanonicalPath::parse("/v1/chat").unwrap();
        let Destination { url, elsewhere } =
            Destination::new("https://api.example.com/base/", &path, query, degrade_to);
        (url, elsewhere)
    }

    #[test]
    fn a_request_goes_to_its_path_at_the_origin() {
        assert_eq!(to(None, None), ("https://api.example.com/base/v1/chat".to_owned(), false));
        assert_eq!(to(Some("a=1"), None), ("https://api.example.com/base/v1/chat?a=1".to_owned(), false));
    }

    #[test]
    fn a_degraded_request_goes_to_another_path_or_another_origin() {
        assert_eq!(
            to(Some("a=1"), Some("/cheap")),
            ("https://api.example.com/base/cheap?a=1".to_owned(), false)
        );
        assert_eq!(
            to(Some("a=1"), Some("https://cheap.example.com/")),
            ("https://cheap.example.com/v1/chat?a=1".to_owned(), true)
        );
        assert_eq!(
            to(None, Some("https://api.example.com/small")),
            ("https://api.example.com/small/v1/chat".to_owned(), false)
        );
        assert!(to(None, Some("http://api.example.com")).1);
        assert!(to(None, Some("no url")).1);
    }
}
