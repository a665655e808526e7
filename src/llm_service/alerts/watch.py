"""Looks at the rules again and again, in one process of the whole deployment, and has notices delivered.

Each machine's first process samples its figures into the database. One of these processes holds the lease, looks at the
samples of all, and hands what it knows to the next through the database. While the database is away each looks at its
own machine's figures, from what was known last: what holds on several machines is then told by each of them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from llm_service.alerts.alert import Alert
from llm_service.alerts.book import Book
from llm_service.alerts.entry import of_change, of_notice
from llm_service.alerts.evaluator import Evaluator
from llm_service.alerts.figures import Figures
from llm_service.alerts.handover import Handover
from llm_service.alerts.notice import Notice
from llm_service.alerts.options import AlertingOptions
from llm_service.alerts.rule import Rule
from llm_service.alerts.telling import Due, Group, Telling, Told
from llm_service.alerts.turn import Turn
from llm_service.domain import fact
from llm_service.observability import AlertChanged, Log, MetricsSource
from llm_service.runtime import Clock, Tasks
from llm_service.storage import AlertStore, SampleStore, StoreUnavailable

PRUNE_S: Final = 3600.0
CLOSING_S: Final = 2.0
"""How long a look may go on when the process ends; a database that does not answer takes longer."""


@fact
class WatchParts:
    """What a watch needs. ``holder`` is this process's alone, ``machine`` the same for all processes of a machine.

    ``retired``: newer settings have taken over in this process. ``is_on``: whether a provider is to be up at all.
    """

    rules: Sequence[Rule]
    options: AlertingOptions
    source: MetricsSource
    alerts: AlertStore
    samples: SampleStore
    handover: Handover
    telling: Telling
    holder: str
    machine: str
    clock: Clock
    tasks: Tasks
    log: Log
    listener: Callable[[AlertChanged], None] = lambda _: None
    retired: Callable[[], bool] = lambda: False
    is_on: Callable[[str], bool] = lambda _: True


class Watch:
    """Looks from ``start`` on, until the tasks' owner ends it. Asked by the doors while the database is away."""

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self._log = parts.log
        self._evaluator = Evaluator(parts.rules, log=parts.log)
        self._interval_s = parts.options.interval_s
        self._figures = Figures(
            parts.source,
            parts.samples,
            machine=parts.machine,
            interval_s=self._interval_s,
            models=frozenset(model for rule in parts.rules for model in rule.models),
            is_on=parts.is_on,
            log=parts.log,
        )
        self._on_way: dict[Group, Due] = {}
        self._turn = Turn(
            parts.alerts,
            holder=parts.holder,
            interval_s=self._interval_s,
            clock=parts.clock,
            log=parts.log,
            waits=lambda: bool(self._on_way),
        )
        self._pruned_at = -PRUNE_S
        self._following: asyncio.Task[None] | None = None
        self._ending = False
        self._due = asyncio.Event()
        parts.handover.hears = self.noticed

    def start(self) -> None:
        """Look from now on, unless there is nothing to look at."""
        if self._parts.options.enabled and self._parts.rules:
            self._following = self._parts.tasks.spawn(self._follow(), name="alerts")

    async def stop(self) -> None:
        """Look no more, once the look that has begun is over (within 2 s). What becomes of notices is still noted."""
        self._ending = True
        self._due.set()
        if self._following is not None:
            _, late = await asyncio.wait((self._following,), timeout=CLOSING_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def let_go(self) -> None:
        """Keep what is known, and let another process look at once; where that takes 2 s, after its time is over."""
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._turn.leave()
        except TimeoutError:
            self._log.debug("the lease of alerts runs out by itself", cause="the database did not answer in time")

    @property
    def looks(self) -> bool:
        """Whether this process looks at the rules: for all, or by itself."""
        return self._turn.looks

    @property
    def telling(self) -> Telling:
        """What makes notices."""
        return self._parts.telling

    @property
    def alone(self) -> Book | None:
        """What this process knows by itself, while the database is away."""
        return self._turn.book if self._turn.alone else None

    def firing(self) -> Mapping[tuple[str, str], float]:
        """For `llm_alerts_firing`: 1 for each rule and severity that fires, in the process that looks."""
        if not self.looks:
            return {}
        return {(one.rule, one.severity): 1.0 for one in self._turn.book.alerts.values() if one.state == "firing"}

    async def _follow(self) -> None:
        while not (self._ending or self._parts.retired()):
            self._due.clear()
            began = self._parts.clock.monotonic()
            try:
                await self.tick()
            except Exception as defect:  # noqa: BLE001 - it is told, and must not end the alerts for good
                self._log.error("alerts cannot be looked at", exc_info=defect)
            every_s = self._interval_s if self.looks else self._interval_s / 2
            # What a look took does not put off the next one: with a slow database the turn would be over by then.
            await self._pause(max(every_s - (self._parts.clock.monotonic() - began), every_s / 10))
        if not (self._ending or self._on_way):  # what becomes of notices is to be kept before somebody else looks
            await self._turn.release()

    async def _pause(self, pause_s: float) -> None:
        if self._ending:
            return
        timer = self._parts.clock.call_later(pause_s, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()

    async def tick(self) -> None:
        """One look, if it is this process's turn; else a sample, if one is due."""
        now = self._parts.clock.now()
        sample = await self._figures.sample(now)
        try:
            if sample is not None:
                await self._figures.keep(sample)
            await self._take_turn(now)
        except StoreUnavailable as away:
            self._turn.go_alone(away)
        if self.looks:
            await self._look(now)
        await self._deliver(now)
        if self._parts.clock.monotonic() - self._pruned_at >= PRUNE_S:
            await self._prune(now)

    async def _take_turn(self, now: datetime) -> None:
        whose = await self._turn.take(now)
        if whose == "another's":
            return
        if whose == "begun":
            self._figures.forget()
            self._log.debug("this process looks at alerts", machine=self._parts.machine)
        if not await self._figures.catch_up(now, meanwhile=self._turn.renew):
            self._turn.lose()

    # -- looking

    async def _look(self, now: datetime) -> None:
        changes = self._evaluator.look(self._turn.book, self._figures.history, now)
        for alert in changes:
            self._tell(alert, now)
        book, group_of = self._turn.book, self._parts.telling.group_of
        members = {(name, group_of(one)) for one in book.alerts.values() for name in one.notify}
        book.told = {place: told for place, told in book.told.items() if place in members}
        await self._turn.save()

    def _tell(self, alert: Alert, now: datetime) -> None:
        event = of_change(alert, now)
        self._turn.note(event)
        say = self._log.warning if alert.state == "firing" else self._log.info
        told = {"rule": alert.rule, "severity": alert.severity, "labels": dict(alert.labels), "said": alert.summary}
        say(f"alert {event.happened}", **told)
        self._parts.listener(
            AlertChanged(
                rule=alert.rule,
                labels=alert.labels,
                severity=alert.severity,
                state="firing" if alert.state == "firing" else "resolved",
                summary=alert.summary,
                value=alert.value,
                at=now,
            )
        )

    async def _prune(self, now: datetime) -> None:
        self._pruned_at = self._parts.clock.monotonic()
        held = self._turn.held
        try:
            await self._figures.prune(now, kept_too=held)
            if held:
                await self._turn.prune(before=now - timedelta(days=self._parts.options.history_days))
        except StoreUnavailable as away:
            self._log.debug("old alerts are not removed", cause=str(away))

    # -- telling

    async def _deliver(self, now: datetime) -> None:
        """Hand over what is due. What is on its way counts as told: what comes after it takes its place."""
        on_way = {place: due.told(due.notice.at) for place, due in self._on_way.items()}
        book, silences = self._turn.book, self._turn.silences
        told = {**book.told, **on_way}
        for due in tuple(self._parts.telling.due(tuple(book.alerts.values()), told, silences, now)):
            self._on_way[due.place] = due
            await self._parts.handover.give(due.notifier, due.notice)

    def noticed(self, name: str, notice: Notice, error: str | None) -> None:
        """From now on the notifier knows; or it could not be reached, and is tried again later."""
        place = (name, notice.group)
        due = self._on_way.get(place)
        if due is not None and due.notice is notice:
            del self._on_way[place]
            if error is None or not self._ending:  # what fails since this process ends is the next one's to deliver
                self._turn.book.told[place] = self._told_now(place, due, failed=error is not None)
        if error is not None:
            self._log.error("a notice of alerts was not delivered", notifier=name, group=notice.group, cause=error)
        self._turn.note(of_notice(notice, name, self._parts.clock.now(), error=error))
        if not self._ending:
            self._parts.tasks.spawn(self._turn.save(), name="alerts")

    def _told_now(self, place: Group, due: Due, *, failed: bool) -> Told:
        now = self._parts.clock.now()
        if not failed:
            return due.told(now)
        known = self._turn.book.told.get(place, Told(at=now, firing=frozenset()))
        return replace(known, failed_at=now)
