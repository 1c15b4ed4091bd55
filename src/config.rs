//! The settings: everything an owner writes in `wrangler.toml`, checked whole before a request is served.

mod address;
pub mod advice;
pub mod document;
pub mod endpoints;
pub mod gate_file;
pub mod headers;
mod outgoing;
pub mod payment;
pub mod plan_file;
mod plans;
pub mod secrets;
mod size;
mod span;
pub mod table;
pub mod webhook;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use crate::client::Kind;
use crate::limit::plan::Plans;
use crate::time::Span;
use endpoints::Endpoints;
use headers::HeaderTemplates;
use payment::PaymentConfig;
use payment::facilitator::Auth;
use size::Bytes;
use span::receipt_ttl;
use table::{Faults, Table, boolean, number, text, texts};
use webhook::Webhook;

pub(crate) use outgoing::{base_url, outgoing_url};
pub(crate) use span::positive_span;
pub(crate) use table::list;

/// Usage is kept by the hour for 400 days where nobody says otherwise.
const USAGE_RETENTION: Span = Span::seconds(400 * 86_400);

/// The settings of a gate.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where admitted requests go; `None` when the service binding `ORIGIN` takes them.
    pub origin: Option<Url>,
    /// Where the gate's own endpoints stand, such as `/_tollgate`.
    pub prefix: String,
    /// The plans.
    pub plans: Plans,
    /// The plans as they are written, by name.
    pub documents: Map<String, Value>,
    default_plan: Option<String>,
    default_plans: BTreeMap<Kind, String>,
    /// The field in which a client with a key or a proof names its session, if there is one. In lower case.
    pub session_header: Option<String>,
    /// What a `tg_` key that nobody issued means.
    pub unknown_keys: UnknownKeys,
    /// How long the origin may take to the first byte of its answer.
    pub origin_timeout: Span,
    /// Header fields added to what the origin gets.
    pub origin_headers: HeaderTemplates,
    /// Endpoints that have settings of their own.
    pub endpoints: Endpoints,
    /// The largest body that is forwarded, in bytes.
    pub max_body: u64,
    /// Whether the token of a paid request is given back when the origin fails.
    pub refund_on_error: bool,
    /// Whose pages may read the answers; `None` for no CORS fields of ours.
    pub cors: Option<Vec<String>>,
    /// Where the gate describes itself.
    pub discovery: Discovery,
    /// How long receipts are kept.
    pub receipt_ttl: Span,
    /// How often usage goes to the ledger.
    pub flush_interval: Span,
    /// How long the ledger keeps usage by the hour; then by the month.
    pub usage_retention: Span,
    /// Where the owner is told of what happens, if anywhere.
    pub webhook: Option<Webhook>,
    /// Payments, if they are taken.
    pub payment: Option<PaymentConfig>,
    /// Settings that are valid and have no effect in this version.
    pub without_effect: Vec<String>,
}

/// What a `tg_` key that nobody issued means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// 401.
    Reject,
    /// The caller is treated as anonymous.
    Ip,
}

/// Where the gate describes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Under the prefix alone: the rest is the origin's.
    Prefix,
    /// At the root of the host, too.
    Root,
}

