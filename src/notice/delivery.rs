//! A notice as the owner's server gets it: JSON, and the signature that shows that it is ours.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Notice, Occurrence, Sum};
use crate::bill::summary::number;
use crate::client::AccountId;
use crate::endpoint::EndpointName;
use crate::limit::quota::QuotaUse;
use crate::time::Millis;

/// The field that carries the signature.
pub const SIGNATURE: &str = "Tollgate-Signature";

/// The secret `WEBHOOK_SECRET`.
#[derive(Clone)]
pub struct WebhookSecret(Hmac<Sha256>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl WebhookSecret {
    /// Takes a secret; its text is the key. Nothing is signed with an empty one.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        if secret.is_empty() {
            return None;
        }
        Hmac::new_from_slice(secret.as_bytes()).ok().map(Self)
    }

    /// The value of [`SIGNATURE`] for a body that is sent at `now`: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.
    #[must_use]
    pub fn sign(&self, body: &str, now: Millis) -> String {
        let mut keyed = self.0.clone();
        keyed.update(format!("{}.{body}", now.seconds()).as_bytes());
        format!("t={},v1={}", now.seconds(), hex::encode(keyed.finalize().into_bytes()))
    }
}

/// The body: the same for the same notice. `currency` is the symbol and the decimals of what is paid with.
#[must_use]
pub fn body(account: &AccountId, notice: &Notice, currency: (&str, u8)) -> String {
    let body = json!({
        "id": notice.id(),
        "type": notice.what().kind().name(),
        "created_at": notice.at().rfc3339(),
        "account": account.as_str(),
        "data": data(notice.what(), currency),
    });
    body.to_string()
}

fn data(what: &Occurrence, currency: (&str, u8)) -> Value {
    match what {
        Occurrence::Exceeded { endpoint, limit, resets_at } => {
            json!({ "endpoint": endpoint, "limit": limit, "resets_at": resets_at.rfc3339() })
        }
        Occurrence::Paid(sum) | Occurrence::PaymentUnknown(sum) | Occurrence::PaymentFailed(sum) => {
            payment(sum, currency)
        }
        Occurrence::Quota80(endpoint, used) | Occurrence::Quota100(endpoint, used) => quota(endpoint, used),
        Occurrence::CreditsLow(balance, _) => json!({ "balance": balance.to_string() }),
    }
}

fn quota(endpoint: &EndpointName, used: &QuotaUse) -> Value {
    json!({
        "endpoint": endpoint,
        "unit": used.unit,
        "period": used.period.name(),
        "limit": number(used.limit),
        "used": number(used.used),
        "resets_at": used.period.around(used.start).1.rfc3339(),
    })
}

fn payment(sum: &Sum, (currency, decimals): (&str, u8)) -> Value {
    json!({
        "payment": sum.payment,
        "endpoint": sum.endpoint,
        "amount": sum.amount.to_decimal(decimals),
        "currency": currency,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::quota::Period;
    use crate::limit::tokens::Tokens;
    use crate::pay::amount::Amount;
    use crate::pay::x402::PaymentId;

    #[test]
    fn the_signature_is_that_of_openssl() {
        // printf '1700000123.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let secret = WebhookSecret::new("whsec_test").unwrap();
        assert_eq!(
            secret.sign(r#"{"id":"evt_1"}"#, Millis::new(1_700_000_123_456)),
            "t=1700000123,v1=7d8f5912cc327df05f5fff1e37c0ecdf6edcc20077323a59c8c9263d28c07180"
        );
        assert!(WebhookSecret::new("").is_none());
    }

    #[test]
    fn a_notice_is_told_in_full() {
        let account: AccountId = "ip:203.0.113.7".parse().unwrap();
        let exceeded = Occurrence::Exceeded {
            endpoint: EndpointName::new("GET /cpu"),
            limit: "request-60s".to_owned(),
            resets_at: Millis::new(1_767_695_460_000),
        };
        let notice = Notice::new(&account, exceeded, Millis::new(1_767_695_400_000));
        let told: Value = serde_json::from_str(&body(&account, &notice, ("USDC", 6))).unwrap();
        assert_eq!(
            told,
            json!({
                "id": notice.id(), "type": "exceeded", "created_at": "2026-01-06T10:30:00Z", "account": "ip:203.0.113.7",
                "data": { "endpoint": "GET /cpu", "limit": "request-60s", "resets_at": "2026-01-06T10:31:00Z" },
            })
        );
        let sum =
            Sum { payment: PaymentId::of("p"), endpoint: EndpointName::new("*"), amount: Amount::new(1000) };
        let notice = Notice::new(&account, Occurrence::PaymentUnknown(sum.clone()), Millis::new(0));
        let told: Value = serde_json::from_str(&body(&account, &notice, ("USDC", 6))).unwrap();
        let quota = QuotaUse {
            unit: "image".to_owned(),
            period: Period::Day,
            start: Millis::new(1_767_657_600_000),
            limit: Tokens::whole(500),
            used: Tokens::micro(400_500_000),
        };
        let quota = Notice::new(&account, Occurrence::Quota80(EndpointName::new("*"), quota), Millis::new(0));
        let quota: Value = serde_json::from_str(&body(&account, &quota, ("USDC", 6))).unwrap();
        assert_eq!(quota["type"], "quota-80");
        assert_eq!(
            quota["data"],
            json!({
                "endpoint": "*", "unit": "image", "period": "day", "limit": 500, "used": 400.5,
                "resets_at": "2026-01-07T00:00:00Z",
            })
        );
        let low = Notice::new(
            &account,
            Occurrence::CreditsLow(Tokens::micro(500_000), Millis::new(1)),
            Millis::new(1),
        );
        let low: Value = serde_json::from_str(&body(&account, &low, ("USDC", 6))).unwrap();
        assert_eq!((&low["type"], &low["data"]), (&json!("credits-low"), &json!({ "balance": "0.5" })));
        assert_eq!(told["type"], "payment-unknown");
        assert_eq!(
            told["data"],
            json!({ "payment": sum.payment, "endpoint": "*", "amount": "0.001", "currency": "USDC" })
        );
    }
}
