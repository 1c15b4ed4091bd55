#!/usr/bin/env bash
# The tests that need no workerd: the domain without the platform and the command-line tool, then the unit tests of the edge.
. "$(dirname "$0")/env.sh"

claim native

say "cargo test --no-default-features --features cli"
native cargo test --no-default-features --features cli

say "cargo test --lib"
native cargo test --lib
