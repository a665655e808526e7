-- Schema 5: what the attempts of a request were, and what those cost that were not its answer.
-- No version before kept that, so the records that are here know nothing of it, and wasted nothing as far as they know.
-- Such a version may run on beside this one: what it adds says the same.

ALTER TABLE ledger ADD COLUMN tries TEXT;
ALTER TABLE ledger ADD COLUMN wasted_nano_usd BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollups ADD COLUMN wasted_nano_usd BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tag_rollups ADD COLUMN wasted_nano_usd BIGINT NOT NULL DEFAULT 0;
