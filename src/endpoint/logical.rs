//! Logical endpoints: those that a request's body names, such as the model of a chat completion or the tool of an MCP
//! call. What a body must say, and which endpoint wins when several match. Nothing here reads a body.

use std::fmt;

use serde_json::Value;

use super::{Pattern, Specificity, Target};

/// What a request must look like to fall under a logical endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Logical {
    pattern: Pattern,
    fields: Vec<Field>,
}

/// A field of a JSON body, and what it must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    place: Place,
    wanted: Wanted,
}

/// Where in a body a field stands.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// A member of the outermost object.
    Member(String),
    /// A JSON pointer (RFC 6901).
    Pointer(Pointer),
}

#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Exact(Value),
    /// A text that starts so.
    Prefix(String),
}

/// A JSON pointer (RFC 6901) to something inside a document: `/usage/total_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

/// Why a text is not a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerError(String);

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a JSON pointer; write one such as /usage/total_tokens (`~` is written ~0, `/` in a name ~1)",
            self.0
        )
    }
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// When it does not start with `/`, or has a `~` that neither `0` nor `1` follows.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && escaped {
            Ok(Self(text.to_owned()))
        } else {
            Err(PointerError(text.to_owned()))
        }
    }

    /// What it points at in `document`.
    #[must_use]
    pub fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        document.pointer(&self.0)
    }
}

/// How well a logical endpoint matches: the greater, the more specific. More fields first, then more of them exact, then
/// longer prefixes, then the more specific method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    fields: usize,
    exact: usize,
    prefixes: usize,
    pattern: Specificity,
}

impl Field {
    /// Reads a field as the settings write it. A `name` that starts with `/` is a JSON pointer; a `wanted` text that ends
    /// in `*` is a prefix.
    ///
    /// # Errors
    /// A message that says what a field looks like.
    pub fn parse(name: &str, wanted: &Value) -> Result<Self, String> {
        let place = if name.starts_with('/') {
            Place::Pointer(Pointer::parse(name).map_err(|error| error.to_string())?)
        } else {
            Place::Member(name.to_owned())
        };
        let wanted = match wanted {
            Value::String(text) => match text.strip_suffix('*') {
                Some(prefix) => Wanted::Prefix(prefix.to_owned()),
                None => Wanted::Exact(wanted.clone()),
            },
            Value::Number(_) | Value::Bool(_) => Wanted::Exact(wanted.clone()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err("must be a text, a number, true or false".to_owned());
            }
        };
        Ok(Self { place, wanted })
    }

    fn matches(&self, body: &Value) -> bool {
        let found = match &self.place {
            Place::Member(name) => body.get(name),
            Place::Pointer(pointer) => pointer.find(body),
        };
        match (found, &self.wanted) {
            (Some(Value::String(found)), Wanted::Prefix(prefix)) => found.starts_with(prefix),
            (Some(found), Wanted::Exact(wanted)) => equal(found, wanted),
            (Some(_), Wanted::Prefix(_)) | (None, _) => false,
        }
    }
}

/// Whether two values are the same; a number is the same however it is written: 1 and 1.0.
fn equal(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => {
            found == wanted || found.as_f64().is_some_and(|found| Some(found) == wanted.as_f64())
        }
        _ => found == wanted,
    }
}

impl Logical {
    /// An endpoint whose requests match `pattern` and whose bodies hold all of `fields`.
    #[must_use]
    pub const fn new(pattern: Pattern, fields: Vec<Field>) -> Self {
        Self { pattern, fields }
    }

    /// The method and path of its requests.
    #[must_use]
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether the body must be read to tell if a request falls under this endpoint.
    #[must_use]
    pub fn needs_body(&self, target: &Target) -> bool {
        !self.fields.is_empty() && self.pattern.specificity(target).is_some()
    }

