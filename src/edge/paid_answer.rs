//! The answer to a paid request: its receipt, and no way into a shared cache.

use futures_util::stream::{self, Stream};
use sha2::{Digest, Sha256};
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsCast;
use worker::{Env, Response, Result, console_error, web_sys};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::answer::make_private;
use super::body::{Reader, read_up_to};
use super::exchange::Exchange;
use super::{clock, objects};
use crate::contract::{Done, PaymentCall, payment_object};
use crate::pay::eip712::SigningKey;
use crate::pay::purchase::{Service, Settlement};
use crate::pay::receipt::{PaymentRecord, Receipt};
use crate::pay::x402::Payment;
use crate::time::Millis;

/// The largest answer whose receipt comes in a header field; a larger one is named there and follows: 1 MiB.
const MAX_HASHED_AHEAD: usize = 1 << 20;

/// What was sold for a payment that was settled.
#[derive(Clone)]
pub(super) struct Sold {
    pub(super) payment: Payment,
    pub(super) settlement: Settlement,
    pub(super) receipt_id: String,
    pub(super) service: Service,
}

impl From<Sold> for Bill {
    fn from(sold: Sold) -> Self {
        Self {
            object: payment_object(&sold.payment.id()),
            record: Some(PaymentRecord::of(&sold.payment, &sold.settlement)),
            at: sold.settlement.at,
            receipt_id: sold.receipt_id,
            service: sold.service,
        }
    }
}

/// What a receipt says beside the answer, in whatever way that was paid for.
pub(super) struct Bill {
    /// The name of the object that keeps the receipt.
    pub(super) object: String,
    /// How it was paid; not known before it is settled: its object makes the receipt then.
    pub(super) record: Option<PaymentRecord>,
    pub(super) at: Millis,
    pub(super) receipt_id: String,
    pub(super) service: Service,
}

impl Bill {
    /// The bill of an answer whose payment is settled next.
    pub(super) fn unsettled(payment: &Payment, receipt_id: String, service: Service) -> Self {
        let object = payment_object(&payment.id());
        Self { object, record: None, at: clock::now(), receipt_id, service }
    }

    /// What its object is told of the answer that has ended.
    fn closed(&self, key: &SigningKey, response_hash: String) -> PaymentCall {
        let Some(record) = self.record.clone() else { return PaymentCall::HashAnswer(response_hash) };
        let id = (self.receipt_id.as_str(), self.at);
        PaymentCall::StoreReceipt(Receipt::of_answer(id, record, &self.service, response_hash).sign(key))
    }
}

/// An answer whose body was read as far as its receipt may wait for it.
pub(super) struct ReadAhead {
    pub(super) answer: web_sys::Response,
    /// What was read of the body, if there is one.
    body: Option<Vec<u8>>,
    /// What follows, where not all of it was read.
    rest: Option<Reader>,
}

impl ReadAhead {
    /// Reads an answer ahead, unless it is a stream.
    pub(super) async fn of(answer: web_sys::Response) -> Result<Self> {
        let (body, rest) = match (answer.body(), is_streamed(&answer.headers())?) {
            (None, _) => (None, None),
            (Some(stream), true) => (Some(Vec::new()), Some(Reader::new(&stream))),
            (Some(stream), false) => {
                let (ahead, rest) = read_up_to(&stream, MAX_HASHED_AHEAD).await?;
                (Some(ahead), rest)
            }
        };
        Ok(Self { answer, body, rest })
    }

    /// An answer that was read before.
    pub(super) const fn again(answer: web_sys::Response, body: Option<Vec<u8>>) -> Self {
        Self { answer, body, rest: None }
    }

    /// Whether nothing follows that was not read.
    pub(super) const fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// What was read of the body, if there is one.
    pub(super) fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// The answer as it came.
    pub(super) fn unread(self) -> Result<web_sys::Response> {
        let Self { answer, body, rest } = self;
        match (body, rest) {
            (None, _) => Ok(answer),
            (Some(body), None) => with_bytes(&answer, &body),
            (Some(body), Some(rest)) => with_stream(&answer, pass(body, rest)),
        }
    }
}

fn with_bytes(answer: &web_sys::Response, body: &[u8]) -> Result<web_sys::Response> {
    let init = answer.unchecked_ref();
    Ok(web_sys::Response::new_with_opt_buffer_source_and_init(Some(&Uint8Array::from(body)), init)?)
}

fn with_stream(
    answer: &web_sys::Response,
    chunks: impl Stream<Item = Result<Vec<u8>>> + 'static,
) -> Result<web_sys::Response> {
    let stream = web_sys::Response::from(Response::from_stream(chunks)?).body();
    Ok(web_sys::Response::new_with_opt_readable_stream_and_init(stream.as_ref(), answer.unchecked_ref())?)
}

/// Passes on what was read, and then the rest as it comes.
fn pass(ahead: Vec<u8>, rest: Reader) -> impl Stream<Item = Result<Vec<u8>>> {
    stream::unfold(Some((Some(ahead), rest)), |state| async move {
        let (ahead, rest) = state?;
        let chunk = match ahead {
            Some(ahead) => Ok(Some(ahead)),
            None => rest.next().await,
        };
        match chunk {
            Ok(Some(chunk)) => Some((Ok(chunk), Some((None, rest)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// The answer with its receipt: in a field when the answer is read ahead, else named there and made when it has ended.
pub(super) async fn with_receipt(
    exchange: &Exchange,
    ahead: ReadAhead,
    bill: Bill,
) -> Result<web_sys::Response> {
    let Some(keys) = &exchange.settings.secrets.keys else { return ahead.unread() };
    let fields = ahead.answer.headers();
    make_private(&fields)?;
    let ReadAhead { answer, body, rest } = ahead;
    let Some(rest) = rest else {
        let hash = crate::pay::receipt::sha256_label(body.as_deref().unwrap_or_default());
        let closed = bill.closed(&keys.receipts, hash);
        store(&exchange.env, &bill, &closed).await?;
        if let PaymentCall::StoreReceipt(signed) = &closed {
            fields.set("X-402-Receipt", &STANDARD.encode(serde_json::to_vec(signed)?))?;
        } else {
            fields.set("X-402-Receipt-Id", &bill.receipt_id)?;
        }
        return match body {
            Some(body) => with_bytes(&answer, &body),
            None => Ok(answer),
        };
    };
    fields.set("X-402-Receipt-Id", &bill.receipt_id)?;
    let signer = Signer { env: exchange.env.clone(), key: keys.receipts.clone(), bill };
    with_stream(&answer, follow(body.unwrap_or_default(), rest, signer))
}

/// Whether an answer is meant to arrive bit by bit, so that nothing may wait for its end.
fn is_streamed(fields: &web_sys::Headers) -> Result<bool> {
    let media_type = fields.get("Content-Type")?.unwrap_or_default().to_ascii_lowercase();
    let streamed =
        ["text/event-stream", "application/x-ndjson", "multipart/x-mixed-replace", "audio/", "video/"];
    Ok(streamed.iter().any(|kind| media_type.starts_with(kind)))
}

async fn store(env: &Env, bill: &Bill, closed: &PaymentCall) -> Result<()> {
    objects::payment::<Done>(env, &bill.object, closed).await.map(|_| ())
}

struct Signer {
    env: Env,
    key: SigningKey,
    bill: Bill,
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
    let closed = signer.bill.closed(&signer.key, format!("sha256:{}", hex::encode(hash.finalize())));
    if let Err(error) = store(&signer.env, &signer.bill, &closed).await {
        console_error!("receipt {}: {error}", signer.bill.receipt_id);
    }
}
