"""Requests at a steady rate, whether or not those before were answered, from a process that does nothing else.

python -P -m tests.support.steady_load ADDRESS PID RATE [CA] sends them until its input ends. Then it says as JSON when
each was due (monotonic seconds), how many milliseconds later its answer was complete, how many milliseconds of CPU the
main thread of that process took meanwhile, and how many failed.
"""

import gc
import json
import re
import select
import socket
import ssl
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

CHECKOUT: Final = Path(__file__).parents[2]
LANES: Final = 16
ANSWERED_WITHIN_S: Final = 30
BODY: Final = b'{"model":"openai/sandbox/chat","messages":[{"role":"user","content":"Hello"}]}'
REQUEST: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass
class Lane:
    """A connection, and the answer for which it waits."""

    socket: socket.socket
    due: float = 0.0
    cpu_ms: float = 0.0
    came: bytes = b""

    def is_closed(self) -> bool:
        """Whether a free one was closed at the other end."""
        try:
            return self.socket.recv(1) == b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def complete(self) -> bool:
        """Whether all of the answer has come, after taking what there is. Raises OSError."""
        try:
            while piece := self.socket.recv(65536):
                self.came += piece
            raise ConnectionResetError
        except (BlockingIOError, ssl.SSLWantReadError):
            head, end, body = self.came.partition(b"\r\n\r\n")
            length = LENGTH.search(head + b"\r\n")
            return bool(end) and length is not None and len(body) >= int(length[1])


class Loop:
    """The main thread of a process."""

    def __init__(self, pid: int) -> None:
        self._schedstat = Path(f"/proc/{pid}/task/{pid}/schedstat")

    def cpu_ms(self) -> float:
        """What it has taken so far, to the nanosecond; neighbours on the machine only ever add to it."""
        return int(self._schedstat.read_text().split()[0]) / 1e6


class Steady:
    """The requests, and what became of them."""

    def __init__(self, address: str, loop: Loop, rate: float, trusted: ssl.SSLContext | None) -> None:
        parts = urlsplit(address)
        self._host, self._port, self._trusted = parts.hostname or "", parts.port or 80, trusted
        self._request = REQUEST % (parts.netloc.encode(), len(BODY), BODY)
        self._every_s = 1 / rate
        self._loop = loop
        self._poll = select.epoll()
        self._busy: dict[int, Lane] = {}
        self._free = [self._lane() for _ in range(LANES)]
        self.took_ms: list[tuple[float, float, float]] = []
        self.failures = 0

    def run(self) -> None:
        """Until the input ends, and all is answered."""
        self._poll.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        due, waiting, goes_on = time.monotonic(), deque[float](), True
        while goes_on or waiting or self._busy:
            now = time.monotonic()
            while goes_on and due <= now:
                waiting.append(due)
                due += self._every_s
            while waiting and self._free:
                self._begin(self._free.pop(), waiting.popleft())
            for descriptor, _ in self._poll.poll(max(0.0, due - time.monotonic()) if goes_on else 1.0):
                if descriptor in self._busy:
                    self._go_on(descriptor)
                elif descriptor == sys.stdin.fileno():
                    goes_on = False
                    self._poll.unregister(descriptor)
            if not goes_on and now > due + ANSWERED_WITHIN_S:
                self.failures += len(self._busy) + len(waiting)
                break

    def _begin(self, lane: Lane, due: float) -> None:
        if lane.is_closed():  # while it was free for long
            lane.socket.close()
            lane = self._lane()
        lane.due, lane.came, lane.cpu_ms = due, b"", self._loop.cpu_ms()
        self._busy[lane.socket.fileno()] = lane
        with suppress(OSError):  # what follows is the end of it
            lane.socket.sendall(self._request)
        self._poll.register(lane.socket, select.EPOLLIN)

    def _go_on(self, descriptor: int) -> None:
        lane = self._busy[descriptor]
        try:
            if not lane.complete():
                return
            self.failures += not lane.came.startswith(b"HTTP/1.1 200 ")
        except OSError:
            self.failures += 1
        wait_ms = (time.monotonic() - lane.due) * 1000
        self.took_ms.append((lane.due, wait_ms, self._loop.cpu_ms() - lane.cpu_ms))
        self._poll.unregister(descriptor)
        del self._busy[descriptor]
        if lane.came.startswith(b"HTTP/1.1 200 "):
            self._free.append(lane)
        else:
            lane.socket.close()
            self._free.append(self._lane())

    def _lane(self) -> Lane:
        made = socket.create_connection((self._host, self._port), timeout=ANSWERED_WITHIN_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._trusted is not None:
            made = self._trusted.wrap_socket(made, server_hostname=self._host)
        made.setblocking(False)
        return Lane(made)


@dataclass
class Load:
    """A process that sends them; after the block it is known how it went."""

    took_ms: list[tuple[float, float, float]] = field(default_factory=list)
    failures: int = 0

    def between(self, begin: float, end: float) -> list[tuple[float, float]]:
        """Of those that were due in this time, by the monotonic clock: milliseconds of waiting, and of CPU."""
        return [(wait_ms, cpu_ms) for due, wait_ms, cpu_ms in self.took_ms if begin <= due < end]


@contextmanager
def steady_load(address: str, pid: int, *, rate: float, trusted: Path | None = None) -> Iterator[Load]:
    """So many requests a second until the block ends; ``trusted``: the certificate that the service's comes from."""
    load = Load()
    command = [sys.executable, "-P", "-m", __name__, address, str(pid), str(rate)]
    command += [] if trusted is None else [str(trusted)]
    with subprocess.Popen(
        command, cwd=CHECKOUT, env={"PYTHONPATH": str(CHECKOUT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield load
            said, _ = process.communicate()
        finally:
            process.kill()
    load.took_ms, load.failures = json.loads(said)


def main(address: str, pid: str, rate: str, trusted: str = "") -> None:
    steady = Steady(
        address, Loop(int(pid)), float(rate), ssl.create_default_context(cafile=trusted) if trusted else None
    )
    gc.disable()
    steady.run()
    json.dump((steady.took_ms, steady.failures), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
