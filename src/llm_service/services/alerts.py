"""Alerts for whoever administrates the service: what fires, what happened, silences, and a test of who is told."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from llm_service.alerts import (
    Alert,
    Book,
    Event,
    Handover,
    Rule,
    Silence,
    Watch,
    read_book,
    read_entry,
    read_silence,
    silence_text,
    silenced_by,
)
from llm_service.domain import Body, Caller, InvalidRequest, InvalidValue, NotFound, fact
from llm_service.runtime import Clock, IdSource
from llm_service.services.database import database_needed
from llm_service.services.silences import read_silence_body
from llm_service.storage import AlertStore, Reach, SilenceRow

AWAY: Final = "Alerts cannot be read or changed now: the database does not answer."
MOST_SILENCES: Final = 1000
TRIAL_S: Final = 15.0

RuleState = Literal["inactive", "pending", "firing"]


@fact
class AlertSeen:
    """One alert. ``silenced_by``: ids of the silences that keep it from being told of."""

    alert: Alert
    silenced_by: Sequence[str]


@fact
class AlertsSeen:
    """What fires and what may soon, and every rule with how it is.

    ``looked_at``: when the rules were last looked at; ``alone``: by this machine for itself, the database being away.
    """

    alerts: Sequence[AlertSeen]
    rules: Sequence[tuple[Rule, RuleState]]
    looked_at: datetime | None
    alone: bool
    reach: Reach


@fact
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
        now = self._clock.now()
        book, silences = (alone, ()) if alone is not None else await self._kept(now)
        alive = [alert for alert in book.alerts.values() if alert.state != "resolved"]
        return AlertsSeen(
            alerts=[AlertSeen(alert=alert, silenced_by=_silenced(alert, silences, now)) for alert in _in_order(alive)],
            rules=[(rule, _state_of(rule, alive)) for rule in self._rules],
            looked_at=book.looked_at,
            alone=alone is not None,
            reach="machine" if alone is not None else self._reach,
        )

    async def _kept(self, now: datetime) -> tuple[Book, Sequence[Silence]]:
        with database_needed(AWAY):
            lease = await self._store.lease()
            silences = await self._store.silences(ending_after=now)
        try:
            return read_book(lease.state), [read_silence(row.body) for row in silences]
        except ValueError:  # the process that looks at the rules tells of it, and begins anew
            return Book(), ()

    async def history(self, *, rule: str | None, cursor: str | None, count: int) -> EventPage:
        """What happened, newest first. Raises InvalidValue for a cursor or name that is none, and LedgerUnavailable."""
        after = None if cursor is None else _mark_of(cursor)
        if rule is not None and "\0" in rule:
            raise InvalidValue("'rule' must be the name of a rule.", param="rule")
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
        now = self._clock.now()
        silence = read_silence_body(body, caller, silence_id=self._ids.new("sil"), now=now)
        with database_needed(AWAY):
            in_force = len(await self._store.silences(ending_after=now))
        if in_force >= MOST_SILENCES:
            raise InvalidRequest(f"There are {MOST_SILENCES} silences already that are not over: end some of them.")
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
        causes = await asyncio.gather(*(self._try(rule, notifier) for notifier in rule.notify))
        return dict(zip(rule.notify, causes, strict=True))

    async def _try(self, rule: Rule, notifier: str) -> str | None:
        begun, ended = self._watch.telling.trials(rule.name, rule.severity, rule.labels, self._clock.now())
        failed = await self._handover.delivered(notifier, begun, within_s=TRIAL_S)
        if failed is None:
            return await self._handover.delivered(notifier, ended, within_s=TRIAL_S)
        await self._handover.give(notifier, ended)  # it takes the place of the first one, which may still be tried
        return failed


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
