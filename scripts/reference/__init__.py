"""The pages of docs/reference: what the code offers, as the code itself tells it."""
