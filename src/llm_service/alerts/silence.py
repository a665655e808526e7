"""Silences: alerts that nobody is told of for a while. They go on being looked at, shown and kept."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from llm_service.domain import fact

RULE: Final = "rule"
"""In matchers: the rule's name stands beside the labels."""
SEVERITY: Final = "severity"
Operator = Literal["=", "!="]


@fact
class Matcher:
    """One condition on the rule's name, the severity or a label; ``*`` in its value stands for any text.

    A label that an alert does not have is the empty text.
    """

    name: str
    value: str
    operator: Operator = "="

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether the condition is met."""
        return _is_like(labels.get(self.name, ""), self.value) == (self.operator == "=")


@fact
class Silence:
    """``matchers``: all must be met."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str

    def state(self, now: datetime) -> Literal["pending", "active", "expired"]:
        """Whether it begins yet, holds, or is over."""
        if now >= self.ends_at:
            return "expired"
        return "active" if now >= self.starts_at else "pending"

    def silences(self, rule: str, severity: str, labels: Mapping[str, str], now: datetime) -> bool:
        """Whether nobody is told of such an alert now."""
        known = {**labels, RULE: rule, SEVERITY: severity}
        return self.state(now) == "active" and all(matcher.fits(known) for matcher in self.matchers)


def _is_like(text: str, pattern: str) -> bool:
    """In one pass: what stands between two stars is taken where it comes first."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    if not text.startswith(first):
        return False
    at = len(first)
    for part in others[:-1]:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return text.endswith(others[-1]) and len(text) - len(others[-1]) >= at


def silence_text(silence: Silence) -> str:
    """As it is kept."""
    matchers = [[one.name, one.operator, one.value] for one in silence.matchers]
    body = {
        "id": silence.id,
        "matchers": matchers,
        "starts_at": silence.starts_at.timestamp(),
        "ends_at": silence.ends_at.timestamp(),
        "created_by": silence.created_by,
        "comment": silence.comment,
    }
    return orjson.dumps(body).decode()


def read_silence(text: str) -> Silence:
    """Raises ValueError for what is no silence."""
    try:
        told: dict[str, Any] = orjson.loads(text)
        return Silence(
            id=told["id"],
            matchers=tuple(
                Matcher(name=name, operator=operator, value=value) for name, operator, value in told["matchers"]
            ),
            starts_at=datetime.fromtimestamp(told["starts_at"], UTC),
            ends_at=datetime.fromtimestamp(told["ends_at"], UTC),
            created_by=told["created_by"],
            comment=told["comment"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError("no silence") from error


def silenced_by(
    silences: Sequence[Silence], *, rule: str, severity: str, labels: Mapping[str, str], now: datetime
) -> Sequence[str]:
    """The ids of the silences that hold for such an alert."""
    return [one.id for one in silences if one.silences(rule, severity, labels, now)]
