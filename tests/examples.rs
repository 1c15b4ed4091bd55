//! The settings in `examples/` are read as the worker reads them, and do what their comments say.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stand outside of test functions"
)]

use serde_json::{Value, json};
use tollgate::config::Config;
use tollgate::endpoint::{CanonicalPath, EndpointName, Target};

/// What wrangler makes of a file's `[vars]`.
fn config(toml: &str) -> Config {
    let file: Value = toml::from_str(toml).unwrap();
    let vars = &file["vars"];
    Config::read(&vars["TOLLGATE"], &vars["PLANS"], false).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_gate_before_openai_tells_models_apart_and_lists_all_of_them_in_a_plan() {
    let config = config(include_str!("../examples/openai-gate.toml"));
    let chat = "/v1/chat/completions";
    for (path, model, endpoint) in [
        (chat, "gpt-4o-2024-08-06", Some("gpt-4o")),
        (chat, "gpt-4o-mini-2024-07-18", Some("gpt-4o-mini")),
        (chat, "o3-pro", Some("o3")),
        (chat, "meta-llama/llama-3.3-70b-instruct", Some("llama")),
        (chat, "gpt-5", None),
        ("/v1/embeddings", "text-embedding-3-small", Some("embeddings")),
        ("/v1/images/generations", "gpt-image-1", Some("gpt-image-1")),
        ("/v1/images/generations", "gpt-4o", None),
    ] {
        let path = CanonicalPath::parse(path).unwrap();
        let target = Target { method: "POST".to_owned(), path, logical: None };
        assert!(config.endpoints.need_body(&target));
        let found = config.endpoints.recognise(&target, Some(&json!({ "model": model }))).cloned();
        assert_eq!(found.as_ref().map(EndpointName::as_str), endpoint, "{model}");
        let target = Target { logical: found, ..target };
        let listed = config.plans.get("tier-2").unwrap().find(&target).map(|found| found.name.as_str());
        assert_eq!(listed, endpoint, "{model}");
    }
}
