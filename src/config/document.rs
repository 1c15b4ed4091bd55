//! A file of settings as its author sees it: the values, and the line on which each of them stands.
//!
//! YAML 1.2, TOML and JSON come out as the same [`Value`], which the readers of settings take; their faults name a
//! setting, and [`Document::line_of`] says where it is written. What a setting means is not known here.

mod json;
mod toml;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Number, Value};

use super::table::member_name;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, core schema, one document; aliases are followed, tags and merge keys are not.
    Yaml,
    /// TOML 1.
    Toml,
    /// JSON (RFC 8259).
    Json,
}

impl Format {
    /// The format of a file of that name.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The format of a body with that `Content-Type`.
    #[must_use]
    pub fn of_media_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Self::Yaml),
            "application/toml" | "application/x-toml" | "text/toml" | "text/x-toml" => Some(Self::Toml),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Why a text is no file of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for SyntaxFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for SyntaxFault {}

/// The most bytes of a file: as many as the admin API takes.
const MAX_BYTES: usize = 1 << 20;
/// How deep tables and lists may stand in one another; a plan file needs six.
const MAX_DEPTH: usize = 32;
/// The most bytes of a member's name: an endpoint's may be a path.
const MAX_NAME: usize = 1024;
/// The most values of a file, those that aliases repeat included.
const MAX_VALUES: usize = 100_000;

/// A value and the line on which it begins.
#[derive(Clone, Debug)]
struct Node {
    line: usize,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Table(Vec<Member>),
}

/// A member of a table, and the line on which its name stands.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    line: usize,
    value: Node,
}

/// A file of settings.
#[derive(Clone, Debug)]
pub struct Document {
    value: Value,
    root: Place,
}

/// Where something stands, and everything in it. Full names are not kept: they would take the room of the file many times.
#[derive(Clone, Debug, Default)]
struct Place {
    line: usize,
    /// By the last part of the name: `free`, `"GET /cpu"`, `[0]`.
    inner: BTreeMap<String, Place>,
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// It is not in that format, says something twice, or is too large or too deep.
    pub fn parse(text: &str, format: Format) -> Result<Self, SyntaxFault> {
        if text.len() > MAX_BYTES {
            let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len());
            return Err(SyntaxFault { line: 1, message });
        }
        // A byte order mark is no part of the text (RFC 8259 §8.1, and some editors write one).
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = match format {
            Format::Yaml => yaml::read(text)?,
            Format::Toml => toml::read(text)?,
            Format::Json => json::read(text)?,
        };
        let mut place = Place { line: 1, inner: BTreeMap::new() };
        let value = assemble(root, "", &mut place)?;
        Ok(Self { value, root: place })
    }

    /// The values.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The line of a setting, by its full name as faults give it (`plans.free.endpoints."GET /cpu".cost`); of one that
    /// is not there, the line of the nearest table that should have it.
    #[must_use]
    pub fn line_of(&self, setting: &str) -> usize {
        let (mut place, mut rest) = (&self.root, setting);
        while let Some((inner, after)) = place.step(rest) {
            (place, rest) = (inner, after);
        }
        place.line
    }
}

impl Place {
    /// What the first part of a name names, and the rest of the name.
    fn step<'a>(&self, name: &'a str) -> Option<(&Self, &'a str)> {
        let name = name.strip_prefix('.').unwrap_or(name);
        let rest = |own: &String| {
            name.strip_prefix(own.as_str()).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.inner.iter().find_map(|(own, place)| Some((place, rest(own)?)))
    }
}

/// Makes the value of a node, and notes the place of everything in it.
fn assemble(node: Node, name: &str, place: &mut Place) -> Result<Value, SyntaxFault> {
    match node.content {
        Content::Scalar(value) => Ok(value),
        Content::List(items) => {
            let item = |(index, item): (usize, Node)| {
                let own = format!("[{index}]");
                let mut inner = Place { line: item.line, inner: BTreeMap::new() };
                let value = assemble(item, &format!("{name}{own}"), &mut inner)?;
                place.inner.insert(own, inner);
                Ok(value)
            };
            items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::Array)
        }
        Content::Table(members) => {
            let mut table = Map::new();
            for member in members {
                let (own, value) = assemble_member(member, name, place)?;
                table.insert(own, value);
            }
            Ok(Value::Object(table))
        }
    }
}

fn assemble_member(member: Member, name: &str, place: &mut Place) -> Result<(String, Value), SyntaxFault> {
    let Member { name: own, line, value } = member;
    if own.len() > MAX_NAME {
        let message = format!("a name has {} bytes; at most {MAX_NAME} are read", own.len());
        return Err(SyntaxFault { line, message });
    }
    let (full, last) = (member_name(name, &own), member_name("", &own));
    if let Some(first) = place.inner.get(&last) {
        let message = format!("{full} is written twice; first in line {}", first.line);
        return Err(SyntaxFault { line, message });
    }
    let mut inner = Place { line, inner: BTreeMap::new() };
    let value = assemble(value, &full, &mut inner)?;
    place.inner.insert(last, inner);
    Ok((own, value))
}

fn too_deep(line: usize) -> SyntaxFault {
    SyntaxFault { line, message: format!("tables and lists stand in one another more than {MAX_DEPTH} deep") }
}

fn too_many(line: usize) -> SyntaxFault {
    SyntaxFault { line, message: format!("the file holds more than {MAX_VALUES} values") }
}

