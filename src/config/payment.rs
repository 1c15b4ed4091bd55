//! The settings of payments: what is accepted, to whom it goes, and who settles it.

use serde_json::Value;
use url::Url;

use super::table::{Faults, Table, kind, number, parsed, text, texts};
use super::{base_url, list, positive_span};
use crate::pay::amount::{Amount, Price};
use crate::pay::eip712::Address;
use crate::pay::network::{Asset, Network, known_asset};
use crate::pay::offer::Offer;
use crate::time::Span;

/// How payments are taken.
#[derive(Clone, Debug)]
pub struct PaymentConfig {
    /// What may be paid with; never empty.
    pub tenders: Vec<Tender>,
    /// Who verifies and settles, in order of preference; never empty.
    pub facilitators: Vec<Facilitator>,
    /// How long a payer has to use an offer.
    pub max_timeout: Span,
    /// Without a chain to ask, the most that a doubtful payment may be credited.
    pub unconfirmed_limit: Price,
    /// How long a facilitator may take to verify.
    pub verify_timeout: Span,
    /// How long a facilitator may take to settle.
    pub settle_timeout: Span,
    pub(super) without_effect: Vec<String>,
}

/// What may be paid with, and to whom it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tender {
    /// The chain.
    pub network: Network,
    /// The token.
    pub asset: Asset,
    /// Who is paid.
    pub pay_to: Address,
}

/// A facilitator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facilitator {
    /// The URL that `/verify` and `/settle` follow.
    pub url: Url,
    /// Whether `FACILITATOR_TOKEN` is sent.
    pub bearer: bool,
}

impl PaymentConfig {
    /// Reads `[vars.TOLLGATE.payment]`; `None` when something that payments cannot do without is wrong.
    pub(super) fn read(mut t: Table<'_>, faults: &mut Faults) -> Option<Self> {
        let first = read_tender(&mut t, None, faults);
        let mut tenders: Vec<Tender> = first.iter().cloned().collect();
        tenders.extend(read_offers(&mut t, first.as_ref(), faults));
        let facilitators = read_facilitators(&mut t, faults);
        check_methods(&mut t, faults);
        let unused = ["rpc", "session"].into_iter().filter(|name| t.value(name).is_some());
        let without_effect: Vec<String> = unused.map(|name| format!("TOLLGATE.payment.{name}")).collect();
        let config = Self {
            tenders,
            facilitators: facilitators.unwrap_or_default(),
            max_timeout: t.optional("max_timeout", max_timeout, faults).unwrap_or(Span::seconds(60)),
            unconfirmed_limit: t
                .optional("unconfirmed_limit", parsed, faults)
                .or_else(|| "1.00".parse().ok())?,
            verify_timeout: t.optional("verify_timeout", positive_span, faults).unwrap_or(Span::seconds(5)),
            settle_timeout: t.optional("settle_timeout", positive_span, faults).unwrap_or(Span::seconds(30)),
            without_effect,
        };
        t.finish(faults);
        (!config.tenders.is_empty() && !config.facilitators.is_empty()).then_some(config)
    }

    /// The offers for something that costs `price`, one for each tender; a price that a token cannot express is left
    /// out (the settings were checked for it).
    #[must_use]
    pub fn offers(&self, price: &Price) -> Vec<Offer> {
        let offer = |tender: &Tender, amount: Amount| Offer {
            network: tender.network,
            asset: tender.asset.clone(),
            pay_to: tender.pay_to,
            amount,
            max_timeout_seconds: self.max_timeout.seconds_up(),
        };
        let priced = self
            .tenders
            .iter()
            .filter_map(|tender| Some((tender, price.to_amount(tender.asset.decimals).ok()?)));
        priced.map(|(tender, amount)| offer(tender, amount)).collect()
    }
}

/// Reads `network`, `asset` and `pay_to`; in a further offer the first one's stand in for what is left out.
fn read_tender(t: &mut Table<'_>, first: Option<&Tender>, faults: &mut Faults) -> Option<Tender> {
    let network =
        |value| text(value).and_then(|name| Network::parse(name).map_err(|error| error.to_string()));
    let network = match first {
        Some(first) => t.optional("network", network, faults).or(Some(first.network)),
        None => t.required("network", network, faults),
    };
    let pay_to = match first {
        Some(first) => t.optional("pay_to", parsed::<Address>, faults).or(Some(first.pay_to)),
        None => t.required("pay_to", parsed::<Address>, faults),
    };
    let asset = network.and_then(|network| read_asset(t, network, faults));
    Some(Tender { network: network?, asset: asset?, pay_to: pay_to? })
}

