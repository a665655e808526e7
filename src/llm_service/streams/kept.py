"""Answers that are there already: kept ones, and those that another request has just got."""

from collections.abc import Sequence
from typing import Final

from llm_service.domain import Event, Head, KeptAnswer, Outcome, Reply, Sink, Subscription
from llm_service.streams.forms import collect, split


class ReadyReply(Reply):
    """A complete answer, in whichever form its reader wants it: whole, or as events."""

    __slots__ = ("_ended", "_events", "head", "outcome", "whole")

    def __init__(
        self, head: Head, outcome: Outcome, *, whole: bytes | None = None, events: Sequence[Event] = ()
    ) -> None:
        self.head = head
        self.outcome = self._ended = outcome
        self.whole = whole
        self._events = events

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Send the events after number ``after``, and the end."""
        events = self._events
        if not events and self.whole is not None:
            events = split(self.whole, self._ended)
        if unread := [event for event in events if event.seq > after] if after else events:
            sink.write(unread)
        sink.end(self._ended)
        return _OVER

    async def aclose(self) -> None:
        """Nothing is left to be given up."""


def ready_reply(answer: KeptAnswer, *, as_events: bool) -> ReadyReply:
    """A kept answer as a reply; ``as_events``: its reader wants events."""
    outcome = Outcome(  # in the order of the fields: by their names it costs twice as much
        "ok",
        answer.usage,
        None,  # cost: it was paid when the answer was made
        None,  # error
        answer.finish_reason,
        answer.upstream_id,
        answer.response_model,
    )
    if answer.form == "whole":
        return ReadyReply(answer.head, outcome, whole=answer.pieces[0])
    events = answer.events()
    return ReadyReply(answer.head, outcome, whole=None if as_events else collect(events), events=events)


class _Over:
    """The hold of a reader that has everything."""

    def pause(self) -> None:
        """Nothing follows."""

    def resume(self) -> None:
        """Nothing follows."""

    def detach(self) -> bool:
        """Nobody needs to know."""
        return False


_OVER: Final = _Over()
