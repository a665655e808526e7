-- Schema 6: alerts: who evaluates them, what fires, what happened, what is silenced; and samples of all machines' figures.
-- All of it is new. A version before this one may run on beside it: it evaluates nothing.

-- One row. Whoever has taken it evaluates until then, and renews it; "state" is that process's to write.
CREATE TABLE alert_lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT
);
INSERT INTO alert_lease (name, holder, until, version) VALUES ('evaluator', '', 0, 0);

INSERT INTO marks (name, newest) VALUES ('alerts', 0);
CREATE TABLE alert_entries (
    mark BIGINT PRIMARY KEY,
    rule TEXT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX alert_entries_by_rule ON alert_entries (rule, mark);
CREATE INDEX alert_entries_by_at ON alert_entries (at);

CREATE TABLE alert_silences (
    id TEXT PRIMARY KEY,
    until BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE samples (
    machine TEXT NOT NULL,
    at BIGINT NOT NULL,
    lasting INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (machine, at)
);
CREATE INDEX samples_by_at ON samples (at);
