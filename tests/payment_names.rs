//! The names that clients give their payments (extension `payment-identifier`, x402 v2).

#[allow(dead_code, reason = "helpers of tests, some of them for others")]
mod payments;

use serde_json::{Value, json};
use tollgate::pay::x402::payment_identifier::{Naming, NamingError, PaymentName};

fn name(extensions: &Value, naming: Naming) -> Result<Option<PaymentName>, NamingError> {
    naming.read(&payments::payment_with(extensions))
}

fn named(id: &Value) -> Value {
    json!({ "payment-identifier": { "info": { "required": false, "id": id } } })
}

#[test]
fn a_name_is_read_where_there_is_one_and_asked_for_where_there_must_be_one() {
    let id = json!("order-2026_11-25a");
    for naming in [Naming::Optional, Naming::Required] {
        assert!(name(&named(&id), naming).unwrap().is_some());
    }
    for none in
        [json!({}), json!({ "payment-identifier": { "info": { "required": true } } }), named(&Value::Null)]
    {
        assert_eq!(name(&none, Naming::Optional), Ok(None), "{none}");
        assert_eq!(name(&none, Naming::Required), Err(NamingError::Missing), "{none}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for id in
        [json!("short"), json!("x".repeat(129)), json!("sixteen characters"), json!("é".repeat(16)), json!(1)]
    {
        assert_eq!(name(&named(&id), Naming::Optional), Err(NamingError::Malformed), "{id}");
    }
    for id in ["x".repeat(16), "x".repeat(128)] {
        assert!(name(&named(&json!(id)), Naming::Optional).unwrap().is_some(), "{id}");
    }
}

#[test]
fn a_name_belongs_to_one_account_and_one_payment() {
    let first = name(&named(&json!("order-2026_11-25a")), Naming::Optional).unwrap().unwrap();
    let (one, other) = ("ip:203.0.113.7".parse().unwrap(), "ip:203.0.113.8".parse().unwrap());
    assert_eq!(first.object(&one), first.object(&one));
    assert_ne!(first.object(&one), first.object(&other));
    let mut more = named(&json!("order-2026_11-25a"));
    more["note"] = json!("another payload");
    let second = name(&more, Naming::Optional).unwrap().unwrap();
    assert_eq!(second.object(&one), first.object(&one));
    assert_ne!(second.holder(), first.holder());
}

/// What `declarePaymentIdentifierExtension` of npm @x402/extensions 2.27.0 gives.
#[test]
fn a_challenge_declares_the_extension_as_the_official_package_does() {
    let expected = json!({
        "info": { "required": true },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": { "type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[a-zA-Z0-9_-]+$" },
            },
            "required": ["required"],
        },
    });
    assert_eq!(Naming::Required.declaration(), expected);
    assert_eq!(Naming::Optional.declaration()["info"], json!({ "required": false }));
}
