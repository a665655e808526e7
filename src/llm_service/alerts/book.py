"""Everything that is known of alerts at one moment: those that there are, and who was told what; as JSON and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from llm_service.alerts.alert import Alert, Key
from llm_service.alerts.telling import Group, Told


@dataclass(slots=True)
class Book:
    """What one evaluator hands on to the next. ``looked_at``: when the rules were last looked at."""

    alerts: dict[Key, Alert] = field(default_factory=dict)
    told: dict[Group, Told] = field(default_factory=dict)
    looked_at: datetime | None = None


def book_text(book: Book) -> str:
    """As it is kept."""
    told = [{"notifier": place[0], "group": place[1], **_told_row(one)} for place, one in book.told.items()]
    alerts = [_alert_row(alert) for alert in book.alerts.values()]
    return orjson.dumps({"looked_at": _time(book.looked_at), "alerts": alerts, "told": told}).decode()


def read_book(text: str | None) -> Book:
    """Nothing, where nothing was kept. Raises ValueError for what is no book."""
    if text is None:
        return Book()
    try:
        kept: dict[str, Any] = orjson.loads(text)
        alerts = [_alert(row) for row in kept["alerts"]]
        return Book(
            alerts={alert.key: alert for alert in alerts},
            told={(row["notifier"], row["group"]): _told(row) for row in kept["told"]},
            looked_at=_moment(kept["looked_at"]),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("no state of alerts") from error


def _alert_row(alert: Alert) -> dict[str, Any]:
    return {
        "rule": alert.rule,
        "labels": dict(alert.labels),
        "severity": alert.severity,
        "state": alert.state,
        "since": _time(alert.since),
        "held_at": _time(alert.held_at),
        "fired_at": _time(alert.fired_at),
        "resolved_at": _time(alert.resolved_at),
        "value": alert.value,
        "summary": alert.summary,
        "notify": alert.notify,
    }


def _alert(row: Mapping[str, Any]) -> Alert:
    since = _moment(row["since"])
    held_at = _moment(row["held_at"])
    if since is None or held_at is None:
        raise TypeError("an alert has a beginning")
    return Alert(
        rule=row["rule"],
        labels=row["labels"],
        severity=row["severity"],
        state=row["state"],
        since=since,
        held_at=held_at,
        fired_at=_moment(row["fired_at"]),
        resolved_at=_moment(row["resolved_at"]),
        value=row["value"],
        summary=row["summary"],
        notify=tuple(row["notify"]),
    )


def _told_row(told: Told) -> dict[str, Any]:
    firing = sorted([rule, [list(pair) for pair in labels]] for rule, labels in told.firing)
    return {"at": _time(told.at), "failed_at": _time(told.failed_at), "firing": firing}


def _told(row: Mapping[str, Any]) -> Told:
    at = _moment(row["at"])
    if at is None:
        raise TypeError("a notice has a moment")
    firing = frozenset((rule, tuple((name, value) for name, value in labels)) for rule, labels in row["firing"])
    return Told(at=at, firing=firing, failed_at=_moment(row["failed_at"]))


def _time(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _moment(time: float | None) -> datetime | None:
    return None if time is None else datetime.fromtimestamp(time, UTC)
