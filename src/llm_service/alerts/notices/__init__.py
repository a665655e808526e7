"""Deliveries of notices: what is said, through which channel, and how often it is tried."""
