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
use crate::config::secrets::Secrets;
use crate::config::table::Faults;
use crate::endpoint::EndpointName;
use crate::limit::units::meter::Readings;
use crate::time::Span;

/// Everything that is set for this gate.
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) secrets: Secrets,
    route: Route,
    routes: BTreeMap<EndpointName, Route>,
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
    let secrets = Secrets::read(&config, |name| text(env, name))?;
    if text(env, "SESSION_PAYEE_KEY").is_some() && secrets.payee_key.is_none() {
        console_warn!("SESSION_PAYEE_KEY has no effect: sessions are not offered");
    }
    let (route, routes) = routes(env, &config, has_origin_binding)?;
    Ok(Settings { config, secrets, route, routes })
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
