"""What processes that share a Valkey or Redis tell each other of running generations."""

from collections.abc import Sequence
from typing import Final

import orjson

from llm_service.storage.ports import Flight, LogAsk, LogPart, LogRead, Reach
from llm_service.storage.scripts import ScriptRunner, script

READ_AT_ONCE: Final = 256
LEAST_AT_ONCE: Final = 8
"""How many events one read gives: of all logs together, and of one of them in any case."""
MOST_LOGS: Final = 64
"""Logs that are read in one call: others wait meanwhile."""
COUNTS_MS: Final = 500
"""For how long one reading makes a reader: readers look more often."""
LOG_BYTES: Final = 512
"""What an ended log counts beside its events, see lua/log_append.lua."""
MOST_GONE: Final = 100
"""How many ended logs go in one call at most, likewise."""
RUNNING_S: Final = 3_600.0
"""Longer than a request lasts, unless the settings allow longer ones."""


class ValkeyStreams:
    """See StreamStore. Keys begin with ``<prefix>{adm}:``, so that all are on one node of a cluster.

    ``log:<id>`` (events), ``log:<id>:facts``, ``log:<id>:read``, ``logs:ended``, ``logs:sizes``, ``stream:<id>``,
    ``cancels:<holder>`` and ``flight:<digest>``. ``total_bytes`` is what all ended logs may have, `LOG_BYTES` for each
    among it; for a moment it is more where many end at once. ``max_bytes`` is what the events of one log may have. A
    log or a flight stands for ``running_s`` without any news: longer than a request lasts.
    """

    __slots__ = (
        "_append", "_base", "_cancel", "_cancelled", "_claim", "_ended", "_get", "_holder", "_is_read", "_land",
        "_max_bytes", "_put", "_read", "_retention_ms", "_runner", "_running_ms", "_sizes", "_total_bytes", "reach",
    )  # fmt: skip

    def __init__(
        self,
        runner: ScriptRunner,
        *,
        prefix: str,
        holder: str,
        retention_s: float,
        max_bytes: int,
        total_bytes: int,
        running_s: float = RUNNING_S,
        reach: Reach = "cluster",
    ) -> None:
        self.reach = reach
        self._runner = runner
        self._holder = holder
        self._base = f"{prefix}{{adm}}:"
        self._ended = f"{self._base}logs:ended"
        self._sizes = f"{self._base}logs:sizes"
        self._retention_ms = max(1, round(retention_s * 1000))
        self._running_ms = round(running_s * 1000)
        self._max_bytes = max_bytes
        self._total_bytes = total_bytes
        self._append, self._read, self._is_read = script("log_append"), script("log_read"), script("log_is_read")
        self._claim, self._land = script("flight_claim"), script("flight_end")
        self._get, self._put = script("text_get"), script("text_put")
        self._cancel, self._cancelled = script("cancel_put"), script("cancel_take")

    async def append(self, parts: Sequence[LogPart]) -> None:
        """Append to logs, in one round trip."""
        keys = [self._ended, self._sizes]
        arguments: list[str | int | bytes] = [
            self._total_bytes,
            self._max_bytes,
            self._running_ms,
            self._retention_ms,
            f"{self._base}log:",
        ]
        for part in parts:
            keys += self._log(part.log_id)
            arguments += (
                part.log_id,
                self._holder,
                part.head,
                part.end,
                part.first_seq,
                len(part.events),
                *part.events,
            )
        await self._runner.run(self._append, keys, arguments)

    async def read(self, asks: Sequence[LogAsk]) -> Sequence[LogRead]:
        """What is asked for, in its order; a round trip for each `MOST_LOGS`."""
        reads: list[LogRead] = []
        for at in range(0, len(asks), MOST_LOGS):
            reads += await self._read_some(asks[at : at + MOST_LOGS])
        return reads

    async def _read_some(self, asks: Sequence[LogAsk]) -> Sequence[LogRead]:
        most = max(LEAST_AT_ONCE, READ_AT_ONCE // len(asks))
        keys: list[str] = []
        arguments: list[str | int | bytes] = [most, COUNTS_MS]
        for ask in asks:
            keys += (*self._log(ask.log_id), self._mark(ask.log_id))
            arguments += (ask.after, int(ask.counts))
        found = await self._runner.run(self._read, keys, arguments)
        return [
            LogRead(
                holder=holder.decode(errors="replace"),
                head=head,
                end=end,
                cut=cut == 1,
                events=events,
                more=len(events) == most,
            )
            for holder, head, end, cut, *events in found
        ]

    async def is_read(self, log_id: str) -> bool:
        """Whether somebody read a log a moment ago. If nobody did, its flight is anybody's from now on."""
        keys = (self._mark(log_id), f"{self._base}log:{log_id}:facts")
        return bool(await self._runner.run(self._is_read, keys, (self._running_ms,)))

    async def put_stream(self, stream_id: str, facts: bytes, *, ended: bool) -> None:
        """Keep what a stream's client was told: as long as it may run, or as long as an ended log."""
        kept_ms = self._retention_ms if ended else self._running_ms + self._retention_ms
        await self._runner.run(self._put, (f"{self._base}stream:{stream_id}",), (facts, kept_ms))

    async def get_stream(self, stream_id: str) -> bytes | None:
        """The same again."""
        facts: bytes = await self._runner.run(self._get, (f"{self._base}stream:{stream_id}",), ())
        return facts or None

    async def cancel(self, holder: str, stream_id: str) -> None:
        """Have a process end a stream of its clients'."""
        await self._runner.run(self._cancel, (self._cancels(holder),), (stream_id, self._running_ms))

    async def cancelled(self, done: Sequence[str]) -> Sequence[str]:
        """The streams that this process is to end. Those that it says are ``done`` are forgotten."""
        found = await self._runner.run(self._cancelled, (self._cancels(self._holder),), done)
        return [stream_id.decode(errors="replace") for stream_id in found]

    async def claim(
        self, digest: bytes, mine: Flight, *, seen_at: float | None = None, instead_of: Flight | None = None
    ) -> Flight | None:
        """The flight of a digest: this one, unless there is another that is not to be replaced."""
        there = await self._claimed(digest, mine, b"" if instead_of is None else _written(instead_of), seen_at)
        if there and _flight(there) is None:  # nobody of ours has written that
            there = await self._claimed(digest, mine, there, seen_at)
        return _flight(there)

    async def _claimed(self, digest: bytes, mine: Flight, before: bytes, seen_at: float | None) -> bytes:
        keys = (self._flight(digest), f"{self._base}cache:{digest.hex()}")
        seen = "" if seen_at is None else repr(seen_at)
        how = (_written(mine), before, self._running_ms, seen, f"{self._base}log:", COUNTS_MS)
        there: bytes = await self._runner.run(self._claim, keys, how)
        return there

    async def flight(self, digest: bytes) -> Flight | None:
        """The flight of a digest now."""
        return _flight(await self._runner.run(self._get, (self._flight(digest),), ()))

    async def land(self, digest: bytes, mine: Flight) -> None:
        """The flight is over: its answer is kept, or there is none."""
        await self._runner.run(self._land, (self._flight(digest),), (_written(mine),))

    def _log(self, log_id: str) -> tuple[str, str]:
        events = f"{self._base}log:{log_id}"
        return events, f"{events}:facts"

    def _mark(self, log_id: str) -> str:
        return f"{self._base}log:{log_id}:read"

    def _cancels(self, holder: str) -> str:
        return f"{self._base}cancels:{holder}"

    def _flight(self, digest: bytes) -> str:
        return f"{self._base}flight:{digest.hex()}"


def _written(flight: Flight) -> bytes:
    """As JSON; epochs as texts, because they are larger than a number may be in it."""
    epochs = [*map(str, flight.epochs)]
    return orjson.dumps((flight.log_id, flight.holder, flight.as_events, flight.groups, epochs))


def _flight(text: bytes) -> Flight | None:
    """The flight of a text; none where there is no text, or somebody else's."""
    try:
        log_id, holder, as_events, groups, epochs = orjson.loads(text)
        return Flight(
            log_id=str(log_id),
            holder=str(holder),
            as_events=bool(as_events),
            groups=tuple(map(str, groups)),
            epochs=tuple(map(int, epochs)),
        )
    except (TypeError, ValueError):
        return None
