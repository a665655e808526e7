"""The traces that requests belong to: who begins them, who records them, and what upstreams are told of them."""

import random
from typing import Final

from llm_service.observability.tracing.context import RANDOM, SAMPLED, TraceContext, trace_context, traceparent_of

TRACE_BITS: Final = 128
SPAN_BITS: Final = 64


class Ids:
    """Ids of traces and spans: random, and never zero."""

    __slots__ = ("_dice",)

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def trace(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._dice.getrandbits(TRACE_BITS) or 1:032x}"

    def span(self) -> str:
        """16 hexadecimal digits."""
        return f"{self._dice.getrandbits(SPAN_BITS) or 1:016x}"


class Trace:
    """One request's part of a trace. ``parent``: who asked, ``None`` where it begins here; ``span_id``: our own."""

    __slots__ = ("_ids", "flags", "parent", "span_id", "state", "trace_id")

    def __init__(self, ids: Ids | None, parent: TraceContext | None, trace_id: str, span_id: str, flags: int) -> None:
        """Without ``ids`` nothing is recorded here, and the caller's own context is passed on."""
        self._ids = ids
        self.parent = parent
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.state = "" if parent is None else parent.state

    @property
    def sampled(self) -> bool:
        """Whether it is recorded."""
        return bool(self.flags & SAMPLED)

    def attempt(self) -> str:
        """A new span id: the parent id that one call of an upstream is told."""
        return self.span_id if self._ids is None else self._ids.span()

    def headers(self, span_id: str) -> dict[str, str]:
        """What an upstream is told that is called under this span id."""
        headers = {"traceparent": traceparent_of(self.trace_id, span_id, self.flags)}
        if self.state:
            headers["tracestate"] = self.state
        return headers


class Tracer:
    """Decides which requests are recorded: as their callers say, else a share of them.

    ``records``: spans go somewhere; ``propagates``: an upstream is told of traces.
    """

    def __init__(self, *, ratio: float, records: bool, propagates: bool, dice: random.Random) -> None:
        self._ratio = ratio
        self._records = records
        self._propagates = propagates
        self._dice = dice
        self._ids = Ids(dice)

    def begin(self, traceparent: str | None, tracestate: str | None) -> Trace | None:
        """The trace of a request that comes in with these headers; ``None``: there is nothing to know before its end.

        What has no valid ``traceparent`` begins a trace of its own, before its end only where upstreams are told.
        """
        parent = None if traceparent is None else trace_context(traceparent, tracestate)
        if parent is None:
            return self._root(sampled=self._sampled()) if self._propagates and self._records else None
        if not self._records:
            return Trace(None, parent, parent.trace_id, parent.parent_id, parent.flags)
        span_id = self._ids.span() if parent.sampled or self._propagates else ""
        return Trace(self._ids, parent, parent.trace_id, span_id, parent.flags)

    def recorded(self, trace: Trace | None) -> Trace | None:
        """The trace of a request that has ended, if it is recorded: decided now where nobody could have heard of it."""
        if trace is not None:
            return trace if trace.flags & SAMPLED else None
        return self._root(sampled=True) if self._records and self._sampled() else None

    def _sampled(self) -> bool:
        return self._dice.random() < self._ratio

    def _root(self, *, sampled: bool) -> Trace:
        ids = self._ids
        return Trace(ids, None, ids.trace(), ids.span(), RANDOM | SAMPLED if sampled else RANDOM)
