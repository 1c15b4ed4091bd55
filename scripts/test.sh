#!/usr/bin/env bash
# Everything from a bare machine to the end-to-end tests, and how long each stage took. They follow each other, but for the
# checks: they run beside the build, which uses one processor for most of its time.
. "$(dirname "$0")/env.sh"

summary=
job=

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

# start TARGET: runs a target beside the next stages. One at a time.
start() {
  started=$SECONDS
  log=$(mktemp)
  make --no-print-directory "$1" >"$log" 2>&1 &
  job=$!
}

# join TARGET: waits for what was started, and shows what it printed.
join() {
  local status=0
  wait "$job" || status=$?
  job=
  say "make $1, since $((started))s"
  cat "$log"
  rm -f "$log"
  note "$1" $((SECONDS - started)) "$status"
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
  if [ -n "$job" ]; then kill "$job" 2>/dev/null || true; fi
  note total "$SECONDS" "$1"
  printf '\n%s' "$summary"
  exit "$1"
}

stage setup
start check
stage build
join check
stage test-native
stage test-e2e
finish 0
