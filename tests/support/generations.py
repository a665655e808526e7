"""A source that says what a test tells it to, and readers that note what they get and that it is in order."""

from collections.abc import Sequence

from llm_service.domain import (
    TERMINAL,
    Event,
    EventKind,
    Head,
    LLMServiceError,
    LocalFailure,
    Outcome,
    Reply,
    Sink,
    Subscription,
)

OK = Outcome(status="ok", finish_reason="stop")
GONE = Outcome(status="aborted", upstream_id="gen_1")
"""What the source says of an answer that was given up."""
HEAD = Head(provider="p", model="p/m", upstream_model="m")


class ScriptedSource(Reply):
    """A provider's reply: ``say`` is one socket read."""

    def __init__(self, *, whole: bytes | None = None, outcome: Outcome | None = None) -> None:
        self.head = HEAD
        self.whole = whole
        self.outcome = outcome
        self.paused = False
        self.detached = False
        self.closed = False
        self.said: list[Event] = []
        self._sink: Sink | None = None
        self._unread: list[Event] = []

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        self._sink = sink
        unread, self._unread = self._unread, []
        if unread:
            sink.write(unread)
        if self.outcome is not None:
            sink.end(self.outcome)
        return self

    def say(self, *raws: bytes, kinds: Sequence[EventKind] = (), error: LLMServiceError | None = None) -> None:
        """Chunks with these bytes, or events of these kinds; an error comes last."""
        seq = len(self.said) + 1
        batch = [Event(seq + at, raw, kinds[at] if kinds else "chunk") for at, raw in enumerate(raws)]
        if error is not None:
            batch.append(Event(seq + len(raws), b"", "error", error=error))
        self.said += batch
        if self._sink is None:
            self._unread += batch
        else:
            self._sink.write(batch)

    def finish(self, outcome: Outcome = OK) -> None:
        """Nothing follows."""
        self.outcome = outcome
        if self._sink is not None:
            self._sink.end(outcome)

    def pause(self) -> None:
        assert not self.paused
        self.paused = True

    def resume(self) -> None:
        assert self.paused
        self.paused = False

    def detach(self) -> bool:
        assert not self.detached
        self.detached = True
        self._sink = None
        self.outcome = self.outcome or GONE
        return False

    async def aclose(self) -> None:
        self.closed = True
        if self.outcome is None:
            self.detach()


class Reader:
    """A sink that takes ``credit`` writes and then pauses, ``None``: it never does; ``seqs``: what it has had.

    Who ``leads`` may be given what is left when it has paused.
    """

    def __init__(self, *, after: int = 0, credit: int | None = None, leads: bool = False) -> None:
        self.after = after
        self.credit = credit
        self.seqs: list[int] = []
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self.subscription: Subscription | None = None
        self.paused = False
        self.left = False
        self.leads = leads

    def follow(self, reply: Reply) -> None:
        subscription = reply.attach(self, self.after)
        if not self.ended:
            self.subscription = subscription
            if self.paused:
                subscription.pause()

    def write(self, batch: Sequence[Event]) -> None:
        assert batch
        assert not self.ended
        assert self.leads or not self.left  # an account hears on when its client has left
        assert self.error is None
        assert self.leads or not self.paused
        self.events += batch
        self.seqs += [event.seq for event in batch if not isinstance(event, LocalFailure)]
        assert all(event.seq == self.at for event in batch if isinstance(event, LocalFailure))
        assert self.seqs == [*range(self.after + 1, self.after + 1 + len(self.seqs))]
        if self.credit is not None:
            self.credit -= 1
            if self.credit <= 0:
                self.pause()

    def end(self, outcome: Outcome) -> None:
        assert self.leads or not self.left
        self.outcomes.append(outcome)
        assert len(self.outcomes) == 1

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            if self.subscription is not None:
                self.subscription.pause()

    def resume(self, *, credit: int | None = None) -> None:
        self.credit = credit
        self.paused = False
        if self.subscription is not None:
            self.subscription.resume()

    def leave(self) -> bool:
        self.left = True
        return self.subscription is not None and self.subscription.detach()

    @property
    def ended(self) -> bool:
        return bool(self.outcomes)

    @property
    def at(self) -> int:
        return self.seqs[-1] if self.seqs else self.after

    @property
    def error(self) -> LLMServiceError | None:
        return self.events[-1].error if self.events else None

    @property
    def has_terminal(self) -> bool:
        return any(event.kind in TERMINAL for event in self.events)
