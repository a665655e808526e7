"""The wire of each simulated provider."""
