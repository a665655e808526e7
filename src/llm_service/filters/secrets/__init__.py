"""Keys, tokens and passwords in a text."""

from llm_service.filters.secrets.detector import SecretDetector, secret_detector

__all__ = ["SecretDetector", "secret_detector"]
