-- What an owner sets while the gate runs. The request path never reads these tables: plans are published to an object
-- (and each gate remembers them), keys and an account's plan are kept in the account's own object.

-- One row for each change of the plans, so that of two writers who saw the same version only one succeeds.
CREATE TABLE plan_versions (
  version      INTEGER PRIMARY KEY,
  change       TEXT NOT NULL UNIQUE,      -- random: tells whose change made this version
  default_plan TEXT,                      -- in place of the setting default_plan, from this version on
  changed_at   TEXT NOT NULL              -- RFC 3339
);

-- Plans, in place of those of the same name in PLANS.
CREATE TABLE plans (
  name     TEXT PRIMARY KEY,
  document TEXT,                          -- the plan as JSON; NULL takes away the one in PLANS
  version  INTEGER NOT NULL               -- in which it was last changed
) WITHOUT ROWID;

-- Accounts that the owner gave a plan or a key.
CREATE TABLE accounts (
  id         TEXT PRIMARY KEY,            -- key:…, wallet:0x…, session:…, ip:…
  plan       TEXT,                        -- NULL: the default
  created_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX accounts_by_plan ON accounts (plan) WHERE plan IS NOT NULL;

CREATE TABLE keys (
  id           TEXT PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE,      -- SHA-256 of the key, hex
  account      TEXT NOT NULL,
  label        TEXT NOT NULL,
  scopes       TEXT NOT NULL,             -- JSON list
  created_at   TEXT NOT NULL,
  revoked_at   TEXT,
  last_used_at TEXT                       -- to the minute, some time after
) WITHOUT ROWID;

CREATE INDEX keys_by_account ON keys (account);
CREATE INDEX keys_by_time ON keys (created_at, id);

-- Who changed what, when.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      TEXT NOT NULL,
  who     TEXT NOT NULL,                  -- admin: and the first digits of the token's SHA-256
  what    TEXT NOT NULL,                  -- such as plans.put, key.create
  subject TEXT NOT NULL,                  -- the plan, key, account or payment
  detail  TEXT NOT NULL                   -- JSON
);
