"""Taking connections from a socket that several processes listen on, so that each of them gets its share."""

import asyncio
import mmap
import socket
import ssl
from collections.abc import Callable
from typing import Final

from llm_service.api.tls import GOODBYE_S, HANDSHAKE_S

Tls = Callable[[], ssl.SSLContext | None]
"""What a connection that comes now is made with; None: it is not encrypted."""

MOST_AHEAD: Final = 4
"""So many connections more than the process with the fewest, and a process lets the others go first."""
BREATH_S: Final = 0.001
LONGEST_BREATH_S: Final = 0.016
MOST_HANDSHAKES: Final = 1000
"""At one more, the oldest of those that have not come to their end is given up."""
OUT_OF_FILES_S: Final = 1.0
"""How long a process that cannot open another file leaves connections to others."""

WORD: Final = 4


class Shares:
    """How many connections each worker of this machine has, in memory that they share: make it before they are forked.

    A worker's successor goes on in its place; nobody waits for what may be stale but for moments.
    """

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, workers * WORD)).cast("I")

    def of(self, worker: int) -> "Share":
        """The share of one worker, by its number (from 1)."""
        return Share(self._counts, worker - 1)


class Share:
    """One worker's part of the connections."""

    def __init__(self, counts: memoryview, own: int) -> None:
        self._counts = counts
        self._own = own

    def lead(self, connections: int) -> int:
        """By how many this worker, which has so many, is ahead of the one that has the fewest; the others learn it."""
        self._counts[self._own] = connections
        return connections - min(self._counts)


class SharedAcceptor:
    """Takes connections; one that is ahead leaves them to the others for a moment, and for longer if they do not come.

    An event loop's own server takes all that wait. Of many that come at once (a client's pool) one process then has
    every one, and they stay with it for as long as they are kept. ``connections``: how many this process has.

    A handshake of TLS that has not come to its end after ``HANDSHAKE_S`` is given up, and holds up nobody else.
    """

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], asyncio.Protocol],
        *,
        share: Share,
        connections: Callable[[], int],
        tls: Tls = lambda: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._make = make
        self._share = share
        self._connections = connections
        self._tls = tls
        self._beginning: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._breath: asyncio.TimerHandle | None = None
        self._breath_s = BREATH_S
        self._due = 0
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
        if self._share.lead(self._connections() + len(self._beginning)) < MOST_AHEAD:
            self._breath_s = BREATH_S
            self._due = 0
        elif self._due:
            self._due -= 1
        else:  # the others first; what they have not taken then is due here
            self._due = MOST_AHEAD
            self._rest(self._breath_s)
            self._breath_s = min(2 * self._breath_s, LONGEST_BREATH_S)
            return
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
        self._beginning[beginning] = None
        beginning.add_done_callback(self._begun)
        if len(self._beginning) > MOST_HANDSHAKES:
            next(iter(self._beginning)).cancel()

    def _begun(self, beginning: asyncio.Task[None]) -> None:
        self._beginning.pop(beginning, None)

    async def _begin(self, connection: socket.socket) -> None:
        context = self._tls()
        bounds = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": GOODBYE_S}
        try:
            await self._loop.connect_accepted_socket(
                self._make,
                connection,
                ssl=context,
                **({} if context is None else bounds),
            )
        except OSError:  # its client has left already
            connection.close()

    def _rest(self, for_s: float) -> None:
        self._loop.remove_reader(self._listening)
        self._breath = self._loop.call_later(for_s, self.open)
