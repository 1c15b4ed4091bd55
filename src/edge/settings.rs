//! The settings of this isolate: read once from the bindings, and kept, right or wrong.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};
use url::Url;
use worker::js_sys::{JSON, Reflect};
use worker::wasm_bindgen::JsValue;
use worker::{Env, console_warn};

use crate::config::Config;
use crate::config::endpoints::EndpointConfig;
use crate::config::payment::facilitator::Auth;
use crate::config::secrets::{self, AdminToken, PaymentKeys};
use crate::config::table::Faults;
use crate::endpoint::EndpointName;
use crate::limit::units::meter::Readings;
use crate::notice::delivery::WebhookSecret;
use crate::pay::eip712::SigningKey;
use crate::pay::facilitators::cdp::CdpKey;
use crate::time::Span;

/// Everything that is set for this gate.
pub(super) struct Settings {
    pub(super) config: Config,
    /// Present where payments are taken.
    pub(super) keys: Option<PaymentKeys>,
    route: Route,
    routes: BTreeMap<EndpointName, Route>,
    /// Who may ask for decisions and administer; nobody where it is not set.
    pub(super) admin_token: Option<AdminToken>,
    /// The token for facilitators that want one.
    pub(super) facilitator_token: Option<String>,
    /// What the owner's webhook knows us by.
    pub(super) webhook_secret: Option<WebhookSecret>,
    /// Closes sessions' channels on the chain, where the owner wants that.
    pub(super) payee_key: Option<SigningKey>,
    /// What signs for Coinbase's facilitator.
    pub(super) cdp_key: Option<CdpKey>,
}

/// Where the requests of an endpoint go, and what of their answers counts.
pub(super) struct Route {
    /// Whether they go to the service binding `ORIGIN`.
    pub(super) is_binding: bool,
    /// The URL of the origin; `None` where the binding alone stands for it.
    pub(super) origin: Option<Url>,
    /// Fields added to what the origin gets, with their secrets filled in.
    pub(super) headers: BTreeMap<String, String>,
    /// How long the origin may take to the first byte of its answer.
    pub(super) timeout: Span,
    /// Where the final units stand in the answer.
    pub(super) units: Readings,
}

impl Settings {
    /// The route of a plan's endpoint.
    pub(super) fn route(&self, endpoint: &EndpointName) -> &Route {
        self.routes.get(endpoint).unwrap_or(&self.route)
    }
}

type Loaded = Result<Rc<Settings>, Rc<Faults>>;

thread_local! {
    static LOADED: OnceCell<Loaded> = const { OnceCell::new() };
}

/// The settings, or everything that is wrong with them.
pub(super) fn load(env: &Env) -> Loaded {
    LOADED.with(|memo| memo.get_or_init(|| read(env).map(Rc::new).map_err(Rc::new)).clone())
}

fn read(env: &Env) -> Result<Settings, Faults> {
    let has_origin_binding = binding(env, "ORIGIN").is_some();
    let empty = || Value::Object(Map::new());
    let tollgate = table(env, "TOLLGATE")?.unwrap_or_else(empty);
    let plans = table(env, "PLANS")?.unwrap_or_else(empty);
    let config = Config::read(&tollgate, &plans, has_origin_binding)?;
    for setting in &config.without_effect {
        console_warn!("{setting} has no effect in this version");
    }
    let keys = if config.payment.is_none() {
        None
    } else {
        let (receipts, sessions) = (text(env, "RECEIPT_SIGNING_KEY"), text(env, "SESSION_KEY"));
        let previous = text(env, "PREVIOUS_SESSION_KEY");
        let signed_before = text(env, "PREVIOUS_RECEIPT_KEYS");
        let keys = PaymentKeys::read(receipts.as_deref(), sessions.as_deref(), previous.as_deref())?;
        Some(keys.after(&signed_before.unwrap_or_default())?)
    };
    let facilitator_token = facilitator_token(env, &config)?;
    let cdp_key = cdp_key(env, &config)?;
    let payee_key = payee_key(env, &config)?;
    let admin_token = text(env, "ADMIN_TOKEN").map(|token| AdminToken::new(&token)).transpose()?;
    let webhook_secret = webhook_secret(env, &config)?;
    let (route, routes) = routes(env, &config, has_origin_binding)?;
    Ok(Settings {
        config,
        keys,
        route,
        routes,
        admin_token,
        facilitator_token,
        webhook_secret,
        payee_key,
        cdp_key,
    })
}

