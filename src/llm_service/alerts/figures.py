"""The figures that rules go by: samples of this machine, made here, and those of all others, from the database."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from llm_service.alerts.history import FINE_S, History
from llm_service.alerts.options import LONGEST_S
from llm_service.alerts.samples import condensed, read_sample, sample_text
from llm_service.observability import Log, MetricsSource
from llm_service.storage import Sample, SampleStore

SOON: Final = 0.75
"""Of an interval: so long after a sample there is no other one, however often this process tries for its turn."""
AT_ONCE: Final = 10
"""Samples that are read in one go: some 3 ms."""


class Figures:
    """``models``: those that rules name. ``is_on``: whether a provider is to be up at all."""

    def __init__(
        self,
        source: MetricsSource,
        store: SampleStore,
        *,
        machine: str,
        interval_s: float,
        models: Collection[str],
        is_on: Callable[[str], bool],
        log: Log,
    ) -> None:
        self._source = source
        self._store = store
        self._machine = machine
        self._interval_s = interval_s
        self._models = models
        self._is_on = is_on
        self._log = log
        self._has_all = False
        self.history = History(interval_s=interval_s)

    async def sample(self, now: datetime) -> Sample | None:
        """One of this machine, unless there is one from just now; it is in the history already.

        A clock that was set back begins a new history.
        """
        told_at = self.history.machines.get(self._machine)
        if told_at is not None:
            passed_s = now.timestamp() - told_at
            if 0 <= passed_s < SOON * self._interval_s:
                return None
            if passed_s < 0:
                self.history = History(interval_s=self._interval_s)
                self._has_all = False
        whole = await self._source.read()
        snapshot = condensed(replace(whole, at=now.timestamp()), models=self._models, is_on=self._is_on)
        self.history.add(self._machine, snapshot)
        return Sample(machine=self._machine, at=now, body=sample_text(snapshot))

    async def keep(self, sample: Sample) -> None:
        """Raises StoreUnavailable."""
        await self._store.add(sample)

    def forget(self) -> None:
        """Somebody else has looked since: what all machines had is to be read again."""
        self._has_all = False

    async def catch_up(self, now: datetime, *, meanwhile: Callable[[], Awaitable[bool]]) -> bool:
        """Have what all machines had in the last days, or what is new of it: as whoever looked before had it.

        False: ``meanwhile``, asked while samples are read, has said no. Raises StoreUnavailable.
        """
        if self._has_all:
            lately = await self._store.since(now - timedelta(seconds=4 * self._interval_s))
            return await self._read(lately, now, meanwhile)
        old = await self._store.since(now - timedelta(seconds=LONGEST_S), lasting=True)
        new = await self._store.since(now - timedelta(seconds=FINE_S))
        known = {(one.machine, one.at): one for one in (*old, *new)}
        self.history = History(interval_s=self._interval_s)
        self._has_all = await self._read(sorted(known.values(), key=lambda one: one.at), now, meanwhile)
        return self._has_all

    async def _read(self, samples: Sequence[Sample], now: datetime, meanwhile: Callable[[], Awaitable[bool]]) -> bool:
        """Those of the future are of clocks that were wrong, this machine's own perhaps."""
        latest = now + timedelta(seconds=self._interval_s)
        known = self.history.machines
        fitting = [one for one in samples if one.at <= (now if one.machine == self._machine else latest)]
        for number, sample in enumerate(fitting):
            if sample.at.timestamp() <= known.get(sample.machine, 0.0):
                continue
            try:
                self.history.add(sample.machine, read_sample(sample.body))
            except ValueError:
                self._log.debug("a sample of figures is not understood", machine=sample.machine)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # others are served meanwhile
                if not await meanwhile():
                    return False
        return True

    async def prune(self, now: datetime, *, kept_too: bool) -> None:
        """Forget what no window reaches; ``kept_too``: in the database as well. Raises StoreUnavailable."""
        self.history.thin()
        if kept_too:
            await self._store.prune(
                before=now - timedelta(seconds=FINE_S), all_before=now - timedelta(seconds=LONGEST_S + 2 * FINE_S)
            )
