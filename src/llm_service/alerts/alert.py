"""One alert from the first moment at which its rule holds until it is over: inactive, pending, firing, resolved."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from llm_service.alerts.kinds import Finding
from llm_service.alerts.notice import Firing
from llm_service.alerts.options import Severity
from llm_service.alerts.rule import Rule
from llm_service.domain import fact

AlertState = Literal["pending", "firing", "resolved"]
Key = tuple[str, tuple[tuple[str, str], ...]]
"""Which alert: its rule's name and its labels in order."""
OVER_S: Final = 7200.0
"""How long one that is over is remembered: longer than notifiers try to tell of it."""


@fact
class Alert:
    """``since``: from when on it holds; ``fired_at``: None while it is pending; ``held_at``: when it last held.

    ``former``: of one that is pending again, the one that was over. Who knows that it fired is still to be told that.
    """

    rule: str
    labels: Mapping[str, str]
    severity: Severity
    state: AlertState
    since: datetime
    held_at: datetime
    value: float
    summary: str
    notify: tuple[str, ...] = ()
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    former: "Alert | None" = None

    @property
    def key(self) -> Key:
        return self.rule, tuple(sorted(self.labels.items()))

    def as_firing(self) -> Firing:
        """As notices tell of it."""
        return Firing(
            rule=self.rule,
            labels=self.labels,
            summary=self.summary,
            value=self.value,
            since=self.fired_at or self.since,
            resolved_at=self.resolved_at,
        )


def key_of(rule: Rule, finding: Finding) -> Key:
    """Which alert a finding is about."""
    return rule.name, tuple(sorted(labels_of(rule, finding).items()))


def labels_of(rule: Rule, finding: Finding) -> Mapping[str, str]:
    """What was found wins over what the rule says."""
    return {**rule.labels, **finding.labels}


def step(alert: Alert | None, finding: Finding | None, rule: Rule, now: datetime) -> Alert | None:
    """The alert after a look; ``None``: there is none. ``alert`` and ``finding`` are about the same labels.

    It fires once it has held for ``for_s`` in every look, and is over once it has not held for ``keep_s``.
    """
    if finding is None:
        return _without(alert, rule, now)
    if alert is None or alert.state == "resolved":
        former = None if alert is None else remembered(alert, now)
        alert = Alert(
            rule=rule.name,
            labels=labels_of(rule, finding),
            severity=rule.severity,
            state="pending",
            since=now,
            held_at=now,
            value=finding.value,
            summary=finding.summary,
            former=former,
        )
    alert = replace(
        alert, held_at=now, value=finding.value, summary=finding.summary, severity=rule.severity, notify=rule.notify
    )
    if alert.state == "pending" and (now - alert.since).total_seconds() >= rule.for_s:
        return replace(alert, state="firing", fired_at=now, former=None)
    return alert


def _without(alert: Alert | None, rule: Rule, now: datetime) -> Alert | None:
    if alert is not None and alert.state == "pending":
        alert = alert.former
    if alert is None:
        return None
    if alert.state == "firing":
        over = (now - alert.held_at).total_seconds() >= rule.keep_s
        return resolved(alert, now) if over else alert
    return remembered(alert, now)


def resolved(alert: Alert, now: datetime) -> Alert:
    """It is over."""
    return replace(alert, state="resolved", resolved_at=now)


def remembered(alert: Alert, now: datetime) -> Alert | None:
    """One that is over, for as long as it is remembered."""
    ended_at = alert.resolved_at or alert.held_at
    return alert if (now - ended_at).total_seconds() < OVER_S else None
