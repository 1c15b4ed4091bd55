-- Usage by the hour. A row holds the absolute totals that one life (incarnation) of an account's object counted for
-- one endpoint in one hour; an object whose storage was deleted starts a new life, so its rows never overwrite older
-- ones. Money is text: a JavaScript number would lose digits.
CREATE TABLE usage (
  account     TEXT NOT NULL,
  endpoint    TEXT NOT NULL,
  hour        INTEGER NOT NULL,           -- Unix seconds at which the hour starts
  incarnation TEXT NOT NULL,
  calls       INTEGER NOT NULL,           -- requests that were admitted
  payments    INTEGER NOT NULL,           -- payments that were credited
  paid        TEXT NOT NULL,              -- what was paid, in atomic units
  PRIMARY KEY (account, hour, endpoint, incarnation)
) WITHOUT ROWID;

-- Units of those requests beside the requests themselves, such as the tokens of a model: totals in millionths.
CREATE TABLE usage_units (
  account     TEXT NOT NULL,
  endpoint    TEXT NOT NULL,
  hour        INTEGER NOT NULL,
  incarnation TEXT NOT NULL,
  unit        TEXT NOT NULL,
  quantity    INTEGER NOT NULL,           -- millionths of a unit
  PRIMARY KEY (account, hour, endpoint, incarnation, unit)
) WITHOUT ROWID;

CREATE INDEX usage_by_hour ON usage (hour);

-- Payments whose settlement began.
CREATE TABLE payments (
  id               TEXT PRIMARY KEY,
  account          TEXT NOT NULL,
  endpoint         TEXT NOT NULL,
  state            TEXT NOT NULL,         -- unknown, settled, credited, held
  method           TEXT NOT NULL,         -- x402
  network          TEXT NOT NULL,         -- CAIP-2
  asset            TEXT NOT NULL,
  payer            TEXT NOT NULL,
  recipient        TEXT NOT NULL,
  amount           TEXT NOT NULL,         -- atomic units
  nonce            TEXT NOT NULL,
  transaction_hash TEXT NOT NULL,         -- empty until known
  confirmed        INTEGER NOT NULL,      -- 1 when a transaction was named for it
  receipt          TEXT NOT NULL,
  presented_at     TEXT NOT NULL,         -- RFC 3339
  updated_at       TEXT NOT NULL          -- RFC 3339
) WITHOUT ROWID;

CREATE INDEX payments_by_account ON payments (account, presented_at);
CREATE INDEX payments_by_state ON payments (state, updated_at);