fn binding(env: &Env, name: &str) -> Option<JsValue> {
    let value = Reflect::get(env.as_ref(), &JsValue::from_str(name)).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

fn text(env: &Env, name: &str) -> Option<String> {
    binding(env, name)?.as_string()
}

/// A variable that holds a table, or JSON text of one.
fn table(env: &Env, name: &str) -> Result<Option<Value>, Faults> {
    let Some(value) = binding(env, name) else { return Ok(None) };
    let json = value.as_string().or_else(|| JSON::stringify(&value).ok().and_then(|json| json.as_string()));
    let parsed = json.as_deref().map(serde_json::from_str);
    match parsed {
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(error)) => Err(fault(name, &format!("is not JSON: {error}"))),
        None => Err(fault(name, "is not a table")),
    }
}

fn fault(setting: &str, message: &str) -> Faults {
    let mut faults = Faults::default();
    faults.add(setting, message);
    faults
}

/// Whether a facilitator wants to be told that way who asks.
fn asks_for(config: &Config, auth: Auth) -> bool {
    config
        .payment
        .iter()
        .flat_map(|payment| &payment.facilitators)
        .any(|facilitator| facilitator.auth == auth)
}

fn cdp_key(env: &Env, config: &Config) -> Result<Option<CdpKey>, Faults> {
    if !asks_for(config, Auth::Cdp) {
        return Ok(None);
    }
    let (id, secret) = (text(env, "CDP_API_KEY_ID"), text(env, "CDP_API_KEY_SECRET"));
    CdpKey::read(id.as_deref(), secret.as_deref()).map(Some)
}

fn payee_key(env: &Env, config: &Config) -> Result<Option<SigningKey>, Faults> {
    let Some(key) = text(env, "SESSION_PAYEE_KEY") else { return Ok(None) };
    let Some(session) = config.payment.as_ref().and_then(|payment| payment.session.as_ref()) else {
        console_warn!("SESSION_PAYEE_KEY has no effect: sessions are not offered");
        return Ok(None);
    };
    secrets::payee_key(&key, session.escrow.payee).map(Some)
}

fn facilitator_token(env: &Env, config: &Config) -> Result<Option<String>, Faults> {
    let token = text(env, "FACILITATOR_TOKEN");
    if asks_for(config, Auth::Bearer) && token.is_none() {
        return Err(fault("FACILITATOR_TOKEN", "is missing; a facilitator has auth = \"bearer\""));
    }
    Ok(token)
}

fn webhook_secret(env: &Env, config: &Config) -> Result<Option<WebhookSecret>, Faults> {
    let secret = text(env, "WEBHOOK_SECRET").and_then(|secret| WebhookSecret::new(secret.trim()));
    if config.webhook.is_some() && secret.is_none() {
        let message = "is missing and needed for TOLLGATE.webhook; make one with `openssl rand -hex 32` and set it with `wrangler secret put`";
        return Err(fault("WEBHOOK_SECRET", message));
    }
    Ok(secret)
}

/// The route of the gate, and those of the endpoints that have settings of their own.
fn routes(
    env: &Env,
    config: &Config,
    is_binding: bool,
) -> Result<(Route, BTreeMap<EndpointName, Route>), Faults> {
    let mut faults = Faults::default();
    let secret = |name: &str| text(env, name);
    let route = Route {
        is_binding,
        origin: config.origin.clone(),
        headers: config.origin_headers.fill(secret, &mut faults),
        timeout: config.origin_timeout,
        units: Readings::default(),
    };
    let routes = config.endpoints.iter().map(|endpoint| {
        let added = endpoint.origin_headers.fill(secret, &mut faults);
        (endpoint.name.clone(), route.of_endpoint(endpoint, added))
    });
    let routes = routes.collect();
    if faults.is_empty() { Ok((route, routes)) } else { Err(faults) }
}

impl Route {
    /// The route of an endpoint: this one, where the endpoint does not say otherwise. What is added for one origin never
    /// goes to another.
    fn of_endpoint(&self, endpoint: &EndpointConfig, added: BTreeMap<String, String>) -> Self {
        let mut headers = if endpoint.origin.is_some() { BTreeMap::new() } else { self.headers.clone() };
        headers.extend(added);
        Self {
            is_binding: self.is_binding && endpoint.origin.is_none(),
            origin: endpoint.origin.clone().or_else(|| self.origin.clone()),
            headers,
            timeout: endpoint.timeout.unwrap_or(self.timeout),
            units: endpoint.units.clone(),
        }
    }
}
