//! `/.well-known/x402`: the resources that are sold, as x402 directories read them. `resources` is what x402scan asks
//! for (its `docs/DISCOVERY.md`); `items` says the same with the offers, in the form of x402's own discovery (Bazaar).

use serde_json::{Value, json};

use super::Site;
use super::catalogue::{Catalogue, Ware};

/// The document.
#[must_use]
pub fn document(site: Site<'_>, catalogue: &Catalogue) -> Value {
    let mut resources: Vec<String> = catalogue.wares.iter().map(|ware| url(site, ware)).collect();
    resources.dedup();
    let items: Vec<Value> = catalogue.wares.iter().map(|ware| item(site, ware)).collect();
    json!({
        "version": 1,
        "x402Version": 2,
        "resources": resources,
        "items": items,
        "instructions": format!(
            "Each caller has a free allowance; a resource answers 402 when it is used up. {}{}/openapi.json describes all of it.",
            site.origin, site.prefix
        ),
    })
}

fn item(site: Site<'_>, ware: &Ware) -> Value {
    json!({
        "resource": url(site, ware),
        "type": "http",
        "x402Version": 2,
        "description": format!("{}: {} for {}", ware.endpoint, ware.goods(), ware.price()),
        "accepts": ware.accepts(),
    })
}

/// Where it can be asked for: of a prefix, the path itself.
fn url(site: Site<'_>, ware: &Ware) -> String {
    format!("{}{}", site.origin, ware.place.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::catalogue::tests::shop;

    #[test]
    fn each_resource_is_listed_once_with_what_it_costs() {
        let site = Site { origin: "https://api.example.com", prefix: "/_tollgate" };
        let document = document(site, &shop());
        assert_eq!(
            document["resources"],
            json!([
                "https://api.example.com/files",
                "https://api.example.com/cpu",
                "https://api.example.com/v1/chat"
            ])
        );
        assert_eq!(document["items"][1]["accepts"][0]["amount"], "1000");
        assert_eq!(document["items"].as_array().unwrap().len(), 4);
    }
}
