"""The way out: events pass the watchers, and the terminal ones wait until every watcher has settled."""

from collections.abc import Awaitable, Sequence
from dataclasses import replace

from llm_service.domain import TERMINAL, Event, InternalError, LLMServiceError, Outcome, Reply, Sink, Subscription
from llm_service.pipeline.base import Exchange, Watcher
from llm_service.runtime import Tasks


class WatchedReply(Reply):
    """A reply whose events go through an exchange's watchers."""

    __slots__ = ("_exchange", "_reply", "_tasks", "head", "outcome", "whole")

    def __init__(self, reply: Reply, exchange: Exchange, tasks: Tasks) -> None:
        self.head = reply.head
        self.whole = None
        self.outcome = None
        self._reply = reply
        self._exchange = exchange
        self._tasks = tasks

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Send the events after number ``after`` to the sink, from now on."""
        delivery = Delivery(self._reply, self._exchange, sink, self._tasks)
        subscription = self._reply.attach(delivery, after)
        if not delivery.ended:
            delivery.subscription = subscription
        return delivery

    async def aclose(self) -> None:
        """Give the answer up, and let the watchers settle that; others may go on reading it."""
        delivery = Delivery(self._reply, self._exchange, None, self._tasks)
        subscription = self._reply.attach(delivery)
        if not delivery.ended:
            delivery.subscription = subscription
            if delivery.detach():
                return
        if (waiting := self._exchange.settle(self._reply.outcome or Outcome(status="aborted"))) is not None:
            await waiting


class Delivery:
    """Sink of the provider's reply, and the subscription that the door holds."""

    __slots__ = ("_exchange", "_held", "_looking", "_reply", "_sink", "_tasks", "ended", "subscription")

    def __init__(self, reply: Reply, exchange: Exchange, sink: Sink | None, tasks: Tasks) -> None:
        self._reply = reply
        self._exchange = exchange
        self._sink = sink
        self._tasks = tasks
        self._looking = [watcher for watcher in reversed(exchange.watchers) if watcher.looks]
        self._held: Sequence[Event] = ()
        self.subscription: Subscription | None = None
        self.ended = False

    def write(self, batch: Sequence[Event]) -> None:
        """Events from the provider; terminal ones come last and are held."""
        if batch[-1].kind in TERMINAL:
            self._held = [event for event in batch if event.kind in TERMINAL]
            batch = [event for event in batch if event.kind not in TERMINAL]
        if self._looking:
            batch = seen(self._looking, batch)
        if batch and self._sink is not None:
            self._sink.write(batch)

    def end(self, outcome: Outcome) -> None:
        """The provider has ended: settle, then send what was held."""
        self.ended = True
        try:
            if self._looking:
                self._held = [*flushed(self._looking), *self._held]
            waiting = self._exchange.settle(outcome)
        except Exception as defect:  # noqa: BLE001 - reported, and never an answer that just stops
            self._tasks.report("settle", defect)
            self._close_unsettled(outcome, defect)
            return
        if waiting is None:
            self._close(outcome)
        else:
            self._tasks.spawn(self._close_after(waiting, outcome), name="settle before the last event")

    async def _close_after(self, waiting: Awaitable[None], outcome: Outcome) -> None:
        try:
            await waiting
        except Exception as defect:  # noqa: BLE001 - the task that settles has reported it
            self._close_unsettled(outcome, defect)
        else:
            self._close(outcome)

    def _close_unsettled(self, outcome: Outcome, why: Exception) -> None:
        """An answer whose account could not be closed is not given out as complete."""
        if outcome.error is None:
            error: LLMServiceError = InternalError("The service could not close its record of this answer.")
            if isinstance(why, LLMServiceError):
                error = why
            seq = self._held[0].seq if self._held else 1
            self._held = [Event(seq, b"", "error", error=error)]
            outcome = replace(outcome, status="error", error=error)
        self._exchange.settle(outcome)  # whoever has not been asked yet
        self._close(outcome)

    def _close(self, outcome: Outcome) -> None:
        sink, self._sink = self._sink, None  # sink, delivery and reply do not keep each other alive
        self.subscription = None
        if sink is not None:
            if self._held:
                sink.write(self._held)
            sink.end(outcome)

    def pause(self) -> None:
        """The door's reader is slow."""
        if self.subscription is not None:
            self.subscription.pause()

    def resume(self) -> None:
        """Go on."""
        if self.subscription is not None:
            self.subscription.resume()

    def detach(self) -> bool:
        """The door's reader has left: settled as aborted, unless the generation goes on on this exchange's account."""
        self._sink = None
        subscription = self.subscription
        if subscription is not None and subscription.detach():
            return True
        self.subscription = None
        self._exchange.settle(self._reply.outcome or Outcome(status="aborted"))
        return False


def seen(looking: Sequence[Watcher], batch: Sequence[Event]) -> list[Event]:
    """What the watchers, inside out, let through of a batch."""
    passed: list[Event] = []
    for event in batch:
        current: Event | None = event
        for watcher in looking:
            if current is None:
                break
            current = watcher.see(current)
        if current is not None:
            passed.append(current)
    return passed


def flushed(looking: Sequence[Watcher]) -> list[Event]:
    """What the watchers still hold; what an inner one gives up passes the outer ones."""
    held: list[Event] = []
    for watcher in looking:
        held = [event for event in (watcher.see(one) for one in held) if event is not None]
        held += watcher.flush()
    return held
