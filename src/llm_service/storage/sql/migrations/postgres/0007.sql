-- Schema 7: what filters found in a request and its answer: which filter, what kind of thing, how often; never the text.
-- No version before had filters. Such a version may run on beside this one: what it adds says the same.

ALTER TABLE ledger ADD COLUMN verdicts TEXT;
