//! Files of wrangler's: what a deploy of them would lack, and what the worker would refuse, to the letter.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stand outside of test functions"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tollgate::config::document::{Document, Format};
use tollgate::config::gate_file::{Checked, Remark, check};
use tollgate::config::secrets::uses::Use;

const SAID: [(&str, &str); 17] = [
    (
        "class_never_made.toml",
        "line 26: migrations: never makes PaymentObject; name it in new_sqlite_classes of a migration",
    ),
    (
        "facilitator_without_https.toml",
        "line 11: TOLLGATE.payment.facilitators[0]: `http://pay.acme.test` must start with https:// (http:// is for this machine only)",
    ),
    (
        "ledger_not_bound.toml",
        "line 1: d1_databases: has no binding LEDGER; add { binding = \"LEDGER\", … }: usage and payments are kept there",
    ),
    (
        "object_not_bound.toml",
        "line 18: durable_objects.bindings: has no binding PAYMENT; write { name = \"PAYMENT\", class_name = \"PaymentObject\" }",
    ),
    (
        "origin_missing.toml",
        "line 4: TOLLGATE.origin: is missing; write the URL of the API behind the gate, or bind a service as ORIGIN",
    ),
    (
        "origin_without_https.toml",
        "line 5: TOLLGATE.origin: `http://api.acme.test` must start with https:// (http:// is for this machine only)",
    ),
    ("plan_that_is_not_there.toml", "line 6: TOLLGATE.default_plan: there is no plan `fre`; there is free"),
    (
        "price_as_number.toml",
        "line 16: PLANS.free.endpoints.\"*\".price: must be a text such as \"0.001\", so that no float ever holds money",
    ),
    (
        "price_too_fine.toml",
        "line 16: PLANS.free.endpoints.\"*\".price: 0.0000001 is finer than the asset, which has 6 decimals",
    ),
    (
        "receipts_not_bound.toml",
        "line 30: kv_namespaces: has no binding RECEIPTS; add { binding = \"RECEIPTS\", … }: receipts are kept there",
    ),
    (
        "secret_without_its_end.toml",
        "line 7: TOLLGATE.origin_headers.Authorization: has a `{secret:` without its `}`",
    ),
    (
        "session_header_taken.toml",
        "line 7: TOLLGATE.session_header: `X-API-Key` means something else already; write another, such as X-Agent-Session",
    ),
    (
        "setting_misspelt.toml",
        "line 7: TOLLGATE.origin_timeuot: is not a setting; did you mean `origin_timeout`?",
    ),
    (
        "several_faults.toml",
        "line 5: TOLLGATE.origin: `api.acme.test` is not a URL: relative URL without a base\nline 10: TOLLGATE.payment.network: \"bass\" is no known network; use a CAIP-2 id such as \"eip155:84532\", or one of abstract, abstract-testnet, avalanche, avalanche-fuji, base, base-sepolia, educhain, iotex, peaq, polygon, polygon-amoy, sei, sei-testnet, skale-base-sepolia, story, celo, ethereum, flare, megaeth, monad, sepolia, stable, stable-testnet\nline 14: PLANS.free.endpoints.\"*\".bucket.capacity: is missing\nline 14: PLANS.free.endpoints.\"*\".bucket.capasity: is not a setting; did you mean `capacity`?\nline 34: d1_databases: has no binding LEDGER; add { binding = \"LEDGER\", … }: usage and payments are kept there",
    ),
    ("text_without_quotes.toml", "line 5: string values must be quoted, expected literal string"),
    (
        "trust_without_its_window.toml",
        "line 8: TOLLGATE.payment.trust_window: is missing; beside trust_after, write in what time, such as 24h",
    ),
    (
        "variable_that_is_no_json.toml",
        "line 5: PLANS: is not JSON: EOF while parsing an object at line 1 column 1",
    ),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrangler_files").join(name)
}

fn checked(path: &Path, environment: Option<&str>) -> Result<Checked, String> {
    let document = Document::parse(&fs::read_to_string(path).unwrap(), Format::Toml);
    document.map(|document| check(&document, environment)).map_err(|fault| fault.to_string())
}

fn said_of(path: &Path) -> String {
    match checked(path, None) {
        Ok(checked) => checked.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(fault) => fault,
    }
}

#[test]
fn every_bad_file_is_told_to_the_letter() {
    let files = fs::read_dir(folder("bad")).unwrap().map(|entry| entry.unwrap());
    let said: BTreeMap<String, String> =
        files.map(|file| (file.file_name().into_string().unwrap(), said_of(&file.path()))).collect();
    let wanted = SAID.iter().map(|(name, said)| ((*name).to_owned(), (*said).to_owned())).collect();
    assert_eq!(said, wanted);
}

