"""One answer, shaped like HTTP: a head now, a body whole or as events, whether or not the client asked to stream."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from llm_service.domain.errors import LLMServiceError
from llm_service.domain.event import Event, Outcome
from llm_service.domain.fact import fact

WAITING_EVENTS: Final = 256
WAITING_BYTES: Final = 256 * 1024


@fact
class Head:
    """What is known of an answer before its body: who serves it, under which names."""

    provider: str
    model: str
    upstream_model: str


class Sink(Protocol):
    """Who receives a generation: a door, a log, a follower. Neither method blocks."""

    def write(self, batch: Sequence[Event]) -> None:
        """Take the events of one socket read, in order."""

    def end(self, outcome: Outcome) -> None:
        """Nothing follows."""


class Subscription(Protocol):
    """A sink's hold on a reply."""

    def pause(self) -> None:
        """Send nothing for now: the sink's own reader is slow."""

    def resume(self) -> None:
        """Go on."""

    def detach(self) -> bool:
        """The sink is gone. When the last one leaves, the generation is cancelled.

        Whether this hold stays: the generation goes on without its reader, and whoever keeps its account still hears
        of it, up to its end.
        """


class Reply(ABC):
    """The answer of a provider, of the cache, or of a log.

    ``whole`` holds the answer's JSON verbatim when it came whole; no events are made of it until a reader wants some.
    ``outcome`` is set as soon as the end is known. ``is_complete``: whether its whole is all that was asked for, and
    says something, where whoever decoded it has looked.
    """

    __slots__ = ()

    head: Head
    whole: bytes | None
    outcome: Outcome | None
    is_complete: bool | None = None

    @abstractmethod
    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Send the events after number ``after`` to the sink, from now on."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give the answer up; does nothing when it has ended. Only for paths that never reach the terminal event."""

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events one by one, for readers that pull; an adapter over ``attach`` that holds the generation back."""
        inbox = Inbox()
        inbox.subscribe(self)
        try:
            async for event in inbox.events():
                yield event
        finally:
            inbox.leave()


class Inbox:
    """A sink that keeps events until its reader pulls them.

    While ``WAITING_EVENTS`` or ``WAITING_BYTES`` wait, the generation is paused; it goes on when all are taken.
    ``outcome``: how it ended, once that is so.
    """

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self._subscription: Subscription | None = None
        self._events: list[Event] = []
        self._bytes = 0
        self._paused = False
        self._cut: LLMServiceError | None = None
        self._news = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Nothing comes any more."""
        return self.outcome is not None or self._cut is not None

    def subscribe(self, reply: Reply, after: int = 0) -> None:
        """Take the reply's events after number ``after`` from now on."""
        subscription = reply.attach(self, after)
        if not self.ended:
            self._subscription = subscription
            if self._paused:
                subscription.pause()

    def write(self, batch: Sequence[Event]) -> None:
        """Take the events of one socket read, in order."""
        self._events.extend(batch)
        self._bytes += sum(len(event.raw) for event in batch)
        if not self._paused and (len(self._events) > WAITING_EVENTS or self._bytes > WAITING_BYTES):
            self._paused = True
            if self._subscription is not None:
                self._subscription.pause()
        self._news.set()

    def end(self, outcome: Outcome) -> None:
        """Nothing follows."""
        self.outcome = outcome
        self._subscription = None
        self._news.set()

    def cut(self, error: LLMServiceError) -> None:
        """End with this error, which the reader gets at once; idempotent."""
        if not self.ended:
            self._cut = error
            self.leave()
            self._news.set()

    def leave(self) -> None:
        """The reader is gone; idempotent."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.detach()

    async def events(self) -> AsyncIterator[Event]:
        """The events in order. Raises the error with which it was cut."""
        while True:
            await self._news.wait()
            self._news.clear()
            batch, self._events, self._bytes = self._events, [], 0
            for event in batch:
                if self._cut is None:
                    yield event
            self._go_on()
            if self._cut is not None:
                raise self._cut.again()  # one that is kept here would keep this frame
            if self.ended and not self._events:
                return

    def _go_on(self) -> None:
        """All that waited is taken."""
        if self._paused:
            self._paused = False
            if self._subscription is not None:
                self._subscription.resume()
