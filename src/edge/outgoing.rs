//! The request as the origin gets it.

use futures_util::StreamExt;
use worker::js_sys::{Array, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Result, web_sys};

use super::exchange::Exchange;
use super::origin::Introduction;
use super::settings::Route;
use crate::endpoint::Target;
use crate::endpoint::destination::Destination;
use crate::endpoint::site::scheme_and_host;
use crate::fields::{is_own_credential, is_withheld, split_cookie};
use crate::limit::decision::Admitted;

/// A request on its way out.
pub(super) struct Outgoing<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) target: &'a Target,
    pub(super) introduction: &'a Introduction<'a>,
    pub(super) admitted: &'a Admitted,
    pub(super) route: &'a Route,
}

impl Outgoing<'_> {
    /// Where it goes.
    pub(super) fn destination(&self) -> Destination {
        let asked = self.exchange.request.url();
        let base = match &self.route.origin {
            Some(origin) => origin.as_str(),
            None => scheme_and_host(&asked),
        };
        let query = asked.split('#').next().and_then(|url| url.split_once('?')).map(|(_, query)| query);
        Destination::new(base, &self.target.path, query, self.admitted.degrade_to.as_deref())
    }

    /// The request: at its destination, and with none of the fields that may not pass.
    pub(super) fn request(
        &self,
        to: &Destination,
        controller: &web_sys::AbortController,
    ) -> Result<web_sys::Request> {
        let request = self.with_body(&to.url, controller)?;
        let fields = request.headers();
        let upgrade =
            self.exchange.header("Upgrade").filter(|upgrade| upgrade.eq_ignore_ascii_case("websocket"));
        self.clean(&fields)?;
        if let Some(upgrade) = upgrade {
            fields.set("Upgrade", &upgrade)?;
        }
        self.introduce(&fields, to)?;
        Ok(request)
    }

    fn with_body(&self, url: &str, controller: &web_sys::AbortController) -> Result<web_sys::Request> {
        let Exchange { request: original, body, .. } = self.exchange;
        if let Some(body) = self.introduction.body().or(body.get().map(Vec::as_slice)) {
            let init = self.init();
            if original.body().is_some() {
                init.set_body(&Uint8Array::from(body));
            }
            return Ok(web_sys::Request::new_with_str_and_init(url, &init)?);
        }
        if original.body().is_some() && self.exchange.header("Content-Length").is_none() {
            return self.counted(url, controller);
        }
        // A request stands in for the settings of another: method, fields and the streaming body are taken from it,
        // and that redirects are not followed, which holds for every request that comes in.
        Ok(web_sys::Request::new_with_str_and_init(url, original.unchecked_ref())?)
    }

    fn init(&self) -> web_sys::RequestInit {
        let init = web_sys::RequestInit::new();
        init.set_method(&self.exchange.request.method());
        init.set_headers(&self.exchange.headers);
        init.set_redirect(web_sys::RequestRedirect::Manual);
        init
    }

    /// A request whose body tells no length: it streams, and is cut off where it is longer than allowed. The connection
    /// is cut, not the body ended, so that the origin does not take a part for the whole.
    fn counted(&self, url: &str, controller: &web_sys::AbortController) -> Result<web_sys::Request> {
        let max = self.exchange.settings.config.max_body;
        let (over, controller) = (self.exchange.body_too_large.clone(), controller.clone());
        let body = worker::Request::from(self.exchange.request.clone()?).stream()?;
        let checked = body.scan(0_u64, move |seen, chunk| {
            let length = chunk.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            *seen = seen.saturating_add(length);
            let passed = if *seen > max {
                over.set(true);
                controller.abort();
                Err(worker::Error::RustError(format!("the body is larger than {max} bytes")))
            } else {
                chunk
            };
            std::future::ready(Some(passed))
        });
        let stream = web_sys::Response::from(worker::Response::from_stream(checked)?).body();
        let init = self.init();
        if let Some(stream) = stream {
            init.set_body(&stream);
        }
        Ok(web_sys::Request::new_with_str_and_init(url, &init)?)
    }

    /// What the owner adds, and what the gate tells of the client.
    fn introduce(&self, fields: &web_sys::Headers, to: &Destination) -> Result<(), JsValue> {
        // The answer to a TRACE is the request itself (RFC 9110, 9.3.8): what the owner adds would be shown to the client.
        if !to.elsewhere && self.target.method != "TRACE" {
            for (name, value) in &self.route.headers {
                fields.set(name, value)?;
            }
        }
        fields.set("Tollgate-Client", self.introduction.client.as_str())?;
        fields.set("Tollgate-Plan", &self.introduction.plan.escape_default().to_string())?;
        fields.set("Tollgate-Request-Id", &self.exchange.request_id)?;
        if let Some(payer) = &self.introduction.payer {
            fields.set("Tollgate-Payer", payer)?;
        }
        if self.admitted.degraded {
            fields.set("Tollgate-Degraded", "true")?;
        }
        Ok(())
    }

    /// Takes away what may not pass: the request that goes out has the fields of the one that came in.
    fn clean(&self, fields: &web_sys::Headers) -> Result<(), JsValue> {
        let connection = self.exchange.header("Connection");
        for (name, value) in self.exchange.fields() {
            if is_withheld(name, connection.as_deref()) || is_own_credential(name, value) {
                fields.delete(name)?;
            }
        }
        match self.exchange.header("Cookie").as_deref().map(split_cookie) {
            None | Some((_, None)) => Ok(()),
            Some((Some(rest), Some(_))) => fields.set("Cookie", &rest),
            Some((None, Some(_))) => fields.delete("Cookie"),
        }
    }
}

/// All fields: names in lower case, and values. They cross over from JavaScript as one text: crossing costs more than
/// splitting. Each entry is a pair there, whose text joins name and value with a comma; no name has a comma in it.
pub(super) fn fields(fields: &web_sys::Headers) -> Vec<(String, String)> {
    let joined = String::from(Array::from(fields).join("\n"));
    let pair = |line: &str| line.split_once(',').map(|(name, value)| (name.to_owned(), value.to_owned()));
    joined.split('\n').filter_map(pair).collect()
}

/// The names of all fields. They cross over from JavaScript as one text: crossing costs more than splitting.
pub(super) fn names(fields: &web_sys::Headers) -> Vec<String> {
    let joined = Array::from(&fields.keys()).join("\n");
    String::from(joined).lines().map(str::to_owned).collect()
}
