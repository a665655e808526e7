"""A client that may leave while it waits for its answer to begin."""

import asyncio
from collections.abc import Callable

from llm_service.domain import LLMServiceError

GoesOn = Callable[["asyncio.Task[None]"], bool]
"""Whether a task whose client has left is to go on for others."""


class Leaving:
    """``happened``: the client has left, and the task that serves it is cancelled, or goes on for others."""

    __slots__ = ("_goes_on", "happened", "serving")

    def __init__(self, serving: "asyncio.Task[None]", goes_on: GoesOn) -> None:
        self.happened = False
        self.serving = serving
        self._goes_on = goes_on

    def leave(self) -> None:
        """The client is gone; idempotent."""
        if not self.happened:
            self.happened = True
            if not self._goes_on(self.serving):
                self.serving.cancel()

    def cut(self, error: LLMServiceError) -> None:
        """The client is not waited for any longer, as if it had left: its stream was cancelled."""
        self.leave()
