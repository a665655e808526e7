"""Watches over alerts in one process: machines with figures made by hand, one database that may go away."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from llm_service.alerts import (
    AlertingOptions,
    AlertOptions,
    Handover,
    Notice,
    NoticeFailed,
    Rule,
    Telling,
    Watch,
    WatchParts,
)
from llm_service.observability import AlertChanged
from llm_service.runtime import Tasks
from llm_service.storage import Database, StoreUnavailable
from tests.support.clock import ManualClock
from tests.support.figures import Machine
from tests.support.service import LogLines
from tests.support.waiting import until

OPTIONS = AlertingOptions(interval_s=10, group_wait_s=0, group_interval_s=0, repeat_interval_s=3600)


class Away:
    """A store that answers, until it does not."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreUnavailable("the database did not answer in time")
        return getattr(self._store, name)


class ScriptedNotifier:
    """Keeps what it is given, and tells what becomes of it: delivered, unless ``fails`` says why not.

    While it is ``slow`` nothing becomes of it, until ``finish``.
    """

    def __init__(self, name: str, handover: Handover) -> None:
        self._name = name
        self._handover = handover
        self.notices: list[Notice] = []
        self.fails: str | None = None
        self.slow = False
        self._waiting: list[Notice] = []

    async def deliver(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._waiting.append(notice)
        if not self.slow:
            self.finish()

    def finish(self) -> None:
        for notice in self._waiting:
            outcome = "failed" if self.fails else "delivered"
            self._handover.noticed(self._name, notice, outcome, self.fails)  # type: ignore[arg-type]
        self._waiting = []

    @property
    def said(self) -> list[tuple[str, list[str]]]:
        return [(one.status, sorted(alert.rule for alert in one.alerts)) for one in self.notices]


class RefusingNotifier:
    """Takes nothing."""

    async def deliver(self, notice: Notice) -> None:
        raise NoticeFailed("it is closed")


@dataclass
class Site:
    """Several watches, each on a machine of its own, and what becomes of them."""

    database: Database
    clock: ManualClock = field(default_factory=ManualClock)
    log: LogLines = field(default_factory=LogLines)
    changes: list[AlertChanged] = field(default_factory=list)
    watched: list["Watched"] = field(default_factory=list)

    def watch(
        self, name: str, rules: Sequence[AlertOptions], *, options: AlertingOptions = OPTIONS, machine: str = ""
    ) -> "Watched":
        """Another one."""
        watched = Watched(self, name, rules, options, machine or name)
        self.watched.append(watched)
        return watched

    async def passes(self, seconds: float, *watches: "Watched", each: Callable[[], None] = lambda: None) -> None:
        """Time passes; these look whenever they would."""
        for _ in range(int(seconds / 5)):
            self.clock.advance(5)
            each()
            for one in watches:
                await one.look()

    async def aclose(self) -> None:
        for one in self.watched:
            await one.tasks.aclose()


class Watched:
    """One watch with its machine."""

    def __init__(
        self, site: Site, name: str, rules: Sequence[AlertOptions], options: AlertingOptions, machine: str
    ) -> None:
        self.machine = Machine()
        self.alerts, self.samples = Away(site.database.alerts), Away(site.database.samples)
        self.ended: list[tuple[str, str]] = []
        self.handover = Handover(log=site.log, count=lambda name, outcome: self.ended.append((name, outcome)))
        self.notifier = ScriptedNotifier("me", self.handover)
        self.handover.notifiers = {"me": self.notifier, "closed": RefusingNotifier()}
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda _, failure: self.failures.append(failure))
        self.retired = False
        self._site = site
        self._looked_at = site.clock.now() - timedelta(days=1)
        self.watch = Watch(
            WatchParts(
                rules=[Rule.of(one, notify=("me",)) for one in rules],
                options=options,
                source=self.machine,
                alerts=self.alerts,
                samples=self.samples,
                handover=self.handover,
                telling=Telling(options, instance=name),
                holder=name,
                machine=machine,
                clock=site.clock,
                tasks=self.tasks,
                log=site.log,
                listener=site.changes.append,
                retired=lambda: self.retired,
            )
        )
        self._interval_s = options.interval_s

    async def look(self) -> None:
        """A look, if it is time for one: who does not look at rules tries twice as often."""
        looks = self.watch.looks
        passed = (self._site.clock.now() - self._looked_at).total_seconds()
        if passed >= (self._interval_s if looks else self._interval_s / 2):
            self._looked_at = self._site.clock.now()
            await self.watch.tick()
            await self.settled()

    async def settled(self) -> None:
        """Until what was begun in the background is done."""
        await until(lambda: not len(self.tasks))

    def cut(self, *, away: bool) -> None:
        """The database is away for this one, or back."""
        self.alerts.away = self.samples.away = away
