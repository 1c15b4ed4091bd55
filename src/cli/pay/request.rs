//! The request that is to be paid for, as the command line says it.

use std::path::Path;

use crate::cli::arguments::Pay;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::file;
use crate::cli::http::{self, Call};

/// Reads the request.
pub(super) fn read(arguments: &Pay) -> Outcome<Call> {
    let body = arguments.data.as_deref().map(read_body).transpose()?;
    let usual = if body.is_some() { "POST" } else { "GET" };
    let mut headers = arguments.headers.iter().map(|field| read_field(field)).collect::<Outcome<Vec<_>>>()?;
    let names_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
    if let Some(body) = body.as_deref().filter(|_| !names_type) {
        headers.push(("Content-Type".to_owned(), content_type(body).to_owned()));
    }
    Ok(Call {
        method: arguments.request.as_deref().unwrap_or(usual).to_owned(),
        url: http::url(&arguments.resource)?,
        headers,
        body,
    })
}

fn read_body(data: &str) -> Outcome<Vec<u8>> {
    match data.strip_prefix('@') {
        Some(path) => file::read_bytes(Path::new(path)),
        None => Ok(data.as_bytes().to_vec()),
    }
}

fn read_field(field: &str) -> Outcome<(String, String)> {
    let (name, value) = field
        .split_once(':')
        .ok_or_else(|| Failure::usage(format!("`{field}` is not a header field; write `Name: value`")))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// What a body is, where nobody said.
fn content_type(body: &[u8]) -> &'static str {
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => "application/json",
        Err(_) => "application/x-www-form-urlencoded",
    }
}
