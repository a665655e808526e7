"""Port to what alerts need to outlive a process: who evaluates, what fires, what happened, and samples of figures."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from llm_service.domain import fact


@fact
class AlertLease:
    """Who evaluates, and until when nobody else does. ``state``: as that process has last saved it.

    ``version`` grows with each save.
    """

    holder: str
    until: datetime
    version: int
    state: str | None


@fact
class AlertEntry:
    """Something that happened to an alert. ``mark``: its place in the order of commits; 0 before it is kept."""

    rule: str
    at: datetime
    body: str
    mark: int = 0


@fact
class SilenceRow:
    """A silence, as its room writes it."""

    id: str
    until: datetime
    body: str


@fact
class Sample:
    """A machine's figures at a moment, as their room writes them."""

    machine: str
    at: datetime
    body: str


class AlertStore(Protocol):
    """What is evaluated once in the whole deployment, and what everybody may read of it."""

    async def take(self, holder: str, *, now: datetime, until: datetime) -> AlertLease:
        """Who evaluates from now on: this holder, if it does already or if nobody's time runs any more."""

    async def release(self, holder: str, *, now: datetime) -> None:
        """Let another one evaluate at once."""

    async def lease(self) -> AlertLease:
        """Who evaluates, and the state."""

    async def save(self, holder: str, *, version: int, state: str, entries: Sequence[AlertEntry]) -> bool:
        """Keep a new state in place of that version, together with what happened.

        False, and nothing is kept: another one evaluates now, or has saved since.
        """

    async def append(self, entries: Sequence[AlertEntry]) -> None:
        """Keep what happened, whoever evaluates."""

    async def history(self, *, rule: str | None, after: int | None, count: int) -> Sequence[AlertEntry]:
        """What happened, newest first, before mark ``after``; of one rule, or of all."""

    async def silences(self, *, ending_after: datetime | None = None) -> Sequence[SilenceRow]:
        """Those that end after a moment, or all that are kept; those that end first before others."""

    async def put_silence(self, silence: SilenceRow) -> None:
        """Keep a silence, in place of one with its id."""

    async def prune(self, *, before: datetime) -> int:
        """Remove what happened before that, and silences that were over by then. How many."""


class SampleStore(Protocol):
    """Figures of all machines over some days. Of each five minutes one sample of a machine is ``lasting``."""

    async def add(self, sample: Sample) -> None:
        """Keep a sample; another one of the same machine and moment stays as it is."""

    async def since(self, since: datetime, *, lasting: bool = False) -> Sequence[Sample]:
        """Samples from that moment on, of all machines, oldest first; or the lasting ones alone."""

    async def prune(self, *, before: datetime, all_before: datetime) -> int:
        """Remove what is older than ``all_before``, and what is older than ``before`` and not lasting. How many."""
