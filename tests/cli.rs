//! The command-line tool as it is called: what it prints, and how it exits. Commands that need a gate are tested end to end.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stand outside of test functions"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// What a call of the tool came to.
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {}{}", self.out, self.err))
    }
}

fn called(arguments: &[&str]) -> Done {
    with_input(arguments, "")
}

/// Calls the tool in the folder of the tests, with nothing in the environment that it reads.
fn with_input(arguments: &[&str], input: &str) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))
        .env_remove("TOLLGATE_URL")
        .env_remove("TOLLGATE_ADMIN_TOKEN")
        .env_remove("TOLLGATE_WALLET_KEY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let done =
        Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!done.out.contains('\x1b') && !done.err.contains('\x1b'), "colour is for terminals");
    done
}

fn scratch(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Answers one request with this body.
fn serve_once(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    url
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

// ---- check ----

#[test]
fn a_check_tells_every_fault_with_file_line_and_source() {
    let file = "wrangler_files/bad/several_faults.toml";
    let done = called(&["check", file]);
    assert_eq!((done.code, done.err.as_str()), (1, ""));
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(lines.len(), 11);
    assert_eq!(
        lines[..2],
        [
            &format!(
                "{file}:5: error: TOLLGATE.origin: `api.acme.test` is not a URL: relative URL without a base"
            ),
            "    5 | origin = \"api.acme.test\"",
        ]
    );
    assert_eq!(
        lines[6..8],
        [
            &format!(
                "{file}:14: error: PLANS.free.endpoints.\"*\".bucket.capasity: is not a setting; did you mean `capacity`?"
            ),
            "   14 | bucket = { capasity = 4, refill_rate = 4 }",
        ]
    );
    assert_eq!(lines[10], format!("{file}: 5 errors"));
}

#[test]
fn a_check_in_json_has_lines_settings_and_messages() {
    let done = called(&["check", "--json", "plan_files/bad/misspelt_field.yaml"]);
    let refill = "plans.free.endpoints.\"GET /cpu\".bucket";
    let source = "bucket: { capacity: 4, refil_rate: 4 }";
    assert_eq!(
        (done.code, done.json()),
        (
            1,
            json!({
                "file": "plan_files/bad/misspelt_field.yaml", "kind": "plans", "ok": false,
                "errors": [
                    { "line": 5, "setting": format!("{refill}.refill_rate"), "message": "is missing", "source": source },
                    { "line": 5, "setting": format!("{refill}.refil_rate"), "message": "is not a setting; did you mean `refill_rate`?", "source": source },
                ],
                "warnings": [], "secrets": [], "optional_secrets": [], "local_secrets": null, "facilitators": [],
            })
        )
    );
    let syntax = called(&["check", "--json", "plan_files/bad/comma_too_much.json"]).json();
    assert_eq!((&syntax["errors"][0]["line"], &syntax["errors"][0]["setting"]), (&json!(4), &json!("")));
}

#[test]
fn what_is_good_is_said_to_be_and_surprises_do_not_fail_it() {
    let good = called(&["check", "wrangler_files/good/whole.toml"]);
    assert_eq!(
        (good.code, good.out.as_str()),
        (
            0,
            "note: a deploy needs the secrets RECEIPT_SIGNING_KEY, SESSION_KEY\n\
             note: it may have ADMIN_TOKEN (opens the owner's API), \
             PREVIOUS_RECEIPT_KEYS (shows the public keys before RECEIPT_SIGNING_KEY), \
             PREVIOUS_SESSION_KEY (keeps challenges good of before SESSION_KEY)\n\
             wrangler_files/good/whole.toml: good\n"
        )
    );
    let plans = "plans:\n  free:\n    endpoints:\n      /x:\n        bucket: { capacity: 4, refill_rate: 1 }\n        cost: 5\n";
    let file = scratch("surprising.yaml", plans);
    let done = called(&["check", &file]);
    assert_eq!(done.code, 0);
    assert_eq!(
        done.out,
        format!(
            "{file}:6: warning: plans.free.endpoints.\"/x\".cost: is more than the bucket ever holds (5 of 4): no request passes\n    6 |         cost: 5\n{file}: good, 1 warning\n"
        )
    );
}

#[test]
fn every_file_of_the_repository_that_is_meant_to_be_good_is() {
    for file in
        ["../wrangler.toml", "../examples/openai-gate.toml", "wrangler_files/good/with_an_environment.toml"]
    {
        let done = called(&["check", file]);
        assert_eq!(done.code, 0, "{}", done.out);
    }
    let staging = called(&["check", "--env", "staging", "wrangler_files/good/with_an_environment.toml"]);
    assert_eq!(staging.code, 0, "{}", staging.out);
    assert_eq!(called(&["check", "--env", "no", "wrangler_files/good/whole.toml"]).code, 1);
}

/// A file of settings with sessions, and what lies beside it.
fn beside(name: &str, vars: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".dev.vars"), vars).unwrap();
    let whole = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrangler_files/good/whole.toml"),
    );
    let session = "[vars.TOLLGATE.payment.session]\nescrow = \"0x5e55100000000000000000000000000000000001\"\nchain_id = 42431\n\
                   currency = \"0x20c0000000000000000000000000000000000000\"\nrpc = \"https://rpc.acme.test\"\n\n[vars.PLANS";
    scratch(&format!("{name}/wrangler.toml"), &whole.unwrap().replacen("[vars.PLANS", session, 1))
}

