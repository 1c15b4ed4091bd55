#!/usr/bin/env bash
# Builds the worker for release into build/, where wrangler.toml's `main` is.
. "$(dirname "$0")/env.sh"

input=$targets/wasm/$wasm_target/release/tollgate.wasm
stamp=build/.made-from

main() {
  claim wasm
  compile
  # cargo knows whether the code changed, and worker-build would optimise again even if it did not.
  if [ "$(made_from)" != "$(cat "$stamp" 2>/dev/null)" ]; then
    pack
  fi
  report
}

compile() {
  say "cargo build --release --target $wasm_target"
  wasm cargo build --release --lib --target "$wasm_target"
}

pack() {
  say "worker-build: wasm-bindgen, wasm-opt, esbuild"
  rm -f "$stamp"
  wasm "$bin/worker-build" --release
  made_from >"$stamp"
}

# Everything that build/ is made from.
made_from() {
  digest "$input" package-lock.json
  "$bin/worker-build" --version
  "$bin/wasm-bindgen" --version
}

digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

report() {
  local raw gzip
  raw=$(wc -c <build/index_bg.wasm)
  gzip=$(gzip -9 -c build/index_bg.wasm | wc -c)
  say "build/index_bg.wasm: $((raw)) bytes, $((gzip)) with gzip"
}

main
