//! Calls to Durable Objects, and the receiving end of them.

use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded::{self, byte_serialize};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::worker_sys::DurableObject;
use worker::{Env, Error, Request, Response, Result, web_sys};

use crate::client::AccountId;
use crate::client::key::KeyHash;
use crate::contract::{AccountCall, PaymentCall, Refusal, ToAccount, account_object};

const ACCOUNT: &str = "ACCOUNT";
const PAYMENT: &str = "PAYMENT";
/// The header field of an account's object's answer.
const MESSAGE: &str = "message";
/// The header field of its refusal.
const REFUSAL: &str = "refusal";

/// Calls an account's object, not in the name of a key.
pub(super) async fn account<T: DeserializeOwned>(
    env: &Env,
    account: &AccountId,
    call: AccountCall,
) -> Result<T> {
    let answer = account_with_key(env, account, None, call).await?;
    answer.map_err(|refusal| Error::RustError(format!("{ACCOUNT} object: {refusal:?}")))
}

/// Calls an account's object in the name of the key that the caller brought, if it did.
///
/// The call travels in the URL and its answer in a header field: the request of every client pays for this call, and
/// bodies would cost a stream and a promise more on each side.
pub(super) async fn account_with_key<T: DeserializeOwned>(
    env: &Env,
    account: &AccountId,
    key: Option<KeyHash>,
    call: AccountCall,
) -> Result<std::result::Result<T, Refusal>> {
    let name = account_object(account);
    let call = serde_json::to_string(&ToAccount { account: account.clone(), key, call })?;
    let url: String = ["https://object/?"].into_iter().chain(byte_serialize(call.as_bytes())).collect();
    let object: DurableObject = env.durable_object(ACCOUNT)?.get_by_name(&name)?.into_rpc();
    // As it comes from the platform: the crate's own type would be made from it, and it again from that.
    let answer: web_sys::Response = JsFuture::from(object.fetch_with_str(&url)?).await?.dyn_into()?;
    let fields = answer.headers();
    if let Some(message) = fields.get(MESSAGE)? {
        return Ok(Ok(serde_json::from_str(&message)?));
    }
    match fields.get(REFUSAL)? {
        Some(refusal) => Ok(Err(serde_json::from_str(&refusal)?)),
        // A long answer comes in the body.
        None if answer.ok() => Ok(Ok(serde_json::from_str(&text_of(&answer).await?)?)),
        None => Err(Error::RustError(format!("{ACCOUNT} object: no answer, status {}", answer.status()))),
    }
}

/// Calls the payment object of that name.
pub(super) async fn payment<T: DeserializeOwned>(env: &Env, name: &str, call: &PaymentCall) -> Result<T> {
    send(env, PAYMENT, name, call).await
}

async fn send<T: DeserializeOwned>(env: &Env, binding: &str, name: &str, call: &impl Serialize) -> Result<T> {
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(&JsValue::from_str(&serde_json::to_string(call)?));
    let request = web_sys::Request::new_with_str_and_init("https://object/", &init)?;
    let stub = env.durable_object(binding)?.get_by_name(name)?;
    let answer: web_sys::Response = stub.fetch_with_request(request.into()).await?.into();
    let text = text_of(&answer).await?;
    if !answer.ok() {
        return Err(Error::RustError(format!("{binding} object: {text}")));
    }
    Ok(serde_json::from_str(&text)?)
}

async fn text_of(answer: &web_sys::Response) -> Result<String> {
    Ok(JsFuture::from(answer.text()?).await?.as_string().unwrap_or_default())
}

/// Reads the call that an account's object was sent.
pub(super) fn read_url_call<T: DeserializeOwned>(request: &Request) -> Result<T> {
    let url = request.inner().url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    match form_urlencoded::parse(query.as_bytes()).next() {
        Some((message, _)) => Ok(serde_json::from_str(&message)?),
        None => Err(Error::RustError("a call without its message".to_owned())),
    }
}

/// An account's object's answer.
pub(super) fn reply_in_header(value: &impl Serialize) -> Result<Response> {
    in_header(MESSAGE, value)
}

/// An account's object's refusal.
pub(super) fn refuse(refusal: &Refusal) -> Result<Response> {
    in_header(REFUSAL, refusal)
}

fn in_header(name: &str, value: &impl Serialize) -> Result<Response> {
    let answer = web_sys::Response::new()?;
    answer.headers().set(name, &ascii_json(value)?)?;
    Ok(answer.into())
}

/// Reads the call that a payment's object was sent.
pub(super) async fn read_call<T: DeserializeOwned>(request: Request) -> Result<T> {
    let text = JsFuture::from(request.inner().text()?).await?.as_string().unwrap_or_default();
    Ok(serde_json::from_str(&text)?)
}

/// A payment's object's answer, or a long one of an account's.
pub(super) fn reply(value: &impl Serialize) -> Result<Response> {
    let text = serde_json::to_string(value)?;
    Ok(web_sys::Response::new_with_opt_str(Some(&text))?.into())
}

/// JSON that a header field can carry: other characters are escaped (RFC 8259 §7).
fn ascii_json(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(value)?;
    if json.is_ascii() {
        return Ok(json);
    }
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(ascii, "\\u{unit:04x}").map_err(|error| Error::RustError(error.to_string()))?;
        }
    }
    Ok(ascii)
}