#[test]
fn secrets_that_lie_beside_the_settings_are_checked_and_not_shown() {
    let key = "11".repeat(32);
    let file = beside(
        "bad_secrets",
        &format!(
            "RECEIPT_SIGNING_KEY=\"{key}\"\nSESSION_KEY=\"deadbeef\"\nSESSION_PAYEE_KEY={key}\nWEBHOOK_SECRET=x\nADMIN_TOKEM=y\n"
        ),
    );
    let vars = file.replace("wrangler.toml", ".dev.vars");
    let done = called(&["check", &file]);
    let lines: Vec<&str> = done.out.lines().skip(2).collect();
    assert_eq!(
        (done.code, lines),
        (
            1,
            vec![
                &*format!("{vars}:2: error: SESSION_KEY: must be 32 bytes (64 hex digits), not 4 bytes"),
                &*format!(
                    "{vars}:3: error: SESSION_PAYEE_KEY: is the key of 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A, and sessions pay 0x209693Bc6afc0C5328bA36FaF03C514EF312287C: TOLLGATE.payment.pay_to"
                ),
                &*format!("{vars}:4: warning: WEBHOOK_SECRET: has no effect: TOLLGATE.webhook is missing"),
                &*format!(
                    "{vars}:5: warning: ADMIN_TOKEM: is not a secret of this gate; did you mean `ADMIN_TOKEN`?"
                ),
                &*format!("{vars}: 2 errors, 2 warnings"),
                &*format!("{file}: good"),
            ]
        )
    );
    assert!(
        done.out.contains("SESSION_PAYEE_KEY (the key of pay_to: redeems what sessions pay)"),
        "{}",
        done.out
    );
    assert!(!done.out.contains(&key) && !done.out.contains("deadbeef"));
    let told = called(&["check", "--json", &file]).json();
    assert_eq!((&told["ok"], &told["local_secrets"]["errors"][0]["line"]), (&json!(false), &json!(2)));
    let good = beside("good_secrets", &format!("RECEIPT_SIGNING_KEY={key}\nSESSION_KEY={key}\n"));
    assert_eq!(called(&["check", &good]).code, 0);
}

fn paid_by(facilitator: &str) -> String {
    let whole = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrangler_files/good/whole.toml"),
    );
    scratch(
        &format!("{}.toml", facilitator.len()),
        &whole.unwrap().replace("https://pay.acme.test", facilitator),
    )
}

#[test]
fn a_check_online_asks_the_facilitators() {
    let kinds = json!({ "kinds": [{ "x402Version": 2, "scheme": "exact", "network": "eip155:8453" }] });
    let all =
        json!({ "kinds": [kinds["kinds"][0], { "x402Version": 1, "scheme": "exact", "network": "base" }] });
    let url = serve_once("200 OK", kinds.to_string());
    let done = called(&["check", "--online", &paid_by(&url)]);
    assert_eq!(done.code, 1);
    assert!(
        done.out.contains(&format!("error: {url}/ does not support exact on base (x402 v1)\n")),
        "{}",
        done.out
    );
    // One byte more in each URL, for a file of its own.
    let url = format!("{}/p", serve_once("200 OK", all.to_string()));
    let done = called(&["check", "--online", &paid_by(&url)]);
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(done.out.contains(&format!("ok: {url} supports all offers\n")), "{}", done.out);
    let url = format!("{}/pq", serve_once("404 Not Found", "{}".to_owned()));
    let done = called(&["check", "--online", &paid_by(&url)]);
    assert_eq!(done.code, 1);
    assert!(done.out.contains(&format!("error: {url}/supported answers 404\n")), "{}", done.out);
    let url = format!("{}/pqr", nobody());
    let done = called(&["check", "--online", &paid_by(&url)]);
    assert_eq!(done.code, 3);
    assert!(done.out.contains("nobody answers there; is it running?"), "{}", done.out);
}

