#!/usr/bin/env bash
# Builds the command-line tool into build/tollgate.
#
#   scripts/tool.sh [--quick]     --quick: as the tests build it, of which most is compiled already; it runs slower
. "$(dirname "$0")/env.sh"

profile=tool
folder=tool
if [ "${1-}" = --quick ]; then
  profile=dev
  folder=debug
fi

claim native
say "cargo build --bin tollgate --features cli (profile $profile)"
native cargo build --bin tollgate --no-default-features --features cli --profile "$profile"
# Anew, for a tool that runs cannot be written to.
rm -f build/tollgate
cp "$targets/native/$folder/tollgate" build/tollgate
say "build/tollgate: $(($(wc -c <build/tollgate))) bytes, $(build/tollgate --version)"
