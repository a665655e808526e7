"""A generation as one of its readers sees it."""

from typing import Protocol

from llm_service.domain import Head, Outcome, Reply, Sink, Subscription


class Readable(Protocol):
    """What a reply needs of a generation."""

    head: Head | None
    outcome: Outcome | None

    def read(self, sink: Sink, *, after: int = 0, leads: bool = False) -> Subscription:
        """Send the events after number ``after`` to the sink, from now on."""

    def leave(self) -> None:
        """Wait for it no longer."""


class LoggedReply(Reply):
    """The reply of a generation to one who leads it, or has joined it, and leaves it with the reply."""

    __slots__ = ("_generation", "_held", "_leads", "head", "whole")

    def __init__(self, generation: Readable, *, leads: bool) -> None:
        if generation.head is None:
            raise ValueError("the generation has not begun")
        self.head = generation.head
        self.whole = None
        self._generation = generation
        self._leads = leads
        self._held = True

    @property
    def outcome(self) -> Outcome | None:  # type: ignore[override]
        """How the generation ended."""
        return self._generation.outcome

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Read it, from now on."""
        reading = self._generation.read(sink, after=after, leads=self._leads)
        self._let_go()
        return reading

    async def aclose(self) -> None:
        """Leave it."""
        self._let_go()

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self._generation.leave()
