"""Tokens of other issuers (JWT, OIDC): read, verified by the issuers' public keys, and turned into callers."""
