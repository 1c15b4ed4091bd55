#!/usr/bin/env bash
# Everything from a bare machine to the end-to-end tests, one stage after the other, and how long each took.
. "$(dirname "$0")/env.sh"

summary=

# stage TARGET: runs a target of the Makefile; the first that fails ends the run with its status.
stage() {
  local began=$SECONDS status=0
  say "make $1"
  make --no-print-directory "$1" || status=$?
  note "$1" $((SECONDS - began)) "$status"
  if [ "$status" != 0 ]; then
    finish "$status"
  fi
}

note() {
  local result=ok
  if [ "$3" != 0 ]; then result="FAILED ($3)"; fi
  summary+=$(printf '%-12s %5ds  %s' "$1" "$2" "$result")$'\n'
}

finish() {
  note total "$SECONDS" "$1"
  printf '\n%s' "$summary"
  exit "$1"
}

stage setup
stage build
stage check
stage test-native
stage test-e2e
finish 0
