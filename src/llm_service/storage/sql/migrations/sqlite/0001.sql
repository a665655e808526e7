-- Schema 1: api keys, the ledger with its rollups and seals, facts.
-- Moments are microseconds since 1970 (UTC), money is whole nano-USD.

CREATE TABLE schema_versions (
    version INTEGER PRIMARY KEY,
    program TEXT NOT NULL
);

-- The newest mark of each kind of change. Whoever changes something holds its row until the commit, so that marks are
-- in the order of commits.
CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    newest BIGINT NOT NULL
);
INSERT INTO marks (name, newest) VALUES ('keys', 1), ('ledger', 0);

CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    user_name TEXT,
    models TEXT,
    requests_per_minute BIGINT,
    tokens_per_minute BIGINT,
    concurrent_requests BIGINT,
    budget_nano_usd BIGINT,
    budget_period TEXT NOT NULL,
    tags TEXT NOT NULL,
    on_disconnect TEXT,
    expires_at BIGINT,
    revoked_at BIGINT,
    version BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX api_keys_by_change ON api_keys (changed);

CREATE TABLE key_secrets (
    prefix TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    hash TEXT NOT NULL,
    hash_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX key_secrets_by_key ON key_secrets (key_id);

CREATE TABLE ledger (
    mark INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    writer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    stream_id TEXT,
    at BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    user_name TEXT,
    tags TEXT NOT NULL,
    surface TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT,
    upstream_model TEXT,
    upstream_id TEXT,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    nano_usd BIGINT NOT NULL,
    cost_source TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code TEXT,
    cache TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    queue_ms DOUBLE PRECISION,
    first_chunk_ms DOUBLE PRECISION,
    duration_ms DOUBLE PRECISION,
    overhead_ms DOUBLE PRECISION,
    price_date TEXT,
    adjusts TEXT,
    UNIQUE (writer, seq)
);
-- Lists are read newest first, by mark; sums come from the rollups, but for the edges of a period: those by moment.
CREATE INDEX ledger_by_at ON ledger (at);
CREATE INDEX ledger_by_key ON ledger (key_id, mark);
CREATE INDEX ledger_by_user ON ledger (user_name, mark) WHERE user_name IS NOT NULL;
CREATE INDEX ledger_by_model ON ledger (model, mark);
CREATE INDEX ledger_by_provider ON ledger (provider, mark) WHERE provider IS NOT NULL;
CREATE INDEX ledger_by_upstream_id ON ledger (upstream_id) WHERE upstream_id IS NOT NULL;
CREATE INDEX ledger_by_adjusted ON ledger (adjusts) WHERE adjusts IS NOT NULL;
CREATE INDEX ledger_estimates ON ledger (provider, mark) WHERE cost_source IN ('estimate', 'none');

CREATE TABLE ledger_tags (
    mark BIGINT NOT NULL,
    tag_name TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (mark, tag_name)
);
CREATE INDEX ledger_tags_by_tag ON ledger_tags (tag_name, tag_value, mark);

-- Sums over the records of an hour or a day ("span", in microseconds) that agree in everything reports group by.
-- "same" is a hash of these: they may be absent, and long.
CREATE TABLE rollups (
    span BIGINT NOT NULL,
    start BIGINT NOT NULL,
    same TEXT NOT NULL,
    key_id TEXT NOT NULL,
    user_name TEXT,
    model TEXT NOT NULL,
    provider TEXT,
    surface TEXT NOT NULL,
    status TEXT NOT NULL,
    tagged INTEGER NOT NULL,
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    nano_usd BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    PRIMARY KEY (span, start, same)
);

-- The same for each tag of a record.
CREATE TABLE tag_rollups (
    span BIGINT NOT NULL,
    start BIGINT NOT NULL,
    same TEXT NOT NULL,
    tag_name TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    key_id TEXT NOT NULL,
    user_name TEXT,
    model TEXT NOT NULL,
    provider TEXT,
    surface TEXT NOT NULL,
    status TEXT NOT NULL,
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    nano_usd BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    PRIMARY KEY (span, start, same)
);

-- What was spent in an hour or a day by each subject of a budget. Clustered by time: an append touches a page or two.
CREATE TABLE spendings (
    span BIGINT NOT NULL,
    start BIGINT NOT NULL,
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    nano_usd BIGINT NOT NULL,
    PRIMARY KEY (span, start, scope, subject)
) WITHOUT ROWID;

CREATE TABLE seals (
    writer TEXT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    sealed_at BIGINT NOT NULL,
    removed INTEGER NOT NULL,
    PRIMARY KEY (writer, first_seq)
);
