-- Schema 4: whether an api key's questions may be answered by likeness.
-- All keys that are here begin without it. A version before this one may run on beside it, and leaves the column alone.

ALTER TABLE api_keys ADD COLUMN semantic_cache INTEGER NOT NULL DEFAULT 0;
