"""Alerts for whoever administrates the service: what fires, what happened, silences, and a test of who is told."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from llm_service.alerts import (
    Alert,
    Book,
    Event,
    Handover,
    Matcher,
    Rule,
    Silence,
    Watch,
    read_book,
    read_entry,
    read_silence,
    silence_text,
    silenced_by,
    terms_of,
)
from llm_service.domain import Body, Caller, InvalidRequest, InvalidValue, MissingParameter, NotFound
from llm_service.runtime import Clock, IdSource
from llm_service.services.database import database_needed
from llm_service.services.moments import moment_text, read_moment
from llm_service.services.usage_fields import unknown_name
from llm_service.storage import AlertStore, Reach, SilenceRow

AWAY: Final = "Alerts cannot be read or changed now: the database does not answer."
LONGEST_SILENCE_S: Final = 366 * 86400.0
MOST_MATCHERS: Final = 32
MOST_SILENCES: Final = 1000
MOST_CHARS: Final = 1024
TRIAL_S: Final = 15.0
SILENCE_FIELDS: Final = ("matchers", "starts_at", "ends_at", "duration_s", "comment", "created_by")
MATCHER_FIELDS: Final = ("name", "value", "operator")

RuleState = Literal["inactive", "pending", "firing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSeen:
    """One alert. ``silenced_by``: ids of the silences that keep it from being told of."""

    alert: Alert
    silenced_by: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsSeen:
    """What fires and what may soon, and every rule with how it is.

    ``looked_at``: when the rules were last looked at; ``alone``: by this machine for itself, the database being away.
    """

    alerts: Sequence[AlertSeen]
    rules: Sequence[tuple[Rule, RuleState]]
    looked_at: datetime | None
    alone: bool
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """What happened, newest first."""

    events: Sequence[Event]
    next_cursor: str | None


class AlertAdmin:
    """Reads what the process that looks at the rules has written down; every process can."""

    def __init__(
        self,
        store: AlertStore,
        watch: Watch,
        handover: Handover,
        *,
        rules: Sequence[Rule],
        reach: Reach,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._store = store
        self._watch = watch
        self._handover = handover
        self._rules = tuple(rules)
        self._reach = reach
        self._clock = clock
        self._ids = ids

    async def seen(self) -> AlertsSeen:
        """How alerts are now. Raises LedgerUnavailable without the database, but in the process that looks alone."""
        alone = self._watch.alone
        book, silences = (alone, ()) if alone is not None else await self._kept()
        now = self._clock.now()
        alive = [alert for alert in book.alerts.values() if alert.state != "resolved"]
        return AlertsSeen(
            alerts=[AlertSeen(alert=alert, silenced_by=_silenced(alert, silences, now)) for alert in _in_order(alive)],
            rules=[(rule, _state_of(rule, alive)) for rule in self._rules],
            looked_at=book.looked_at,
            alone=alone is not None,
            reach="machine" if alone is not None else self._reach,
        )

    async def _kept(self) -> tuple[Book, Sequence[Silence]]:
        with database_needed(AWAY):
            lease = await self._store.lease()
            silences = await self._store.silences()
        try:
            return read_book(lease.state), [read_silence(row.body) for row in silences]
        except ValueError:  # the process that looks at the rules tells of it, and begins anew
            return Book(), ()

    async def history(self, *, rule: str | None, cursor: str | None, count: int) -> EventPage:
        """What happened, newest first. Raises InvalidValue for a cursor that is none, and LedgerUnavailable."""
        after = None if cursor is None else _mark_of(cursor)
        with database_needed(AWAY):
            entries = await self._store.history(rule=rule, after=after, count=count + 1)
        events = [read_entry(entry) for entry in entries[:count]]
        return EventPage(events=events, next_cursor=str(events[-1].mark) if len(entries) > count else None)

    # -- silences

    async def silences(self) -> Sequence[Silence]:
        """All that are kept, those that end first before others. Raises LedgerUnavailable."""
        with database_needed(AWAY):
            return [read_silence(row.body) for row in await self._store.silences()]

    async def silence(self, body: Body, caller: Caller) -> Silence:
        """A new one, in force with the next look. Raises InvalidValue, MissingParameter and LedgerUnavailable."""
        silence = read_silence_body(body, caller, silence_id=self._ids.new("sil"), now=self._clock.now())
        if len(await self.silences()) >= MOST_SILENCES:
            raise InvalidRequest(
                f"There are {MOST_SILENCES} silences already; those that are over go with the history."
            )
        await self._put(silence)
        return silence

    async def end_silence(self, silence_id: str) -> Silence:
        """The silence, over from now on. Raises NotFound and LedgerUnavailable."""
        found = next((one for one in await self.silences() if one.id == silence_id), None)
        if found is None:
            raise NotFound(f"There is no silence `{silence_id[:100]}`.")
        now = self._clock.now()
        if found.state(now) == "expired":
            return found
        ended = replace(found, starts_at=min(found.starts_at, now), ends_at=now)
        await self._put(ended)
        return ended

    async def _put(self, silence: Silence) -> None:
        row = SilenceRow(id=silence.id, until=silence.ends_at, body=silence_text(silence))
        with database_needed(AWAY):
            await self._store.put_silence(row)

    # -- trials

    async def test(self, name: str) -> Mapping[str, str | None]:
        """Send a test notice to everybody whom a rule tells: by notifier, why it was not delivered.

        Raises NotFound, and InvalidRequest for a rule that tells nobody.
        """
        rule = next((one for one in self._rules if one.name == name), None)
        if rule is None:
            known = ", ".join(one.name for one in self._rules) or "none"
            raise NotFound(f"No rule that is looked at is named `{name[:100]}`; there are: {known}.")
        if not rule.notify:
            raise InvalidRequest(f"The rule {rule.name} tells nobody: set its `notify`, or `alerting.notify`.")
        return {notifier: await self._try(rule, notifier) for notifier in rule.notify}

    async def _try(self, rule: Rule, notifier: str) -> str | None:
        trials = self._watch.telling.trials(rule.name, rule.severity, rule.labels, self._clock.now())
        for notice in trials:
            failed = await self._handover.delivered(notifier, notice, within_s=TRIAL_S)
            if failed is not None:
                return failed
        return None


def _in_order(alerts: Sequence[Alert]) -> Sequence[Alert]:
    """Those that fire first, the worst first, the newest first."""
    ranks = ("critical", "warning", "info")
    return sorted(
        alerts, key=lambda one: (one.state != "firing", ranks.index(one.severity), -one.since.timestamp(), one.key)
    )


def _state_of(rule: Rule, alive: Sequence[Alert]) -> RuleState:
    states = {alert.state for alert in alive if alert.rule == rule.name}
    return "firing" if "firing" in states else "pending" if "pending" in states else "inactive"


def _silenced(alert: Alert, silences: Sequence[Silence], now: datetime) -> Sequence[str]:
    return silenced_by(silences, rule=alert.rule, severity=alert.severity, labels=alert.labels, now=now)


def _mark_of(cursor: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", cursor, re.ASCII):
        raise InvalidValue("'cursor' must be the next_cursor of the page before.", param="cursor")
    return int(cursor)


# -- silences as they are asked for


def read_silence_body(body: Body, caller: Caller, *, silence_id: str, now: datetime) -> Silence:
    """A silence from its JSON. Raises InvalidValue and MissingParameter."""
    for name in body:
        if name not in SILENCE_FIELDS:
            raise unknown_name(name, SILENCE_FIELDS)
    matchers = body.get("matchers")
    if matchers is None:
        raise MissingParameter("'matchers' is required: which alerts are silenced.", param="matchers")
    if not isinstance(matchers, list) or not 1 <= len(matchers) <= MOST_MATCHERS:
        raise InvalidValue(f"'matchers' must be a list of 1 to {MOST_MATCHERS} conditions.", param="matchers")
    starts_at = now if body.get("starts_at") is None else read_moment("starts_at", body["starts_at"])
    return Silence(
        id=silence_id,
        matchers=tuple(_matcher(number, one) for number, one in enumerate(matchers)),
        starts_at=starts_at,
        ends_at=_end_of(body, starts_at, now),
        created_by=_text("created_by", body.get("created_by")) or caller.key_id,
        comment=_text("comment", body.get("comment")),
    )


def _end_of(body: Body, starts_at: datetime, now: datetime) -> datetime:
    ends, lasts = body.get("ends_at"), body.get("duration_s")
    if (ends is None) == (lasts is None):
        raise InvalidValue("Exactly one of 'ends_at' and 'duration_s' says how long a silence lasts.", param="ends_at")
    if ends is not None:
        ends_at = read_moment("ends_at", ends)
    elif isinstance(lasts, (int, float)) and not isinstance(lasts, bool) and 1 <= lasts <= LONGEST_SILENCE_S:
        ends_at = starts_at + timedelta(seconds=lasts)
    else:
        raise InvalidValue(f"'duration_s' must be from 1 to {LONGEST_SILENCE_S:.0f} seconds.", param="duration_s")
    if ends_at <= max(now, starts_at):
        raise InvalidValue("'ends_at' must lie in the future and after 'starts_at'.", param="ends_at")
    if (ends_at - now).total_seconds() > LONGEST_SILENCE_S:
        raise InvalidValue("'ends_at' must lie within a year: what is silenced for good is forgotten.", param="ends_at")
    return ends_at


def _matcher(number: int, given: Any) -> Matcher:
    at = f"matchers[{number}]"
    if not isinstance(given, dict) or not {"name", "value"} <= given.keys() <= set(MATCHER_FIELDS):
        said = f"'{at}' must be an object with name, value and, if it is not '=', operator."
        raise InvalidValue(said, param=at)
    name, value = _text(f"{at}.name", given["name"]), _text(f"{at}.value", given["value"])
    operator = given.get("operator", "=")
    if not name:
        raise InvalidValue(f"'{at}.name' must be `rule`, `severity` or the name of a label.", param=f"{at}.name")
    if operator == "=":
        return Matcher(name=name, value=value)
    if operator == "!=":
        return Matcher(name=name, value=value, operator="!=")
    raise InvalidValue(f"'{at}.operator' must be '=' or '!='.", param=f"{at}.operator")


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= MOST_CHARS and "\0" not in value:
        return value.encode("utf-8", "replace").decode()
    raise InvalidValue(f"'{name}' must be a text of at most {MOST_CHARS} characters.", param=name)


# -- as the interface shows it


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
