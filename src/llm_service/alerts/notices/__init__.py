"""Deliveries of notices: what is said, through which channel, and how often it is tried."""

from llm_service.alerts.notices.build import Notifiers, build_notifiers
from llm_service.alerts.notices.options import NotifierOptions, Problem, problems
from llm_service.alerts.notices.retry import NoticeOutcome, Told

__all__ = ["NoticeOutcome", "NotifierOptions", "Notifiers", "Problem", "Told", "build_notifiers", "problems"]
