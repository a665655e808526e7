"""What a process that serves is given: its stores, its log, its simulated providers, and what builds its graphs."""

from llm_service.premises.furnish import CANNOT_OPEN, Premises, furnish, log_file_of, read_again

__all__ = ["CANNOT_OPEN", "Premises", "furnish", "log_file_of", "read_again"]
