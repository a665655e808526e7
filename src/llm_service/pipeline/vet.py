"""Stage: answers are judged as a whole by the filters that ask somebody, before anybody gets anything of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from llm_service.domain import (
    TERMINAL,
    Event,
    InternalError,
    LLMServiceError,
    Outcome,
    Reply,
    Sink,
    Subscription,
    forget_chunks,
)
from llm_service.filters import FILTERED, FilterOptions, Masks, Passage, decoded, emptied, ending, passages_said
from llm_service.pipeline.asking import Asking
from llm_service.pipeline.base import Exchange, Proceed, Withheld
from llm_service.streams import ReadyReply, collect, encode

MOST_INLINE_BYTES: Final = 32 * 1024
"""More of an answer is read in a thread, so that no other request waits for it."""
MOST_HELD_BYTES: Final = 32 * 1024 * 1024
"""A stream of more cannot be judged."""
BATCH: Final = 256
"""Events that go out at once when a stream is let go, so that a slow reader can hold the others back."""


class Vet:
    """Adds to ``exchange.verdicts``; fills ``exchange.withheld`` while nobody is given what the provider has said.

    It stands below the log of the generation, and above the filters that judge here: whoever follows, resumes, or gets
    the answer from the cache gets one that was judged, and what is judged elsewhere is masked, as the prompt was.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """The reply; one that is blocked says nothing, and has ended with the finish reason ``content_filter``."""
        reply = await proceed(exchange)
        filters = [one for one in exchange.policy.asking if "output" in one.sides]
        if not filters or exchange.request.operation == "embedding":
            return reply
        if reply.whole is None or reply.outcome is None:
            return HeldReply(reply, Vetting(self._asking, filters, exchange))
        return await self._whole(exchange, filters, reply, reply.whole, reply.outcome)

    async def _whole(
        self, exchange: Exchange, filters: Sequence[FilterOptions], reply: Reply, whole: bytes, outcome: Outcome
    ) -> Reply:
        sifted = exchange.withheld
        exchange.withheld = _with(sifted, (whole,), outcome)
        answer = decoded(whole)
        passages = hidden(passages_said(answer), exchange.masks)
        if await self._asking.ask(exchange, filters, passages, "output") is None:
            exchange.withheld = sifted
            return reply
        return ReadyReply(reply.head, replace(outcome, finish_reason=FILTERED), whole=encode(emptied(answer)))


def _with(sifted: Withheld | None, pieces: Sequence[bytes], outcome: Outcome | None) -> Withheld:
    """What the provider has said, with what others have kept back of it already."""
    return Withheld(pieces if sifted is None else [*sifted.pieces, *pieces], outcome)


def hidden(passages: Sequence[Passage], masks: Masks | None) -> Sequence[Passage]:
    """What was put back for the client alone is not shown to who judges."""
    return [Passage(who, masks.conceal(text)) for who, text in passages] if masks else passages


class Vetting:
    """What a held stream needs to be judged."""

    __slots__ = ("_asking", "_filters", "exchange")

    def __init__(self, asking: Asking, filters: Sequence[FilterOptions], exchange: Exchange) -> None:
        self._asking = asking
        self._filters = filters
        self.exchange = exchange

    async def blocks(self, events: Sequence[Event] | None) -> bool:
        """Whether these must not be given out; ``None``: there are too many. Raises DeadlineExceeded."""
        passages = None if events is None else hidden(await _read(events), self.exchange.masks)
        return await self._asking.ask(self.exchange, self._filters, passages, "output") is not None


async def _read(events: Sequence[Event]) -> Sequence[Passage]:
    if sum(len(event.raw) for event in events) <= MOST_INLINE_BYTES:
        return _passages(events)
    return await asyncio.to_thread(_passages, events)


def _passages(events: Sequence[Event]) -> Sequence[Passage]:
    answer = decoded(collect([event for event in events if event.error is None]))
    forget_chunks(events)
    return passages_said(answer)


