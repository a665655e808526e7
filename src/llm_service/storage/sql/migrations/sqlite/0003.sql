-- Schema 3: what the response cache did for a request.
-- Nothing is reckoned anew, and no table is written again: the columns begin with what is true of all that is here. No
-- version before had a cache, so each of its records says "bypass", has no key, and saved nothing; so do its sums. Such a
-- version may run on beside this one: what it adds says the same.

ALTER TABLE ledger ADD COLUMN cache_key TEXT;
ALTER TABLE ledger ADD COLUMN saved_nano_usd BIGINT NOT NULL DEFAULT 0;

-- "same" covers the cache's status from now on. A row from before is not added to any more, but by a version before: the
-- hour and the day of the change may have two rows of one group, and whoever sums adds them up.
ALTER TABLE rollups ADD COLUMN cache TEXT NOT NULL DEFAULT 'bypass';
ALTER TABLE rollups ADD COLUMN saved_nano_usd BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tag_rollups ADD COLUMN cache TEXT NOT NULL DEFAULT 'bypass';
ALTER TABLE tag_rollups ADD COLUMN saved_nano_usd BIGINT NOT NULL DEFAULT 0;
