"""What every door can do, and what those can that stream."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tests.support.doors.asked import NOTHING, Body, Options
from tests.support.doors.reading import Reading
from tests.support.doors.told import Told


class Door(Protocol):
    """A way into the service. ``surface``: what records call it."""

    @property
    def name(self) -> str: ...

    @property
    def surface(self) -> str: ...

    async def ask(self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING) -> Told:
        """The answer to the body of a chat completion, to its end."""


class StreamingDoor(Door, Protocol):
    """A way on which an answer comes in pieces."""

    def stream(
        self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING
    ) -> AbstractAsyncContextManager[Reading]:
        """An answer that is read as it comes; the client leaves at the end of the block."""

    def resume(self, address: str, cursor: str, *, key: str | None = None) -> AbstractAsyncContextManager[Reading]:
        """What follows a cursor, whichever door it is from."""
