# shellcheck shell=bash
# What the other scripts share: where things are kept, which versions are wanted, which Rust builds WASM.
# Sourced, never run. It changes nothing on the machine; scripts/setup.sh does.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
cache=${TOLLGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tollgate}
bin=$cache/cargo/bin
# One folder each for native, wasm and tools: they differ in flags, and would rebuild one another's crates.
targets=${CARGO_TARGET_DIR:-$cache/target}
wasm_target=wasm32-unknown-unknown

# A shell that has not read rustup's profile still has it; a distribution's cargo must not come before it.
if ! command -v rustup >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/rustup" ]; then
  PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
fi

say() { printf '==> [%3ds] %s\n' "$SECONDS" "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The version that Cargo.lock holds of a crate.
locked_version() {
  awk -F'"' -v crate="$1" '$1 == "name = " && $2 == crate { getline; print $2; exit }' Cargo.lock
}

# Is this rustc there, and at least Cargo.toml's rust-version?
rustc_is_recent() {
  local have want
  have=$("$1" --version 2>/dev/null | awk '{ print $2 }') && [ -n "$have" ] || return 1
  want=$(awk -F'"' '/^rust-version/ { print $2 }' Cargo.toml)
  [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" = "$want" ]
}

# Where a rustc looks for the WASM standard library.
wasm_libdir() { "$1" --print target-libdir --target "$wasm_target"; }

# Can the rustc on PATH (rustup's, as a rule) build WASM as it is?
own_rust_builds_wasm() {
  rustc_is_recent rustc && compgen -G "$(wasm_libdir rustc)/libcore-*.rlib" >/dev/null
}

# Can Debian's rustc build WASM, with the standard library built from source along with the crate?
# The linker is asked for its version because it comes in a package of its own, behind a link that may dangle. An
# empty library folder has to exist as well: worker-build takes it for an installed target.
debian_rust_builds_wasm() {
  rustc_is_recent /usr/bin/rustc &&
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/cargo-clippy ] &&
    [ -e "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.toml" ] &&
    rust-lld -flavor wasm --version >/dev/null 2>&1 &&
    [ -d "$(wasm_libdir /usr/bin/rustc)" ]
}

# Which Rust builds WASM here: "own", "debian" or "none".
wasm_rust() {
  if own_rust_builds_wasm; then echo own; elif debian_rust_builds_wasm; then echo debian; else echo none; fi
}

random_hex() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# Takes a target folder, native or wasm, until the script ends. Checkouts share these folders, so that the crates we
# depend on are compiled once. Of our own crate cargo compares only file times, not which checkout a file is in: it
# would take another's newer build for ours. So whoever comes after another checkout makes cargo forget the crate.
# A script that needs both folders takes native first.
claim() {
  local folder=$targets/$1 ours
  mkdir -p "$folder" build
  if command -v flock >/dev/null; then
    exec {lock}>"$folder/.lock"
    flock --nonblock "$lock" || { say "waiting for another build" && flock "$lock"; }
  fi
  # The path is not enough: a checkout may be replaced by another at the same place.
  [ -s build/.checkout ] || name_checkout
  ours="$(cat build/.checkout) $root"
  if [ "$(cat "$folder/.checkout" 2>/dev/null)" != "$ours" ]; then
    find "$folder" -maxdepth 5 \( -path '*/.fingerprint/tollgate-*' -o -path '*/build/tollgate' \) \
      -prune -exec rm -rf {} +
    echo "$ours" >"$folder/.checkout"
  fi
}

# Two scripts may come first at the same time: one of them names it.
name_checkout() {
  random_hex >build/.checkout.$$
  ln build/.checkout.$$ build/.checkout 2>/dev/null || true
  rm -f build/.checkout.$$
}

# Runs a command that builds natively.
native() { CARGO_TARGET_DIR=$targets/native "$@"; }

# Runs a command that builds WASM. No flag names this checkout: that would compile the shared crates anew.
wasm() (
  export CARGO_TARGET_DIR=$targets/wasm
  # worker-build sets it for the crate's macros. Setting it always makes a plain `cargo build` build the same.
  export WASM_BINDGEN_USE_JS_SYS=1
  # Panic messages hold source paths: without this, the builder's home folder would be deployed.
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src="
  # worker-build downloads what these do not name.
  export WASM_BINDGEN_BIN=$bin/wasm-bindgen
  export WASM_OPT_BIN=${WASM_OPT_BIN:-$root/node_modules/.bin/wasm-opt}
  export ESBUILD_BIN=$root/node_modules/.bin/esbuild
  if [ "$(wasm_rust)" = debian ]; then
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort
    PATH=/usr/bin:$PATH
  fi
  # Its `node` is the one that package.json asks for.
  export PATH=$root/node_modules/.bin:$PATH
  "$@"
)
