"""What the supervisor and a worker say to each other: JSON objects, one a line, over a socket pair."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

Message = dict[str, Any]
"""``say`` names it; the rest are its facts."""

PIECE_BYTES: Final = 65536
LONGEST_LINE_BYTES: Final = 64 * 1024 * 1024


class SupervisorsEnd:
    """The supervisor's end: it never waits, neither to be heard nor to hear."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self._connection = connection
        self._unsent = bytearray()
        self._unread = bytearray()
        self.ended = False
        """Whether the worker has hung up."""

    def fileno(self) -> int:
        return self._connection.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether ``flush`` is to be called when the socket takes more."""
        return bool(self._unsent)

    def say(self, say: str, **facts: Any) -> None:
        """Send a message, now or as soon as the worker listens. One that has ended hears nothing."""
        self._unsent += line_of(say, facts)
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes."""
        try:
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:  # the worker has ended, which the supervisor learns from the system
            self._unsent.clear()

    def heard(self) -> list[Message]:
        """The messages that have come."""
        try:
            while piece := self._connection.recv(PIECE_BYTES):
                self._unread += piece
            self.ended = True
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        *lines, rest = self._unread.split(b"\n")
        self._unread = rest
        return [orjson.loads(line) for line in lines]

    def close(self) -> None:
        """Hang up; the worker takes it as the end of its supervisor."""
        self._connection.close()


class WorkersEnd:
    """A worker's end, on its event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, connection: socket.socket) -> "WorkersEnd":
        """The end of this socket."""
        return cls(*await asyncio.open_unix_connection(sock=connection, limit=LONGEST_LINE_BYTES))

    def say(self, say: str, **facts: Any) -> None:
        """Send a message."""
        self._writer.write(line_of(say, facts))

    async def heard(self) -> AsyncIterator[Message]:
        """The messages as they come, until the supervisor is gone."""
        try:
            while (line := await self._reader.readline()).endswith(b"\n"):
                yield orjson.loads(line)
        except ConnectionError:
            return

    async def aclose(self) -> None:
        """Send what is left and hang up."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


def line_of(say: str, facts: Message) -> bytes:
    return orjson.dumps({"say": say, **facts}, option=orjson.OPT_APPEND_NEWLINE)
