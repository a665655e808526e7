-- Schema 2: answers under their idempotency keys.

-- "id" is a hash of whose key it is and the key, "fingerprint" one of what was asked. Without an answer the request is
-- still running, in the process "holder".
CREATE TABLE replays (
    id BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    request_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    answer BLOB
);
CREATE INDEX replays_by_expiry ON replays (expires_at);
