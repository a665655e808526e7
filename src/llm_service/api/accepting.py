"""Taking connections from a socket that several processes listen on, so that each of them gets its share."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

MOST_AT_ONCE: Final = 4
BREATH_S: Final = 0.001
OUT_OF_FILES_S: Final = 1.0
"""How long a process that cannot open another file leaves connections to others."""


class SharedAcceptor:
    """Takes at most ``MOST_AT_ONCE`` connections, then leaves the rest to others for a moment (``BREATH_S``).

    An event loop's own server takes all that wait. Of many that come at once (a client's pool) one process then has
    every one, and they stay with it for as long as they are kept.
    """

    def __init__(self, listening: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._make = make
        self._beginning: set[asyncio.Task[object]] = set()
        self._taken = 0
        self._breath: asyncio.TimerHandle | None = None
        listening.settimeout(0)
        self.open()

    def open(self) -> None:
        """Take connections, from the beginning, or again."""
        self._loop.add_reader(self._listening, self._take)

    def close(self) -> None:
        """Take no more; idempotent. The socket stays open, and what waits in its queue is for others."""
        self._loop.remove_reader(self._listening)
        if self._breath is not None:
            self._breath.cancel()
            self._breath = None

    async def wait_closed(self) -> None:
        """Until no connection is being begun."""
        await asyncio.gather(*self._beginning, return_exceptions=True)

    def _take(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process has it, or its client has left
        except OSError as error:
            self._loop.call_exception_handler({"message": "no connection can be taken now", "exception": error})
            self._rest(OUT_OF_FILES_S)
            return
        connection.settimeout(0)
        beginning = self._loop.create_task(self._begin(connection))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)
        self._taken += 1
        if self._taken == MOST_AT_ONCE:
            self._rest(BREATH_S)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError:  # its client has left already
            connection.close()

    def _rest(self, for_s: float) -> None:
        self._loop.remove_reader(self._listening)
        self._breath = self._loop.call_later(for_s, self._go_on)

    def _go_on(self) -> None:
        self._breath = None
        self._taken = 0
        self._loop.add_reader(self._listening, self._take)
