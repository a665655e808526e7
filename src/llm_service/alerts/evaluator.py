"""Looks at all rules at one moment: what was known of alerts, and what the figures say, become what is known now."""

from collections.abc import Sequence
from datetime import datetime

from llm_service.alerts.alert import Alert, Key, key_of, remembered, resolved, step
from llm_service.alerts.book import Book
from llm_service.alerts.history import History
from llm_service.alerts.kinds import Finding, findings
from llm_service.alerts.rule import Rule
from llm_service.observability import Log


class Evaluator:
    """A rule whose figures cannot be reckoned with leaves its alerts as they are, and is told of."""

    def __init__(self, rules: Sequence[Rule], *, log: Log) -> None:
        self.rules = tuple(rules)
        self._log = log

    def look(self, book: Book, history: History, now: datetime) -> Sequence[Alert]:
        """Bring the book up to date. Which alerts have begun to fire, or are over, with this look."""
        before = book.alerts
        after: dict[Key, Alert] = {}
        for rule in self.rules:
            mine = {key: alert for key, alert in before.items() if key[0] == rule.name}
            after |= self._look_at(rule, mine, history, now)
        names = {rule.name for rule in self.rules}
        after |= _of_former_rules([alert for alert in before.values() if alert.rule not in names], now)
        book.alerts, book.looked_at = after, now
        return _changes(tuple(before.values()), tuple(after.values()))

    def _look_at(self, rule: Rule, mine: dict[Key, Alert], history: History, now: datetime) -> dict[Key, Alert]:
        try:
            found: dict[Key, Finding] = {key_of(rule, one): one for one in findings(history, rule)}
        except Exception as defect:  # noqa: BLE001 - the other rules are to be looked at all the same
            self._log.error("an alert rule cannot be looked at", rule=rule.name, exc_info=defect)
            return mine
        steps = {key: step(mine.get(key), found.get(key), rule, now) for key in {*mine, *found}}
        return {key: alert for key, alert in steps.items() if alert is not None}


def _of_former_rules(alerts: Sequence[Alert], now: datetime) -> dict[Key, Alert]:
    """Alerts whose rule is configured no more are over."""
    told = [one.former or one for one in alerts]
    ended = [resolved(one, now) if one.state == "firing" else one for one in told if one.state != "pending"]
    return {one.key: one for one in ended if remembered(one, now) is not None}


def _changes(before: Sequence[Alert], after: Sequence[Alert]) -> Sequence[Alert]:
    known = {_state_of(alert.former or alert) for alert in before}
    return [alert for alert in after if alert.state != "pending" and _state_of(alert) not in known]


def _state_of(alert: Alert) -> tuple[object, ...]:
    return alert.key, alert.state, alert.fired_at, alert.resolved_at
