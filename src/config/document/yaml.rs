//! Reads YAML 1.2 (core schema), with the line of every value.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};
use serde_json::{Number, Value};

use super::{Content, MAX_DEPTH, MAX_VALUES, Member, Node, SyntaxFault, number, too_deep, too_many};

pub(super) fn read(text: &str) -> Result<Node, SyntaxFault> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| fault(&error, text))?;
        builder.take(event, span.start.line())?;
    }
    Ok(builder.root.unwrap_or(Node { line: 1, content: Content::Scalar(Value::Null) }))
}

/// What the parser says; its message does not tell that an endpoint `*` needs quotes.
fn fault(error: &ScanError, text: &str) -> SyntaxFault {
    let line = error.marker().line().max(1);
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let hint = if written.trim_start().starts_with('*') { "; write a name with * in quotes" } else { "" };
    let hint = if written.starts_with('\t') { "; indent with spaces" } else { hint };
    SyntaxFault { line, message: format!("{}{hint}", error.info()) }
}

/// Puts the parser's events together. The tables and lists that are open stand on a stack of their own: the depth of a
/// file never becomes the depth of our calls.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, (Node, usize)>,
    values: usize,
}

/// A table or list whose end has not come.
struct Open {
    line: usize,
    anchor: usize,
    /// How many values there were before it.
    before: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Table(Vec<Member>, Option<(String, usize)>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), SyntaxFault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, line)?;
                let scalar = scalar(&text, style);
                let untagged = tag.is_none();
                let node = Node { line, content: Content::Scalar(scalar) };
                self.remember(anchor, &node, 1, line)?;
                check(untagged, line, "tags such as `!!str` are not read; write a text in quotes")?;
                self.place(node, Some(&text))
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Items::List(Vec::new()), anchor, tag.is_none(), line)
            }
            Event::MappingStart(anchor, tag) => {
                self.open(Items::Table(Vec::new(), None), anchor, tag.is_none(), line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.repeat(anchor, line),
            Event::DocumentStart(_) => {
                check(self.root.is_none(), line, "a second document begins here; only one is read")
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn count(&mut self, values: usize, line: usize) -> Result<(), SyntaxFault> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES { Err(too_many(line)) } else { Ok(()) }
    }

    /// Keeps a node for its aliases. The copy counts, as it takes as much room as the node.
    fn remember(&mut self, anchor: usize, node: &Node, size: usize, line: usize) -> Result<(), SyntaxFault> {
        // The parser numbers anchors from 1; 0 is none.
        if anchor != 0 {
            self.count(size, line)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(())
    }

    fn repeat(&mut self, anchor: usize, line: usize) -> Result<(), SyntaxFault> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(SyntaxFault { line, message: "an alias stands inside of what it names".to_owned() });
        };
        let (node, size) = (node.clone(), *size);
        self.count(size, line)?;
        self.place(node, None)
    }

    fn open(&mut self, items: Items, anchor: usize, untagged: bool, line: usize) -> Result<(), SyntaxFault> {
        check(untagged, line, "tags such as `!!map` are not read")?;
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(line));
        }
        let before = self.values;
        self.count(1, line)?;
        self.open.push(Open { line, anchor, before, items });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxFault> {
        let Some(Open { line, anchor, before, items }) = self.open.pop() else { return Ok(()) };
        let content = match items {
            Items::List(nodes) => Content::List(nodes),
            Items::Table(members, _) => Content::Table(members),
        };
        let node = Node { line, content };
        self.remember(anchor, &node, self.values.saturating_sub(before), line)?;
        self.place(node, None)
    }

    /// Puts a node where it belongs; `text` is what a scalar reads as a name.
    fn place(&mut self, node: Node, text: Option<&str>) -> Result<(), SyntaxFault> {
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(nodes)) => nodes.push(node),
            Some(Items::Table(members, name)) => match (name.take(), text) {
                (Some((name, line)), _) => members.push(Member { name, line, value: node }),
                (None, Some(text)) => *name = Some((text.to_owned(), node.line)),
                (None, None) => {
                    let message = "the name of a member must be a text".to_owned();
                    return Err(SyntaxFault { line: node.line, message });
                }
            },
        }
        Ok(())
    }
}

fn check(holds: bool, line: usize, message: &str) -> Result<(), SyntaxFault> {
    if holds { Ok(()) } else { Err(SyntaxFault { line, message: message.to_owned() }) }
}

/// What a scalar stands for (YAML 1.2 §10.3, without octal and hexadecimal numbers, which stay texts).
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => text.parse::<Number>().map_or_else(|_| Value::from(text), number),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Format};
    use serde_json::json;

    fn read(text: &str) -> Result<serde_json::Value, String> {
        Document::parse(text, Format::Yaml)
            .map(|document| document.value().clone())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        let text = "a: 1\nb: 0.001\nc: 40_000\nd: no\ne: True\nf: ~\ng: \"1\"\nh: 0x10\ni: 60s\nj: |\n  two\n  lines\nk: 007\nl: -4.0\n7: x\n";
        let wanted = json!({
            "a": 1, "b": 0.001, "c": "40_000", "d": "no", "e": true, "f": null, "g": "1", "h": "0x10", "i": "60s",
            "j": "two\nlines\n", "k": "007", "l": -4, "7": "x",
        });
        assert_eq!(read(text), Ok(wanted));
        assert_eq!(read("# nothing\n"), Ok(json!(null)));
    }

    #[test]
    fn aliases_repeat_what_they_name() {
        assert_eq!(
            read("a: &x { b: [1, 2] }\nc: *x\nd: *x\n"),
            Ok(json!({
                "a": { "b": [1, 2] }, "c": { "b": [1, 2] }, "d": { "b": [1, 2] },
            }))
        );
        assert_eq!(read("a: &x [*x]\n"), Err("line 1: an alias stands inside of what it names".to_owned()));
    }

    #[test]
    fn what_has_no_meaning_here_is_a_fault() {
        for (text, said) in [
            ("a: 1\n---\na: 2\n", "line 2: a second document begins here; only one is read"),
            ("a: !!str 1\n", "line 1: tags such as `!!str` are not read; write a text in quotes"),
            ("a: !x {}\n", "line 1: tags such as `!!map` are not read"),
            ("? [a]\n: 1\n", "line 1: the name of a member must be a text"),
        ] {
            assert_eq!(read(text), Err(said.to_owned()));
        }
    }
}
