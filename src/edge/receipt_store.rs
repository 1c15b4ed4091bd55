//! Receipts where everybody reads them: KV, which forgets them by itself.

use worker::{Env, Error, Result};

use super::objects;
use crate::contract::{KeptReceipt, PaymentCall, payment_object, payment_of_receipt};
use crate::time::Millis;

const RECEIPTS: &str = "RECEIPTS";
/// The shortest life that KV takes: 60 s.
const SHORTEST_TTL: u64 = 60;

/// Keeps a receipt until it ends. `expires_at` in the value holds even where KV is late to forget.
pub(super) async fn keep(env: &Env, kept: &KeptReceipt, now: Millis) -> Result<()> {
    let ttl = kept.expires_at.saturating_sub(now.seconds()).max(SHORTEST_TTL);
    let put =
        env.kv(RECEIPTS)?.put(&kept.signed.receipt.id, serde_json::to_string(kept)?).map_err(kv_error)?;
    put.expiration_ttl(ttl).execute().await.map_err(kv_error)
}

/// The receipt of that id, if it exists and has not ended. KV may not have it yet, or have missed it before it was
/// there; the payment's own object knows it then.
pub(super) async fn find(env: &Env, id: &str, now: Millis) -> Result<Option<KeptReceipt>> {
    let Some(payment) = payment_of_receipt(id) else { return Ok(None) };
    let text = env.kv(RECEIPTS)?.get(id).text().await.map_err(kv_error)?;
    let kept: Option<KeptReceipt> = match text {
        Some(text) => Some(serde_json::from_str(&text)?),
        None => objects::payment(env, &payment_object(&payment), &PaymentCall::Receipt).await?,
    };
    Ok(kept.filter(|kept| kept.signed.receipt.id == id && now.seconds() < kept.expires_at))
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
fn kv_error(error: worker::KvError) -> Error {
    Error::RustError(format!("KV: {error}"))
}
