#!/usr/bin/env bash
# Brings what the other targets need and is not there yet; says nothing where nothing is missing.
#
#   scripts/setup.sh [rust] [wasm] [worker] [deny] [npm] [python] [browser]     no argument: all of them
#
# Tools go to the cache folder, packages to node_modules. Only three things may have to be installed on the machine: the Rust
# that builds WASM, by rustup or, where rustup cannot download, from Debian's packages; and, from those, Python with its venv
# and a browser.
. "$(dirname "$0")/env.sh"

# Its presence says that rustup was tried on this machine and could not download.
no_rustup=$cache/rustup-cannot-download

# What has to be there before: this project does not install languages.
setup_rust() {
  command -v cargo >/dev/null || die "cargo not found; install Rust from https://rustup.rs"
  rustc_is_recent rustc ||
    die "$(rustc --version) is too old for Cargo.toml's rust-version; try: rustup update stable"
}

setup_wasm() {
  case $(wasm_rust) in
    own) return ;;
    debian) if [ -e "$no_rustup" ]; then return; fi ;;
  esac
  add_target_with_rustup || use_debian
}

add_target_with_rustup() {
  command -v rustup >/dev/null || return 1
  say "rustup target add $wasm_target"
  RUST_BACKTRACE=0 within 300 rustup target add "$wasm_target" && own_rust_builds_wasm
}

use_debian() {
  if ! debian_rust_builds_wasm; then
    say "rustup cannot download here: installing Debian's rustc-web, which builds the standard library from source"
    install_debian_packages
    as_root mkdir -p "$(wasm_libdir /usr/bin/rustc)"
  fi
  debian_rust_builds_wasm || die "Debian's rustc-web is installed, but cannot build for $wasm_target"
  mkdir -p "$cache"
  touch "$no_rustup"
}

install_debian_packages() {
  command -v apt-get >/dev/null ||
    die "no Rust that builds $wasm_target: 'rustup target add $wasm_target' failed, and this is not Debian"
  as_root apt-get update -q
  install_packages rustc-web cargo-web rust-web-src rust-web-llvm rust-web-clippy
  # rust-lld is a link to the lld of the same LLVM, which that package only recommends.
  command -v rust-lld >/dev/null || install_packages "$(basename "$(readlink /usr/bin/rust-lld)")"
}

# rustc-web conflicts with Debian's plain rustc. Which of them stays is for the machine's owner to say.
install_packages() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-remove --no-install-recommends "$@"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this has to be run by root: $*"
  fi
}

# A blocked network may answer nothing at all.
within() {
  if command -v timeout >/dev/null; then timeout "$@"; else shift && "$@"; fi
}

# worker-build is released with the crate worker, under the same version; wasm-bindgen's must be the crate's.
setup_worker() {
  tool worker-build worker-build "$(locked_version worker)" 5
  tool wasm-bindgen-cli wasm-bindgen "$(locked_version wasm-bindgen)" 3
}

setup_deny() { tool cargo-deny cargo-deny 0.20.2 3; }

# tool CRATE PROGRAM VERSION MINUTES
tool() {
  if [ "$("$bin/$2" --version 2>/dev/null | awk '{ print $NF }')" = "$3" ]; then return; fi
  say "building $1 $3 (about $4 minutes)"
  # They run for seconds: what counts is that they are built soon. Not --locked: wasm-bindgen-cli's lock file names a
  # version that was withdrawn.
  CARGO_TARGET_DIR=$targets/tools \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo install --root "$cache/cargo" "$1" --version "=$3"
}

setup_npm() {
  if cmp -s package-lock.json node_modules/.installed-lock.json; then return; fi
  command -v npm >/dev/null || die "npm not found; install Node.js 20 or newer"
  say "npm ci (about a minute)"
  npm ci --no-audit --no-fund --prefer-offline --loglevel=error
  # Last, so that an installation that was cut off is done again.
  cp package-lock.json node_modules/.installed-lock.json
}

# schemathesis, which tests what the worker answers against its own description.
setup_python() {
  local wanted=tests/e2e/conformance/requirements.txt venv=$cache/python
  if cmp -s "$wanted" "$venv/.installed.txt"; then return; fi
  if ! python_makes_venv; then
    command -v apt-get >/dev/null || die "Python 3.10 or newer with its module venv not found; install it"
    say "installing Debian's python3-venv"
    as_root apt-get update -q
    install_packages python3 python3-venv
    python_makes_venv || die "$(python3 --version) makes no virtual environment, or is older than 3.10"
  fi
  say "installing schemathesis (some seconds)"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  # Last, so that an installation that was cut off is done again.
  cp "$wanted" "$venv/.installed.txt"
}

python_makes_venv() {
  python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# What shows the gate's pages in the tests. tests/e2e/rig/browser.ts looks for the same names.
setup_browser() {
  if browser_is_there; then return; fi
  command -v apt-get >/dev/null || die "no chromium, chromium-browser or google-chrome on PATH; install one"
  say "installing Debian's chromium"
  as_root apt-get update -q
  install_packages chromium chromium-sandbox
  browser_is_there || die "Debian's chromium is installed, and not on PATH"
}

browser_is_there() { command -v chromium chromium-browser google-chrome >/dev/null; }

if [ $# = 0 ]; then
  set -- rust wasm npm worker deny python browser
  trap 'if [ $? = 0 ]; then say "ready"; fi' EXIT
fi
for part; do
  "setup_$part"
done
