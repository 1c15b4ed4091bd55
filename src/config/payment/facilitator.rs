//! The settings of facilitators: who verifies and settles, and how we prove who asks.

use serde_json::Value;
use url::Url;

use crate::config::table::{Faults, Table, text};
use crate::config::{base_url, list};

/// A facilitator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facilitator {
    /// The URL that `/verify` and `/settle` follow.
    pub url: Url,
    /// How we prove who asks.
    pub auth: Auth,
}

/// How we prove to a facilitator who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// `FACILITATOR_TOKEN` is sent.
    Bearer,
    /// Each call brings a token that `CDP_API_KEY_ID` and `CDP_API_KEY_SECRET` make.
    Cdp,
}

impl Auth {
    /// The secrets that it takes.
    #[must_use]
    pub const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Bearer => &["FACILITATOR_TOKEN"],
            Self::Cdp => &["CDP_API_KEY_ID", "CDP_API_KEY_SECRET"],
        }
    }
}

impl Facilitator {
    /// Where a call of its API goes.
    #[must_use]
    pub fn at(&self, call: &str) -> String {
        format!("{}/{call}", self.url.as_str().trim_end_matches('/'))
    }
}

/// Reads `facilitators`.
pub(super) fn read(t: &mut Table<'_>, faults: &mut Faults) -> Option<Vec<Facilitator>> {
    let name = t.name_of("facilitators");
    let items = t.required("facilitators", list, faults)?;
    if items.is_empty() {
        faults.add(name, "must name at least one facilitator, such as \"https://x402.org/facilitator\"");
        return None;
    }
    let read = |(index, value): (usize, &Value)| {
        let name = format!("{name}[{index}]");
        match value {
            Value::Object(_) => Table::open(name, value, faults).and_then(|table| read_one(table, faults)),
            other => match base_url(other) {
                Ok(url) => Some(Facilitator { url, auth: Auth::None }),
                Err(message) => {
                    faults.add(name, message);
                    None
                }
            },
        }
    };
    Some(items.iter().enumerate().filter_map(read).collect())
}

fn read_one(mut t: Table<'_>, faults: &mut Faults) -> Option<Facilitator> {
    let url = t.required("url", base_url, faults);
    let auth = |value| match text(value)? {
        "none" => Ok(Auth::None),
        "bearer" => Ok(Auth::Bearer),
        "cdp" => Ok(Auth::Cdp),
        other => Err(format!("`{other}` is not a way to authenticate; write none, bearer or cdp")),
    };
    let auth = t.optional("auth", auth, faults).unwrap_or(Auth::None);
    t.finish(faults);
    url.map(|url| Facilitator { url, auth })
}
