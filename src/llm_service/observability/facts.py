"""What the pipeline tells about itself: facts, and whoever listens to them."""

from collections.abc import Sequence
from typing import Protocol

from llm_service.domain import Outcome, UsageRecord, fact


@fact
class Said:
    """What was asked and what was answered, cut to what may be kept; only where the operator wants it told."""

    prompt: str
    answer: str


@fact
class RequestFinished:
    """A request has its answer, or its refusal. Durations in milliseconds, from the request's last byte.

    ``provider`` and ``upstream_model`` are ``None`` where no provider was asked; ``attempts``: calls of providers.
    ``record``: what was recorded of it, ``None`` of what was refused or replayed; ``cache``: as in the record.
    ``trace_id``: of the trace that it is a part of (W3C, 32 hexadecimal digits). ``said``: only where that is wanted.
    """

    request_id: str
    stream_id: str | None
    surface: str
    key_id: str | None
    model: str | None
    provider: str | None
    upstream_model: str | None
    stream: bool
    first_content_ms: float | None
    duration_ms: float
    outcome: Outcome
    attempts: int = 0
    cache: str = "bypass"
    record: UsageRecord | None = None
    trace_id: str | None = None
    said: Said | None = None


class Listener(Protocol):
    """Someone who wants the facts. Must not block and must not raise."""

    def request_finished(self, fact: RequestFinished) -> None:
        """A request is over."""

    def close(self) -> None:
        """Nothing more comes: hand on what is still kept."""


class Listeners:
    """All listeners as one."""

    __slots__ = ("_listeners",)

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)

    def request_finished(self, fact: RequestFinished) -> None:
        """Tell everybody."""
        for listener in self._listeners:
            listener.request_finished(fact)

    def close(self) -> None:
        """Tell everybody that nothing more comes."""
        for listener in self._listeners:
            listener.close()
