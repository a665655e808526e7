"""An AlertStore in memory, for tests of what stands on one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from llm_service.storage import AlertEntry, AlertLease, SilenceRow, StoreUnavailable

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryAlerts:
    """The port AlertStore; while it is ``away`` it does not answer."""

    def __init__(self) -> None:
        self._lease = AlertLease(holder="", until=LONG_AGO, version=0, state=None)
        self._entries: list[AlertEntry] = []
        self._silences: dict[str, SilenceRow] = {}
        self.away = False

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("the database did not answer in time")

    async def take(self, holder: str, *, now: datetime, until: datetime) -> AlertLease:
        self._ask()
        if self._lease.holder == holder or self._lease.until <= now:
            self._lease = replace(self._lease, holder=holder, until=until)
        return self._lease

    async def release(self, holder: str, *, now: datetime) -> None:
        self._ask()
        if self._lease.holder == holder and self._lease.until > now:
            self._lease = replace(self._lease, until=now)

    async def lease(self) -> AlertLease:
        self._ask()
        return self._lease

    async def save(self, holder: str, *, version: int, state: str, entries: Sequence[AlertEntry]) -> bool:
        self._ask()
        if (self._lease.holder, self._lease.version) != (holder, version):
            return False
        self._lease = replace(self._lease, version=version + 1, state=state)
        await self.append(entries)
        return True

    async def append(self, entries: Sequence[AlertEntry]) -> None:
        self._ask()
        for entry in entries:
            self._entries.append(replace(entry, mark=len(self._entries) + 1))

    async def history(self, *, rule: str | None, after: int | None, count: int) -> Sequence[AlertEntry]:
        self._ask()
        fitting = [one for one in reversed(self._entries) if rule in (None, one.rule)]
        return [one for one in fitting if after is None or one.mark < after][:count]

    async def silences(self, *, ending_after: datetime | None = None) -> Sequence[SilenceRow]:
        self._ask()
        kept = [one for one in self._silences.values() if ending_after is None or one.until > ending_after]
        return sorted(kept, key=lambda one: (one.until, one.id))

    async def put_silence(self, silence: SilenceRow) -> None:
        self._ask()
        self._silences[silence.id] = silence

    async def prune(self, *, before: datetime) -> int:
        raise NotImplementedError
