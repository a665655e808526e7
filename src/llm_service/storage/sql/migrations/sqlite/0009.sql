-- Schema 9: records of a key, of a user and of an upstream's id are found piece by piece of the ledger.
-- Ids are random, and so may be the keys and users of a batch: of an index over all of time, a batch changes as many pages
-- as it has rows, and each is written whole. Here it changes the pages of its own piece of 1,024 marks alone.
-- A version before this one may run on beside it; it finds the same, by looking at all records.

DROP INDEX ledger_by_key;
DROP INDEX ledger_by_user;
DROP INDEX ledger_by_upstream_id;
CREATE INDEX ledger_pieces_by_key ON ledger ((mark / 1024), key_id);
CREATE INDEX ledger_pieces_by_user ON ledger ((mark / 1024), user_name) WHERE user_name IS NOT NULL;
CREATE INDEX ledger_pieces_by_upstream_id ON ledger ((mark / 1024), upstream_id) WHERE upstream_id IS NOT NULL;
