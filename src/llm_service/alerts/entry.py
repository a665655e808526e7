"""What happened to an alert, as the history keeps it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from llm_service.alerts.alert import Alert
from llm_service.alerts.notice import Notice
from llm_service.domain import fact
from llm_service.storage import AlertEntry

Happening = Literal["firing", "resolved", "notified", "failed"]
SEVERAL: Final = "*"
"""In place of a rule: a notice of several."""


@fact
class Event:
    """``firing``, ``resolved``: an alert began to fire, was over; ``notified``, ``failed``: so was a notice.

    ``alerts``: the rules that a notice told of, each once. ``error``: why it could not be delivered.
    """

    happened: Happening
    rule: str
    at: datetime
    severity: str
    labels: Mapping[str, str]
    summary: str | None = None
    value: float | None = None
    notifier: str | None = None
    alerts: tuple[str, ...] = ()
    error: str | None = None
    mark: int = 0


def of_change(alert: Alert, at: datetime) -> Event:
    """An alert that began to fire, or is over."""
    return Event(
        happened="firing" if alert.state == "firing" else "resolved",
        rule=alert.rule,
        at=at,
        severity=alert.severity,
        labels=alert.labels,
        summary=alert.summary,
        value=alert.value,
    )


def of_notice(notice: Notice, notifier: str, at: datetime, *, error: str | None = None) -> Event:
    """A notice that was delivered, or was not."""
    rules = tuple(dict.fromkeys(one.rule for one in notice.alerts))
    return Event(
        happened="notified" if error is None else "failed",
        rule=rules[0] if len(rules) == 1 else SEVERAL,
        at=at,
        severity=notice.severity,
        labels={"group": notice.group, "status": notice.status},
        notifier=notifier,
        alerts=rules,
        error=error,
    )


def entry_of(event: Event) -> AlertEntry:
    """As the database keeps it."""
    body = {
        "happened": event.happened,
        "severity": event.severity,
        "labels": dict(event.labels),
        "summary": event.summary,
        "value": event.value,
        "notifier": event.notifier,
        "alerts": event.alerts,
        "error": event.error,
    }
    return AlertEntry(rule=event.rule, at=event.at, body=orjson.dumps(body).decode())


def read_entry(entry: AlertEntry) -> Event:
    """As it was kept."""
    body: dict[str, Any] = orjson.loads(entry.body)
    return Event(
        happened=body["happened"],
        rule=entry.rule,
        at=entry.at,
        severity=body["severity"],
        labels=body["labels"],
        summary=body["summary"],
        value=body["value"],
        notifier=body["notifier"],
        alerts=tuple(body["alerts"]),
        error=body["error"],
        mark=entry.mark,
    )