impl Config {
    /// Reads the vars `TOLLGATE` and `PLANS`. `has_origin_binding` tells whether the service binding `ORIGIN` is there.
    ///
    /// # Errors
    /// Every fault, each with the full name of its setting.
    pub fn read(tollgate: &Value, plans: &Value, has_origin_binding: bool) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let documents = plans.as_object().cloned().unwrap_or_default();
        let plans = Plans::read("PLANS", plans, &mut faults);
        let config = Table::open("TOLLGATE", tollgate, &mut faults)
            .map(|table| Self::read_table(table, (plans, documents), has_origin_binding, &mut faults));
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }

    /// Whether a facilitator wants to be told that way who asks.
    #[must_use]
    pub fn asks_for(&self, auth: Auth) -> bool {
        let facilitators = self.payment.iter().flat_map(|payment| &payment.facilitators);
        facilitators.into_iter().any(|facilitator| facilitator.auth == auth)
    }

    fn read_table(
        mut t: Table<'_>,
        (plans, documents): (Plans, Map<String, Value>),
        has_origin_binding: bool,
        faults: &mut Faults,
    ) -> Self {
        let origin = t.optional("origin", base_url, faults);
        if t.value("origin").is_none() && !has_origin_binding {
            faults.add(
                t.name_of("origin"),
                "is missing; write the URL of the API behind the gate, or bind a service as ORIGIN",
            );
        }
        let default_plan = t.optional("default_plan", text, faults).map(str::to_owned);
        let default_plans = read_default_plans(&mut t, faults);
        let payment = t.table("payment", faults).map(|table| PaymentConfig::read(table, faults));
        let without_effect = without_effect(payment.as_ref().and_then(Option::as_ref));
        let config = Self {
            origin,
            prefix: t.optional("prefix", prefix, faults).unwrap_or_else(|| "/_tollgate".to_owned()),
            plans,
            documents,
            default_plan,
            default_plans,
            session_header: t.optional("session_header", headers::session, faults),
            unknown_keys: t.optional("unknown_keys", unknown_keys, faults).unwrap_or(UnknownKeys::Reject),
            origin_timeout: t.optional("origin_timeout", positive_span, faults).unwrap_or(Span::seconds(30)),
            origin_headers: headers::read(&mut t, faults),
            endpoints: t.table("endpoints", faults).map(|t| Endpoints::read(&t, faults)).unwrap_or_default(),
            max_body: t.optional("max_body", number::<Bytes>, faults).map_or(10 << 20, |bytes| bytes.0),
            refund_on_error: t.optional("refund_on_error", boolean, faults).unwrap_or(true),
            cors: t.table("cors", faults).and_then(|table| read_cors(table, faults)),
            discovery: t.optional("discovery", discovery, faults).unwrap_or(Discovery::Prefix),
            receipt_ttl: t.optional("receipt_ttl", receipt_ttl, faults).unwrap_or(Span::seconds(86_400)),
            flush_interval: t.optional("flush_interval", positive_span, faults).unwrap_or(Span::seconds(60)),
            usage_retention: t.optional("usage_retention", positive_span, faults).unwrap_or(USAGE_RETENTION),
            webhook: t.table("webhook", faults).and_then(|table| Webhook::read(table, faults)),
            payment: payment.flatten(),
            without_effect,
        };
        t.finish(faults);
        // Where PLANS is empty, the plans are in the ledger.
        if !config.documents.is_empty() || config.default_plan.is_none() {
            config.check_plan_names(faults);
        }
        config.check_prices(faults);
        config
    }

    /// The symbol and the decimals of what bills are written in: of what is paid with, or of US dollars as USDC counts
    /// them.
    #[must_use]
    pub fn currency(&self) -> (&str, u8) {
        let tender = self.payment.as_ref().and_then(|payment| payment.tenders.first());
        tender.map_or(("USDC", 6), |tender| (tender.symbol(), tender.decimals()))
    }
}

/// Settings of HTTP.md that this version reads and does not act on.
fn without_effect(payment: Option<&PaymentConfig>) -> Vec<String> {
    payment.into_iter().flat_map(|payment| payment.without_effect.iter().cloned()).collect()
}

fn read_default_plans(t: &mut Table<'_>, faults: &mut Faults) -> BTreeMap<Kind, String> {
    let Some(mut table) = t.table("default_plans", faults) else {
        return BTreeMap::new();
    };
    let kinds = [("key", Kind::Key), ("wallet", Kind::Wallet), ("session", Kind::Session), ("ip", Kind::Ip)];
    let plans = kinds
        .into_iter()
        .filter_map(|(name, kind)| table.optional(name, text, faults).map(|plan| (kind, plan.to_owned())));
    let plans = plans.collect();
    table.finish(faults);
    plans
}

fn read_cors(mut table: Table<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let origins = table
        .required("origins", texts, faults)
        .map(|origins| origins.into_iter().map(str::to_owned).collect());
    table.finish(faults);
    origins
}

fn unknown_keys(value: &Value) -> Result<UnknownKeys, String> {
    match text(value)? {
        "reject" => Ok(UnknownKeys::Reject),
        "ip" => Ok(UnknownKeys::Ip),
        other => Err(format!("`{other}` is neither reject nor ip")),
    }
}

fn discovery(value: &Value) -> Result<Discovery, String> {
    match text(value)? {
        "prefix" => Ok(Discovery::Prefix),
        "root" => Ok(Discovery::Root),
        other => Err(format!("`{other}` is neither prefix nor root")),
    }
}

fn prefix(value: &Value) -> Result<String, String> {
    let prefix = text(value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    if !prefix.starts_with('/')
        || prefix.ends_with('/')
        || !prefix.chars().all(plain)
        || prefix.contains("//")
    {
        return Err(format!("`{prefix}` is not a path prefix; write one such as /_tollgate"));
    }
    Ok(prefix.to_owned())
}
