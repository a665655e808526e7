"""Alerts as the interface shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from llm_service.alerts import Event, Rule, Silence, terms_of
from llm_service.services.alerts import AlertSeen, AlertsSeen, RuleState
from llm_service.services.moments import moment_text


def alerts_object(seen: AlertsSeen) -> dict[str, Any]:
    """What ``GET /admin/alerts`` answers."""
    return {
        "data": [alert_object(one) for one in seen.alerts],
        "next_cursor": None,
        "rules": [rule_object(rule, state) for rule, state in seen.rules],
        "looked_at": moment_text(seen.looked_at),
        "alone": seen.alone,
        "reach": seen.reach,
    }


def alert_object(seen: AlertSeen) -> dict[str, Any]:
    """One alert."""
    alert = seen.alert
    return {
        "rule": alert.rule,
        "labels": dict(alert.labels),
        "severity": alert.severity,
        "state": alert.state,
        "since": moment_text(alert.since),
        "fired_at": moment_text(alert.fired_at),
        "value": alert.value,
        "summary": alert.summary,
        "silenced_by": list(seen.silenced_by),
        "notify": list(alert.notify),
    }


def rule_object(rule: Rule, state: RuleState) -> dict[str, Any]:
    """A rule with what its kind goes by."""
    return {
        "name": rule.name,
        "kind": rule.kind,
        "severity": rule.severity,
        "state": state,
        "for_s": rule.for_s,
        "keep_firing_for_s": rule.keep_s,
        "labels": dict(rule.labels),
        "notify": list(rule.notify),
        "goes_by": terms_of(rule),
    }


def happening_object(event: Event) -> dict[str, Any]:
    """Something that happened."""
    return {
        "id": str(event.mark),
        "at": moment_text(event.at),
        "happened": event.happened,
        "rule": event.rule,
        "labels": dict(event.labels),
        "severity": event.severity,
        "summary": event.summary,
        "value": event.value,
        "notifier": event.notifier,
        "rules": list(event.alerts),
        "error": event.error,
    }


def silence_object(silence: Silence, *, now: datetime) -> dict[str, Any]:
    """A silence."""
    return {
        "id": silence.id,
        "state": silence.state(now),
        "matchers": [{"name": one.name, "operator": one.operator, "value": one.value} for one in silence.matchers],
        "starts_at": moment_text(silence.starts_at),
        "ends_at": moment_text(silence.ends_at),
        "created_by": silence.created_by,
        "comment": silence.comment,
    }


def trial_object(rule: str, tried: Mapping[str, str | None]) -> dict[str, Any]:
    """What came of a test."""
    return {
        "rule": rule,
        "notifiers": [{"name": name, "delivered": cause is None, "cause": cause} for name, cause in tried.items()],
    }
