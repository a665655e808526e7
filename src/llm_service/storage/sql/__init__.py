"""Keys, ledger, facts and answers under idempotency keys in plain SQL, on SQLite and on PostgreSQL."""