// ---- wrong usage, and nobody there ----

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() {
    for (arguments, said) in [
        (&["check", "no.toml"][..], "no.toml: No such file or directory"),
        (&["check", "cli.rs"], "cli.rs: the name must end in .toml, .yaml, .yml or .json"),
        (&["chek", "x.toml"], "unrecognized subcommand 'chek'"),
        (&["keys", "list"], "which gate? name it with --url or in TOLLGATE_URL"),
        (
            &["keys", "list", "--url", "http://127.0.0.1:1"],
            "the admin token is missing; put it in TOLLGATE_ADMIN_TOKEN",
        ),
        (&["keys", "list", "--url", "localhost:8787"], "`localhost:8787` is not a URL of http or https"),
        (&["accounts", "plan", "key:acme"], "<NAME|--default>"),
        (
            &["credits", "grant", "key:acme", "1", "--metadata", "{"],
            "invalid value '{' for '--metadata <JSON>'",
        ),
        (&["receipt", "verify", "x.json"], "<--key <PUBKEY>|--address <0x…>>"),
        (
            &["receipt", "verify", "x.json", "--key", "0x04"],
            "must be a public key (0x04 and 128 hexadecimal digits)",
        ),
        (&["pay", "api.example.com"], "`api.example.com` is not a URL: relative URL without a base"),
        (&["pay", "http://127.0.0.1:1", "-H", "nonsense"], "`nonsense` is not a header field"),
        (&["pay", "http://127.0.0.1:1", "--max-price", "x"], "invalid value 'x' for '--max-price <PRICE>'"),
        (&["usage", "--csv", "--json"], "cannot be used with"),
        (
            &["simulate", "../wrangler.toml", "--endpoint", "/x", "--rate", "10", "--for", "1m"],
            "`10` is not a rate",
        ),
    ] {
        let done = called(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}{}", done.out, done.err);
        assert!(done.err.contains(said), "{arguments:?}: {}", done.err);
        assert_eq!(done.out, "", "{arguments:?}");
    }
}

#[test]
fn who_does_not_answer_is_told_from_who_refuses() {
    let nobody = nobody();
    let done = called(&["pay", &nobody, "--json"]);
    let error: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(
        (done.code, error),
        (
            3,
            json!({ "error": "unreachable", "exit_code": 3, "problem": null,
                    "message": format!("{nobody}/: nobody answers there; is it running?") })
        )
    );
    let done = called(&["pay", "http://tollgate.invalid/"]);
    assert_eq!(done.code, 3, "{}", done.err);
    let refusing = serve_once("403 Forbidden", "{\"title\":\"No\",\"detail\":\"not for you\"}".to_owned());
    let done = called(&["pay", &refusing]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("error: not for you\n"), "{}", done.err);
}

// ---- receipts ----

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/receipts.json")).unwrap()
}

#[test]
fn a_receipt_is_verified_offline_with_a_pinned_key() {
    let vectors = vectors();
    let (key, address) = (vectors["public_key"].as_str().unwrap(), vectors["address"].as_str().unwrap());
    let signed = &vectors["valid"][1]["signed"];
    let file = scratch("receipt.json", &signed.to_string());
    let done = called(&["receipt", "verify", &file, "--key", key]);
    assert_eq!((done.code, done.out.lines().next()), (0, Some("valid rcpt_a1b2c3d4e5f6")), "{}", done.err);
    let done = called(&["receipt", "verify", &file, "--address", address, "--json"]);
    assert_eq!((done.code, done.json()), (0, json!({ "valid": true, "receipt": signed["receipt"] })));
    let header = STANDARD.encode(signed.to_string());
    assert_eq!(with_input(&["receipt", "verify", "-", "--key", key], &header).code, 0);
    let url = serve_once("200 OK", signed.to_string());
    assert_eq!(called(&["receipt", "verify", &url, "--key", key]).code, 0);
    let stranger = vectors["stranger_public_key"].as_str().unwrap();
    let done = called(&["receipt", "verify", &file, "--key", stranger]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("was not signed by the pinned key, or was changed afterwards"), "{}", done.err);
}

