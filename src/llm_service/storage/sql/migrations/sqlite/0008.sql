-- Schema 8: what operators did, and what they were refused: who, what, to what, from where, and what came of it.
-- All of it is new. A version before this one may run on beside it: what is done through it is in its log alone.

-- Rows are added, and removed when they have been kept long enough; none is ever changed.
INSERT INTO marks (name, newest) VALUES ('audit', 0);
CREATE TABLE audit (
    mark BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    door TEXT NOT NULL,
    act TEXT NOT NULL,
    subject TEXT,
    outcome TEXT NOT NULL,
    error_code TEXT,
    key_id TEXT,
    key_name TEXT,
    peer TEXT,
    request_id TEXT,
    fields TEXT NOT NULL,
    times BIGINT NOT NULL
);
CREATE INDEX audit_by_at ON audit (at);
CREATE INDEX audit_by_act ON audit (act, mark);
CREATE INDEX audit_by_key ON audit (key_id, mark);
CREATE INDEX audit_by_subject ON audit (subject, mark);
