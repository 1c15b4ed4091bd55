//! The operations of the API behind the gate that can be paid for. What else they take and answer, only their API knows.

use serde_json::{Map, Value, json};

use super::reference;
use crate::discovery::catalogue::{Catalogue, OwnedPlace, Ware};
use crate::pay::mpp::evm;
use crate::pay::offer::Offer;
use crate::pay::x402::v2;

/// The name of x402 among payment methods.
const X402: &str = "x402";
/// The methods of an endpoint that names none.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// The methods for which OpenAPI has a name.
const KNOWN: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];
/// Answers of the gate's.
const RESPONSES: [(&str, &str); 5] = [
    ("401", "UnknownKey"),
    ("402", "PaymentRequired"),
    ("403", "Forbidden"),
    ("429", "TooMany"),
    ("503", "Unavailable"),
];

/// Adds what is for sale to the paths.
pub(super) fn add(paths: &mut Map<String, Value>, catalogue: &Catalogue) {
    for ware in &catalogue.wares {
        let item = paths.entry(template(&ware.place)).or_insert_with(|| path_item(&ware.place));
        let named = ware.place.method.as_deref();
        let methods = named.map_or(METHODS.to_vec(), |method| vec![method]);
        for method in methods.into_iter().filter(|method| KNOWN.contains(method)) {
            add_operation(item, method, ware);
        }
    }
}

/// The path as OpenAPI writes it. What a prefix leaves open is a parameter; braces of the path itself are escaped.
fn template(place: &OwnedPlace) -> String {
    let path = place.path.replace('{', "%7B").replace('}', "%7D");
    if place.below { format!("{}/{{path}}", path.trim_end_matches('/')) } else { path }
}

fn path_item(place: &OwnedPlace) -> Value {
    if !place.below {
        return json!({});
    }
    json!({ "parameters": [{
        "name": "path",
        "in": "path",
        "required": true,
        "description": "The rest of the path; it may hold slashes.",
        "schema": { "type": "string" },
    }] })
}

/// Several logical endpoints may stand at one method and path: then each of them adds its offers.
fn add_operation(item: &mut Value, method: &str, ware: &Ware) {
    let Value::Object(members) = item else { return };
    let operation = members.entry(method.to_lowercase()).or_insert_with(|| operation(method));
    if let Some(Value::Array(offers)) = operation.pointer_mut("/x-payment-info/offers") {
        offers.extend(ware.offers.iter().flat_map(|offer| payment_offers(ware, offer)));
    }
    if let Some(Value::String(description)) = operation.get_mut("description") {
        let more = format!("`{}`: {} for {}.", ware.endpoint, ware.goods(), ware.price());
        *description = format!("{description} {more}");
    }
}

fn operation(method: &str) -> Value {
    let mut responses = json!({ "default": { "description": "The answer of the API behind the gate." } });
    if let Value::Object(members) = &mut responses {
        members.extend(RESPONSES.map(|(status, name)| (status.to_owned(), reference(name))));
    }
    let mut operation = json!({
        "tags": ["api"],
        "summary": "An operation of the API behind the gate",
        "description": "Beyond the allowance it can be paid for.",
        "x-payment-info": { "offers": [] },
        "responses": responses,
    });
    if let (Value::Object(members), "POST" | "PUT" | "PATCH") = (&mut operation, method) {
        members.insert("requestBody".to_owned(), json!({ "content": { "*/*": {} } }));
    }
    operation
}

/// Payment offers (draft-payment-discovery-00, "Payment Offer Object"): by x402, and where MPP can ask for it, by that.
fn payment_offers(ware: &Ware, offer: &Offer) -> Vec<Value> {
    let by = |method: &str| {
        json!({
            "intent": evm::INTENT,
            "method": method,
            "amount": offer.amount.to_string(),
            "currency": v2::requirements(offer).get("asset"),
            "description": format!(
                "{} {} on {}: {} at {}",
                offer.price(),
                offer.tender.symbol(),
                offer.tender.caip2(),
                ware.goods(),
                ware.endpoint
            ),
        })
    };
    let is_mpps = ware.mpp && evm::terms(offer).is_some();
    std::iter::once(X402).chain(is_mpps.then_some(evm::METHOD)).map(by).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::catalogue::tests::shop;

    fn paths() -> Map<String, Value> {
        let mut paths = Map::new();
        add(&mut paths, &shop());
        paths
    }

    #[test]
    fn an_operation_that_can_be_paid_for_says_what_it_costs() {
        let paths = paths();
        let cpu = &paths["/cpu"];
        assert_eq!(cpu.as_object().unwrap().keys().collect::<Vec<_>>(), ["get"]);
        assert_eq!(
            cpu["get"]["x-payment-info"]["offers"][0],
            json!({
                "intent": "charge", "method": "x402", "amount": "1000",
                "currency": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
                "description": "0.001 USDC on eip155:84532: 4 more requests at GET /cpu",
            })
        );
        let by_mpp = &cpu["get"]["x-payment-info"]["offers"][1];
        assert_eq!((&by_mpp["method"], &by_mpp["amount"]), (&json!("evm"), &json!("1000")));
        assert_eq!(cpu["get"]["responses"]["402"], reference("PaymentRequired"));
    }

    #[test]
    fn a_prefix_has_a_parameter_and_every_method() {
        let files = &paths()["/files/{path}"];
        assert_eq!(files["parameters"][0]["name"], "path");
        assert_eq!(files.as_object().unwrap().len(), METHODS.len() + 1);
        assert!(files["put"].get("requestBody").is_some() && files["get"].get("requestBody").is_none());
    }

    #[test]
    fn logical_endpoints_of_one_path_share_its_operation() {
        let offers = paths()["/v1/chat"]["post"]["x-payment-info"]["offers"].clone();
        let amounts: Vec<&str> =
            offers.as_array().unwrap().iter().map(|offer| offer["amount"].as_str().unwrap()).collect();
        assert_eq!(amounts, [["50000"; 4], ["2000"; 4]].concat(), "two networks, by x402 and by MPP");
    }
}
