-- Payment channels of MPP sessions: what the payee needs to redeem them, as of the last minute.

CREATE TABLE channels (
  id               TEXT PRIMARY KEY,      -- the channel's id, 0x and 64 digits
  chain_id         INTEGER NOT NULL,
  escrow           TEXT NOT NULL,         -- the contract that holds the deposit
  payer            TEXT NOT NULL,
  deposit          TEXT NOT NULL,         -- atomic units
  accepted         TEXT NOT NULL,         -- of the highest voucher, in all
  spent            TEXT NOT NULL,         -- of it
  signature        TEXT NOT NULL,         -- of that voucher
  closed           INTEGER NOT NULL,
  updated_at       INTEGER NOT NULL       -- Unix milliseconds
);
