"""Sends chat requests, checks each answer, prints what came of them. ``load.c`` is the same, some times as fast.

    python -m bench.traffic.load --port N --key K [--connections 32] [--seconds 3] ...

Closed loop: each connection sends its next request when it has its answer. With ``--rate`` requests go out at fixed
times, whatever the answers do, and a request's latency counts from when it was due: a service that stalls is charged
for all that it held up.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final, cast

from bench.measuring.summaries import spread
from bench.traffic.http import Message
from bench.traffic.messages import MODEL, places, request_body

LATE_ANSWERS_S: Final = 20.0
"""How long the answers of the last requests are waited for."""
MOST_LOST: Final = 1_000
"""After so many lost connections a run ends."""


class Results:
    """What came of the requests so far."""

    def __init__(self) -> None:
        self.sent = self.ok = self.chunks = self.most_waiting = 0
        self.problems: Counter[str] = Counter()
        self.example = ""
        self.latencies_us: list[float] = []
        self.first_us: list[float] = []
        self.chunks_us: list[float] = []

    def wrong(self, problem: str, example: bytes = b"") -> None:
        self.problems[problem] += 1
        if not self.example:
            self.example = f"{problem}: {example[:200].decode(errors='replace')}"

    def as_object(self, seconds: float) -> dict[str, Any]:
        return {
            "seconds": round(seconds, 3),
            "sent": self.sent,
            "ok": self.ok,
            "errors": self.problems.total(),
            "problems": dict(self.problems),
            "example": self.example,
            "rate": round(self.ok / seconds, 1),
            "chunks": self.chunks,
            "most_waiting": self.most_waiting,
            "latency_us": spread(self.latencies_us),
            "first_us": spread(self.first_us),
            "chunk_us": spread(self.chunks_us),
        }


class Load:
    """All connections of one run, and what they are to do."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        self.wanted = wanted
        self.results = Results()
        self.over = asyncio.Event()
        self._run = "same" if wanted.same else f"{os.getpid():x}{time.monotonic_ns() & 0xFFFFFF:x}"
        self._busy: set[Client] = set()
        self._idle: list[Client] = []
        self._open: set[Client] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._due: deque[int] = deque()
        self._stopped = False
        more = "".join(f"{header}\r\n" for header in wanted.header)
        self._head = (
            f"POST {wanted.path} HTTP/1.1\r\nHost: 127.0.0.1:{wanted.port}\r\nAuthorization: Bearer {wanted.key}\r\n"
            f"Content-Type: application/json\r\nAccept: */*\r\n{more}Content-Length: %d\r\n\r\n"
        ).encode()

    async def run(self) -> dict[str, Any]:
        loop, wanted = asyncio.get_running_loop(), self.wanted
        clients = [await self._connected() for _ in range(wanted.connections)]
        begun = time.monotonic()
        loop.call_later(wanted.seconds, self.stop)
        if wanted.rate:
            self._idle = clients
            loop.call_soon(self._tick, time.monotonic_ns())
        else:
            gap_s = wanted.gap_ms / 1e3 / max(1, wanted.connections)
            for number, client in enumerate(clients):  # paced streams do not tick together
                loop.call_later(gap_s * number, self.next, client)
        try:
            await asyncio.wait_for(self.over.wait(), wanted.seconds + LATE_ANSWERS_S)
        except TimeoutError:
            for _ in self._busy:
                self.results.wrong("stuck")
        taken = time.monotonic() - begun
        for client in self._open:
            client.close()
        return self.results.as_object(taken)

    def stop(self) -> None:
        self._stopped = True
        if not self._busy:
            self.over.set()

    def replace(self, client: "Client") -> None:
        """A connection is of no use any more."""
        self._open.discard(client)
        if self.results.problems["connection"] > MOST_LOST:
            self._busy.discard(client)
            self.stop()
            return
        task = asyncio.ensure_future(self._replaced(client))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _connected(self) -> "Client":
        loop = asyncio.get_running_loop()
        client = (await loop.create_connection(lambda: Client(self), "127.0.0.1", self.wanted.port))[1]
        self._open.add(client)
        return client

    async def _replaced(self, lost: "Client") -> None:
        try:
            client = await self._connected()
        except OSError as error:
            self.results.wrong("connection", str(error).encode())
            self.replace(lost)
            return
        self._busy.discard(lost)
        self.next(client)

    def next(self, client: "Client") -> None:
        """A connection has nothing to do."""
        self._busy.discard(client)
        if self._stopped or (self.wanted.requests and self.results.sent >= self.wanted.requests):
            self.stop()
        elif not self.wanted.rate:
            self._send(client, time.monotonic_ns())
        elif self._due:
            self._send(client, self._due.popleft())
        else:
            self._idle.append(client)

    def _tick(self, due_ns: int) -> None:
        """Sends what is due by now, and comes again when the next one is."""
        step_ns, now_ns = int(1e9 / self.wanted.rate), time.monotonic_ns()
        while due_ns <= now_ns and not self._stopped:
            if self._idle:
                self._send(self._idle.pop(0), due_ns)
            else:
                self._due.append(due_ns)
                self.results.most_waiting = max(self.results.most_waiting, len(self._due))
            due_ns += step_ns
        if not self._stopped:
            asyncio.get_running_loop().call_later((due_ns - now_ns) / 1e9, self._tick, due_ns)

    def _send(self, client: "Client", due_ns: int) -> None:
        wanted = self.wanted
        identity = f"{self._run}-{0 if wanted.same else self.results.sent}"
        self.results.sent += 1
        self._busy.add(client)
        body = request_body(
            identity,
            model=wanted.model,
            prompt_bytes=wanted.prompt_bytes,
            chunks=wanted.chunks,
            gap_ms=wanted.gap_ms,
        )
        client.ask(identity, self._head % len(body) + body, due_ns)


