//! The settings of payments: what is accepted, to whom it goes, and who settles it.

pub mod facilitator;
pub mod session;
mod tender;
mod trust;

use serde_json::Value;
use url::Url;

use super::table::{Faults, Table, parsed, text, texts};
use super::{base_url, positive_span};
use crate::pay::amount::{Amount, Price};
use crate::pay::context;
use crate::pay::offer::{Flow, Offer, Tender};
use crate::pay::trust::TrustPolicy;
use crate::pay::x402::payment_identifier::Naming;
use crate::time::Span;
use facilitator::Facilitator;

pub use session::SessionConfig;

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
    /// A chain node that settles doubts, if there is one.
    pub rpc: Option<Url>,
    /// How long a facilitator may take to verify.
    pub verify_timeout: Span,
    /// How long a facilitator may take to settle.
    pub settle_timeout: Span,
    /// Whether MPP is spoken beside x402.
    pub mpp: bool,
    /// Whether registered wallets may sign for what they will owe, in place of a payment.
    pub signed_context: bool,
    /// Which wallets are credited before their payments are settled; nobody's by default.
    pub trust: Option<TrustPolicy>,
    /// Whether clients may or must name their payments.
    pub naming: Option<Naming>,
    /// Where sessions' channels are, where sessions are offered.
    pub session: Option<SessionConfig>,
    pub(super) without_effect: Vec<String>,
}

impl PaymentConfig {
    /// Reads `[vars.TOLLGATE.payment]`; `None` when something that payments cannot do without is wrong.
    pub(super) fn read(mut t: Table<'_>, faults: &mut Faults) -> Option<Self> {
        let tenders = tender::read(&mut t, faults);
        let facilitators = facilitator::read(&mut t, faults);
        let Methods { mpp, signed_context } = read_methods(&mut t, faults);
        let rpc = t.optional("rpc", rpc, faults);
        let has_session = t.value("session").is_some();
        let first = tenders.first().and_then(Tender::evm);
        let session = t
            .optional("session", Ok, faults)
            .and_then(|value| Table::open(t.name_of("session"), value, faults))
            .and_then(|table| session::read(table, first, rpc.clone(), faults))
            .filter(|_| mpp);
        // Without a chain node, or MPP, sessions are not offered.
        let without_effect: Vec<String> = (has_session && session.is_none())
            .then(|| "TOLLGATE.payment.session".to_owned())
            .into_iter()
            .collect();
        let config = Self {
            tenders,
            facilitators: facilitators.unwrap_or_default(),
            max_timeout: t.optional("max_timeout", max_timeout, faults).unwrap_or(Span::seconds(60)),
            unconfirmed_limit: t
                .optional("unconfirmed_limit", parsed, faults)
                .or_else(|| "1.00".parse().ok())?,
            rpc,
            verify_timeout: t.optional("verify_timeout", positive_span, faults).unwrap_or(Span::seconds(5)),
            settle_timeout: t.optional("settle_timeout", positive_span, faults).unwrap_or(Span::seconds(30)),
            trust: trust::read(&mut t, faults),
            mpp,
            signed_context,
            naming: t.optional("payment_identifier", naming, faults).unwrap_or(Some(Naming::Optional)),
            session,
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
            tender: tender.clone(),
            amount,
            max_timeout_seconds: self.max_timeout.seconds_up(),
            flow: Flow::Upfront,
        };
        let priced =
            self.tenders.iter().filter_map(|tender| Some((tender, price.to_amount(tender.decimals()).ok()?)));
        priced.map(|(tender, amount)| offer(tender, amount)).collect()
    }
}

/// What is spoken beside x402.
struct Methods {
    mpp: bool,
    signed_context: bool,
}

/// Reads `methods`: what is spoken beside x402; by default that is MPP.
fn read_methods(t: &mut Table<'_>, faults: &mut Faults) -> Methods {
    let Some(methods) = t.optional("methods", texts, faults) else {
        return Methods { mpp: true, signed_context: false };
    };
    for method in &methods {
        if !matches!(*method, "x402" | "mpp" | context::METHOD) {
            let message = format!("`{method}` is not a method; write x402, mpp or signed-context");
            faults.add(t.name_of("methods"), message);
        }
    }
    if !methods.contains(&"x402") {
        faults.add(t.name_of("methods"), "must hold x402; mpp is spoken beside it");
    }
    Methods { mpp: methods.contains(&"mpp"), signed_context: methods.contains(&context::METHOD) }
}

fn naming(value: &Value) -> Result<Option<Naming>, String> {
    match text(value)? {
        "off" => Ok(None),
        "optional" => Ok(Some(Naming::Optional)),
        "required" => Ok(Some(Naming::Required)),
        other => Err(format!("`{other}` is not a choice; write off, optional or required")),
    }
}

/// Reads the URL of a chain node. Its key may stand in its query.
fn rpc(value: &Value) -> Result<Url, String> {
    let url = Url::parse(text(value)?).map_err(|error| format!("is not a URL: {error}"))?;
    let mut base = url.clone();
    base.set_query(None);
    base_url(&Value::from(base.as_str())).map(|_| url)
}

fn max_timeout(value: &Value) -> Result<Span, String> {
    match positive_span(value)? {
        short if short < Span::seconds(10) => {
            Err("must be at least 10s; facilitators refuse less than 6 s left".to_owned())
        }
        span => Ok(span),
    }
}
