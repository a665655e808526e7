"""Traces: what callers say of them, which are recorded, and the spans that are made of finished requests."""