/// A number as JavaScript, and so wrangler, would hand it over: 4.0 is 4.
fn number(written: Number) -> Value {
    /// The largest float below which every whole number is exact: 2^53.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match written.as_f64() {
        Some(float) if written.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
            format!("{float:.0}").parse().map_or(Value::Number(written), Value::Number)
        }
        _ => Value::Number(written),
    }
}

/// The lines of a text, to find the one that holds a byte.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of the byte at `offset`, from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|newline| *newline < offset).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, format: Format) -> Document {
        Document::parse(text, format).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn fault(text: &str, format: Format) -> String {
        Document::parse(text, format).unwrap_err().to_string()
    }

    const YAML: &str = "plans:\n  free:\n    name: Free # people see it\n    endpoints:\n      \"GET /cpu\":\n        bucket: { capacity: 40_000,\n          refill_rate: 0.5 }\n        fixed_windows:\n          - window: 86_400s\n            limit: 4.0\n";
    const TOML: &str = "# a comment\n[plans.free]\nname = \"Free\"\n\n[plans.free.endpoints.\"GET /cpu\"]\nbucket = { capacity = \"40_000\", refill_rate = 0.5 }\n[[plans.free.endpoints.\"GET /cpu\".fixed_windows]]\nwindow = \"86_400s\"\nlimit = 4.0\n";
    const JSON: &str = "{\"plans\": {\"free\": {\n\t\"name\": \"Free\",\n\t\"endpoints\": {\n\"GET /cpu\": { \"bucket\": { \"capacity\": \"40_000\",\n \"refill_rate\": 0.5 },\n \"fixed_windows\": [\n{ \"window\": \"86_400s\",\n\"limit\": 4.0 }]}}}}}";

    #[test]
    fn the_three_formats_say_the_same() {
        let wanted = json!({ "plans": { "free": { "name": "Free", "endpoints": { "GET /cpu": {
            "bucket": { "capacity": "40_000", "refill_rate": 0.5 },
            "fixed_windows": [{ "window": "86_400s", "limit": 4 }],
        }}}}});
        for (text, format) in [(YAML, Format::Yaml), (TOML, Format::Toml), (JSON, Format::Json)] {
            assert_eq!(read(text, format).value(), &wanted, "{format:?}");
        }
    }

    #[test]
    fn every_setting_has_its_line_and_what_is_missing_that_of_its_table() {
        let cpu = "plans.free.endpoints.\"GET /cpu\"";
        let settings = [
            "plans".to_owned(),
            "plans.free.name".to_owned(),
            cpu.to_owned(),
            format!("{cpu}.bucket.refill_rate"),
            format!("{cpu}.bucket.burst"),
            format!("{cpu}.fixed_windows[0].limit"),
            format!("{cpu}.fixed_windows[0].unit_type"),
            "plans.freer.name".to_owned(),
            "TOLLGATE".to_owned(),
        ];
        for (text, format, lines) in [
            (YAML, Format::Yaml, [1, 3, 5, 7, 6, 10, 9, 1, 1]),
            (TOML, Format::Toml, [2, 3, 5, 6, 6, 9, 7, 2, 1]),
            (JSON, Format::Json, [1, 2, 4, 5, 4, 8, 7, 1, 1]),
        ] {
            let document = read(text, format);
            let found: Vec<usize> = settings.iter().map(|setting| document.line_of(setting)).collect();
            assert_eq!(found, lines, "{format:?}");
        }
    }

    #[test]
    fn what_is_written_twice_is_a_fault() {
        assert_eq!(
            fault("a: 1\nb:\n  x: 1\n  x: 2\n", Format::Yaml),
            "line 4: b.x is written twice; first in line 3"
        );
        assert_eq!(
            fault("{\"a\": 1,\n \"a\": 2}", Format::Json),
            "line 2: a is written twice; first in line 1"
        );
        assert_eq!(fault("a = 1\na = 2\n", Format::Toml), "line 2: duplicate key");
    }

    #[test]
    fn neither_depth_nor_aliases_nor_size_exhaust_the_reader() {
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for format in [Format::Yaml, Format::Json] {
            let said = "line 1: tables and lists stand in one another more than 32 deep";
            assert_eq!(fault(&deep(MAX_DEPTH + 1), format), said);
            assert!(Document::parse(&deep(MAX_DEPTH), format).is_ok());
            assert!(Document::parse(&deep(100_000), format).is_err());
        }
        assert!(Document::parse(&format!("a = {}", deep(100_000)), Format::Toml).is_err());
        let long = format!("{{\"{}\": [{}0]}}", "x".repeat(2_000), "0,".repeat(50_000));
        assert_eq!(fault(&long, Format::Json), "line 1: a name has 2000 bytes; at most 1024 are read");
        let bomb: String = std::iter::once("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned())
            .chain((1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))))
            .collect();
        assert_eq!(fault(&bomb, Format::Yaml), "line 5: the file holds more than 100000 values");
        assert_eq!(
            fault(&" ".repeat(MAX_BYTES + 1), Format::Json),
            "line 1: the file has 1048577 bytes; at most 1048576 are read"
        );
        let wide = format!("[{}0]", "0,".repeat(MAX_VALUES));
        for format in [Format::Yaml, Format::Json] {
            assert_eq!(fault(&wide, format), "line 1: the file holds more than 100000 values");
        }
    }

    #[test]
    fn a_format_is_told_by_file_name_and_by_media_type() {
        assert_eq!(Format::of_file("plans.YML"), Some(Format::Yaml));
        assert_eq!(Format::of_file("dir.toml/plans"), None);
        assert_eq!(Format::of_media_type("application/toml; charset=utf-8"), Some(Format::Toml));
        assert_eq!(Format::of_media_type("text/plain"), None);
    }
}
