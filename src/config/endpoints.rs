//! The settings of single endpoints: `[vars.TOLLGATE.endpoints."NAME"]`. What makes a request fall under a logical
//! endpoint, how its final units are read, and where its requests go.

use serde_json::Value;
use url::Url;

use super::headers::{self, HeaderTemplates};
use super::table::{Faults, Table, text};
use super::{base_url, positive_span};
use crate::endpoint::logical::{Field, Logical, Pointer};
use crate::endpoint::{EndpointName, Pattern, Target};
use crate::limit::units::is_unit_name;
use crate::limit::units::meter::{Reading, Readings};
use crate::time::Span;

/// The endpoints that have settings of their own, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints(Vec<EndpointConfig>);

/// The settings of one endpoint. They hold wherever a plan's endpoint has this name.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointConfig {
    /// Its name.
    pub name: EndpointName,
    /// What makes a request fall under it; `None` where its name alone says so.
    logical: Option<Logical>,
    /// Where in the origin's answer the final units stand.
    pub units: Readings,
    /// Where its requests go instead of to the gate's origin.
    pub origin: Option<Url>,
    /// Header fields added to what its origin gets.
    pub origin_headers: HeaderTemplates,
    /// How long its origin may take to the first byte, if not as long as the gate's.
    pub timeout: Option<Span>,
}

