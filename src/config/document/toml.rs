//! Reads TOML, with the line of every value.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use serde_json::{Number, Value};

use super::{Content, Lines, Member, Node, SyntaxFault, number};

/// The parser bounds the depth itself.
pub(super) fn read(text: &str) -> Result<Node, SyntaxFault> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| SyntaxFault {
        line: lines.at(error.span().map_or(0, |span| span.start)),
        message: match error.message() {
            // It takes every bare word that begins with t or f, in any case, for one of these.
            message if message.starts_with("invalid boolean") => {
                "must be true or false; write a text in quotes".to_owned()
            }
            message => message.to_owned(),
        },
    })?;
    Ok(Node { line: 1, content: members(table.get_ref(), &lines) })
}

fn members(table: &DeTable<'_>, lines: &Lines) -> Content {
    let member = |(name, value): (&Spanned<_>, &Spanned<_>)| {
        let name: &Spanned<std::borrow::Cow<'_, str>> = name;
        Member {
            name: name.get_ref().to_string(),
            line: lines.at(name.span().start),
            value: node(value, lines),
        }
    };
    Content::Table(table.iter().map(member).collect())
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines) -> Node {
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Scalar(Value::from(text.as_ref())),
        DeValue::Integer(integer) => Content::Scalar(whole(integer.as_str(), integer.radix())),
        DeValue::Float(float) => Content::Scalar(fraction(float.as_str())),
        DeValue::Boolean(value) => Content::Scalar(Value::from(*value)),
        DeValue::Datetime(value) => Content::Scalar(Value::from(value.to_string())),
        DeValue::Array(items) => Content::List(items.iter().map(|item| node(item, lines)).collect()),
        DeValue::Table(table) => members(table, lines),
    };
    Node { line: lines.at(value.span().start), content }
}

/// A whole number; one that no number of JSON's holds exactly stays the text it is.
fn whole(digits: &str, radix: u32) -> Value {
    let number = u64::from_str_radix(digits, radix).map(Number::from);
    let number = number.or_else(|_| i64::from_str_radix(digits, radix).map(Number::from));
    number.map_or_else(|_| Value::from(digits), Value::Number)
}

/// A fraction; `inf` and `nan` stay the texts they are.
fn fraction(written: &str) -> Value {
    let float = written.parse().ok().and_then(Number::from_f64);
    float.map_or_else(|| Value::from(written), number)
}
