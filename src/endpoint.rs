//! What is asked for: the path in its one canonical form, and the endpoints of a plan that may match it.

pub mod destination;
pub mod logical;
pub mod site;

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// A request path in its one canonical form (RFC 3986 §6.2.2): unreserved characters are not percent-encoded, hex
/// digits are upper case. What is matched is what is forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CanonicalPath(String);

/// Why a path is refused: an origin could read it as another path than the gate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// It does not start with `/`.
    NotAbsolute,
    /// A `%` without two hex digits after it.
    MalformedEscape,
    /// A slash or backslash in disguise: `%2F`, `%5C`, or `\`.
    HiddenSeparator,
    /// A `.` or `..` segment, plain or encoded.
    DotSegment,
    /// A control character, encoded or not.
    ControlCharacter,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not start with `/`",
            Self::MalformedEscape => "the path has a `%` that two hex digits do not follow",
            Self::HiddenSeparator => "the path hides a separator (`%2F`, `%5C` or `\\`)",
            Self::DotSegment => "the path has a `.` or `..` segment",
            Self::ControlCharacter => "the path has a control character",
        })
    }
}

impl CanonicalPath {
    /// Brings a path as it stands on the wire into its canonical form.
    ///
    /// # Errors
    /// Where gate and origin could differ over what the path means.
    pub fn parse(raw: &str) -> Result<Self, BadPath> {
        if !raw.starts_with('/') {
            return Err(BadPath::NotAbsolute);
        }
        let mut canonical = String::with_capacity(raw.len());
        let mut rest = raw.chars();
        while let Some(character) = rest.next() {
            match character {
                '%' => push_escape(&mut canonical, decode_escape(&mut rest)?)?,
                '\\' => return Err(BadPath::HiddenSeparator),
                c if c.is_ascii_control() => return Err(BadPath::ControlCharacter),
                c if c.is_ascii() => canonical.push(c),
                c => canonical.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}"))),
            }
        }
        if canonical.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(BadPath::DotSegment);
        }
        Ok(Self(canonical))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn decode_escape(rest: &mut std::str::Chars<'_>) -> Result<u8, BadPath> {
    let mut digit = || rest.next().and_then(|c| c.to_digit(16)).and_then(|d| u8::try_from(d).ok());
    match (digit(), digit()) {
        (Some(high), Some(low)) => Ok((high << 4) | low),
        _ => Err(BadPath::MalformedEscape),
    }
}

fn push_escape(canonical: &mut String, byte: u8) -> Result<(), BadPath> {
    match byte {
        b'/' | b'\\' => return Err(BadPath::HiddenSeparator),
        0..=0x1f | 0x7f => return Err(BadPath::ControlCharacter),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            canonical.push(char::from(byte));
        }
        other => write!(canonical, "%{other:02X}").map_err(|_| BadPath::MalformedEscape)?,
    }
    Ok(())
}

/// The name of an endpoint as a plan writes it: `GET /cpu`, `/v1/*`, `*`, or a logical name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointName(String);

impl EndpointName {
    /// Takes a name as it stands.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a request asks for, as far as finding its endpoint goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The method; `HEAD` counts as `GET`.
    pub method: String,
    /// The path.
    pub path: CanonicalPath,
    /// The logical endpoint that the request's content names, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical: Option<EndpointName>,
}

impl Target {
    /// What a plan's name of an endpoint, or a path, asks for: `GET /cpu`, `/cpu`, `gpt-4o`.
    ///
    /// # Errors
    /// When it is no path that could be matched.
    pub fn named(name: &str) -> Result<Self, BadPath> {
        let (method, path) = name.split_once(' ').unwrap_or(("GET", name));
        let absolute =
            if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) };
        let logical = Some(EndpointName::new(name));
        Ok(Self { method: method.to_owned(), path: CanonicalPath::parse(&absolute)?, logical })
    }

    /// The name by which a problem tells of it when no endpoint matches.
    #[must_use]
    pub fn display(&self) -> String {
        match &self.logical {
            Some(name) => name.to_string(),
            None => format!("{} {}", self.method, self.path.as_str()),
        }
    }
}

/// What an endpoint's name in a plan matches: the logical endpoint of that name, and what the name says of method and
/// path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    name: EndpointName,
    shape: Shape,
}

/// What a name says of method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// `METHOD /path`, `/path`, or `path`.
    Exact(Option<String>, CanonicalPath),
    /// `METHOD /path/*` or `/path/*`: everything below the path, and the path itself.
    Prefix(Option<String>, CanonicalPath),
    /// `*`: everything.
    Any,
}

/// Which requests a pattern stands for, by method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The method; `None` for all of them.
    pub method: Option<&'a str>,
    /// The path.
    pub path: &'a str,
    /// Whether everything below the path is meant, too.
    pub below: bool,
}

/// How well a pattern matches: the greater, the more specific. Logical, then exact path with method, exact path,
/// longest prefix, `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity(u8, usize, bool);

impl Pattern {
    /// Reads an endpoint's name.
    ///
    /// # Errors
    /// A message that says what a name looks like.
    pub fn parse(name: &str) -> Result<Self, String> {
        Ok(Self { name: EndpointName::new(name), shape: Shape::parse(name)? })
    }

    /// How well it matches. `None` when it does not.
    #[must_use]
    pub fn specificity(&self, target: &Target) -> Option<Specificity> {
        if target.logical.as_ref() == Some(&self.name) {
            return Some(Specificity(4, 0, true));
        }
        self.shape.specificity(target)
    }