    /// How well it matches a request with that body; `None` when it does not. A `body` that is absent or no JSON is
    /// `None`, and matches where no field is asked for.
    #[must_use]
    pub fn rank(&self, target: &Target, body: Option<&Value>) -> Option<Rank> {
        let pattern = self.pattern.specificity(target)?;
        let matches = |field: &Field| body.is_some_and(|body| field.matches(body));
        if !self.fields.iter().all(matches) {
            return None;
        }
        let prefix_lengths = self.fields.iter().filter_map(|field| match &field.wanted {
            Wanted::Prefix(prefix) => Some(prefix.len()),
            Wanted::Exact(_) => None,
        });
        let lengths: Vec<usize> = prefix_lengths.collect();
        let fields = self.fields.len();
        Some(Rank {
            fields,
            exact: fields.saturating_sub(lengths.len()),
            prefixes: lengths.iter().fold(0, |sum, length| sum.saturating_add(*length)),
            pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::CanonicalPath;
    use serde_json::json;

    fn logical(pattern: &str, fields: &Value) -> Logical {
        let fields = fields.as_object().unwrap();
        let fields = fields.iter().map(|(name, wanted)| Field::parse(name, wanted).unwrap()).collect();
        Logical::new(Pattern::parse(pattern).unwrap(), fields)
    }

    fn post(path: &str) -> Target {
        Target { method: "POST".into(), path: CanonicalPath::parse(path).unwrap(), logical: None }
    }

    #[test]
    fn a_body_matches_by_the_fields_that_are_named() {
        let body = json!({ "model": "gpt-4o-mini", "stream": true, "n": 1.0, "a/b": "c",
                           "params": { "name": "search", "list": [{ "x": 2 }] } });
        for (fields, matches) in [
            (json!({ "model": "gpt-4o-mini" }), true),
            (json!({ "model": "gpt-4o" }), false),
            (json!({ "model": "gpt-4o*" }), true),
            (json!({ "model": "*" }), true),
            (json!({ "stream": true, "n": 1 }), true),
            (json!({ "stream": "true" }), false),
            (json!({ "n": "*" }), false),
            (json!({ "absent": "*" }), false),
            (json!({ "/params/name": "search" }), true),
            (json!({ "/params/list/0/x": 2 }), true),
            (json!({ "/a~1b": "c" }), true),
            (json!({ "a/b": "c" }), true),
            (json!({ "params": "*" }), false),
        ] {
            assert_eq!(logical("*", &fields).rank(&post("/x"), Some(&body)).is_some(), matches, "{fields}");
        }
    }

    #[test]
    fn only_a_json_body_matches_where_fields_are_asked_for() {
        let by_model = logical("POST /v1/*", &json!({ "model": "*" }));
        assert!(by_model.needs_body(&post("/v1/chat")));
        assert!(!by_model.needs_body(&post("/v2/chat")));
        assert_eq!(by_model.rank(&post("/v1/chat"), None), None);
        assert_eq!(by_model.rank(&post("/v1/chat"), Some(&json!(["model"]))), None);
        let by_path = logical("POST /v1/*", &json!({}));
        assert!(!by_path.needs_body(&post("/v1/chat")));
        assert!(by_path.rank(&post("/v1/chat"), None).is_some());
    }

    #[test]
    fn the_order_is_fields_then_exactness_then_prefix_then_path() {
        let body = json!({ "model": "gpt-4o", "stream": true });
        let ascending = [
            logical("*", &json!({})),
            logical("POST /v1/chat", &json!({})),
            logical("*", &json!({ "model": "gpt-*" })),
            logical("*", &json!({ "model": "gpt-4*" })),
            logical("POST /v1/chat", &json!({ "model": "gpt-4*" })),
            logical("/v1/*", &json!({ "model": "gpt-4o" })),
            logical("POST /v1/chat", &json!({ "model": "gpt-4o" })),
            logical("*", &json!({ "model": "gpt-*", "stream": true })),
        ];
        let ranks: Vec<_> =
            ascending.iter().map(|one| one.rank(&post("/v1/chat"), Some(&body)).unwrap()).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }

    #[test]
    fn what_is_no_pointer_and_what_no_field_can_hold_is_refused() {
        for bad in ["usage", "", "/a~", "/a~2b"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
        for bad in [json!(null), json!([]), json!({})] {
            assert!(Field::parse("model", &bad).is_err(), "{bad}");
        }
        assert!(Field::parse("/a~b", &json!("x")).is_err());
    }
}
