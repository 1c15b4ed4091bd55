//! A running gate, as its owner asks it: the admin API.

use serde_json::Value;
use url::Url;

use super::clock;
use super::failure::{Failure, Outcome};
use super::http::{self, Answer, Call, Http};

/// Where a gate's own endpoints stand unless its URL says otherwise.
const PREFIX: &str = "/_tollgate";

/// A gate.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    http: Http,
    base: Url,
}

impl Gate {
    /// The gate of that URL. A path in it is the prefix of the gate's own endpoints.
    pub(super) fn at(http: Http, url: &str) -> Outcome<Self> {
        let mut base = http::url(url)?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(if path.is_empty() { PREFIX } else { &path });
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { http, base })
    }

    /// The gate that the command line or the environment names.
    pub(super) fn of(http: Http, url: Option<&str>) -> Outcome<Self> {
        match url {
            Some(url) => Self::at(http, url),
            None => Err(Failure::usage("which gate? name it with --url or in TOLLGATE_URL")),
        }
    }

    /// The URL of one of the gate's own endpoints: path segments, and a query.
    pub(super) fn endpoint(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Asks one of the gate's public endpoints.
    pub(super) fn public(&self, path: &[&str]) -> Outcome<Value> {
        let call =
            Call { method: "GET".to_owned(), url: self.endpoint(path, &[]), headers: Vec::new(), body: None };
        json(&call, &self.http.send(&call)?)
    }

    /// Asks the admin API. The first segment, `admin`, is put before `path`.
    pub(super) fn order(&self, order: &Order<'_>) -> Outcome<Answer> {
        let token = clock::variable("TOLLGATE_ADMIN_TOKEN")
            .ok_or_else(|| Failure::usage("the admin token is missing; put it in TOLLGATE_ADMIN_TOKEN"))?;
        let mut path = vec!["admin"];
        path.extend(order.path);
        let mut headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        headers.extend(order.content_type.map(|kind| ("Content-Type".to_owned(), kind.to_owned())));
        headers.extend(order.accept.map(|kind| ("Accept".to_owned(), kind.to_owned())));
        let call = Call {
            method: order.method.to_owned(),
            url: self.endpoint(&path, &order.query),
            headers,
            body: order.body.clone(),
        };
        let answer = self.http.send(&call)?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&call, &answer)) }
    }

    /// The same, where JSON is answered.
    pub(super) fn ordered(&self, order: &Order<'_>) -> Outcome<Value> {
        let answer = self.order(order)?;
        if answer.body.is_empty() { Ok(Value::Null) } else { read(&self.base, &answer) }
    }

    /// All items of a list, page by page.
    pub(super) fn list(&self, path: &[&str], query: &[(&str, String)]) -> Outcome<Value> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let mut asked = query.to_vec();
            asked.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = self.ordered(&Order { query: asked, ..Order::get(path) })?;
            let more = page.get("items").and_then(Value::as_array);
            items.extend(more.ok_or_else(|| no_gate(&self.endpoint(path, &[]), "no list"))?.iter().cloned());
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(Value::Array(items));
            }
        }
    }
}

/// A request to the admin API.
#[derive(Clone, Debug)]
pub(super) struct Order<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a [&'a str],
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) content_type: Option<&'a str>,
    pub(super) accept: Option<&'a str>,
    pub(super) body: Option<Vec<u8>>,
}

impl<'a> Order<'a> {
    pub(super) const fn get(path: &'a [&'a str]) -> Self {
        Self { method: "GET", path, query: Vec::new(), content_type: None, accept: None, body: None }
    }

    pub(super) fn delete(path: &'a [&'a str]) -> Self {
        Self { method: "DELETE", ..Self::get(path) }
    }

    pub(super) fn with_json(method: &'a str, path: &'a [&'a str], body: &Value) -> Self {
        let body = Some(body.to_string().into_bytes());
        Self { method, content_type: Some("application/json"), body, ..Self::get(path) }
    }
}

fn json(call: &Call, answer: &Answer) -> Outcome<Value> {
    if answer.is_success() { read(&call.url, answer) } else { Err(refusal(call, answer)) }
}

fn read(url: &Url, answer: &Answer) -> Outcome<Value> {
    answer.json().ok_or_else(|| no_gate(url, &format!("{} without JSON", answer.status)))
}

fn no_gate(url: &Url, what: &str) -> Failure {
    Failure::refused(format!("{url} answers {what}; is a Tollgate there?"))
}

/// What the gate says of a request that it refuses.
pub(super) fn refusal(call: &Call, answer: &Answer) -> Failure {
    let what = format!("{} {}", call.method, call.url);
    let problem = answer.json();
    let text = |member: &str| problem.as_ref().and_then(|p| p.get(member)).and_then(Value::as_str);
    let message = match (text("title"), text("detail").or(text("message"))) {
        (Some(title), Some(detail)) => format!("{detail}\n  {what}: {} {title}", answer.status),
        (None, Some(detail)) => format!("{detail}\n  {what}: {}", answer.status),
        (_, None) => format!("{what} answers {}, and does not say why; is a Tollgate there?", answer.status),
    };
    let failure = Failure::refused(message);
    match problem {
        Some(problem) => failure.with_problem(problem),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn gate(url: &str) -> Gate {
        Gate::at(Http::new(Span::seconds(1)), url).unwrap()
    }

    #[test]
    fn a_path_in_the_url_is_the_prefix() {
        for (url, asked) in [
            ("https://api.example.com", "https://api.example.com/_tollgate/admin/keys"),
            ("https://api.example.com/", "https://api.example.com/_tollgate/admin/keys"),
            ("http://localhost:8787/my/gate/?a=1#b", "http://localhost:8787/my/gate/admin/keys"),
        ] {
            assert_eq!(gate(url).endpoint(&["admin", "keys"], &[]).as_str(), asked);
        }
    }

    #[test]
    fn an_account_id_is_one_segment_of_the_path() {
        let url = gate("https://a.test").endpoint(
            &["admin", "accounts", "ip:2001:db8::/64"],
            &[("from", "2026-01-01T00:00:00+01:00".to_owned())],
        );
        assert_eq!(
            url.as_str(),
            "https://a.test/_tollgate/admin/accounts/ip:2001:db8::%2F64?from=2026-01-01T00%3A00%3A00%2B01%3A00"
        );
    }
}
