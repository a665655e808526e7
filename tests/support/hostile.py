"""Clients that hold connections and never finish: silent ones, slow heads, slow bodies, half-closed, half-encrypted.

python -P -m tests.support.hostile HOST PORT HOW_MANY DRIP_S makes them, and tells for each line of its input how many
the service still holds, until that ends: whoever measures beside them shares no event loop with them.
"""

import asyncio
import json
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Final

CHECKOUT: Final = Path(__file__).parents[2]

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


class Elsewhere:
    """A crowd in a process of its own."""

    def __init__(self, said: IO[bytes], told: IO[bytes]) -> None:
        self._said, self._told = said, told

    def held(self) -> Counter[str]:
        """How many of each kind the service still holds, those that it refused under that name; once all have come."""
        self._told.write(b"\n")
        self._told.flush()
        return Counter(json.loads(self._said.readline()))


@contextmanager
def crowd_elsewhere(host: str, port: int, how_many: int, *, drip_s: float = 1.0) -> Iterator[Elsewhere]:
    """So many hostile connections until the block ends; they may still be on their way when it begins."""
    command = [sys.executable, "-P", "-m", __name__, host, str(port), str(how_many), str(drip_s)]
    with subprocess.Popen(
        command, cwd=CHECKOUT, env={"PYTHONPATH": str(CHECKOUT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Elsewhere(process.stdout, process.stdin)  # type: ignore[arg-type]  # both are pipes
        finally:
            process.kill()


async def main(host: str, port: int, how_many: int, drip_s: float) -> None:
    async with crowd(host, port, how_many, drip_s=drip_s) as made:
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps({**made.held(), **({"refused": made.refused} if made.refused else {})}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
