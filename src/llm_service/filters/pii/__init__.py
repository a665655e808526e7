"""Personal data in texts: found by their writing, believed by their check digits or by the word before them."""

from llm_service.filters.pii.detector import PiiDetector, pii_detector

__all__ = ["PiiDetector", "pii_detector"]
