"""What the pipeline tells about itself: facts, and whoever listens to them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from llm_service.domain import (
    Candidate,
    Lease,
    ModelRequest,
    Outcome,
    Usage,
    UsageRecord,
    Verdict,
    fact,
    fact_in_order,
)
from llm_service.observability.tracing.trace import Trace


@fact
class Said:
    """What was asked and what was answered, redacted and cut; only where the operator wants it told.

    JSON texts in the form of OpenTelemetry's conventions (`contents.py`); ``answer`` and ``tools`` empty where there is
    none.
    """

    prompt: str
    answer: str
    tools: str = ""


class Attempted(Protocol):
    """One call of a provider. ``error_code``: why it failed; ``lost``, ``aborted``; ``None``: it answered.

    Moments in monotonic seconds; ``ended_at``: at its first content, its failure, or when it was given up. ``usage``:
    what a failed one bills all the same. ``span_id``: under which its upstream was called, empty where none was chosen.
    ``is_fault``: it failed, also behind its first content, by the provider's fault, as its figures of health count it.
    """

    candidate: Candidate
    error_code: str | None
    begun_at: float
    ended_at: float | None
    usage: Usage | None
    span_id: str
    is_fault: bool


@fact_in_order
class RequestFinished:
    """A request has its answer, or its refusal. Durations in milliseconds, from the request's last byte.

    ``provider`` and ``upstream_model`` are ``None`` where it is not known who would be asked; ``attempts``: calls of
    providers. What follows is the request's own, to be read at once and not to be kept or changed: its one record,
    where it was admitted; ``saved_nano_usd``: what its answer cost whoever paid it; its calls; the lease under which
    it ran; and, in monotonic seconds, when its last byte had come, when each stage began, and when its answer began.
    ``queue_s``: what it waited for places at providers. ``trace_id``: of the trace that it was recorded in.
    ``trace``: the same with all that spans need, ``None`` where none are made. ``request``: without what filters have
    masked. ``said``: only where that is wanted. ``verdicts``: what filters have found.
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
    saved_nano_usd: int = 0
    tries: Sequence[Attempted] = ()
    lease: Lease | None = None
    received_at: float = 0.0
    marks: Sequence[float] = ()
    head_at: float | None = None
    queue_s: float | None = None
    trace_id: str | None = None
    trace: Trace | None = None
    request: ModelRequest | None = None
    said: Said | None = None
    verdicts: Sequence[Verdict] = ()


@fact
class AlertChanged:
    """An alert has begun to fire, or is over. ``value``: what its rule measured, in the unit of the rule's kind."""

    rule: str
    labels: Mapping[str, str]
    severity: str
    state: Literal["firing", "resolved"]
    summary: str
    value: float
    at: datetime


class Listener(Protocol):
    """Someone who wants the facts. Must not block and must not raise."""

    def request_finished(self, fact: RequestFinished) -> None:
        """A request is over."""

    def close(self) -> None:
        """Nothing more comes: hand on what is still kept."""


class Listeners:
    """All listeners as one."""

    __slots__ = ("_listeners", "_tell")

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._tell = tuple([listener.request_finished for listener in listeners])

    def request_finished(self, fact: RequestFinished) -> None:
        """Tell everybody."""
        for tell in self._tell:
            tell(fact)

    def close(self) -> None:
        """Tell everybody that nothing more comes."""
        for listener in self._listeners:
            listener.close()