impl Endpoints {
    pub(super) fn read(table: &Table<'_>, faults: &mut Faults) -> Self {
        let entries = table.entries();
        Self(
            entries
                .filter_map(|(name, full, value)| EndpointConfig::read(name, full, value, faults))
                .collect(),
        )
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &EndpointConfig> {
        self.0.iter()
    }

    /// Whether the body must be read to tell which logical endpoint a request falls under.
    #[must_use]
    pub fn need_body(&self, target: &Target) -> bool {
        self.logical().any(|(_, logical)| logical.needs_body(target))
    }

    /// The logical endpoint that a request with that body falls under: the most specific that matches, and the first by
    /// name of those that match equally well. A `body` that is absent, not read or no JSON is `None`.
    #[must_use]
    pub fn recognise(&self, target: &Target, body: Option<&Value>) -> Option<&EndpointName> {
        let matches = self.logical().filter_map(|(name, logical)| Some((logical.rank(target, body)?, name)));
        // `max_by_key` takes the last of equals.
        matches.rev().max_by_key(|(rank, _)| *rank).map(|(_, name)| name)
    }

    /// The method and path of the requests that fall under a logical endpoint of that name.
    #[must_use]
    pub fn pattern(&self, name: &EndpointName) -> Option<&Pattern> {
        self.logical().find(|(logical, _)| *logical == name).map(|(_, logical)| logical.pattern())
    }

    fn logical(&self) -> impl DoubleEndedIterator<Item = (&EndpointName, &Logical)> {
        self.0.iter().filter_map(|endpoint| Some((&endpoint.name, endpoint.logical.as_ref()?)))
    }
}

impl EndpointConfig {
    fn read(name: &str, full: String, value: &Value, faults: &mut Faults) -> Option<Self> {
        let mut table = Table::open(full, value, faults)?;
        let own = Pattern::parse(name).map_err(|message| faults.add(table.name(), message)).ok();
        let logical = own.and_then(|own| read_logical(&mut table, &own, faults));
        let config = Self {
            name: EndpointName::new(name),
            logical,
            units: read_units(&mut table, faults),
            origin: table.optional("origin", base_url, faults),
            origin_headers: headers::read(&mut table, faults),
            timeout: table.optional("timeout", positive_span, faults),
        };
        table.finish(faults);
        Some(config)
    }
}

/// Reads `match` and `json`. A `match` that says what the name says already is nothing new.
fn read_logical(table: &mut Table<'_>, own: &Pattern, faults: &mut Faults) -> Option<Logical> {
    let pattern = table.optional("match", |value| text(value).and_then(Pattern::parse), faults);
    let json = table.value("json").is_some();
    let fields = table.table("json", faults).map(|fields| read_fields(&fields, faults)).unwrap_or_default();
    if json && table.value("match").is_none() {
        let message =
            "is missing; say which method and path have that body, such as \"POST /v1/chat/completions\"";
        faults.add(table.name_of("match"), message);
    }
    let pattern = pattern.filter(|pattern| json || !pattern.matches_same(own))?;
    Some(Logical::new(pattern, fields))
}

fn read_fields(table: &Table<'_>, faults: &mut Faults) -> Vec<Field> {
    if table.entries().next().is_none() {
        faults.add(table.name(), "must name a field of the body, such as { model = \"gpt-4o\" }");
    }
    let mut fields = Vec::new();
    for (name, full, wanted) in table.entries() {
        match Field::parse(name, wanted) {
            Ok(field) => fields.push(field),
            Err(message) => faults.add(full, message),
        }
    }
    fields
}

fn read_units(table: &mut Table<'_>, faults: &mut Faults) -> Readings {
    let Some(table) = table.table("units", faults) else { return Readings::default() };
    let mut readings = Vec::new();
    for (unit, full, value) in table.entries() {
        match read_reading(unit, value) {
            Ok(reading) => readings.push((unit.to_owned(), reading)),
            Err(message) => faults.add(full, message),
        }
    }
    Readings::new(readings)
}

fn read_reading(unit: &str, value: &Value) -> Result<Reading, String> {
    if !is_unit_name(unit) {
        return Err("is not the name of a unit; write letters, digits, `-` and `_`, at most 64".to_owned());
    }
    let written = text(value)?;
    match written.strip_prefix("json:") {
        Some(pointer) => Pointer::parse(pointer).map(Reading::At).map_err(|error| error.to_string()),
        None if written == "events" => Ok(Reading::Events),
        None => Err(format!(
            "`{written}` does not say where the units stand; write json: and a JSON pointer, such as json:/usage/total_tokens, \
             or events, to count those of a stream"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::CanonicalPath;
    use serde_json::json;

    fn read(value: &Value) -> (Endpoints, Vec<String>) {
        let mut faults = Faults::default();
        let table = Table::open("TOLLGATE.endpoints", value, &mut faults).unwrap();
        let endpoints = Endpoints::read(&table, &mut faults);
        (endpoints, faults.list().iter().map(ToString::to_string).collect())
    }

    fn target(method: &str, path: &str) -> Target {
        Target { method: method.into(), path: CanonicalPath::parse(path).unwrap(), logical: None }
    }

    #[test]
    fn a_request_falls_under_the_most_specific_logical_endpoint() {
        let chat = "POST /v1/chat/completions";
        let (endpoints, faults) = read(&json!({
            "gpt-4o": { "match": chat, "json": { "model": "gpt-4o" }, "units": { "token": "json:/usage/total_tokens" } },
            "gpt-any": { "match": chat, "json": { "model": "gpt-*" } },
            "also-gpt": { "match": chat, "json": { "model": "gpt-*" } },
            "streamed": { "match": chat, "json": { "model": "gpt-4o", "stream": true } },
            "tool": { "match": "POST /mcp", "json": { "method": "tools/call", "/params/name": "search" } },
            "chat": { "match": chat },
            "POST /v1/images": { "timeout": "60s" },
            "/v1/*": { "match": "/v1/*", "timeout": "60s" },
        }));
        assert_eq!(faults, Vec::<String>::new());
        let found = |path: &str, body: Value| {
            endpoints.recognise(&target("POST", path), Some(&body)).map(EndpointName::as_str)
        };
        let completions = "/v1/chat/completions";
        assert_eq!(found(completions, json!({ "model": "gpt-4o" })), Some("gpt-4o"));
        assert_eq!(found(completions, json!({ "model": "gpt-4o", "stream": true })), Some("streamed"));
        assert_eq!(found(completions, json!({ "model": "gpt-3" })), Some("also-gpt"), "first by name");
        assert_eq!(found(completions, json!({ "model": "claude" })), Some("chat"));
        assert_eq!(
            found("/mcp", json!({ "method": "tools/call", "params": { "name": "search" } })),
            Some("tool")
        );
        assert_eq!(found("/mcp", json!({ "method": "tools/list" })), None);
        assert_eq!(found("/v1/images", json!({})), None, "a plain pattern is found by the plan");
        assert!(endpoints.need_body(&target("POST", completions)));
        assert!(!endpoints.need_body(&target("GET", completions)));
        assert!(!endpoints.need_body(&target("POST", "/v1/images")));
    }

    #[test]
    fn every_fault_names_its_setting() {
        let (_, faults) = read(&json!({
            "a": { "match": "get /x", "json": {}, "units": { "to ken": "json:/a", "token": "/a", "image": "json:a" } },
            "b": { "json": { "model": [], "/a~b": "x" }, "origin": "http://example.com", "timeout": "0s" },
            "c d": {},
            "d": { "matches": "POST /x", "origin_headers": { "A B": "x" } },
            "e": 3,
        }));
        assert_eq!(
            faults,
            [
                "TOLLGATE.endpoints.a.match: is not an endpoint: `get` is not a method; write it in capitals, such as `GET /path`",
                "TOLLGATE.endpoints.a.json: must name a field of the body, such as { model = \"gpt-4o\" }",
                "TOLLGATE.endpoints.a.units.image: `a` is not a JSON pointer; write one such as /usage/total_tokens (`~` is written ~0, `/` in a name ~1)",
                "TOLLGATE.endpoints.a.units.\"to ken\": is not the name of a unit; write letters, digits, `-` and `_`, at most 64",
                "TOLLGATE.endpoints.a.units.token: `/a` does not say where the units stand; write json: and a JSON pointer, such as json:/usage/total_tokens, or events, to count those of a stream",
                "TOLLGATE.endpoints.b.json.\"/a~b\": `/a~b` is not a JSON pointer; write one such as /usage/total_tokens (`~` is written ~0, `/` in a name ~1)",
                "TOLLGATE.endpoints.b.json.model: must be a text, a number, true or false",
                "TOLLGATE.endpoints.b.match: is missing; say which method and path have that body, such as \"POST /v1/chat/completions\"",
                "TOLLGATE.endpoints.b.origin: `http://example.com` must start with https:// (http:// is for this machine only)",
                "TOLLGATE.endpoints.b.timeout: must be longer than nothing",
                "TOLLGATE.endpoints.\"c d\": is not an endpoint: `c` is not a method; write it in capitals, such as `GET /path`",
                "TOLLGATE.endpoints.d.origin_headers.\"A B\": is not a header field",
                "TOLLGATE.endpoints.d.matches: is not a setting; did you mean `match`?",
                "TOLLGATE.endpoints.e: must be a table, not a number",
            ]
        );
    }
}
