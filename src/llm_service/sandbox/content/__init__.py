"""What the simulated models say: deterministic texts, tool calls, JSON values and vectors."""
