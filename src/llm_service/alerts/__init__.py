"""Rules that watch the service's own figures, and the notices of them."""

from llm_service.alerts.notice import Firing, Notice, NoticeFailed, Notifier

__all__ = ["Firing", "Notice", "NoticeFailed", "Notifier"]
