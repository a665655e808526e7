"""Stage: answers pass the filters that their requests meet, before anybody else sees them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from llm_service.domain import TERMINAL, Event, Head, ModelRequest, Outcome, Reply, Sink, Subscription
from llm_service.filters import FILTERED, Report, Sieve, Sifted, sift_whole
from llm_service.pipeline.base import Exchange, Proceed, Withheld
from llm_service.runtime import Clock, TimerHandle
from llm_service.streams import ReadyReply, encode

MOST_INLINE_BYTES: Final = 32 * 1024
"""More of a whole answer is judged in a thread, so that no other request waits for it."""
_JSON_FORMATS: Final = frozenset(("json_object", "json_schema"))


class Sift:
    """Reads ``exchange.policy`` and ``exchange.masks``; adds to ``exchange.verdicts``, and fills ``withheld``.

    It stands before the log of the generation: who follows, resumes, or gets the answer from the cache gets the
    filtered one. ``report`` hears of filters that cannot judge.
    """

    def __init__(self, *, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._report = report

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """The reply of the provider, or what filters leave of it."""
        reply = await proceed(exchange)
        filters, masks = exchange.policy.output, exchange.masks
        if not (filters or masks) or exchange.request.operation == "embedding":
            return reply
        is_json = _wants_json(exchange.request)
        if reply.whole is None:
            sieve = Sieve(filters, masks, encode=encode, report=self._report, is_json=is_json)
            return SiftedReply(reply, sieve, exchange, self._clock)
        sift = partial(sift_whole, reply.whole, filters, masks, encode=encode, report=self._report, is_json=is_json)
        sifted = sift() if len(reply.whole) <= MOST_INLINE_BYTES else await asyncio.to_thread(sift)
        return _ready(reply, sifted, exchange)


def _wants_json(request: ModelRequest) -> bool:
    wanted = request.body.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") in _JSON_FORMATS


def _ready(reply: Reply, sifted: Sifted, exchange: Exchange) -> Reply:
    """The whole reply as it was, or with what is left of it."""
    exchange.verdicts += sifted.verdicts
    outcome = reply.outcome
    if outcome is None or sifted.raw is reply.whole:
        return reply
    return ReadyReply(
        reply.head,
        outcome if sifted.blocked_by is None else replace(outcome, finish_reason=FILTERED),
        whole=sifted.raw,
    )


class SiftedReply(Reply):
    """The events of a reply behind its filters; for one reader, as the provider's reply itself.

    A blocked stream lets its provider go at once, and has ended well: with the finish reason ``content_filter``, and
    with the usage that is known by then.
    """

    __slots__ = ("_clock", "_exchange", "_reply", "_sieve", "_sifting", "head", "whole")

    def __init__(self, reply: Reply, sieve: Sieve, exchange: Exchange, clock: Clock) -> None:
        self.head: Head = reply.head
        self.whole = None
        self._reply = reply
        self._sieve = sieve
        self._exchange = exchange
        self._clock = clock
        self._sifting: Sifting | None = None

    @property
    def outcome(self) -> Outcome | None:  # type: ignore[override]
        """How it ended, for its reader."""
        return (None if self._sifting is None else self._sifting.outcome) or self._reply.outcome

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Send the events after number ``after`` to the sink, from now on."""
        sifting = self._sifting = Sifting(self._reply, self._sieve, sink, self._exchange, self._clock)
        sifting.begin(after)
        return sifting

    async def aclose(self) -> None:
        """Give the answer up; does nothing when it has ended."""
        if self._sifting is not None:
            self._sifting.detach()
        await self._reply.aclose()


class Sifting:
    """Sink of the provider's reply, and the subscription of who reads what is left of it."""

    __slots__ = ("_clock", "_exchange", "_is_over", "_reply", "_sieve", "_sink", "_subscription", "_timer", "outcome")

    def __init__(self, reply: Reply, sieve: Sieve, sink: Sink, exchange: Exchange, clock: Clock) -> None:
        self.outcome: Outcome | None = None
        self._reply = reply
        self._sieve = sieve
        self._sink: Sink | None = sink
        self._exchange = exchange
        self._clock = clock
        self._subscription: Subscription | None = None
        self._timer: TimerHandle | None = None
        self._is_over = False

    def begin(self, after: int) -> None:
        """Read the provider's reply from now on."""
        subscription = self._reply.attach(self, after)
        if self._is_over:
            return
        self._subscription = subscription
        if self._sieve.blocked_by is not None:  # by what had come before
            self._block()

    # -- the provider's side

    def write(self, batch: Sequence[Event]) -> None:
        """The events of one socket read."""
        if self._is_over or self._sieve.blocked_by is not None:
            return
        events = self._sieve.feed(batch, self._clock.monotonic())
        if batch[-1].kind in TERMINAL:  # the provider says next how it ended
            self._give(events)
        else:
            self._send(events)

    def end(self, outcome: Outcome) -> None:
        """The provider has ended."""
        if self._is_over:
            return
        if self._sieve.blocked_by is None:
            self._give(self._sieve.finish())
        self._close(self._outcome(outcome))

    # -- the reader's side

    def pause(self) -> None:
        """The reader is slow. What is held, which is little, may still come."""
        if self._subscription is not None:
            self._subscription.pause()

    def resume(self) -> None:
        """Go on."""
        if self._subscription is not None:
            self._subscription.resume()

    def detach(self) -> bool:
        """The reader has left."""
        subscription, self._sink = self._subscription, None
        if self._is_over or subscription is None:
            return False
        if subscription.detach():
            return True
        self._close(self._reply.outcome)
        return False

    # -- inside

    def _send(self, events: Sequence[Event]) -> None:
        self._give(events)
        if self._is_over:  # the reader has left meanwhile
            return
        if self._sieve.blocked_by is not None:
            self._block()
        else:
            self._watch()

    def _give(self, events: Sequence[Event]) -> None:
        if events and self._sink is not None:
            self._sink.write(events)

    def _block(self) -> None:
        """Nothing follows: the provider is let go, as soon as there is a hold on it."""
        if self._subscription is not None:
            self._subscription.detach()
            self._close(self._outcome(self._reply.outcome or Outcome(status="ok")))

    def _outcome(self, outcome: Outcome) -> Outcome:
        """Of an answer that is blocked: it has ended well. A failure of the provider stays one."""
        if self._sieve.blocked_by is None or outcome.error is not None:
            return outcome
        return replace(outcome, status="ok", finish_reason=FILTERED)

    def _close(self, outcome: Outcome | None) -> None:
        """The end, one way or another; nothing here keeps anything else alive any more."""
        self._is_over = True
        self.outcome = outcome
        self._exchange.verdicts += self._sieve.verdicts
        if pieces := self._sieve.withheld():
            self._exchange.withheld = Withheld(pieces)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sink, self._sink, self._subscription = self._sink, None, None
        if sink is not None and outcome is not None:
            sink.end(outcome)

    def _watch(self) -> None:
        """Call back when what is held has waited long enough: one timer at a time, which may find nothing to do."""
        due = self._sieve.due()
        if due is not None and self._timer is None:
            self._timer = self._clock.call_later(max(due - self._clock.monotonic(), 0.0), self._let_go)

    def _let_go(self) -> None:
        self._timer = None
        if not self._is_over:
            self._send(self._sieve.release_due(self._clock.monotonic()))
