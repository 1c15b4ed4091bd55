//! Requests and answers, as the tool needs them. Redirects are not followed: neither a token nor a payment goes where nobody
//! asked it to go.

use std::io::Read;
use std::time::Duration;

use ureq::http::{Method, Request};
use ureq::{Agent, Error};
use url::Url;

use super::clock;
use super::failure::{Failure, Outcome};
use crate::time::Span;

/// The most of an answer that is read: what a worker may answer, and no disk is filled.
const MAX_BODY: u64 = 100 * 1024 * 1024;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    /// No body where it is `None`; an empty one where it is empty.
    pub(super) body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The first header field of that name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends requests.
#[derive(Clone, Debug)]
pub(super) struct Http {
    agent: Agent,
}

impl Http {
    /// `timeout` is for each whole exchange.
    pub(super) fn new(timeout: Span) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(clock::duration(timeout)))
            .timeout_connect(Some(clock::duration(timeout).min(Duration::from_secs(10))))
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into() }
    }

    /// Sends a request and reads the whole answer.
    pub(super) fn send(&self, call: &Call) -> Outcome<Answer> {
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_| Failure::usage(format!("`{}` is not a method", call.method)))?;
        let mut request = Request::builder().method(method).uri(call.url.as_str());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let sent = match &call.body {
            Some(body) => request.body(body.as_slice()).map_err(Error::from).and_then(|r| self.agent.run(r)),
            None => request.body(()).map_err(Error::from).and_then(|r| self.agent.run(r)),
        };
        let answer = sent.map_err(|error| failed(&call.url, &error))?;
        let status = answer.status().as_u16();
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut body = Vec::new();
        let reader = &mut answer.into_body().into_reader();
        reader
            .take(MAX_BODY)
            .read_to_end(&mut body)
            .map_err(|error| Failure::unreachable(format!("{}: the answer broke off: {error}", call.url)))?;
        Ok(Answer { status, headers, body })
    }
}

fn failed(url: &Url, error: &Error) -> Failure {
    let host = url.host_str().unwrap_or_default();
    match error {
        Error::HostNotFound => Failure::unreachable(format!("{url}: there is no host {host}; check the URL")),
        Error::ConnectionFailed => {
            Failure::unreachable(format!("{url}: nobody answers there; is it running?"))
        }
        Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            Failure::unreachable(format!("{url}: nobody answers there; is it running?"))
        }
        Error::Timeout(_) => {
            Failure::unreachable(format!("{url}: no answer in time; wait longer with --timeout"))
        }
        Error::Http(error) => Failure::usage(format!("{url}: {error}; check the header fields")),
        other => Failure::unreachable(format!("{url}: {other}")),
    }
}

/// Reads a URL of HTTP.
pub(super) fn url(text: &str) -> Outcome<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => Err(Failure::usage(format!("`{text}` is not a URL of http or https"))),
        Err(error) => Err(Failure::usage(format!(
            "`{text}` is not a URL: {error}; write it whole, such as https://api.example.com/cpu"
        ))),
    }
}
