//! Whether a facilitator supports what is sold.

use serde_json::Value;

use super::payment::is_permit2;
use crate::config::payment::PaymentConfig;
use crate::pay::offer::Tender;

/// What a facilitator's `/supported` (x402 v2 §7) lacks of what is sold, in the words that a facilitator uses.
///
/// # Errors
/// The answer is no list of what it supports.
pub fn unsupported(payment: &PaymentConfig, supported: &Value) -> Result<Vec<String>, &'static str> {
    let kinds = supported.get("kinds").and_then(Value::as_array).ok_or("has no list `kinds`")?;
    let lists = |version: u64, scheme: &str, network: &str| {
        kinds.iter().any(|kind| {
            let listed = kind.get("network").and_then(Value::as_str).unwrap_or_default();
            kind.get("x402Version").and_then(Value::as_u64) == Some(version)
                && kind.get("scheme").and_then(Value::as_str) == Some(scheme)
                && (listed == network || (listed == "eip155:*" && network.starts_with("eip155:")))
        })
    };
    let wanted = payment.tenders.iter().flat_map(|tender| {
        let scheme = scheme_of(tender);
        let v1 = tender.v1_name().filter(|_| !is_permit2(tender)).map(|name| (1, scheme, name.to_owned()));
        std::iter::once((2, scheme, tender.caip2())).chain(v1)
    });
    let lacking = wanted.filter(|(version, scheme, network)| !lists(*version, scheme, network));
    Ok(lacking.map(|(version, scheme, network)| format!("{scheme} on {network} (x402 v{version})")).collect())
}

fn scheme_of(tender: &Tender) -> &str {
    match tender {
        Tender::Evm(_) => "exact",
        Tender::Opaque(tender) => &tender.scheme,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::gate;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_facilitator_does_not_support_is_told() {
        let config = gate(&json!({
            "origin": "https://api.acme.test", "default_plan": "free",
            "payment": {
                "pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "network": "base",
                "facilitators": ["https://x402.org/facilitator"],
                "offers": [{ "network": "base-sepolia" }, { "network": "ethereum" }],
            },
        }));
        let payment = config.payment.unwrap();
        let kinds = json!({ "kinds": [
            { "x402Version": 2, "scheme": "exact", "network": "eip155:84532" },
            { "x402Version": 1, "scheme": "exact", "network": "base-sepolia" },
            { "x402Version": 2, "scheme": "upto", "network": "eip155:8453" },
            { "x402Version": 1, "scheme": "exact", "network": "base" },
        ]});
        assert_eq!(
            unsupported(&payment, &kinds).unwrap(),
            ["exact on eip155:8453 (x402 v2)", "exact on eip155:1 (x402 v2)"]
        );
        assert!(unsupported(&payment, &json!({ "error": "not found" })).is_err());
        let all = json!({ "kinds": [{ "x402Version": 2, "scheme": "exact", "network": "eip155:*" }] });
        assert_eq!(
            unsupported(&payment, &all).unwrap(),
            ["exact on base (x402 v1)", "exact on base-sepolia (x402 v1)"]
        );
    }
}
