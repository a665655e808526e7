"""Notices that a client has left while nothing is being sent to it."""

import asyncio
from typing import Final

from llm_service.api.rest.wire import Receive
from llm_service.runtime import Clock, Tasks, TimerHandle

PATIENCE_S: Final = 0.05


class HangUp:
    """Cancels the task that serves a request when its client leaves.

    It begins to listen after ``PATIENCE_S``: an answer that is quicker needs nobody to listen, and saves a task.
    """

    __slots__ = ("_listening", "_receive", "_serving", "_tasks", "_timer", "happened")

    def __init__(self, receive: Receive, *, serving: "asyncio.Task[None]", clock: Clock, tasks: Tasks) -> None:
        self.happened = False
        self._receive = receive
        self._tasks = tasks
        self._serving = serving
        self._listening: asyncio.Task[None] | None = None
        self._timer: TimerHandle = clock.call_later(PATIENCE_S, self._begin)

    def _begin(self) -> None:
        self._listening = self._tasks.spawn(self._listen(), name="listen for a hang-up")

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.happened = True
        self._serving.cancel()

    def stop(self) -> None:
        """Listen no longer; from now on somebody else reads what the client sends."""
        self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()
