//! Signatures that the platform makes (WebCrypto), for keys that only it needs to handle.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Object, Reflect, Uint8Array, global};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Result, web_sys};

use crate::pay::facilitators::cdp::Secret;

/// Signs with that key, as JOSE writes signatures (RFC 7518 §3.4, RFC 8037 §3.1).
pub(super) async fn sign(secret: &Secret, message: &str) -> Result<Vec<u8>> {
    let subtle = subtle()?;
    let usages = Array::of1(&JsValue::from_str("sign"));
    let (importing, algorithm) = match secret {
        Secret::Ed25519(seed, public) => {
            let part = |bytes: &[u8; 32]| URL_SAFE_NO_PAD.encode(bytes);
            let (seed, public) = (part(seed), part(public));
            let jwk = table(&[("kty", "OKP"), ("crv", "Ed25519"), ("d", &seed), ("x", &public)])?;
            let algorithm = table(&[("name", "Ed25519")])?;
            (subtle.import_key_with_object("jwk", &jwk, &algorithm, false, &usages)?, algorithm)
        }
        Secret::Es256(pkcs8) => {
            let key: Object = Uint8Array::from(pkcs8.as_slice()).into();
            let curve = table(&[("name", "ECDSA"), ("namedCurve", "P-256")])?;
            let algorithm = table(&[("name", "ECDSA"), ("hash", "SHA-256")])?;
            (subtle.import_key_with_object("pkcs8", &key, &curve, false, &usages)?, algorithm)
        }
    };
    let key: web_sys::CryptoKey = JsFuture::from(importing).await?.unchecked_into();
    let signing = subtle.sign_with_object_and_u8_array(&algorithm, &key, message.as_bytes())?;
    Ok(Uint8Array::new(&JsFuture::from(signing).await?).to_vec())
}

fn subtle() -> Result<web_sys::SubtleCrypto> {
    let crypto: web_sys::Crypto = Reflect::get(&global(), &JsValue::from_str("crypto"))?.unchecked_into();
    Ok(crypto.subtle())
}

fn table(members: &[(&str, &str)]) -> Result<Object> {
    let table = Object::new();
    for (name, value) in members {
        Reflect::set(&table, &JsValue::from_str(name), &JsValue::from_str(value))?;
    }
    Ok(table)
}
