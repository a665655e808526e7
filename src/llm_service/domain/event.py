"""One numbered event of a generation, and what became of the generation in the end."""

import json
from collections.abc import Iterable
from typing import Any, Final, Literal

from llm_service.domain.errors import LLMServiceError
from llm_service.domain.fact import fact_in_order
from llm_service.domain.usage import Cost, Usage

EventKind = Literal["chunk", "finish", "usage", "error"]
OutcomeStatus = Literal["ok", "error", "aborted", "refused", "interrupted"]


class Event:
    """A piece of an answer, in the JSON bytes of a ``chat.completion.chunk``.

    ``seq`` counts from 1 within a generation. ``kind``: ``chunk`` (content), ``finish`` (the last chunk of the
    choices, with their finish reasons), ``usage`` (a chunk with empty ``choices``), ``error`` (``raw`` is empty,
    ``error`` is set, nothing follows). Finish, usage and error are terminal: they are sent only after the
    generation's record is closed.
    """

    __slots__ = ("_chunk", "error", "kind", "raw", "seq")

    def __init__(
        self,
        seq: int,
        raw: bytes,
        kind: EventKind = "chunk",
        *,
        chunk: dict[str, Any] | None = None,
        error: LLMServiceError | None = None,
    ) -> None:
        self.seq = seq
        self.raw = raw
        self.kind = kind
        self.error = error
        self._chunk = chunk

    @property
    def chunk(self) -> dict[str, Any]:
        """The decoded chunk, decoded once; to be read, not changed."""
        if self._chunk is None:
            self._chunk = json.loads(self.raw)
        return self._chunk

    def __repr__(self) -> str:
        return f"Event(seq={self.seq}, kind={self.kind!r}, raw_bytes={len(self.raw)})"


def forget_chunks(events: Iterable[Event]) -> None:
    """Keep the bytes of these alone: decoded, a chunk takes ten times as much."""
    for event in events:
        event._chunk = None


class LocalFailure(Event):
    """An error that one reader alone gets, in place of what follows: not a part of the generation.

    ``seq`` is that of the last event that the reader has had, so that it can go on from there elsewhere.
    """

    __slots__ = ()

    def __init__(self, after: int, error: LLMServiceError) -> None:
        super().__init__(after, b"", "error", error=error)


TERMINAL: Final[frozenset[EventKind]] = frozenset({"finish", "usage", "error"})


@fact_in_order
class Outcome:
    """How a generation ended: what the record, the metrics and the log say of it.

    ``late_error``: what the provider complained of when its answer was complete; no failure, but worth a line.
    """

    status: OutcomeStatus
    usage: Usage | None = None
    cost: Cost | None = None
    error: LLMServiceError | None = None
    finish_reason: str | None = None
    upstream_id: str | None = None
    response_model: str | None = None
    late_error: LLMServiceError | None = None
