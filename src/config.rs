//! The settings: everything an owner writes in `wrangler.toml`, checked whole before a request is served.

pub mod advice;
pub mod document;
pub mod endpoints;
pub mod gate_file;
pub mod headers;
pub mod payment;
pub mod plan_file;
pub mod secrets;
pub mod table;
pub mod webhook;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};
use url::Url;

use crate::client::Kind;
use crate::limit::account::Rules;
use crate::limit::plan::Plans;
use crate::notice::Kinds;
use crate::owner::plan_book::PlanBook;
use crate::pay::offer::Tender;
use crate::time::Span;
use endpoints::Endpoints;
use headers::HeaderTemplates;
use payment::PaymentConfig;
use table::{Faults, Table, boolean, kind, number, parsed, text, texts};
use webhook::Webhook;

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

/// A size in bytes: `10MiB`, `64kB`, `1024`.
struct Bytes(u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "`{text}` is not a size; write a whole number of bytes, kB, KiB, MB or MiB, such as 10MiB"
            )
        };
        let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let (digits, unit) = text.split_at(unit_at);
        let count: u64 = digits.replace('_', "").parse().map_err(|_| error())?;
        let factor: u64 = match unit {
            "" | "B" => 1,
            "kB" => 1_000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            _ => return Err(error()),
        };
        count.checked_mul(factor).map(Self).ok_or_else(error)
    }
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

    /// The settings with the owner's plan book over them.
    ///
    /// # Errors
    /// Every fault that the plans have then, and each default that no longer names a plan.
    pub fn with_book(&self, book: &PlanBook) -> Result<Self, Faults> {
        let (config, mut faults) = self.under(book);
        config.check_plan_names(&mut faults);
        config.check_prices(&mut faults);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// The same for who changes the book: it may be faulty now, and better after the change.
    #[must_use]
    pub fn with_any_book(&self, book: &PlanBook) -> Self {
        self.under(book).0
    }

    fn under(&self, book: &PlanBook) -> (Self, Faults) {
        let documents = book.over(&self.documents);
        let mut faults = Faults::default();
        let plans = Plans::read("PLANS", &Value::Object(documents.clone()), &mut faults);
        let default_plan = book.default_plan.clone().or_else(|| self.default_plan.clone());
        (Self { plans, documents, default_plan, ..self.clone() }, faults)
    }

    /// The plan of clients that have no other, where there is one.
    #[must_use]
    pub fn default_plan(&self) -> Option<&str> {
        self.default_plan.as_deref()
    }

    /// Whether clients that have no plan of their own get that one.
    #[must_use]
    pub fn is_default(&self, plan: &str) -> bool {
        self.default_plan.iter().chain(self.default_plans.values()).any(|name| name == plan)
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

    fn check_plan_names(&self, faults: &mut Faults) {
        let kinds = [Kind::Key, Kind::Wallet, Kind::Session, Kind::Ip];
        if self.default_plan.is_none() && kinds.iter().any(|kind| !self.default_plans.contains_key(kind)) {
            faults.add(
                "TOLLGATE.default_plan",
                "is missing; name the plan of clients that have none of their own",
            );
        }
        let named = self.default_plan.iter().map(|plan| ("TOLLGATE.default_plan", plan));
        let by_kind = self.default_plans.values().map(|plan| ("TOLLGATE.default_plans", plan));
        for (setting, plan) in named.chain(by_kind).filter(|(_, plan)| self.plans.get(plan).is_none()) {
            let known = self.plans.names();
            let hint =
                if known.is_empty() { "there is none".to_owned() } else { format!("there is {known}") };
            faults.add(setting, format!("there is no plan `{plan}`; {hint}"));
        }
    }

    fn check_prices(&self, faults: &mut Faults) {
        let tenders = self.payment.iter().flat_map(|payment| &payment.tenders);
        let sold_in: Vec<u8> = tenders.map(Tender::decimals).collect();
        for (name, plan) in self.plans.iter() {
            if self.payment.is_none() {
                for written in plan.paid_by_call() {
                    let message = "needs [vars.TOLLGATE.payment]: each call is to be paid";
                    faults.add(format!("PLANS.{name}.{written}"), message);
                }
            }
            let sold =
                plan.sold().flat_map(|sold| sold_in.iter().map(move |decimals| (sold.clone(), *decimals)));
            let billed = plan.billed().map(|billed| (billed, self.currency().1));
            for ((written, price), decimals) in sold.chain(billed) {
                if let Err(error) = price.to_amount(decimals) {
                    faults.add(format!("PLANS.{name}.{written}"), error.to_string());
                }
            }
        }
    }

    /// The symbol and the decimals of what bills are written in: of what is paid with, or of US dollars as USDC counts
    /// them.
    #[must_use]
    pub fn currency(&self) -> (&str, u8) {
        let tender = self.payment.as_ref().and_then(|payment| payment.tenders.first());
        tender.map_or(("USDC", 6), |tender| (tender.symbol(), tender.decimals()))
    }

    /// What holds for a client of that kind: its own plan comes first, then its kind's, then the default. A plan of its
    /// own that is gone gives access to nothing.
    #[must_use]
    pub fn rules<'a>(&'a self, kind: Kind, own: Option<&'a str>) -> Rules<'a> {
        let by_kind = || self.default_plans.get(&kind).or(self.default_plan.as_ref()).map(String::as_str);
        Rules {
            plans: &self.plans,
            plan: own.or_else(by_kind).unwrap_or_default(),
            payment: self.payment.is_some(),
            decimals: self.currency().1,
            notices: self.webhook.as_ref().map_or(Kinds::NONE, |webhook| webhook.events),
        }
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

/// Reads a span of time that is not zero.
pub(crate) fn positive_span(value: &Value) -> Result<Span, String> {
    match span(value)? {
        Span::ZERO => Err("must be longer than nothing".to_owned()),
        span => Ok(span),
    }
}

/// Reads a span of time. A plain number has no unit, and is told so.
fn span(value: &Value) -> Result<Span, String> {
    match value {
        Value::Number(_) => number(value),
        other => parsed(other),
    }
}

fn receipt_ttl(value: &Value) -> Result<Span, String> {
    match span(value)? {
        short if short < Span::seconds(60) => {
            Err("must be at least 60s, the shortest that Workers KV keeps".to_owned())
        }
        span => Ok(span),
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

/// Reads a URL that paths are added to: `https:`, or `http:` to this machine.
pub(crate) fn base_url(value: &Value) -> Result<Url, String> {
    let url = outgoing_url(value)?;
    if url.query().is_some() {
        return Err(format!("`{}` must have no query and no fragment", text(value)?));
    }
    Ok(url)
}

/// Reads a URL that requests are sent to: `https:`, or `http:` to this machine.
pub(crate) fn outgoing_url(value: &Value) -> Result<Url, String> {
    let written = text(value)?;
    let url = Url::parse(written).map_err(|error| format!("`{written}` is not a URL: {error}"))?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return Err(format!("`{written}` must start with https:// (http:// is for this machine only)"));
        }
        other => return Err(format!("`{written}` must start with https://, not {other}:")),
    }
    if url.fragment().is_some() {
        return Err(format!("`{written}` must have no fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    Ok(url)
}

/// Reads a list, or nothing.
pub(crate) fn list(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(format!("must be a list, not {}", kind(other))),
    }
}
