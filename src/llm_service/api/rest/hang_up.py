"""Notices that clients have left while nothing is being sent to them."""

import asyncio
from collections.abc import Callable
from typing import Final

from llm_service.api.http_request import Receive
from llm_service.runtime import Clock, Tasks

PATIENCE_S: Final = 0.05


class HangUp:
    """The watch over one client behind ASGI, which says so when it is asked for the client's next word."""

    __slots__ = ("_left", "_listening", "_receive", "_watch", "since")

    def __init__(self, watch: "HangUpWatch", receive: Receive, left: Callable[[], None], since: float) -> None:
        self.since = since
        self._watch = watch
        self._receive = receive
        self._left = left
        self._listening: asyncio.Task[None] | None = None

    def listen(self, tasks: Tasks) -> None:
        """Wait for the client's next word, in a task of its own."""
        self._listening = tasks.spawn(self._listen(), name="listen for a hang-up")

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left()

    def stop(self) -> None:
        """Listen no longer; from now on somebody else reads what the client sends."""
        self._watch.forget(self)
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None  # its last frame, which the cancelled task keeps, knows us


class HangUpWatch:
    """Watches over the clients that wait for an answer.

    Listening to one begins after ``PATIENCE_S``, twice that at most: an answer that is quicker needs nobody to listen,
    which saves a task, and one timer serves all clients.
    """

    __slots__ = ("_clock", "_patrolling", "_tasks", "_waiting")

    def __init__(self, *, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._waiting: dict[HangUp, None] = {}  # in the order of their coming
        self._patrolling = False

    def over(self, receive: Receive, left: Callable[[], None]) -> HangUp:
        """Watch over a client, and call back when it leaves, until that is stopped."""
        hang_up = HangUp(self, receive, left, self._clock.monotonic())
        self._waiting[hang_up] = None
        if not self._patrolling:
            self._patrolling = True
            self._clock.call_later(PATIENCE_S, self._patrol)
        return hang_up

    def forget(self, hang_up: HangUp) -> None:
        """Watch over it no longer."""
        self._waiting.pop(hang_up, None)

    def _patrol(self) -> None:
        before = self._clock.monotonic() - PATIENCE_S
        patient = []
        for hang_up in self._waiting:
            if hang_up.since > before:
                break
            patient.append(hang_up)
        for hang_up in patient:
            del self._waiting[hang_up]
            hang_up.listen(self._tasks)
        self._patrolling = bool(self._waiting)
        if self._patrolling:
            self._clock.call_later(PATIENCE_S, self._patrol)
