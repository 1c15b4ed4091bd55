#!/usr/bin/env bash
# What a look at a payment costs in WASM: builds bench/recovery.rs as the worker is built and runs it in Node.js, whose engine
# is workerd's.
. "$(dirname "$0")/../scripts/env.sh"

out=$targets/recovery
wasm cargo build --release --example recovery --target "$wasm_target"
"$bin/wasm-bindgen" "$targets/wasm/$wasm_target/release/examples/recovery.wasm" --target nodejs --out-dir "$out"
"$root/node_modules/.bin/wasm-opt" -Os --enable-bulk-memory --enable-sign-ext --enable-mutable-globals --enable-nontrapping-float-to-int \
  --enable-reference-types --enable-multivalue "$out/recovery_bg.wasm" -o "$out/recovery_bg.wasm"
node_modules/.bin/node bench/recovery.mjs "$out/recovery.js"
