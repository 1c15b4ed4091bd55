//! The site that was asked, as an absolute URL names it: scheme, host and port.

use std::net::IpAddr;

/// The scheme and host of an absolute URL.
#[must_use]
pub fn scheme_and_host(url: &str) -> &str {
    let host_at = url.find("://").map_or(0, |at| at.saturating_add(3));
    let end =
        url.get(host_at..).and_then(|rest| rest.find(['/', '?', '#'])).map(|at| at.saturating_add(host_at));
    url.get(..end.unwrap_or(url.len())).unwrap_or(url)
}

/// The host of an absolute URL, without its port.
#[must_use]
pub fn host(url: &str) -> &str {
    let (_, authority) = scheme_and_host(url).split_once("://").unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The site that a request for `url` names, whatever the client says of forwarding; `told` is its `X-Forwarded-Proto`.
///
/// On Cloudflare the scheme of the URL is that of the connection. Local runtimes (Miniflare, and with it `wrangler dev`)
/// take it from `X-Forwarded-Proto` where that is sent. This machine is asked over `http`, so there the scheme is that,
/// not the client's word.
#[must_use]
pub fn asked(url: &str, told: Option<&str>) -> String {
    let site = scheme_and_host(url);
    match site.strip_prefix("https://") {
        Some(authority) if told.is_some() && is_this_machine(host(url)) => format!("http://{authority}"),
        _ => site.to_owned(),
    }
}

/// Whether a host, as a URL writes it, is the loopback.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_site_and_a_host() {
        for (url, site, name) in [
            ("https://api.example.com/a?b#c", "https://api.example.com", "api.example.com"),
            ("http://127.0.0.1:8787/", "http://127.0.0.1:8787", "127.0.0.1"),
            ("http://[::1]:8787?x", "http://[::1]:8787", "[::1]"),
            ("https://api.example.com", "https://api.example.com", "api.example.com"),
        ] {
            assert_eq!((scheme_and_host(url), host(url)), (site, name));
        }
    }

    #[test]
    fn what_a_client_says_of_its_scheme_is_not_believed() {
        for (url, told, site) in [
            ("https://127.0.0.1:8787/cpu", Some("https"), "http://127.0.0.1:8787"),
            ("https://[::1]:8787/cpu", Some("https"), "http://[::1]:8787"),
            ("https://localhost/cpu", Some("https"), "http://localhost"),
            ("http://localhost/cpu", Some("https"), "http://localhost"),
            ("https://localhost/cpu", None, "https://localhost"),
            ("https://api.example.com/cpu", Some("http"), "https://api.example.com"),
            ("https://127.0.0.1.example.com/cpu", Some("https"), "https://127.0.0.1.example.com"),
        ] {
            assert_eq!(asked(url, told), site, "{url}");
        }
    }
}