#[test]
fn nothing_is_said_of_a_good_file() {
    for file in fs::read_dir(folder("good")).unwrap() {
        let path = file.unwrap().path();
        let checked = checked(&path, None).unwrap();
        assert_eq!((checked.faults, checked.surprises), (vec![], vec![]), "{}", path.display());
        assert!(checked.config.is_some());
    }
}

#[test]
fn an_environment_has_variables_and_bindings_of_its_own_and_inherits_migrations() {
    let path = folder("good").join("with_an_environment.toml");
    let staging = checked(&path, Some("staging")).unwrap();
    assert_eq!(staging.faults, []);
    let config = staging.config.unwrap();
    assert!(config.payment.is_none());
    assert_eq!(config.origin.unwrap().as_str(), "https://staging.acme.test/");
    let none = checked(&path, Some("production")).unwrap();
    assert_eq!(
        none.faults[0].to_string(),
        "line 38: env.production: is missing; the file has no such environment"
    );
}

#[test]
fn the_secrets_that_a_deploy_needs_are_listed() {
    let text = fs::read_to_string(folder("good").join("whole.toml")).unwrap();
    let text = text.replace(
        "default_plan",
        "webhook = { url = \"https://acme.test/hook\" }\norigin_headers = { A = \"{secret:ORIGIN_KEY}\" }\nendpoints.x = { origin_headers = { B = \"{secret:OTHER}\" } }\ndefault_plan",
    );
    let checked = check(&Document::parse(&text, Format::Toml).unwrap(), None);
    assert_eq!(checked.faults, []);
    let needed: Vec<&str> = checked
        .secrets
        .iter()
        .filter_map(|(name, used)| (*used == Use::Needed).then_some(name.as_str()))
        .collect();
    assert_eq!(needed, ["ORIGIN_KEY", "OTHER", "RECEIPT_SIGNING_KEY", "SESSION_KEY", "WEBHOOK_SECRET"]);
    assert_eq!(checked.secrets["SESSION_PAYEE_KEY"], Use::None("sessions are not offered"));
}

#[test]
fn a_secret_that_stands_in_the_file_is_told_and_checked() {
    let text = fs::read_to_string(folder("good").join("whole.toml")).unwrap();
    let vars = "[vars]\nADMIN_TOKEN = \"short\"\nSESSION_PAYEE_KEY = \"0x01\"\n\n[vars.TOLLGATE]";
    let checked =
        check(&Document::parse(&text.replace("[vars.TOLLGATE]", vars), Format::Toml).unwrap(), None);
    let said = |remarks: &[Remark]| remarks.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        said(&checked.faults),
        ["line 5: ADMIN_TOKEN: must be at least 16 characters; make one with `openssl rand -hex 32`"]
    );
    let stands = "stands in the file, for everybody who may read it; make a new one and set it with `wrangler secret put`";
    assert_eq!(
        said(&checked.surprises),
        [
            format!("line 5: ADMIN_TOKEN: {stands}"),
            format!("line 6: SESSION_PAYEE_KEY: {stands}"),
            "line 6: SESSION_PAYEE_KEY: has no effect: sessions are not offered".to_owned(),
        ]
    );
}

#[test]
fn variables_that_cloudflare_would_not_take_are_told() {
    let text = fs::read_to_string(folder("good").join("whole.toml")).unwrap();
    let plan = |n| format!("[vars.PLANS.free.endpoints.\"/path/{n}\"]\ncost = 2\n");
    let plans = (0..300).map(plan).collect::<Vec<_>>().concat();
    let checked = check(&Document::parse(&format!("{text}{plans}"), Format::Toml).unwrap(), None);
    let said = checked.surprises[0].to_string();
    assert!(said.starts_with("line 13: PLANS: has "), "{said}");
    assert!(
        said.ends_with("at most 5120; keep plans in the ledger instead: tollgate plans apply FILE"),
        "{said}"
    );
}

#[test]
fn a_payee_with_a_digit_mistyped_is_a_fault() {
    let text = fs::read_to_string(folder("good").join("whole.toml")).unwrap();
    let text = text.replace("F312287C", "F312287c");
    let checked = check(&Document::parse(&text, Format::Toml).unwrap(), None);
    let faults: Vec<String> = checked.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        ["line 9: TOLLGATE.payment.pay_to: does not match its checksum (EIP-55): a digit may be mistyped"]
    );
}

#[test]
fn a_part_of_a_file_is_checked_as_far_as_it_goes() {
    let text = "[vars.TOLLGATE]\norigin = \"https://api.acme.test\"\ndefault_plan = \"free\"\n[vars.PLANS.free.endpoints.x]\n";
    let checked = check(&Document::parse(text, Format::Toml).unwrap(), None);
    assert_eq!(checked.faults, []);
    assert_eq!(
        checked.surprises[0].to_string(),
        "line 1: main: is missing; this is a part of a wrangler.toml, and its bindings were not checked"
    );
}
