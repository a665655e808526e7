"""Attempts to make a model follow other instructions than those of who runs it: a score, by what they look like."""

from llm_service.filters.injection.detector import InjectionDetector, injection_detector

__all__ = ["InjectionDetector", "injection_detector"]
