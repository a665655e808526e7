"""Rules that watch the service's own figures, and the notices of them."""

from llm_service.alerts.alert import Alert
from llm_service.alerts.book import Book, read_book
from llm_service.alerts.entry import Event, read_entry
from llm_service.alerts.handover import Handover
from llm_service.alerts.notice import Firing, Notice, NoticeFailed, Notifier
from llm_service.alerts.notices import (
    NoticeOutcome,
    NotifierOptions,
    Notifiers,
    Told,
    build_notifiers,
    problems,
)
from llm_service.alerts.options import AlertingOptions, AlertOptions, BurnOptions
from llm_service.alerts.rule import DEFAULT_RULES, KINDS, Rule, rule_problems, rules_of, terms_of
from llm_service.alerts.silence import Matcher, Silence, read_silence, silence_text, silenced_by
from llm_service.alerts.telling import Telling
from llm_service.alerts.watch import Watch, WatchParts

__all__ = [
    "DEFAULT_RULES",
    "KINDS",
    "Alert",
    "AlertOptions",
    "AlertingOptions",
    "Book",
    "BurnOptions",
    "Event",
    "Firing",
    "Handover",
    "Matcher",
    "Notice",
    "NoticeFailed",
    "NoticeOutcome",
    "Notifier",
    "NotifierOptions",
    "Notifiers",
    "Rule",
    "Silence",
    "Telling",
    "Told",
    "Watch",
    "WatchParts",
    "build_notifiers",
    "problems",
    "read_book",
    "read_entry",
    "read_silence",
    "rule_problems",
    "rules_of",
    "silence_text",
    "silenced_by",
    "terms_of",
]