    /// Which requests it stands for, as far as method and path say so.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        match &self.shape {
            Shape::Exact(method, path) => {
                Place { method: method.as_deref(), path: path.as_str(), below: false }
            }
            Shape::Prefix(method, path) => {
                Place { method: method.as_deref(), path: path.as_str(), below: true }
            }
            Shape::Any => Place { method: None, path: "/", below: true },
        }
    }

    /// Whether both say the same of method and path.
    #[must_use]
    pub fn matches_same(&self, other: &Self) -> bool {
        self.shape == other.shape
    }
}

impl Shape {
    fn parse(name: &str) -> Result<Self, String> {
        if name == "*" {
            return Ok(Self::Any);
        }
        let (method, path) = match name.split_once(' ') {
            Some(("*", path)) => (None, path),
            Some((method, path)) => (Some(read_method(method)?), path),
            None => (None, name),
        };
        let absolute: Cow<'_, str> =
            if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) };
        let canonical =
            |path: &str| CanonicalPath::parse(path).map_err(|error| format!("is not an endpoint: {error}"));
        if let Some(prefix) = absolute.strip_suffix("/*") {
            let prefix = if prefix.is_empty() { "/" } else { prefix };
            return Ok(Self::Prefix(method, canonical(prefix)?));
        }
        let exact = canonical(&absolute)?;
        if exact.as_str().contains('*') {
            return Err("is not an endpoint: `*` may stand alone, or at the end after a `/`".to_owned());
        }
        Ok(Self::Exact(method, exact))
    }

    fn specificity(&self, target: &Target) -> Option<Specificity> {
        let method_matches = |wanted: &Option<String>| {
            wanted
                .as_deref()
                .is_none_or(|method| method == target.method || (method == "GET" && target.method == "HEAD"))
        };
        match self {
            Self::Exact(method, path) => {
                let rank = if method.is_some() { 3 } else { 2 };
                let matches = *path == target.path && method_matches(method);
                matches.then_some(Specificity(rank, 0, method.is_some()))
            }
            Self::Prefix(method, path) => {
                let below = below(path.as_str(), target.path.as_str()) && method_matches(method);
                below.then_some(Specificity(1, path.as_str().len(), method.is_some()))
            }
            Self::Any => Some(Specificity(0, 0, false)),
        }
    }
}

fn below(prefix: &str, path: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn read_method(method: &str) -> Result<String, String> {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    if known.contains(&method) {
        return Ok(method.to_owned());
    }
    Err(format!("is not an endpoint: `{method}` is not a method; write it in capitals, such as `GET /path`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: &str, path: &str) -> Target {
        Target { method: method.to_owned(), path: CanonicalPath::parse(path).unwrap(), logical: None }
    }

    #[test]
    fn a_path_has_one_canonical_form() {
        for (raw, canonical) in [
            ("/cpu", "/cpu"),
            ("/%63pu", "/cpu"),
            ("/a%7eb", "/a~b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("//cpu", "//cpu"),
            ("/cpu/", "/cpu/"),
            ("/a;x=1", "/a;x=1"),
        ] {
            assert_eq!(CanonicalPath::parse(raw).unwrap().as_str(), canonical);
        }
    }

    #[test]
    fn a_path_that_two_readers_could_read_differently_is_refused() {
        for (raw, fault) in [
            ("/paid%2Fx", BadPath::HiddenSeparator),
            ("/paid%5cx", BadPath::HiddenSeparator),
            ("/a\\b", BadPath::HiddenSeparator),
            ("/a/%2e%2e/paid", BadPath::DotSegment),
            ("/a/../paid", BadPath::DotSegment),
            ("/./paid", BadPath::DotSegment),
            ("/a%", BadPath::MalformedEscape),
            ("/a%2", BadPath::MalformedEscape),
            ("/a%zz", BadPath::MalformedEscape),
            ("/a%00", BadPath::ControlCharacter),
            ("cpu", BadPath::NotAbsolute),
        ] {
            assert_eq!(CanonicalPath::parse(raw), Err(fault), "{raw}");
        }
        // A `%25` stays one: it is decoded once, here and at the origin.
        assert_eq!(CanonicalPath::parse("/a%252Fb").unwrap().as_str(), "/a%252Fb");
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let names = ["*", "/v1/*", "/v1/images/*", "/v1/images", "POST /v1/images", "gpt-4o"];
        let patterns: Vec<Pattern> = names.iter().map(|name| Pattern::parse(name).unwrap()).collect();
        let best = |target: &Target| {
            let matches =
                patterns.iter().zip(names).filter_map(|(p, name)| Some((p.specificity(target)?, name)));
            matches.max().unwrap().1
        };
        assert_eq!(best(&target("POST", "/v1/images")), "POST /v1/images");
        assert_eq!(best(&target("GET", "/v1/images")), "/v1/images");
        assert_eq!(best(&target("GET", "/v1/images/7")), "/v1/images/*");
        assert_eq!(best(&target("GET", "/v1")), "/v1/*");
        assert_eq!(best(&target("GET", "/v10")), "*");
        assert_eq!(best(&target("GET", "/gpt-4o")), "gpt-4o");
        let logical = Target { logical: Some(EndpointName::new("gpt-4o")), ..target("POST", "/v1/images") };
        assert_eq!(best(&logical), "gpt-4o");
    }

    #[test]
    fn head_is_limited_as_get_is() {
        let pattern = Pattern::parse("GET /cpu").unwrap();
        assert!(pattern.specificity(&target("HEAD", "/cpu")).is_some());
        assert!(pattern.specificity(&target("POST", "/cpu")).is_none());
    }

    #[test]
    fn names_that_match_nothing_are_refused() {
        for bad in ["get /cpu", "/a*", "/a/*/b", "FETCH /x", "/a%2Fb"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
