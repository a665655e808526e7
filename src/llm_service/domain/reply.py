"""One answer, shaped like HTTP: a head now, a body whole or as events, whether or not the client asked to stream."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from llm_service.domain.event import Event, Outcome
from llm_service.domain.fact import fact


@fact
class Head:
    """What is known of an answer before its body: who serves it, under which names, at which try."""

    provider: str
    model: str
    upstream_model: str
    attempts: int = 1


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
    ``outcome`` is set as soon as the end is known.
    """

    __slots__ = ()

    head: Head
    whole: bytes | None
    outcome: Outcome | None

    @abstractmethod
    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Send the events after number ``after`` to the sink, from now on."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give the answer up; does nothing when it has ended. Only for paths that never reach the terminal event."""

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events one by one, for readers that pull; an adapter over ``attach``."""
        inbox = _Inbox()
        subscription = self.attach(inbox)
        try:
            async for event in inbox.events():
                yield event
        finally:
            if not inbox.ended:
                subscription.detach()


class _Inbox:
    """A sink that keeps events until its reader pulls them."""

    def __init__(self) -> None:
        self.ended = False
        self._events: list[Event] = []
        self._news = asyncio.Event()

    def write(self, batch: Sequence[Event]) -> None:
        self._events.extend(batch)
        self._news.set()

    def end(self, outcome: Outcome) -> None:
        self.ended = True
        self._news.set()

    async def events(self) -> AsyncIterator[Event]:
        while True:
            await self._news.wait()
            self._news.clear()
            batch, self._events = self._events, []
            for event in batch:
                yield event
            if self.ended and not self._events:
                return