#[test]
fn no_receipt_of_the_vectors_passes_that_should_not() {
    let vectors = vectors();
    let key = vectors["public_key"].as_str().unwrap();
    for vector in vectors["invalid"].as_array().unwrap() {
        let done =
            with_input(&["receipt", "verify", "-", "--key", key, "--json"], &vector["signed"].to_string());
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{}", vector["name"]);
    }
}

// ---- simulate ----

const PLANS: &str = "plans:\n  free:\n    endpoints:\n      GET /cpu:\n        bucket: { capacity: 4, refill_rate: 4 }\n        over_limit: pay\n        price: \"0.001\"\n  slow:\n    endpoints:\n      \"*\": { bucket: { rpm: 60, burst: 5 } }\n  other:\n    endpoints:\n      /else: {}\n";

#[test]
fn a_simulation_counts_for_each_plan_that_lists_the_endpoint() {
    let file = scratch("simulated.yaml", PLANS);
    let svg = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("simulated.svg");
    let run = ["simulate", &file, "--endpoint", "GET /cpu", "--rate", "10/s", "--for", "5m"];
    let mut arguments = run.to_vec();
    arguments.extend(["--json", "--svg", svg.to_str().unwrap()]);
    let done = called(&arguments);
    let counted = |run: &Value| ["admitted", "paid", "refused"].map(|what| run[what].as_u64().unwrap());
    let runs = done.json()["runs"].clone();
    assert_eq!(
        (done.code, &runs[0]["plan"], counted(&runs[0])),
        (0, &json!("free"), [2539, 461, 0]),
        "{}",
        done.err
    );
    // 5 at once, and one a second for the 299.9 s until the last request.
    assert_eq!((&runs[1]["endpoint"], counted(&runs[1])), (&json!("*"), [304, 0, 2696]));
    assert_eq!(
        (&runs[0]["spent"], &runs[1]["spent"], runs.as_array().unwrap().len()),
        (&json!("0.461"), &Value::Null, 2)
    );
    let picture = fs::read_to_string(svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains(">free: GET /cpu</text>"), "{picture}");

    let text = called(&run).out;
    assert!(text.contains("slow") && text.contains("bucket (2696)") && text.contains("$ paid"), "{text}");
    let unpaid = called(&[&run[..], &["--plan", "free", "--no-pay", "--json"]].concat()).json();
    assert_eq!(counted(&unpaid["runs"][0]), [1203, 0, 1797]);
}

#[test]
fn a_simulation_of_nothing_says_what_there_is() {
    let file = scratch("simulated_not.yaml", PLANS);
    let run = |more: &[&str]| called(&[&["simulate", &file, "--rate", "10/s"][..], more].concat());
    for (more, code, said) in [
        (
            &["--endpoint", "GET /cpu", "--for", "1m", "--plan", "fre"][..],
            2,
            "there is no plan `fre`; there is: free, other, slow",
        ),
        (
            &["--endpoint", "/x", "--for", "1m", "--plan", "other"],
            2,
            "no plan lists the endpoint `/x`; listed are: *, /else, GET /cpu",
        ),
        (
            &["--endpoint", "/x", "--for", "365d"],
            2,
            "these are 315360000 requests; --rate and --for must come to between 1 and 5000000",
        ),
    ] {
        let done = run(more);
        assert_eq!(done.code, code);
        assert!(done.err.contains(said), "{}", done.err);
    }
    let bad = called(&[
        "simulate",
        "plan_files/bad/misspelt_field.yaml",
        "--endpoint",
        "/x",
        "--rate",
        "1/s",
        "--for",
        "1m",
    ]);
    assert_eq!(bad.code, 1);
    assert!(
        bad.err.contains("line 5: plans.free.endpoints.\"GET /cpu\".bucket.refill_rate: is missing"),
        "{}",
        bad.err
    );
}

// ---- the rest ----

#[test]
fn shells_get_their_completions() {
    for (shell, sign) in
        [("bash", "complete -F _tollgate"), ("zsh", "#compdef tollgate"), ("fish", "complete -c tollgate")]
    {
        let done = called(&["completions", shell]);
        assert!(done.code == 0 && done.out.contains(sign) && done.out.contains("simulate"), "{shell}");
    }
    let help = called(&["--help"]);
    assert!(
        help.code == 0 && help.out.contains("Exit codes: 0 done, 1 refused, 2 wrong usage, 3 not reachable.")
    );
}
