-- What else is on a bill. A row is replaced by one of a higher revision only: revisions grow with every count of an
-- account's life, so that totals that arrive late or twice change nothing.
ALTER TABLE usage ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;         -- requests that were denied by a limit
ALTER TABLE usage ADD COLUMN overage_calls INTEGER NOT NULL DEFAULT 0;   -- requests of which some went beyond a quota
ALTER TABLE usage ADD COLUMN credits INTEGER NOT NULL DEFAULT 0;         -- prepaid credits spent, in millionths
ALTER TABLE usage ADD COLUMN owed TEXT NOT NULL DEFAULT '0';             -- promised and not yet paid, in atomic units
ALTER TABLE usage ADD COLUMN last_request INTEGER NOT NULL DEFAULT 0;    -- Unix milliseconds; 0: not known

-- What of a unit went beyond a quota. The unit `request` has a row here only for that: its quantity is `usage.calls`.
ALTER TABLE usage_units ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_units ADD COLUMN overage INTEGER NOT NULL DEFAULT 0;   -- millionths of a unit
ALTER TABLE usage_units ADD COLUMN charge TEXT NOT NULL DEFAULT '0';     -- what that costs, in atomic units
