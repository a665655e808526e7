"""What a notice says to people, in plain text that every channel shares."""

import re
from datetime import UTC, datetime
from typing import Final

from llm_service.alerts.notice import Firing, Notice

TITLE_CHARS: Final = 150
LINE_CHARS: Final = 250
"""Two such lines, each character escaped, fit into a block of Slack's: 3000 characters."""
_UNSHOWN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
"""Control characters, line ends, turns of direction, lone surrogates: a label may come from a client."""


def title(notice: Notice) -> str:
    """One line: ``[FIRING:2] provider_down (critical) on gateway-1``; what counts are the alerts that fire."""
    firing = sum(alert.resolved_at is None for alert in notice.alerts)
    count = firing if notice.status == "firing" else len(notice.alerts)
    rules = list(dict.fromkeys(alert.rule for alert in notice.alerts)) or [notice.group]
    named = rules[0] if len(rules) == 1 else f"{rules[0]} and {len(rules) - 1} more"
    text = f"[{notice.status.upper()}:{count}] {named} ({notice.severity}) on {notice.instance}"
    return one_line(text, most=TITLE_CHARS)


def rule_of(alert: Firing) -> str:
    """The rule's name, in one line."""
    return one_line(alert.rule, most=TITLE_CHARS)


def summary_of(alert: Firing) -> str:
    """The alert's own words, or its rule where it has none."""
    return one_line(alert.summary or alert.rule, most=LINE_CHARS)


def labels_of(alert: Firing) -> str:
    """``provider=deepseek, model=chat``; nothing for an alert without labels."""
    return one_line(", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items())), most=LINE_CHARS)


def times_of(alert: Firing) -> str:
    """Since when it fires, or from when to when it did."""
    if alert.resolved_at is None:
        return f"since {moment(alert.since)}"
    return f"{moment(alert.since)} to {moment(alert.resolved_at)}"


def state_of(alert: Firing) -> str:
    """``firing`` or ``resolved``."""
    return "firing" if alert.resolved_at is None else "resolved"


def moment(at: datetime) -> str:
    """To the second, UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def one_line(text: str, *, most: int) -> str:
    """The text without what would break or bend a line, at most so many characters long."""
    shown = _UNSHOWN.sub(" ", text).strip()
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


__all__ = ["labels_of", "moment", "one_line", "rule_of", "state_of", "summary_of", "times_of", "title"]
