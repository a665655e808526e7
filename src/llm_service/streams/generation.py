"""One generation: who leads it, who joins it, and how it ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from llm_service.domain import CostSource, Event, Head, LLMServiceError, Outcome, Reply, StreamCancelled
from llm_service.streams.broadcast import Broadcast, Copy
from llm_service.streams.kept import ReadyReply
from llm_service.streams.logged import LoggedReply

LEFT: Final = "The stream was cancelled before its answer was complete: its last reader had left."
ABORTED: Final = Outcome(status="aborted")


class Generation(Broadcast):
    """The answer of one upstream call, for as many readers as like: whoever asked for it, who joined, who resumes.

    ``finish``: it goes on when nobody reads.

    The one request whose account pays for it leads: its reading is never cut off, and stays, in silence, when its
    client leaves while others read. The end of the answer goes to all others when that account is closed.
    """

    __slots__ = (
        "_beginning", "_cancelled", "_elsewhere", "_finish", "_on_deserted", "_reply", "cost_source", "epochs",
        "groups", "head", "is_complete", "is_stale", "log", "nano_usd", "whole",
    )  # fmt: skip

    def __init__(
        self,
        *,
        max_bytes: int,
        finish: bool = False,
        elsewhere: "Elsewhere | None" = None,
        log: tuple[str, str] | None = None,
    ) -> None:
        """``elsewhere``: other processes may read it as well; ``log``: by which name, and whose it is."""
        super().__init__(max_bytes=max_bytes, beside=elsewhere)
        self.log = log
        self.head: Head | None = None
        self.whole: bytes | None = None
        self.is_complete: bool | None = None  # of its whole; see Reply
        self.is_stale = False  # a kept answer in place of one that could not be had
        self.groups: Sequence[str] = ()  # what its answer can be purged by, where others may join it
        self.epochs: tuple[int, ...] = ()  # where these stood at the look-up before it
        self.nano_usd = 0
        self.cost_source: CostSource = "none"
        self._finish = int(finish)  # of how many it is the wish
        self._elsewhere = elsewhere
        self._reply: Reply | None = None
        self._beginning: asyncio.Future[None] | None = None
        self._on_deserted: asyncio.Task[None] | None = None
        self._cancelled: LLMServiceError | None = None

    # -- what is known of it

    @property
    def bytes(self) -> int:
        """About how much memory its answer takes, which may be there as events and as a whole."""
        return super().bytes + (0 if self.whole is None else len(self.whole))

    @property
    def begun(self) -> bool:
        """Whether there is an answer, or a part of one."""
        return self.head is not None

    @property
    def given_up(self) -> bool:
        """Whether it was cancelled, by its owner or when its last reader had left: nobody new is to share that."""
        return self.outcome is not None and self.outcome.status == "aborted"

    @property
    def is_copy(self) -> bool:
        """Whether another process makes it."""
        return self.log is not None and self._elsewhere is None

    def may_have(self, seq: int) -> bool:
        """Whether it has had an event of this number; of a copy, which gets them late, that is not known."""
        return self.is_copy or seq <= self.last_seq

    # -- who leads

    async def told(self) -> None:
        """Others elsewhere can know that its account is closed."""
        if self._elsewhere is not None:
            await self._elsewhere.ended(self)

    def begin(self, reply: Reply, *, as_events: bool) -> None:
        """The answer begins: as events, or it is there as a whole, which others get when the account is closed."""
        self.head = reply.head
        self.whole = reply.whole
        self.is_complete = reply.is_complete
        if self._on_deserted is not None:  # who leads is there again, to read in silence
            self._on_deserted = None
            self._holds += 1
        if not as_events:
            self.outcome = reply.outcome
            return
        if self._elsewhere is not None:
            self._elsewhere.begun(reply.head)
        self._reply = reply
        source = reply.attach(self)
        if self.outcome is None:
            self._source = source
            self._pace()
            if self._cancelled is not None:
                self._cut(self._cancelled)
        if self.whole is None:
            self._wake()

    def close(self, outcome: Outcome, *, nano_usd: int = 0, cost_source: CostSource = "none") -> None:
        """The account of who leads is closed; with it ends what never began, or was given up."""
        self.settled = True
        self.nano_usd = nano_usd
        self.cost_source = cost_source
        if self.outcome is not None and self.outcome.status == "ok" and outcome.error is not None:
            self._spoil(outcome, outcome.error.again())
        if self.outcome is None:
            error = (self._cancelled or outcome.error or StreamCancelled(LEFT)).again()  # without its frames
            self._cut(error, replace(outcome, error=None if outcome.error is None else error))
        self._wake()
        self._feed_all()

    def leave_to_others(self, task: "asyncio.Task[None]") -> bool:
        """The client of who leads has gone before the beginning: whether the task is to go on for others.

        It is cancelled when the last of them leaves.
        """
        self._holds -= 1
        if self._holds == 0 and not self._finish and self._elsewhere is None:
            return False
        self._on_deserted = task
        self._mind_desertion()
        return True

    # -- who joins

    def join(self, *, finish: bool = False) -> None:
        """Wait for it as well. ``finish``: from now on it goes on when nobody reads."""
        self._holds += 1
        self._finish += finish

    async def beginning(self) -> None:
        """Until there are events, or the account is closed."""
        if self.settled or (self.begun and self.whole is None):
            return
        if self._beginning is None:
            self._beginning = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._beginning)

    def reply(self, *, leads: bool = False) -> Reply:
        """Its events as a reply; who asks leads or has joined, and leaves with the reply."""
        if self.whole is not None and self.head is not None and self.outcome is not None and not self._events:
            self.leave()
            return ReadyReply(self.head, self.outcome, whole=self.whole)
        return LoggedReply(self, leads=leads)

    # -- how it ends

    def disown(self, error: LLMServiceError, *, finish: bool) -> None:
        """One of its owners does not want it any more: it goes on for the others, else it ends with this error.

        ``finish``: that it goes on when nobody reads was this one's wish too. What others elsewhere may read ends in a
        moment.
        """
        self._finish -= finish
        if self._finish:
            return
        if self._elsewhere is not None:
            self._mind_desertion()
        elif self.deserted:
            self.cancel(error)

    def give_up(self) -> None:
        """Nobody reads it any more: end it, if that is still so."""
        if self.deserted and not self._finish:
            self.cancel(StreamCancelled(LEFT))

    def break_off(self, error: LLMServiceError) -> None:
        """What was copied here comes to no end: whoever made it is gone."""
        self.close(Outcome(status="error", error=error))

    def cancel(self, error: LLMServiceError) -> None:
        """End it for everybody, with this error; one that is waited for, as soon as it begins or its leader fails."""
        if self.outcome is not None:
            return
        self._cancelled = error
        if self._on_deserted is not None:
            self._on_deserted.cancel()
        if self.begun or self.deserted:
            self._cut(error)

    # -- the provider's side

    def end(self, outcome: Outcome) -> None:
        """Nothing follows."""
        self._reply = None
        super().end(outcome)

    # -- inside

    def _cut(self, error: LLMServiceError, outcome: Outcome | None = None) -> None:
        """Let the provider go, and end with an error."""
        source, self._source = self._source, None
        if source is not None:
            source.detach()
        if outcome is None:
            outcome = (None if self._reply is None else self._reply.outcome) or ABORTED
        if self.is_copy:  # its maker's log has something else at the next number, or will have
            self._fail_here(error)
        else:
            self.write((Event(self.last_seq + 1, b"", "error", error=error),))
        self.end(outcome)

    def _spoil(self, outcome: Outcome, error: LLMServiceError) -> None:
        """The account of a good answer could not be closed: in place of its end others get that."""
        self._replace_end(error)
        self.outcome = replace(outcome, error=error)

    def _wake(self) -> None:
        if self._beginning is not None and not self._beginning.done():
            self._beginning.set_result(None)

    def _goes_on_unread(self) -> bool:
        return self._finish > 0 or self._elsewhere is not None

    def _mind_desertion(self) -> None:
        if not self.deserted or self._finish or self.outcome is not None:
            return
        if self._elsewhere is None:
            self.give_up()
        else:
            self._elsewhere.deserted(self)


class Elsewhere(Copy, Protocol):
    """What other processes are told of a generation, and may want of it."""

    def begun(self, head: Head) -> None:
        """It has begun."""

    def deserted(self, generation: Generation) -> None:
        """Nobody reads it here: ``give_up`` is to be called when nobody does elsewhere either."""

    async def ended(self, generation: Generation) -> None:
        """Its account is closed; returns when others can know, or cannot be told."""
