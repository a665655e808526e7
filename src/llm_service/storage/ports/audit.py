"""Port to the audit log: what operators did and what they were refused, in the order in which it was kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from llm_service.domain import fact

ActDoor = Literal["rest", "graphql", "dashboard", "command", "service"]
"""By which way an act came. ``command``: the command line, on the database itself; ``service``: nobody asked for it."""
ActOutcome = Literal["done", "refused", "failed"]
"""``failed``: the service could not do it, or was cut off in the midst of it, and may have done a part."""


@fact
class AuditEntry:
    """One act, or several refusals of one kind (``times``), of which it is the last. ``id``: by which it is kept once.

    ``key_id``: who, as records name callers; ``None``: nobody that is known. ``subject``: what it was done to.
    ``fields``: the names of what was given, never the values. ``mark``: its place in the order of commits; 0 before it
    is kept.
    """

    id: str
    at: datetime
    door: ActDoor
    act: str
    outcome: ActOutcome
    subject: str | None = None
    error_code: str | None = None
    key_id: str | None = None
    key_name: str | None = None
    peer: str | None = None
    request_id: str | None = None
    fields: tuple[str, ...] = ()
    times: int = 1
    mark: int = 0


@fact
class AuditFilter:
    """Which entries: ``None`` lets all through. ``since`` is inclusive, ``until`` exclusive, by ``at``."""

    since: datetime | None = None
    until: datetime | None = None
    act: str | None = None
    key_id: str | None = None
    subject: str | None = None
    outcome: ActOutcome | None = None
    door: ActDoor | None = None


class AuditStore(Protocol):
    """The audit log of all processes. Nothing here changes an entry."""

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Keep those that are not there yet (by id), in their order, in one transaction."""

    async def page(self, which: AuditFilter, *, after: int | None, count: int) -> Sequence[AuditEntry]:
        """Entries, newest first (by mark), those before mark ``after``."""

    async def remove(self, *, before: datetime, count: int) -> int:
        """Remove up to ``count`` entries that are older. How many."""
