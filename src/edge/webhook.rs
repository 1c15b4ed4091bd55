//! The owner's webhook over `fetch`: bounded in time, never redirected, and only to where the settings say.

use worker::wasm_bindgen::JsValue;
use worker::{AbortController, Fetch, Request, Result, web_sys};

use super::clock;
use super::deadline::within;
use super::settings::Settings;
use crate::client::AccountId;
use crate::notice::Notice;
use crate::notice::delivery::{SIGNATURE, body};
use crate::time::Span;

/// How long the owner's server may take.
const TIMEOUT: Span = Span::seconds(10);

/// Sends a notice; why, if the owner's server did not take it.
pub(super) async fn send(
    settings: &Settings,
    account: &AccountId,
    notice: &Notice,
) -> std::result::Result<(), String> {
    let request = request(settings, account, notice).map_err(|error| error.to_string())?;
    let Some(request) = request else { return Err("no webhook is set".to_owned()) };
    let controller = AbortController::default();
    let signal = controller.signal();
    let answer = within(TIMEOUT, Fetch::Request(Request::from(request)).send_with_signal(&signal)).await;
    // Nothing is read of the answer but its status.
    controller.abort();
    match answer {
        Some(Ok(answer)) if (200..300).contains(&answer.status_code()) => Ok(()),
        Some(Ok(answer)) => Err(format!("the answer was {}", answer.status_code())),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(format!("no answer within {TIMEOUT}")),
    }
}

fn request(settings: &Settings, account: &AccountId, notice: &Notice) -> Result<Option<web_sys::Request>> {
    let (Some(webhook), Some(secret)) = (&settings.config.webhook, &settings.secrets.webhook) else {
        return Ok(None);
    };
    let body = body(account, notice, settings.config.currency());
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_redirect(web_sys::RequestRedirect::Manual);
    init.set_body(&JsValue::from_str(&body));
    let request = web_sys::Request::new_with_str_and_init(webhook.url.as_str(), &init)?;
    let fields = request.headers();
    fields.set("Content-Type", "application/json")?;
    fields.set(SIGNATURE, &secret.sign(&body, clock::now()))?;
    Ok(Some(request))
}
