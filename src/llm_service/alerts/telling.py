"""Who is to be told what now: alerts of a group share a notice, and nobody is told twice of the same."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from llm_service.alerts.alert import Alert, Key
from llm_service.alerts.notice import Firing, Notice
from llm_service.alerts.options import AlertingOptions
from llm_service.alerts.silence import Silence, silenced_by
from llm_service.domain import fact

Group = tuple[str, str]
"""A notifier and what its group has in common."""
AGAIN_S: Final = 300.0
"""How long after a failure the same is tried again: by then a notifier has given up its own tries."""


@fact
class Told:
    """What a notifier knows of a group. ``failed_at``: it could not be reached then, and not since.

    ``instance``: who spoke. Whoever looks next goes on under that name: receivers know an alert by it.
    """

    at: datetime
    firing: frozenset[Key]
    failed_at: datetime | None = None
    instance: str = ""


@fact
class Due:
    """A notice to be delivered, and what its notifier knows afterwards."""

    notifier: str
    group: str
    notice: Notice
    firing: frozenset[Key]

    @property
    def place(self) -> Group:
        return self.notifier, self.group

    def told(self, at: datetime) -> Told:
        """What its notifier knows then."""
        return Told(at=at, firing=self.firing, instance=self.notice.instance)


class Telling:
    """Decides; it delivers nothing and keeps nothing."""

    def __init__(self, options: AlertingOptions, *, instance: str) -> None:
        self._options = options
        self._instance = instance

    def due(
        self, alerts: Sequence[Alert], told: Mapping[Group, Told], silences: Sequence[Silence], now: datetime
    ) -> Iterator[Due]:
        """Every notice that is to go out now. One that is on its way is not ``told`` yet: its caller holds it back."""
        groups: dict[Group, list[Alert]] = {}
        for alert in (one.former or one for one in alerts):
            if alert.state != "pending":
                for notifier in alert.notify:
                    groups.setdefault((notifier, self.group_of(alert)), []).append(alert)
        for place, members in groups.items():
            silenced = {one.key for one in members if _is_silenced(one, silences, now)}
            due = self._of_group(place, members, told.get(place), silenced, now)
            if due is not None:
                yield due

    def group_of(self, alert: Alert) -> str:
        """What the alerts of its group have in common."""
        by = self._options.group_by
        return f"{by}={alert.severity if by == 'severity' else alert.rule}"

    def _of_group(
        self, place: Group, members: Sequence[Alert], told: Told | None, silenced: set[Key], now: datetime
    ) -> Due | None:
        known = frozenset[Key]() if told is None else told.firing
        firing = [one for one in members if one.state == "firing" and one.key not in silenced]
        over = [one for one in members if one.state == "resolved" and one.key in known and one.key not in silenced]
        if not self._is_due(firing, over, known, told, now):
            return None
        instance = told.instance if told is not None and told.firing else ""
        return Due(
            notifier=place[0],
            group=place[1],
            notice=self._notice(place[1], [*firing, *over], now, instance or self._instance),
            firing=frozenset(one.key for one in firing),
        )

    def _is_due(
        self, firing: Sequence[Alert], over: Sequence[Alert], known: frozenset[Key], told: Told | None, now: datetime
    ) -> bool:
        options = self._options
        if told is not None and told.failed_at is not None and _passed(told.failed_at, now) < AGAIN_S:
            return False
        new = [one for one in firing if one.key not in known]
        waited = any(_passed(one.fired_at or one.since, now) >= options.group_wait_s for one in new)
        if told is None or not known:
            return waited
        if not firing:
            return bool(over)
        passed = _passed(told.at, now)
        changed = waited or bool(over)
        return passed >= (options.group_interval_s if changed else options.repeat_interval_s)

    def _notice(self, group: str, alerts: Sequence[Alert], now: datetime, instance: str) -> Notice:
        severities = [one.severity for one in alerts]
        worst = min(severities, key=("critical", "warning", "info").index)
        return Notice(
            group=group,
            status="firing" if any(one.state == "firing" for one in alerts) else "resolved",
            severity=worst,
            alerts=tuple(one.as_firing() for one in alerts),
            at=now,
            instance=instance,
        )

    def trials(self, rule: str, severity: str, labels: Mapping[str, str], now: datetime) -> tuple[Notice, Notice]:
        """A notice that says of itself that it is a test, and one that it is over: no receiver is left with it."""
        test = Firing(
            rule=rule,
            labels={**labels, "test": "true"},
            summary=f"This is a test of the rule {rule}: nothing is wrong, and nothing is to be done.",
            value=None,
            since=now,
            resolved_at=None,
        )
        begun = Notice(
            group=f"test={rule}", status="firing", severity=severity, alerts=(test,), at=now, instance=self._instance
        )
        return begun, replace(begun, status="resolved", alerts=(replace(test, resolved_at=now),))


def _passed(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds()


def _is_silenced(alert: Alert, silences: Sequence[Silence], now: datetime) -> bool:
    return bool(silenced_by(silences, rule=alert.rule, severity=alert.severity, labels=alert.labels, now=now))
