"""An AuditStore in memory, for tests of what stands on one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from llm_service.storage import AuditEntry, AuditFilter, StoreUnavailable


class MemoryAudit:
    """The port AuditStore; while it is ``away`` it does not answer. ``unheard``: it keeps, and does not say so."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.away = False
        self.unheard = False

    @property
    def told(self) -> list[tuple[str, str, str | None, int]]:
        """What was done, what came of it, to what, and how often; oldest first."""
        return [(one.act, one.outcome, one.subject, one.times) for one in self.entries]

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        self._ask()
        known = {one.id for one in self.entries}
        for entry in entries:
            if entry.id not in known:
                self.entries.append(replace(entry, mark=len(self.entries) + 1))
        if self.unheard:
            raise StoreUnavailable("the database did not answer in time")

    async def page(self, which: AuditFilter, *, after: int | None, count: int) -> Sequence[AuditEntry]:
        self._ask()
        asked = {name: getattr(which, name) for name in ("act", "key_id", "subject", "outcome", "door")}
        found = [
            one
            for one in reversed(self.entries)
            if (after is None or one.mark < after)
            and all(value is None or getattr(one, name) == value for name, value in asked.items())
            and (which.since is None or one.at >= which.since)
            and (which.until is None or one.at < which.until)
        ]
        return found[:count]

    async def remove(self, *, before: datetime, count: int) -> int:
        self._ask()
        old = [one for one in self.entries if one.at < before][:count]
        self.entries = [one for one in self.entries if one not in old]
        return len(old)

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("the database did not answer in time")
