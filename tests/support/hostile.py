"""Clients that hold connections and never finish: silent ones, slow heads, slow bodies, half-closed, half-encrypted."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

LINE: Final = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
BEGINNINGS: Final = {
    "silent": b"",
    "idle": b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "slow head": LINE,
    "slow body": LINE + b"Content-Length: 100000\r\n\r\n{",
    "half closed": LINE + b"Content-Length: 100000\r\n\r\n{",
    "half encrypted": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
"""What each kind says at first. Where the port speaks no TLS, the last one is no HTTP."""
MORE: Final = {"slow head": b"X-More: 1\r\n", "slow body": b" "}
"""And then, every now and then."""
PARTS: Final = 50
"""They take turns, so that whoever measures beside them is not held up."""
OPENING_AT_ONCE: Final = 64


@dataclass
class Crowd:
    """Connections of every kind to one address."""

    host: str
    port: int
    open: dict[socket.socket, str] = field(default_factory=dict)
    refused: int = 0

    async def come(self, how_many: int) -> None:
        """So many more, of all kinds in turn."""
        kinds = list(BEGINNINGS)
        for begin in range(0, how_many, OPENING_AT_ONCE):
            some = range(begin, min(begin + OPENING_AT_ONCE, how_many))
            await asyncio.gather(*(self._one(kinds[number % len(kinds)]) for number in some))

    async def _one(self, kind: str) -> None:
        loop = asyncio.get_running_loop()
        made = socket.socket()
        made.setblocking(False)
        try:
            await loop.sock_connect(made, (self.host, self.port))
            await loop.sock_sendall(made, BEGINNINGS[kind])
            if kind == "half closed":
                made.shutdown(socket.SHUT_WR)
        except OSError:
            self.refused += 1
            made.close()
        else:
            self.open[made] = kind

    def drip(self, part: int) -> None:
        """A little more from one in ``PARTS`` of those who send slowly."""
        for one, kind in [*self.open.items()][part::PARTS]:
            if more := MORE.get(kind):
                with suppress(OSError):
                    one.send(more)

    def held(self) -> Counter[str]:
        """How many of each kind the service still holds."""
        kept: Counter[str] = Counter()
        for one, kind in self.open.items():
            try:
                while one.recv(65536):  # what it was answered
                    pass
            except BlockingIOError:
                kept[kind] += 1
            except OSError:
                pass
        return kept

    def leave(self) -> None:
        """All of them, at once."""
        for one in self.open:
            one.close()
        self.open.clear()


@asynccontextmanager
async def crowd(host: str, port: int, how_many: int, *, drip_s: float = 1.0) -> AsyncIterator[Crowd]:
    """So many hostile connections until the block ends."""
    made = Crowd(host, port)

    async def dripping() -> None:
        for number in count(1):
            await asyncio.sleep(drip_s / PARTS)
            made.drip(number % PARTS)

    slow = asyncio.create_task(dripping())
    try:
        await made.come(how_many)
        yield made
    finally:
        slow.cancel()
        made.leave()
