-- Schema 9: records of a key, and of an upstream's id, are found piece by piece of the ledger.
-- Ids are random, and so may be the keys of a batch: an index over all of time has as many of its pages changed by a batch
-- as that has rows, and each is written whole. Here a batch changes the pages of its own piece of 1,024 marks alone.
-- A version before this one may run on beside it; it finds the same, by looking at all records.

DROP INDEX ledger_by_key;
DROP INDEX ledger_by_upstream_id;
CREATE INDEX ledger_pieces_by_key ON ledger ((mark / 1024), key_id, mark);
CREATE INDEX ledger_pieces_by_upstream_id ON ledger ((mark / 1024), upstream_id) WHERE upstream_id IS NOT NULL;
