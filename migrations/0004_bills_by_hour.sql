-- Bills over all accounts, and the pruning of old hours, look for units by the hour, too.
CREATE INDEX usage_units_by_hour ON usage_units (hour);