class HeldReply(Reply):
    """The events of a reply, none of which comes before all are judged; for one reader, as the provider's itself."""

    __slots__ = ("_holding", "_reply", "_vetting", "head", "whole")

    def __init__(self, reply: Reply, vetting: Vetting) -> None:
        self.head = reply.head
        self.whole = None
        self._reply = reply
        self._vetting = vetting
        self._holding: Holding | None = None

    @property
    def outcome(self) -> Outcome | None:  # type: ignore[override]
        """How it ended, for its reader."""
        return None if self._holding is None else self._holding.outcome

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Send the events after number ``after`` to the sink, when all are judged."""
        holding = self._holding = Holding(self._reply, self._vetting, sink, after)
        holding.begin()
        return holding

    async def aclose(self) -> None:
        """Give the answer up; does nothing when it has ended."""
        if self._holding is not None:
            self._holding.detach()
        await self._reply.aclose()


class Holding:
    """Sink of the provider's reply, and the subscription of who waits for it.

    All of a stream is awaited, however slow its reader is. One that is too long is decided on at once: it is ended, or
    passes as it comes.
    """

    __slots__ = (
        "_after", "_bytes", "_decided", "_ended", "_events", "_is_held_back", "_is_paused", "_judging", "_reply",
        "_sifted", "_sink", "_subscription", "_vetting", "_withheld", "outcome",
    )  # fmt: skip

    def __init__(self, reply: Reply, vetting: Vetting, sink: Sink, after: int) -> None:
        self.outcome: Outcome | None = None
        self._reply = reply
        self._vetting = vetting
        self._sink: Sink | None = sink
        self._after = after
        self._events: list[Event] = []
        self._bytes = 0
        self._decided = False
        self._ended: Outcome | None = None
        self._subscription: Subscription | None = None
        self._judging: asyncio.Task[None] | None = None
        self._is_paused = False
        self._is_held_back = False
        self._sifted: Withheld | None = None
        self._withheld: Withheld | None = None

    def begin(self) -> None:
        """Read the provider's reply from now on."""
        subscription = self._reply.attach(self)
        if self._ended is None:
            self._subscription = subscription
            self._pace()

    # -- the provider's side

    def write(self, batch: Sequence[Event]) -> None:
        """The events of one socket read."""
        self._events += batch
        self._bytes += sum(len(event.raw) for event in batch)
        if self._decided:
            self._send()
        elif self._bytes > MOST_HELD_BYTES and self._judging is None:
            self._begin_to_judge()
            self._pace()

    def end(self, outcome: Outcome) -> None:
        """The provider has ended."""
        self._ended, self._subscription = outcome, None
        if self._decided:
            self._send()
        elif self._judging is None:
            self._begin_to_judge()

    # -- the reader's side

    def pause(self) -> None:
        """The reader is slow."""
        self._is_paused = True
        self._pace()

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        self._send()
        self._pace()

    def detach(self) -> bool:
        """The reader has left: nothing is judged any more, and the provider is let go. What it has said is paid."""
        if self._sink is None:
            return False
        self._sink = None
        self._let_go()
        if not self._decided:
            if self._judging is not None:
                self._judging.cancel()
            self._withhold()
            self.outcome = self._reply.outcome if self._ended is None else replace(self._ended, status="aborted")
        elif self.outcome is None:
            self.outcome = self._reply.outcome
        return False

    # -- inside

    def _begin_to_judge(self) -> None:
        self._withhold()
        self._judging = self._vetting.exchange.spawn(self._judge(), name="judge an answer")

    async def _judge(self) -> None:
        events = None if self._bytes > MOST_HELD_BYTES else self._events
        try:
            blocked = await self._vetting.blocks(events)
        except LLMServiceError as error:
            self._fail(error)
        except Exception:
            self._fail(InternalError("The service failed on this answer; its log has the details."))
            raise
        else:
            self._decide(blocked=blocked)

    def _decide(self, *, blocked: bool) -> None:
        if not blocked:
            self._vetting.exchange.withheld = self._sifted
            self._decided, self.outcome = True, self._ended
            self._send()
            self._pace()
            return
        self._let_go()
        outcome = self._ended or self._reply.outcome or Outcome(status="ok")
        if self._ended is None or outcome.error is None:
            outcome = replace(outcome, status="ok", finish_reason=FILTERED)
        self._end_with(ending(self._events, encode=encode), outcome)

    def _end_with(self, events: Sequence[Event], outcome: Outcome) -> None:
        """These events in place of all others."""
        self._let_go()
        self._withhold()
        self._decided = True
        self._events, self._ended = [*events], outcome
        self._send()

    def _fail(self, error: LLMServiceError) -> None:
        self._end_with([Event(1, b"", "error", error=error)], Outcome(status="error", error=error))

    def _let_go(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.detach()

    def _withhold(self) -> None:
        exchange = self._vetting.exchange
        if exchange.withheld is not self._withheld:  # the filters that judge here have ended, and kept something back
            self._sifted = exchange.withheld
        pieces = [event.raw for event in self._events if event.raw]
        exchange.withheld = self._withheld = _with(self._sifted, pieces, self._ended)

    def _pace(self) -> None:
        """Hold the provider back while a stream is too long to be judged, or while its reader is slow."""
        waits = self._is_paused if self._decided else self._bytes > MOST_HELD_BYTES
        if self._subscription is None or waits == self._is_held_back:
            return
        self._is_held_back = waits
        if waits:
            self._subscription.pause()
        else:
            self._subscription.resume()

    def _send(self) -> None:
        """What is decided, as far as the reader takes it; what ends an answer goes with the end."""
        if not self._decided:
            return
        while self._sink is not None and not self._is_paused and (batch := self._next()):
            self._sink.write(batch)
        if self._sink is None or self._is_paused or self._ended is None:
            return
        sink, self._sink = self._sink, None
        self.outcome = self._ended
        if self._events:
            sink.write(self._events)
        sink.end(self.outcome)

    def _next(self) -> Sequence[Event]:
        """The next events that are not the end."""
        batch = [event for event in self._events[:BATCH] if event.kind not in TERMINAL]
        del self._events[: len(batch)]
        return [event for event in batch if event.seq > self._after]
