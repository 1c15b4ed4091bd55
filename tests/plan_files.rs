//! Plan files with one fault each, and what is said of them, to the letter.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside of test functions")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tollgate::config::document::{Document, Format};
use tollgate::config::plan_file::PlanFile;

const SAID: [(&str, &str); 19] = [
    ("comma_too_much.json", "line 4: a name in double quotes must stand here; is there a comma too much?"),
    (
        "credit_price_as_number.yaml",
        "line 4: plans.free.credit_price: must be a text such as \"0.001\", so that no float ever holds money",
    ),
    (
        "duration_without_unit.yaml",
        "line 6: plans.free.endpoints.gpt-4-turbo.fixed_windows[0].window: `60` is not a duration; write a whole number and a unit, such as 500ms, 60s, 5m, 24h or 30d",
    ),
    (
        "endpoint_without_method.toml",
        "line 4: plans.free.endpoints.\"fetch /cpu\": is not an endpoint: `fetch` is not a method; write it in capitals, such as `GET /path`",
    ),
    (
        "endpoint_written_twice.yaml",
        "line 5: plans.free.endpoints.\"/cpu\" is written twice; first in line 4",
    ),
    (
        "indented_with_a_tab.yaml",
        "line 2: tabs disallowed within this context (block indentation); indent with spaces",
    ),
    ("list_of_plans.json", "line 1: plans: must be a table, not a list"),
    (
        "misspelt_field.yaml",
        "line 5: plans.free.endpoints.\"GET /cpu\".bucket.refill_rate: is missing\nline 5: plans.free.endpoints.\"GET /cpu\".bucket.refil_rate: is not a setting; did you mean `refill_rate`?",
    ),
    (
        "negative_capacity.toml",
        "line 2: plans.free.endpoints.\"GET /cpu\".bucket.capacity: `-4` is not a number of tokens; write a number from 0 with at most 6 decimals",
    ),
    (
        "no_table.json",
        "line 1: plans: is missing; a plan file is a table with the plans by name under `plans`",
    ),
    (
        "plan_without_endpoints.json",
        "line 3: plans.free.endpoints: is missing; a plan lists the endpoints it gives access to",
    ),
    ("plan_written_twice.json", "line 4: plans.free is written twice; first in line 3"),
    (
        "price_as_number.yaml",
        "line 7: plans.free.endpoints.\"GET /cpu\".price: must be a text such as \"0.001\", so that no float ever holds money",
    ),
    (
        "slots_of_a_fraction.json",
        "line 4: plans.free.endpoints.\"/cpu\".max_concurrent: must be a whole number from 0, not `1.5`",
    ),
    (
        "star_without_quotes.yaml",
        "line 4: while parsing node, found unknown anchor; write a name with * in quotes",
    ),
    ("table_written_twice.toml", "line 4: duplicate key"),
    ("text_without_quotes.toml", "line 2: must be true or false; write a text in quotes"),
    ("two_documents.yaml", "line 2: a second document begins here; only one is read"),
    (
        "unknown_at_the_top.yaml",
        "line 1: plans: is missing; write the plans by name under it\nline 1: plan: is not a setting; did you mean `plans`?",
    ),
];

fn said_of(name: &str, text: &str) -> String {
    let document = match Document::parse(text, Format::of_file(name).unwrap()) {
        Ok(document) => document,
        Err(fault) => return fault.to_string(),
    };
    let faults = PlanFile::read(&document).unwrap_err();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_bad_file_is_told_to_the_letter() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan_files/bad");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let said: BTreeMap<String, String> = files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            let said = said_of(&name, &fs::read_to_string(file.path()).unwrap());
            (name, said)
        })
        .collect();
    let wanted = SAID.iter().map(|(name, said)| ((*name).to_owned(), (*said).to_owned())).collect();
    assert_eq!(said, wanted);
}
