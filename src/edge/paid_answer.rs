//! The answer to a paid request: its receipt, and no way into a shared cache.

use futures_util::stream::{self, Stream};
use sha2::{Digest, Sha256};
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsCast;
use worker::{Env, Response, Result, console_error, web_sys};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::body::{Reader, read_up_to};
use super::exchange::Exchange;
use super::objects;
use crate::contract::{Done, PaymentCall, payment_object};
use crate::fields::private_cache_control;
use crate::pay::eip712::SigningKey;
use crate::pay::purchase::{Service, Settlement};
use crate::pay::receipt::{Receipt, SignedReceipt};
use crate::pay::x402::Payment;

/// The largest answer whose receipt comes in a header field; a larger one is named there and follows: 1 MiB.
const MAX_HASHED_AHEAD: usize = 1 << 20;

/// What was sold.
#[derive(Clone)]
pub(super) struct Sold {
    pub(super) payment: Payment,
    pub(super) settlement: Settlement,
    pub(super) receipt_id: String,
    pub(super) service: Service,
}

impl Sold {
    fn receipt(&self, key: &SigningKey, response_hash: String) -> SignedReceipt {
        Receipt::of_payment(&self.payment, &self.settlement, &self.receipt_id, &self.service, response_hash)
            .sign(key)
    }
}

/// The answer with its receipt: in a field when the answer is read ahead, else named there and made when it has ended.
pub(super) async fn with_receipt(
    exchange: &Exchange,
    answer: web_sys::Response,
    sold: Sold,
) -> Result<web_sys::Response> {
    let Some(keys) = &exchange.settings.keys else { return Ok(answer) };
    let fields = answer.headers();
    let cache = fields.get("Cache-Control")?;
    fields.set("Cache-Control", &private_cache_control(cache.as_deref()))?;
    let body = answer.body();
    let (ahead, rest) = match (&body, is_streamed(&fields)?) {
        (None, _) => (Vec::new(), None),
        (Some(stream), true) => (Vec::new(), Some(Reader::new(stream))),
        (Some(stream), false) => read_up_to(stream, MAX_HASHED_AHEAD).await?,
    };
    let Some(rest) = rest else {
        let hash = crate::pay::receipt::sha256_label(&ahead);
        let signed = sold.receipt(&keys.receipts, hash);
        store(&exchange.env, &sold, &signed).await?;
        fields.set("X-402-Receipt", &STANDARD.encode(serde_json::to_vec(&signed)?))?;
        if body.is_none() {
            return Ok(answer);
        }
        let bytes = Uint8Array::from(ahead.as_slice());
        return Ok(web_sys::Response::new_with_opt_buffer_source_and_init(
            Some(&bytes),
            answer.unchecked_ref(),
        )?);
    };
    fields.set("X-402-Receipt-Id", &sold.receipt_id)?;
    let followed =
        follow(ahead, rest, Signer { env: exchange.env.clone(), key: keys.receipts.clone(), sold });
    let stream = web_sys::Response::from(Response::from_stream(followed)?).body();
    Ok(web_sys::Response::new_with_opt_readable_stream_and_init(stream.as_ref(), answer.unchecked_ref())?)
}

/// Whether an answer is meant to arrive bit by bit, so that nothing may wait for its end.
fn is_streamed(fields: &web_sys::Headers) -> Result<bool> {
    let media_type = fields.get("Content-Type")?.unwrap_or_default().to_ascii_lowercase();
    let streamed =
        ["text/event-stream", "application/x-ndjson", "multipart/x-mixed-replace", "audio/", "video/"];
    Ok(streamed.iter().any(|kind| media_type.starts_with(kind)))
}

async fn store(env: &Env, sold: &Sold, signed: &SignedReceipt) -> Result<()> {
    let name = payment_object(&sold.payment.id());
    objects::payment::<Done>(env, &name, &PaymentCall::StoreReceipt(signed.clone())).await.map(|_| ())
}

struct Signer {
    env: Env,
    key: SigningKey,
    sold: Sold,
}

struct Following {
    ahead: Option<Vec<u8>>,
    rest: Reader,
    hash: Sha256,
    signer: Signer,
}

/// Passes the answer on as it comes, and makes its receipt when it has ended.
fn follow(ahead: Vec<u8>, rest: Reader, signer: Signer) -> impl Stream<Item = Result<Vec<u8>>> {
    let start = Following { ahead: Some(ahead), rest, hash: Sha256::new(), signer };
    stream::unfold(Some(start), |state| async move {
        let mut state = state?;
        let chunk = match state.ahead.take() {
            Some(ahead) => Ok(Some(ahead)),
            None => state.rest.next().await,
        };
        match chunk {
            Ok(Some(chunk)) => {
                state.hash.update(&chunk);
                Some((Ok(chunk), Some(state)))
            }
            Ok(None) => {
                finish(state).await;
                None
            }
            // Without its end there is no receipt of the whole answer; the payment object makes one without it.
            Err(error) => Some((Err(error), None)),
        }
    })
}

async fn finish(state: Following) {
    let Following { hash, signer, .. } = state;
    let signed = signer.sold.receipt(&signer.key, format!("sha256:{}", hex::encode(hash.finalize())));
    if let Err(error) = store(&signer.env, &signer.sold, &signed).await {
        console_error!("receipt {}: {error}", signer.sold.receipt_id);
    }
}
