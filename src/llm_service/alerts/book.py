"""Everything that is known of alerts at one moment: those that there are, and who was told what; as JSON and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from llm_service.alerts.alert import Alert, Key, resolved
from llm_service.alerts.telling import Group, Told


@dataclass(slots=True)
class Book:
    """What one evaluator hands on to the next. ``looked_at``: when the rules were last looked at."""

    alerts: dict[Key, Alert] = field(default_factory=dict)
    told: dict[Group, Told] = field(default_factory=dict)
    looked_at: datetime | None = None


def joined(theirs: Book, ours: Book) -> Book:
    """What the deployment knows, and what one process alone came to know: who has looked last knows better."""
    older, newer = (theirs, ours) if _looked_after(ours, theirs) else (ours, theirs)
    return Book(
        alerts={**older.alerts, **newer.alerts},
        told={**older.told, **newer.told},
        looked_at=newer.looked_at,
    )


def _looked_after(one: Book, other: Book) -> bool:
    return one.looked_at is not None and (other.looked_at is None or one.looked_at > other.looked_at)


def told_alone(ours: Book, theirs: Book, now: datetime) -> Book:
    """What one process has told of and the deployment does not know of, as over."""
    firing = {key for key, alert in theirs.alerts.items() if alert.state == "firing"}
    told = {place: replace(one, firing=one.firing - firing) for place, one in ours.told.items()}
    keys = frozenset[Key]().union(*(one.firing for one in told.values()))
    return Book(
        alerts={
            key: alert if alert.state == "resolved" else resolved(alert, now)
            for key, alert in ours.alerts.items()
            if key in keys
        },
        told={place: one for place, one in told.items() if one.firing},
    )


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
        "former": None if alert.former is None else _alert_row(alert.former),
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
        former=None if row.get("former") is None else _alert(row["former"]),
    )


def _told_row(told: Told) -> dict[str, Any]:
    firing = sorted([rule, [list(pair) for pair in labels]] for rule, labels in told.firing)
    return {"at": _time(told.at), "failed_at": _time(told.failed_at), "firing": firing, "instance": told.instance}


def _told(row: Mapping[str, Any]) -> Told:
    at = _moment(row["at"])
    if at is None:
        raise TypeError("a notice has a moment")
    firing = frozenset((rule, tuple((name, value) for name, value in labels)) for rule, labels in row["firing"])
    instance = row.get("instance", "")
    return Told(at=at, firing=firing, failed_at=_moment(row["failed_at"]), instance=instance)


def _time(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _moment(time: float | None) -> datetime | None:
    return None if time is None else datetime.fromtimestamp(time, UTC)
