#!/usr/bin/env bash
# The worker in a local workerd, rebuilt whenever src/ changes. Arguments go to `wrangler dev`.
. "$(dirname "$0")/env.sh"

wrangler=(node_modules/.bin/node node_modules/.bin/wrangler)

# Local secrets, made once. They sign nothing that anybody else trusts.
make_secrets() {
  if [ -e .dev.vars ]; then return; fi
  say "writing .dev.vars with new random secrets"
  (
    umask 077
    for name in RECEIPT_SIGNING_KEY SESSION_KEY ADMIN_TOKEN; do
      printf '%s="%s"\n' "$name" "$(random_hex)"
    done >.dev.vars
  )
}

make_secrets
if compgen -G 'migrations/*.sql' >/dev/null; then
  say "applying migrations/ to the local database"
  # CI=1: do not ask.
  CI=1 "${wrangler[@]}" d1 migrations apply LEDGER --local
fi
exec "${wrangler[@]}" dev "$@"
