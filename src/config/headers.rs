//! Header fields that the owner adds to what an origin gets, with places for secrets.

use std::collections::BTreeMap;

use serde_json::Value;

use super::table::{Faults, Table, text};
use crate::fields::is_withheld;

/// Header fields by name, in whose values `{secret:NAME}` stands for a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderTemplates {
    /// The full name of the setting they come from.
    setting: String,
    fields: BTreeMap<String, String>,
}

/// Reads `origin_headers`.
pub(super) fn read(t: &mut Table<'_>, faults: &mut Faults) -> HeaderTemplates {
    let Some(table) = t.table("origin_headers", faults) else { return HeaderTemplates::default() };
    let mut fields = BTreeMap::new();
    for (name, full, value) in table.entries() {
        match text(value) {
            Ok(value) if is_token(name) && value.is_ascii() && !value.contains(['\r', '\n']) => {
                fields.insert(name.to_owned(), value.to_owned());
            }
            Ok(_) => faults.add(full, "is not a header field"),
            Err(message) => faults.add(full, message),
        }
    }
    HeaderTemplates { setting: table.name().to_owned(), fields }
}

/// Whether a text may name a header field (RFC 9110 §5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Reads the name of the field in which clients name their sessions, in lower case. One that means something else already is
/// refused.
pub(super) fn session(value: &Value) -> Result<String, String> {
    let written = text(value)?;
    let name = written.to_ascii_lowercase();
    if !is_token(&name) {
        return Err(format!(
            "`{written}` is not the name of a header field; write one such as X-Agent-Session"
        ));
    }
    let taken = ["authorization", "cookie", "host", "x-api-key", "content-length", "content-type"];
    if is_withheld(&name, None) || taken.contains(&name.as_str()) || name.starts_with("cf-") {
        return Err(format!(
            "`{written}` means something else already; write another, such as X-Agent-Session"
        ));
    }
    Ok(name)
}

impl HeaderTemplates {
    /// The fields with their secrets filled in; a secret that is absent is a fault.
    pub fn fill(
        &self,
        secret: impl Fn(&str) -> Option<String>,
        faults: &mut Faults,
    ) -> BTreeMap<String, String> {
        let mut filled = BTreeMap::new();
        for (name, template) in &self.fields {
            match fill(template, &secret) {
                Ok(value) => {
                    filled.insert(name.clone(), value);
                }
                Err(message) => faults.add(format!("{}.{name}", self.setting), message),
            }
        }
        filled
    }
}

/// Fills the places of one template. What a secret holds is never read as a template.
fn fill(template: &str, secret: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{secret:") {
        let (name, after) = after.split_once('}').ok_or("has a `{secret:` without its `}`")?;
        filled.push_str(before);
        filled.push_str(&secret(name).ok_or_else(|| format!("there is no secret `{name}`"))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_filled_in_once() {
        let secret = |name: &str| (name == "KEY").then(|| "{secret:KEY}".to_owned());
        assert_eq!(
            fill("Bearer {secret:KEY}, {secret:KEY}!", secret).unwrap(),
            "Bearer {secret:KEY}, {secret:KEY}!"
        );
        assert_eq!(fill("plain", secret).unwrap(), "plain");
        assert_eq!(fill("{secret:NONE}", secret).unwrap_err(), "there is no secret `NONE`");
        assert_eq!(fill("{secret:KEY", secret).unwrap_err(), "has a `{secret:` without its `}`");
    }
}
