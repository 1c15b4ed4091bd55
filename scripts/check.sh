#!/usr/bin/env bash
# Every check that needs no running worker. The first that fails ends it.
. "$(dirname "$0")/env.sh"

claim native

say "Cargo.lock is in step with Cargo.toml"
cargo metadata --locked --format-version 1 >/dev/null

say "cargo fmt --check"
cargo fmt --check

say "clippy: the domain"
native cargo clippy --all-targets --no-default-features -- -D warnings

say "clippy: with the edge and the command-line tool"
native cargo clippy --all-targets --all-features -- -D warnings

say "cargo doc"
RUSTDOCFLAGS='-D warnings' native cargo doc --no-deps --all-features

# Advisories come from the web: make advisories.
say "cargo deny: bans, licenses, sources"
"$bin/cargo-deny" check --hide-inclusion-graph bans licenses sources

say "npm run check"
npm run --silent check

# Last: make test builds the worker meanwhile.
claim wasm
say "clippy: $wasm_target"
wasm cargo clippy --lib --no-deps --target "$wasm_target" -- -D warnings

say "all checks passed"
