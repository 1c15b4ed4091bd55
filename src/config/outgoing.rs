//! URLs that the gate sends requests to.

use serde_json::Value;
use url::Url;

use super::table::text;

/// Reads a URL that paths are added to: `https:`, or `http:` to this machine.
pub(crate) fn base_url(value: &Value) -> Result<Url, String> {
    let url = outgoing_url(value)?;
    if url.query().is_some() {
        return Err(format!("`{}` must have no query and no fragment", text(value)?));
    }
    Ok(url)
}

/// Reads a URL that requests are sent to: `https:`, or `http:` to this machine.
pub(crate) fn outgoing_url(value: &Value) -> Result<Url, String> {
    let written = text(value)?;
    let url = Url::parse(written).map_err(|error| format!("`{written}` is not a URL: {error}"))?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return Err(format!("`{written}` must start with https:// (http:// is for this machine only)"));
        }
        other => return Err(format!("`{written}` must start with https://, not {other}:")),
    }
    if url.fragment().is_some() {
        return Err(format!("`{written}` must have no fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    Ok(url)
}
