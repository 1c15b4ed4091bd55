//! Reads JSON, with the line of every value. `serde_json` tells no places, but hands out pieces of the text that was
//! read: where a piece begins is its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Content, Lines, MAX_DEPTH, MAX_VALUES, Member, Node, SyntaxFault, number, too_deep, too_many};

pub(super) fn read(text: &str) -> Result<Node, SyntaxFault> {
    let root: &RawValue = serde_json::from_str(text).map_err(|error| fault(&error, 1))?;
    let mut reader = Reader { text, lines: Lines::of(text), values: 0 };
    reader.node(root, 0)
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines,
    values: usize,
}

impl<'a> Reader<'a> {
    fn node(&mut self, raw: &'a RawValue, depth: usize) -> Result<Node, SyntaxFault> {
        let line = self.line(raw);
        self.values = self.values.saturating_add(1);
        if self.values > MAX_VALUES {
            return Err(too_many(line));
        }
        let is_scalar = !raw.get().starts_with(['{', '[']);
        if depth >= MAX_DEPTH && !is_scalar {
            return Err(too_deep(line));
        }
        let content = if is_scalar {
            Content::Scalar(match parse(raw, line)? {
                Value::Number(written) => number(written),
                other => other,
            })
        } else if raw.get().starts_with('[') {
            let items: Vec<&RawValue> = parse(raw, line)?;
            let nodes = items.into_iter().map(|item| self.node(item, depth.saturating_add(1)));
            Content::List(nodes.collect::<Result<_, _>>()?)
        } else {
            let Members(members) = parse(raw, line)?;
            let member = |(name, raw): (String, &'a RawValue)| {
                let value = self.node(raw, depth.saturating_add(1))?;
                Ok(Member { name, line: value.line, value })
            };
            Content::Table(members.into_iter().map(member).collect::<Result<_, _>>()?)
        };
        Ok(Node { line, content })
    }

    /// The line on which a piece of the text begins.
    fn line(&self, raw: &RawValue) -> usize {
        self.lines.at(raw.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr()))
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue, line: usize) -> Result<T, SyntaxFault> {
    serde_json::from_str(raw.get()).map_err(|error| fault(&error, line))
}

/// What `serde_json` says, without the place that it adds at the end: that one counts from the piece it was given.
fn fault(error: &serde_json::Error, first_line: usize) -> SyntaxFault {
    let whole = error.to_string();
    let message = match whole.rsplit_once(" at line ").map_or(whole.as_str(), |(message, _)| message) {
        "key must be a string" => {
            "a name in double quotes must stand here; is there a comma too much?".to_owned()
        }
        message => message.to_owned(),
    };
    SyntaxFault { line: first_line.saturating_add(error.line()).saturating_sub(1).max(1), message }
}

/// The members of a table in the order of the text, also those that are written twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
