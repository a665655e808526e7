"""Looks at the rules again and again, in one process of the whole deployment, and has notices delivered.

Each machine's first process samples its figures into the database. One of these processes holds the lease, looks at the
samples of all, and hands what it knows to the next through the database. While the database is away each looks at its
own machine's figures, from what was known last: what holds on several machines is then told by each of them.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from llm_service.alerts.alert import Alert, Key, resolved
from llm_service.alerts.book import Book, book_text, read_book
from llm_service.alerts.entry import Event, entry_of, of_change, of_notice
from llm_service.alerts.evaluator import Evaluator
from llm_service.alerts.handover import Handover
from llm_service.alerts.history import FINE_S, History
from llm_service.alerts.notice import Notice
from llm_service.alerts.options import LONGEST_S, AlertingOptions
from llm_service.alerts.rule import Rule
from llm_service.alerts.samples import condensed, read_sample, sample_text
from llm_service.alerts.silence import Silence, read_silence
from llm_service.alerts.telling import Due, Group, Telling, Told
from llm_service.observability import AlertChanged, Log, MetricsSource
from llm_service.runtime import Clock, Tasks
from llm_service.storage import AlertLease, AlertStore, Sample, SampleStore, StoreUnavailable

LEASE_INTERVALS: Final = 1.5
"""With a look every half interval somebody else goes on after two intervals at most."""
MOST_UNSAVED: Final = 1000
PRUNE_S: Final = 3600.0
SOON: Final = 0.75
"""Of an interval: so long after a sample there is no other one, however often this process tries for its turn."""
AT_ONCE: Final = 10
"""Samples that are read in one go: some 3 ms."""
CLOSING_S: Final = 2.0
"""How long a look may go on when the process ends; a database that does not answer takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
        self._models = frozenset(model for rule in parts.rules for model in rule.models)
        self._interval_s = parts.options.interval_s
        self._history = History(interval_s=self._interval_s)
        self._book = Book()
        self._known: str | None = None
        self._version: int | None = None
        self._held = False
        self._alone = False
        self._silences: Sequence[Silence] = ()
        self._unsaved: deque[Event] = deque(maxlen=MOST_UNSAVED)
        self._on_way: dict[Group, Due] = {}
        self._saving = asyncio.Lock()
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
                await self._save()
                await self._release()
        except TimeoutError:
            self._log.debug("the lease of alerts runs out by itself", cause="the database did not answer in time")

    @property
    def looks(self) -> bool:
        """Whether this process looks at the rules: for all, or by itself."""
        return self._held or self._alone

    @property
    def telling(self) -> Telling:
        """What makes notices."""
        return self._parts.telling

    @property
    def alone(self) -> Book | None:
        """What this process knows by itself, while the database is away."""
        return self._book if self._alone else None

    def firing(self) -> Mapping[tuple[str, str], float]:
        """For `llm_alerts_firing`: 1 for each rule and severity that fires, in the process that looks."""
        if not self.looks:
            return {}
        return {(one.rule, one.severity): 1.0 for one in self._book.alerts.values() if one.state == "firing"}

    async def _follow(self) -> None:
        while not (self._ending or self._parts.retired()):
            self._due.clear()
            try:
                await self.tick()
            except Exception as defect:  # noqa: BLE001 - it is told, and must not end the alerts for good
                self._log.error("alerts cannot be looked at", exc_info=defect)
            await self._pause(self._interval_s if self.looks else self._interval_s / 2)
        if not (self._ending or self._on_way):  # what becomes of notices is to be kept before somebody else looks
            await self._release()

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
        sample = await self._sampled(now)
        try:
            if sample is not None:
                await self._parts.samples.add(sample)
            until = now + timedelta(seconds=LEASE_INTERVALS * self._interval_s)
            lease = await self._parts.alerts.take(self._parts.holder, now=now, until=until)
            if lease.holder == self._parts.holder:
                await self._take_up(lease, now)
            else:
                await self._leave_to(lease, now)
        except StoreUnavailable as away:
            self._go_alone(away)
        if self.looks:
            await self._look(now)
        await self._deliver(now)
        if self._parts.clock.monotonic() - self._pruned_at >= PRUNE_S:
            await self._prune(now)

    # -- figures

    async def _sampled(self, now: datetime) -> Sample | None:
        """A sample of this machine, unless there is one from just now; it is in the history already.

        A clock that was set back begins a new history.
        """
        told_at = self._history.machines.get(self._parts.machine)
        if told_at is not None:
            passed_s = now.timestamp() - told_at
            if 0 <= passed_s < SOON * self._interval_s:
                return None
            if passed_s < 0:
                self._history = History(interval_s=self._interval_s)
        whole = await self._parts.source.read()
        snapshot = condensed(replace(whole, at=now.timestamp()), models=self._models, is_on=self._parts.is_on)
        self._history.add(self._parts.machine, snapshot)
        return Sample(machine=self._parts.machine, at=now, body=sample_text(snapshot))

    async def _read_samples(self, samples: Sequence[Sample], now: datetime) -> None:
        """Those of the future are of clocks that were wrong, this machine's own perhaps."""
        latest = now + timedelta(seconds=self._interval_s)
        for number, sample in enumerate(one for one in samples if one.at <= latest):
            try:
                self._history.add(sample.machine, read_sample(sample.body))
            except ValueError:
                self._log.debug("a sample of figures is not understood", machine=sample.machine)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # others are served meanwhile

    async def _read_all(self, now: datetime) -> None:
        """What all machines had in the last days: whoever looks from now on sees what the former one saw."""
        old = await self._parts.samples.since(now - timedelta(seconds=LONGEST_S), lasting=True)
        new = await self._parts.samples.since(now - timedelta(seconds=FINE_S))
        known = {(one.machine, one.at): one for one in (*old, *new)}
        self._history = History(interval_s=self._interval_s)
        await self._read_samples(sorted(known.values(), key=lambda one: one.at), now)

    # -- whose turn it is

    async def _take_up(self, lease: AlertLease, now: datetime) -> None:
        """Go on where the former one stopped, or where this process did when nobody has looked since."""
        if self._version != lease.version:
            theirs = self._read(lease.state)
            self._book = _joined(theirs, self._book) if self._alone else theirs
            self._version = lease.version
            await self._read_all(now)
            self._log.debug("this process looks at alerts", machine=self._parts.machine)
        else:
            lately = await self._parts.samples.since(now - timedelta(seconds=4 * self._interval_s))
            await self._read_samples(lately, now)
        silences = await self._parts.alerts.silences()
        self._silences = [read_silence(row.body) for row in silences]
        self._held, self._alone, self._known = True, False, lease.state

    async def _leave_to(self, lease: AlertLease, now: datetime) -> None:
        """Another one looks. What this process alone has told is over, as far as that one does not see it too."""
        if self._alone:
            self._book = _told_alone(self._book, self._read(lease.state), now)
            self._unsaved.extend(of_change(alert, now) for alert in self._book.alerts.values())
        elif self._held:
            self._book = Book()
        elif not self._on_way and self._unsaved:
            await self._append()
        self._held, self._alone, self._version, self._known = False, False, None, lease.state

    def _go_alone(self, away: StoreUnavailable) -> None:
        if not self.looks:
            self._book = self._read(self._known)
        if not self._alone:
            self._log.warning("alerts are looked at by this machine alone", cause=str(away))
        self._alone, self._held = True, False

    async def _release(self) -> None:
        if not self._held:
            return
        self._held = False
        try:
            await self._parts.alerts.release(self._parts.holder, now=self._parts.clock.now())
        except StoreUnavailable as away:
            self._log.debug("the lease of alerts runs out by itself", cause=str(away))

    def _read(self, state: str | None) -> Book:
        try:
            return read_book(state)
        except ValueError as garbage:
            self._log.error("the kept state of alerts is not understood; they are looked at anew", exc_info=garbage)
            return Book()

    # -- looking

    async def _look(self, now: datetime) -> None:
        changes = self._evaluator.look(self._book, self._history, now)
        for alert in changes:
            self._tell(alert, now)
        members = {
            (name, self._parts.telling.group_of(one)) for one in self._book.alerts.values() for name in one.notify
        }
        self._book.told = {place: told for place, told in self._book.told.items() if place in members}
        await self._save()

    def _tell(self, alert: Alert, now: datetime) -> None:
        event = of_change(alert, now)
        self._unsaved.append(event)
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

    async def _save(self) -> None:
        """Keep what is known; without the database it is kept later."""
        async with self._saving:
            if not self._held or self._version is None:
                return
            events = tuple(self._unsaved)
            try:
                saved = await self._parts.alerts.save(
                    self._parts.holder,
                    version=self._version,
                    state=book_text(self._book),
                    entries=[entry_of(event) for event in events],
                )
            except StoreUnavailable as away:
                self._go_alone(away)
                return
            if saved:
                self._version += 1
                for _ in events:
                    self._unsaved.popleft()
            else:
                self._held, self._version, self._book = False, None, Book()

    async def _append(self) -> None:
        events = tuple(self._unsaved)
        await self._parts.alerts.append([entry_of(event) for event in events])
        for _ in events:
            self._unsaved.popleft()

    async def _prune(self, now: datetime) -> None:
        self._pruned_at = self._parts.clock.monotonic()
        self._history.thin()
        if not self._held:
            return
        days = timedelta(days=self._parts.options.history_days)
        try:
            await self._parts.samples.prune(
                before=now - timedelta(seconds=FINE_S), all_before=now - timedelta(seconds=LONGEST_S + 2 * FINE_S)
            )
            await self._parts.alerts.prune(before=now - days)
        except StoreUnavailable as away:
            self._log.debug("old alerts are not removed", cause=str(away))

    # -- telling

    async def _deliver(self, now: datetime) -> None:
        """Hand over what is due. What is on its way counts as told: what comes after it takes its place."""
        on_way = {place: Told(at=due.notice.at, firing=due.firing) for place, due in self._on_way.items()}
        told = {**self._book.told, **on_way}
        for due in tuple(self._parts.telling.due(tuple(self._book.alerts.values()), told, self._silences, now)):
            self._on_way[due.place] = due
            await self._parts.handover.give(due.notifier, due.notice)

    def noticed(self, name: str, notice: Notice, error: str | None) -> None:
        """From now on the notifier knows; or it could not be reached, and is tried again later."""
        place = (name, notice.group)
        due = self._on_way.get(place)
        if due is not None and due.notice is notice:
            del self._on_way[place]
            if error is None or not self._ending:  # what fails since this process ends is the next one's to deliver
                self._book.told[place] = self._told_now(place, due, failed=error is not None)
        if error is not None:
            self._log.error("a notice of alerts was not delivered", notifier=name, group=notice.group, cause=error)
        self._unsaved.append(of_notice(notice, name, self._parts.clock.now(), error=error))
        if not self._ending:
            self._parts.tasks.spawn(self._save(), name="alerts")

    def _told_now(self, place: Group, due: Due, *, failed: bool) -> Told:
        now = self._parts.clock.now()
        if not failed:
            return Told(at=now, firing=due.firing)
        known = self._book.told.get(place)
        firing = frozenset[Key]() if known is None else known.firing
        return Told(at=now if known is None else known.at, firing=firing, failed_at=now)


def _joined(theirs: Book, ours: Book) -> Book:
    """What the deployment knows, and what this process alone came to know meanwhile."""
    return Book(
        alerts={**ours.alerts, **theirs.alerts},
        told={**ours.told, **theirs.told},
        looked_at=theirs.looked_at,
    )


def _told_alone(ours: Book, theirs: Book, now: datetime) -> Book:
    """What this process has told of and the other one does not know of, as over."""
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