fn read_asset(t: &mut Table<'_>, network: Network, faults: &mut Faults) -> Option<Asset> {
    let symbol = match t.value("asset") {
        Some(Value::Object(_)) => {
            return t.table("asset", faults).and_then(|table| read_own_asset(table, faults));
        }
        Some(Value::String(symbol)) => symbol.as_str(),
        None => "USDC",
        Some(other) => {
            faults.add(t.name_of("asset"), format!("must be a symbol or a table, not {}", kind(other)));
            return None;
        }
    };
    let known = known_asset(&network, symbol);
    if known.is_none() {
        let message = format!(
            "`{symbol}` is not known on {}; write {{ address, name, version, decimals }} with the token's EIP-712 name and version",
            network.caip2()
        );
        faults.add(t.name_of("asset"), message);
    }
    known
}

fn read_own_asset(mut t: Table<'_>, faults: &mut Faults) -> Option<Asset> {
    let address = t.required("address", parsed::<Address>, faults);
    let name = t.required("name", text, faults);
    let version = t.required("version", text, faults);
    let decimals = t.required("decimals", number::<u8>, faults);
    let symbol = t.optional("symbol", text, faults).or(name);
    t.finish(faults);
    Some(Asset {
        address: address?,
        name: name?.to_owned(),
        version: version?.to_owned(),
        decimals: decimals?,
        symbol: symbol?.to_owned(),
    })
}

fn read_offers(t: &mut Table<'_>, first: Option<&Tender>, faults: &mut Faults) -> Vec<Tender> {
    let name = t.name_of("offers");
    let items = t.optional("offers", list, faults).unwrap_or_default();
    let Some(first) = first else {
        return Vec::new();
    };
    let tables = items.iter().enumerate().map(|(index, value)| (format!("{name}[{index}]"), value));
    tables
        .filter_map(|(name, value)| {
            let mut table = Table::open(name, value, faults)?;
            let tender = read_tender(&mut table, Some(first), faults);
            table.finish(faults);
            tender
        })
        .collect()
}

fn read_facilitators(t: &mut Table<'_>, faults: &mut Faults) -> Option<Vec<Facilitator>> {
    let name = t.name_of("facilitators");
    let items = t.required("facilitators", list, faults)?;
    if items.is_empty() {
        faults.add(name, "must name at least one facilitator, such as \"https://x402.org/facilitator\"");
        return None;
    }
    let read = |(index, value): (usize, &Value)| {
        let name = format!("{name}[{index}]");
        match value {
            Value::Object(_) => {
                Table::open(name, value, faults).and_then(|table| read_facilitator(table, faults))
            }
            other => match base_url(other) {
                Ok(url) => Some(Facilitator { url, bearer: false }),
                Err(message) => {
                    faults.add(name, message);
                    None
                }
            },
        }
    };
    Some(items.iter().enumerate().filter_map(read).collect())
}

fn read_facilitator(mut t: Table<'_>, faults: &mut Faults) -> Option<Facilitator> {
    let url = t.required("url", base_url, faults);
    let auth = |value| match text(value)? {
        "none" => Ok(false),
        "bearer" => Ok(true),
        "cdp" => Err("`cdp` is not supported by this version; write none or bearer".to_owned()),
        other => Err(format!("`{other}` is not a way to authenticate; write none, bearer or cdp")),
    };
    let bearer = t.optional("auth", auth, faults).unwrap_or(false);
    t.finish(faults);
    url.map(|url| Facilitator { url, bearer })
}

fn check_methods(t: &mut Table<'_>, faults: &mut Faults) {
    let Some(methods) = t.optional("methods", texts, faults) else { return };
    for method in &methods {
        match *method {
            "x402" | "mpp" => {}
            "signed-context" => {
                faults.add(t.name_of("methods"), "`signed-context` is not supported by this version");
            }
            other => {
                faults.add(t.name_of("methods"), format!("`{other}` is not a method; write x402 or mpp"));
            }
        }
    }
    if !methods.contains(&"x402") {
        faults.add(t.name_of("methods"), "must hold x402; this version takes no other payment");
    }
}

fn max_timeout(value: &Value) -> Result<Span, String> {
    match positive_span(value)? {
        short if short < Span::seconds(10) => {
            Err("must be at least 10s; facilitators refuse less than 6 s left".to_owned())
        }
        span => Ok(span),
    }
}
