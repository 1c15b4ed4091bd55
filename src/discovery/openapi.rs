//! The OpenAPI 3.1 description of the whole surface: the gate's own operations, which stand in `openapi/*.json`, and
//! those of the API behind it that can be paid for, with `x-payment-info` (draft-payment-discovery-00).

mod payable;

use serde_json::{Map, Value, json};

use super::Site;
use super::catalogue::Catalogue;

/// What the operations refer to: security schemes, parameters, responses, schemas.
const COMPONENTS: &str = include_str!("openapi/components.json");
/// For clients.
const CLIENTS: &str = include_str!("openapi/clients.json");
/// For backends.
const BACKENDS: &str = include_str!("openapi/backends.json");
/// The owner's.
const ADMIN: &str = include_str!("openapi/admin.json");

/// Answers that every operation of a file may have.
const OF_CLIENTS: &[(&str, &str)] = &[("500", "Fault")];
const OF_OWNERS: &[(&str, &str)] = &[("401", "NoToken"), ("4XX", "Refused"), ("5XX", "Failed")];
/// What the owner's `4XX` says already: registries read at most 64 kB.
const SAID_BY_REFUSED: [&str; 2] = ["BadRequest", "TooLarge"];

/// The document.
#[must_use]
pub fn document(site: Site<'_>, catalogue: &Catalogue) -> Value {
    let mut paths = own_paths(site.prefix);
    payable::add(&mut paths, catalogue);
    let mut components = table(COMPONENTS);
    components.get_mut("responses").into_iter().for_each(name_request);
    let at = |path: &str| format!("{}{}{path}", site.origin, site.prefix);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": site.host(),
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An API behind Tollgate: each caller has an allowance, and where it is used up, more can be paid for on the spot. The 402 says what holds; this says what to expect.",
        },
        "servers": [{ "url": site.origin }],
        "security": [{}, { "key": [] }, { "keyHeader": [] }, { "wallet": [] }, { "session": [] }],
        "x-service-info": { "docs": { "apiReference": at("/openapi.json"), "llms": at("/llms.txt") } },
        "tags": [
            { "name": "api", "description": "The API behind the gate, where it can be paid for" },
            { "name": "clients", "description": "The gate's own, for everybody who calls the API" },
            { "name": "discovery", "description": "What there is, and what it costs" },
            { "name": "backends", "description": "Decisions for backends that do not sit behind the gate" },
            { "name": "owner", "description": "Plans, keys, accounts and payments" },
        ],
        "paths": paths,
        "components": components,
    })
}

/// The summaries of the operations for clients, by method and path under the prefix.
#[must_use]
pub fn summaries() -> Vec<(String, String, String)> {
    let mut summaries = Vec::new();
    for (path, item) in table(CLIENTS) {
        let operations = item.as_object().into_iter().flatten();
        for (method, operation) in operations.filter(|(_, operation)| !is_for_owners(operation)) {
            let summary = operation.get("summary").and_then(Value::as_str).unwrap_or_default();
            summaries.push((method.to_uppercase(), path.clone(), summary.to_owned()));
        }
    }
    summaries
}

fn is_for_owners(operation: &Value) -> bool {
    operation.pointer("/tags/0").and_then(Value::as_str) == Some("owner")
}

/// The paths of the gate's own operations.
fn own_paths(prefix: &str) -> Map<String, Value> {
    let owner = json!([{ "adminToken": [] }]);
    let mut paths = Map::new();
    for (text, security, common, tag) in [
        (CLIENTS, None, OF_CLIENTS, None),
        (BACKENDS, Some(&owner), OF_OWNERS, None),
        (ADMIN, Some(&owner), OF_OWNERS, Some("owner")),
    ] {
        for (path, mut item) in table(text) {
            for operation in operations(&mut item) {
                if let Some(security) = security {
                    operation.entry("security").or_insert_with(|| security.clone());
                }
                if let Some(tag) = tag {
                    operation.insert("tags".to_owned(), json!([tag]));
                }
                add_responses(operation, common);
                if tag.is_some() {
                    leave_out(operation, &SAID_BY_REFUSED);
                }
            }
            paths.insert(format!("{prefix}{path}"), item);
        }
    }
    paths
}