class Client(asyncio.Protocol):
    """One connection: a request, then its answer, then the next."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.WriteTransport | None = None
        self._message = Message()
        self._identity = b""
        self._due_ns = 0
        self._seen = self._place = 0
        self._asks = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asks:
            self._asks = False
            self._load.results.wrong("connection", repr(exc).encode())
            self._load.replace(self)

    def close(self) -> None:
        self._asks = False
        if self._transport is not None:
            self._transport.close()

    def ask(self, identity: str, request: bytes, due_ns: int) -> None:
        self._identity, self._due_ns = identity.encode(), due_ns
        self._message, self._seen, self._place, self._asks = Message(), 0, 0, True
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._message.feed(data)
        if self._load.wanted.chunks:
            self._see_chunks()
        if self._message.complete and self._asks:
            self._asks = False
            self._judge()
            if self._message.keep_alive:
                self._load.next(self)
            else:
                self.close()
                self._load.replace(self)

    def _see_chunks(self) -> None:
        """Whole events alone are looked at: a piece may end amid one."""
        end = self._message.body.rfind(b"\n") + 1
        if end <= self._seen:
            return
        piece, self._seen = bytes(self._message.body[self._seen : end]), end
        results, now_ns = self._load.results, time.monotonic_ns()
        for place, at_ns in places(piece):
            if place != self._place:
                results.wrong("order", piece)
            if place == 0:
                results.first_us.append((now_ns - self._due_ns) / 1e3)
            else:
                results.chunks_us.append((now_ns - at_ns) / 1e3)
            self._place = place + 1
            results.chunks += 1

    def _judge(self) -> None:
        results, body = self._load.results, bytes(self._message.body)
        problem = self._problem(body)
        if problem:
            results.wrong(problem, body)
        else:
            results.ok += 1
            results.latencies_us.append((time.monotonic_ns() - self._due_ns) / 1e3)

    def _problem(self, body: bytes) -> str:
        wanted = self._load.wanted
        if self._message.status != wanted.expect:
            return f"status {self._message.status}"
        if wanted.expect != 200:
            return ""
        if b'"total_tokens"' not in body:
            return "usage"
        if wanted.chunks:
            if self._place != wanted.chunks:
                return "count"
            return "" if b"[DONE]" in body else "end"
        return "" if b"id=%b " % self._identity in body else "content"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/v1/chat/completions")
    parser.add_argument("--key", default="sk-bench")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--requests", type=int, default=0, help="at most so many")
    parser.add_argument("--rate", type=float, default=0.0, help="a second, at fixed times")
    parser.add_argument("--prompt-bytes", type=int, default=1024)
    parser.add_argument("--chunks", type=int, default=0, help="asks for streams of so many")
    parser.add_argument("--gap-ms", type=int, default=0, help="between chunks")
    parser.add_argument("--same", type=int, default=0, help="1: all requests are one")
    parser.add_argument("--expect", type=int, default=200, help="the status of a good answer")
    return parser.parse_args(given)


async def main() -> int:
    results = await Load(arguments(sys.argv[1:])).run()
    print(json.dumps(results))
    return 1 if results["errors"] else 0


if __name__ == "__main__":
    from bench.traffic.loops import run

    sys.exit(run(main()))
