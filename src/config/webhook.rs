//! Where the owner is told of what happens, and of what: the setting `webhook`.

use serde_json::Value;
use url::Url;

use super::outgoing_url;
use super::table::{Faults, Table, texts};
use crate::notice::{Kind, Kinds};

/// The owner's server, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where notices are sent.
    pub url: Url,
    /// Of what it is told.
    pub events: Kinds,
}

impl Webhook {
    /// Reads `webhook = { url, events }`; without `events`, of all.
    pub(super) fn read(mut t: Table<'_>, faults: &mut Faults) -> Option<Self> {
        let url = t.required("url", outgoing_url, faults);
        let events = t.optional("events", events, faults).unwrap_or_else(|| Kind::ALL.into_iter().collect());
        t.finish(faults);
        Some(Self { url: url?, events })
    }
}

fn events(value: &Value) -> Result<Kinds, String> {
    let known = || Kind::ALL.map(Kind::name).join(", ");
    let kind = |name: &str| {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("`{name}` is no event; there is {}", known()))
    };
    let kinds: Kinds = texts(value)?.into_iter().map(kind).collect::<Result<_, _>>()?;
    if kinds.is_empty() { Err(format!("must name events; there is {}", known())) } else { Ok(kinds) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<Webhook, String> {
        let mut faults = Faults::default();
        let webhook = Table::open("TOLLGATE.webhook", value, &mut faults)
            .and_then(|table| Webhook::read(table, &mut faults));
        webhook.filter(|_| faults.is_empty()).ok_or_else(|| faults.to_string())
    }

    #[test]
    fn a_webhook_is_told_of_what_it_names_or_of_all() {
        let webhook =
            read(&json!({ "url": "https://owner.example/hook?for=acme", "events": ["paid"] })).unwrap();
        assert_eq!(webhook.url.as_str(), "https://owner.example/hook?for=acme");
        assert!(webhook.events.has(Kind::Paid) && !webhook.events.has(Kind::Exceeded));
        let all = read(&json!({ "url": "http://127.0.0.1:8080/" })).unwrap();
        assert!(Kind::ALL.into_iter().all(|kind| all.events.has(kind)));
    }

    #[test]
    fn what_is_wrong_with_a_webhook_is_said() {
        let known = Kind::ALL.map(Kind::name).join(", ");
        for (value, said) in [
            (json!({ "events": ["paid"] }), "TOLLGATE.webhook.url: is missing".to_owned()),
            (
                json!({ "url": "http://owner.example/" }),
                "TOLLGATE.webhook.url: `http://owner.example/` must start with https:// (http:// is for this machine only)".to_owned(),
            ),
            (
                json!({ "url": "https://owner.example/", "events": ["payed"] }),
                format!("TOLLGATE.webhook.events: `payed` is no event; there is {known}"),
            ),
            (
                json!({ "url": "https://owner.example/", "events": [] }),
                format!("TOLLGATE.webhook.events: must name events; there is {known}"),
            ),
            (
                json!({ "url": "https://owner.example/", "secret": "x" }),
                "TOLLGATE.webhook.secret: is not a setting; known here: url, events".to_owned(),
            ),
        ] {
            assert_eq!(read(&value), Err(said));
        }
    }
}
