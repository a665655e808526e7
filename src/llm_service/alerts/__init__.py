"""Rules that watch the service's own figures, and the notices of them."""

from llm_service.alerts.notice import Firing, Notice, NoticeFailed, Notifier
from llm_service.alerts.notices import (
    NoticeOutcome,
    NotifierOptions,
    Notifiers,
    Told,
    build_notifiers,
    problems,
)

__all__ = [
    "Firing",
    "Notice",
    "NoticeFailed",
    "NoticeOutcome",
    "Notifier",
    "NotifierOptions",
    "Notifiers",
    "Told",
    "build_notifiers",
    "problems",
]
