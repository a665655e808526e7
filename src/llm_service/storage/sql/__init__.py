"""Keys, ledger and facts in plain SQL, on SQLite and on PostgreSQL."""
