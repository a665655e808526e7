"""Port to what processes tell each other of running generations."""

from collections.abc import Sequence
from typing import Protocol

from llm_service.domain import fact
from llm_service.storage.ports.base import Reach


@fact
class LogPart:
    """News of a log: its next events, from number ``first_seq`` on. ``head``, ``end``: empty where there is no news."""

    log_id: str
    first_seq: int
    events: Sequence[bytes]
    head: bytes = b""
    end: bytes = b""


@fact
class LogAsk:
    """What is wanted of a log: its next events after a number. ``counts``: whoever asks is a reader for a moment."""

    log_id: str
    after: int
    counts: bool = True


@fact
class LogRead:
    """What a log has. ``holder``: the process that writes it, empty where there is no such log.

    ``head`` and ``end`` are empty as long as they are not known; ``cut``: later events are missing. ``more``: there may
    be more than one read gives.
    """

    holder: str
    head: bytes
    end: bytes
    cut: bool
    events: Sequence[bytes]
    more: bool = False


@fact
class Flight:
    """A generation that answers all requests of a digest. ``as_events``: its log tells it while it comes.

    Without it the answer is there when the flight is over: it is kept then, or there is none. ``groups`` and
    ``epochs``: what the answer can be purged by, and where these stood before it began; see CacheStore.
    """

    log_id: str
    holder: str
    as_events: bool
    groups: tuple[str, ...] = ()
    epochs: tuple[int, ...] = ()


class StreamStore(Protocol):
    """What processes tell each other of running generations: logs of events, streams by their ids, flights.

    A log is bounded in bytes (what is beyond is missing, and it says so) and kept for a while after its end.
    All methods raise StoreUnavailable.
    """

    reach: Reach

    async def append(self, parts: Sequence[LogPart]) -> None:
        """Append to logs, in one round trip.

        Events that are there are not there twice: who has not heard that something was written says it again. What
        comes for a log that has ended changes nothing.
        """

    async def read(self, asks: Sequence[LogAsk]) -> Sequence[LogRead]:
        """What is asked for, in its order: of each log a bounded count of events, of several logs fewer of each."""

    async def is_read(self, log_id: str) -> bool:
        """Whether somebody read a log a moment ago. If nobody did, its flight is anybody's from now on.

        So nobody follows a generation in the moment in which it is given up.
        """

    async def put_stream(self, stream_id: str, facts: bytes, *, ended: bool) -> None:
        """Keep what a stream's client was told: as long as it may run, or as long as an ended log."""

    async def get_stream(self, stream_id: str) -> bytes | None:
        """The same again."""

    async def cancel(self, holder: str, stream_id: str) -> None:
        """Have a process end a stream of its clients'."""

    async def cancelled(self, done: Sequence[str]) -> Sequence[str]:
        """The streams that this process is to end. Those that it says are ``done`` are forgotten."""

    async def claim(
        self, digest: bytes, mine: Flight, *, seen_at: float | None = None, instead_of: Flight | None = None
    ) -> Flight | None:
        """The flight of a digest: this one, unless there is another that is not to be replaced.

        ``None``: an answer has been kept meanwhile, another one than the caller has seen, which was stored at
        ``seen_at``. Whoever is told of another's flight counts for a moment as a reader of its log.
        """

    async def flight(self, digest: bytes) -> Flight | None:
        """The flight of a digest now."""

    async def land(self, digest: bytes, mine: Flight) -> None:
        """The flight is over: its answer is kept, or there is none."""