/// The operations of a path item, which may have parameters of its own beside them.
fn operations(item: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let members = item.as_object_mut().into_iter().flatten();
    members.filter(|(name, _)| *name != "parameters").filter_map(|(_, operation)| operation.as_object_mut())
}

fn add_responses(operation: &mut Map<String, Value>, common: &[(&str, &str)]) {
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    for (status, name) in common {
        if let Value::Object(responses) = responses {
            responses.entry(*status).or_insert_with(|| reference(name));
        }
    }
}

fn leave_out(operation: &mut Map<String, Value>, responses: &[&str]) {
    if let Some(Value::Object(all)) = operation.get_mut("responses") {
        all.retain(|_, response| responses.iter().all(|name| *response != reference(name)));
    }
}

/// Every answer names its request; of those that many operations share it is said.
fn name_request(responses: &mut Value) {
    let each = responses.as_object_mut().into_iter().flatten();
    for response in each.filter_map(|(_, response)| response.as_object_mut()) {
        let fields = response.entry("headers").or_insert_with(|| json!({}));
        if let Value::Object(fields) = fields {
            let field = json!({ "$ref": "#/components/headers/RequestId" });
            fields.insert("Tollgate-Request-Id".to_owned(), field);
        }
    }
}

fn reference(response: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{response}") })
}

/// A file of the description; a test reads each of them.
fn table(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::discovery::catalogue::tests::shop;
    use crate::surface::{AdminOperation, Operation, OwnOperation};

    const SITE: Site<'_> = Site { origin: "https://api.example.com", prefix: "/_tollgate" };

    fn described(paths: &Map<String, Value>) -> BTreeSet<(String, String)> {
        let mut described = BTreeSet::new();
        for (path, item) in paths {
            for method in item.as_object().unwrap().keys().filter(|name| *name != "parameters") {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        described
    }

    #[test]
    fn the_router_knows_exactly_what_is_described() {
        let own = OwnOperation::ALL.iter().map(|operation| operation.route());
        let known = own.chain(AdminOperation::ALL.iter().map(|operation| operation.route()));
        let known: BTreeSet<_> =
            known.map(|(method, path)| (method.to_owned(), format!("/_tollgate{path}"))).collect();
        assert_eq!(described(&own_paths("/_tollgate")), known);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        let document = document(SITE, &shop());
        let text = document.to_string();
        let mut used = BTreeSet::new();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            used.insert(pointer.to_owned());
        }
        for kind in ["parameters", "headers", "responses", "schemas"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let pointer = format!("/components/{kind}/{name}");
                assert!(used.contains(&pointer), "{pointer} is not used");
            }
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_a_summary_and_its_path_parameters() {
        let mut names = BTreeSet::new();
        for (path, item) in own_paths("") {
            let shared = item.get("parameters").cloned().unwrap_or_else(|| json!([]));
            for (method, operation) in
                item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters")
            {
                assert!(
                    names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                    "{method} {path}"
                );
                assert!(!operation["summary"].as_str().unwrap().is_empty());
                let own = operation.get("parameters").cloned().unwrap_or_else(|| json!([]));
                let parameters = format!("{shared}{own}")
                    .replace("AccountId", "\"name\":\"id\"")
                    .replace("PaymentId", "\"name\":\"id\"");
                for part in path.split('{').skip(1) {
                    let name = part.split('}').next().unwrap();
                    assert!(parameters.contains(&format!("\"name\":\"{name}\"")), "{method} {path}: {name}");
                }
            }
        }
    }

    #[test]
    fn registries_read_at_most_64_kb() {
        let size = document(SITE, &shop()).to_string().len();
        assert!(size < 64_000, "{size}");
    }

    #[test]
    fn the_owner_is_asked_for_the_token_and_may_be_refused() {
        let paths = own_paths("");
        let put = &paths["/admin/plans"]["put"];
        assert_eq!(put["security"], json!([{ "adminToken": [] }]));
        assert_eq!(put["responses"]["401"], reference("NoToken"));
        assert_eq!(put["responses"]["400"], reference("BadPlan"), "its own stays");
    }
}
