"""Many WebSockets at once, each with one stream: is every chunk there, in order, and how much later than without us?

PYTHONPATH=src python scripts/bench_websockets.py                    1,000 sockets, 10 chunks a second on each, 20 s
PYTHONPATH=src python scripts/bench_websockets.py --sockets 200 --seconds 5

Upstream, service (one worker) and clients are three processes of this machine. Each chunk carries the moment at which
the upstream wrote it. What the machine itself needs is measured first: the same streams, read from the
upstream directly.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import psutil
import uvloop

KEY: Final = "sk-bench-0123456789abcdef0123456789"
SLOTS: Final = 100
SETTLE_S: Final = 2.0
OPENING_AT_ONCE: Final = 50
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


# -- upstream


class Upstream(asyncio.Protocol):
    """Answers each POST with a stream without end: a chunk in each round of the slots."""

    def __init__(self, slots: "list[set[Upstream]]", counter: list[int]) -> None:
        self.slots = slots
        self.slot = counter[0] % SLOTS
        counter[0] += 1
        self.transport: asyncio.Transport
        self.read = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.read += data
        head, blank, body = self.read.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if blank and len(body) >= length:
            self.read = b""
            self.transport.write(HEAD)
            self.slots[self.slot].add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.slots[self.slot].discard(self)


def chunk_now() -> bytes:
    """An event of a plain provider, with this moment in it."""
    said = (
        b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"mock-model","choices":[{"index":0,'
    )
    said += b'"delta":{"content":"%d"},"finish_reason":null}]}' % time.monotonic_ns()
    event = b"data: %b\n\n" % said
    return b"%x\r\n%b\r\n" % (len(event), event)


async def upstream(port: int, rate: float) -> None:
    slots: list[set[Upstream]] = [set() for _ in range(SLOTS)]
    counter = [0]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(slots, counter), "127.0.0.1", port, backlog=2048)
    step_s = 1 / rate / SLOTS
    due, slot = loop.time(), 0
    async with server:
        while True:
            for one in tuple(slots[slot]):
                one.transport.write(chunk_now())
            slot = (slot + 1) % SLOTS
            due += step_s
            await asyncio.sleep(max(0.0, due - loop.time()))


# -- clients


@dataclass
class Tally:
    """What the clients have seen."""

    delays_ms: list[float] = field(default_factory=list)
    counting: bool = False
    chunks: int = 0
    out_of_order: int = 0
    other: list[bytes] = field(default_factory=list)

    def saw(self, data: bytes) -> None:
        """A chunk, with the moment of its writing in it."""
        if self.counting:
            self.chunks += 1
            written = int(data.partition(b'"content":"')[2].partition(b'"')[0])
            self.delays_ms.append((time.monotonic_ns() - written) / 1e6)


class DirectClient(asyncio.Protocol):
    """Reads a stream from the upstream itself."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.read = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}")

    def data_received(self, data: bytes) -> None:
        *events, self.read = (self.read + data).split(b"\n\n")
        for event in events:
            self.tally.saw(event)


class SocketClient(asyncio.Protocol):
    """One WebSocket; frames by hand, since a library's client would need the machine for itself."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.read = b""
        self.seq = 0
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        key = b64encode(os.urandom(16))
        transport.write(
            b"GET /v1/ws HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\nauthorization: Bearer %b\r\n\r\n"
            % (key, KEY.encode())
        )

    def say(self, **said: Any) -> None:
        data = json.dumps(said).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
        self.transport.write(b"\x81" + size + bytes(4) + data)

    def data_received(self, data: bytes) -> None:
        read = self.read + data
        if not self.open.done() and b"\r\n\r\n" in read:
            read = read.partition(b"\r\n\r\n")[2]
            self.open.set_result(None)
        at = 0
        while len(read) - at >= 4:
            size, start = read[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(read[at + 2 : at + 4], "big"), at + 4
            if len(read) < start + size:
                break
            self.frame(read[at], read[start : start + size])
            at = start + size
        self.read = read[at:]

    def frame(self, kind: int, data: bytes) -> None:
        if kind == 0x89:
            self.transport.write(b"\x8a" + bytes([0x80 | len(data)]) + bytes(4) + data)
        elif data.startswith(b'{"type":"chat.chunk"'):
            seq = int(data.partition(b'"seq":')[2].partition(b",")[0])
            self.tally.out_of_order += seq != self.seq + 1
            self.seq = seq
            self.tally.saw(data)
        elif not data.startswith(b'{"type":"chat.started"'):
            self.tally.other.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.other.append(b"connection lost")


async def opened(make: Any, port: int, count: int) -> list[Any]:
    """So many connections, some at a time."""
    loop = asyncio.get_running_loop()
    clients: list[Any] = []
    while len(clients) < count:
        step = min(OPENING_AT_ONCE, count - len(clients))
        made = await asyncio.gather(*(loop.create_connection(make, "127.0.0.1", port) for _ in range(step)))
        clients += [client for _, client in made]
        await asyncio.gather(*(one.open for one in clients[-step:] if hasattr(one, "open")))
    return clients


async def measured(tally: Tally, seconds: float) -> None:
    await asyncio.sleep(SETTLE_S)
    tally.counting = True
    await asyncio.sleep(seconds)
    tally.counting = False


def said(tally: Tally, seconds: float) -> str:
    at = quantiles(tally.delays_ms, n=100)
    return (
        f"{tally.chunks / seconds:,.0f} chunks/s, from the upstream's write to the client's read "
        f"p50 {at[49]:.1f} ms, p90 {at[89]:.1f} ms, p99 {at[98]:.1f} ms"
    )


# -- all of it


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until_listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError


def settings(port: int, upstream_port: int) -> str:
    return f"""
sandbox: "off"
server: {{port: {port}}}
auth: {{admin_key: {KEY}}}
websocket: {{max_sockets_per_key: 100000}}
observability: {{log_format: json, log_level: warning}}
providers:
  mock:
    kind: openai_compatible
    base_url: "http://127.0.0.1:{upstream_port}/v1"
    api_key: sk-up
    max_connections: 4096
"""


async def service_run(port: int, service: psutil.Process, *, sockets: int, seconds: float) -> None:
    tally = Tally()
    warm = await opened(lambda: SocketClient(tally), port, 50)
    before = service.memory_info().rss
    clients = await opened(lambda: SocketClient(tally), port, sockets)
    await asyncio.sleep(1)
    idle_bytes = (service.memory_info().rss - before) / sockets
    print(f"idle:       {idle_bytes / 1024:.1f} KiB of resident memory for each of {sockets} sockets")
    for one in warm:
        one.transport.abort()
    request = {"model": "mock/m", "messages": [{"role": "user", "content": "hello"}]}
    for number, client in enumerate(clients):
        client.say(type="chat.create", id="a", request={**request, "user": f"u{number}"})
        if number % OPENING_AT_ONCE == 0:
            await asyncio.sleep(0.02)
    await asyncio.sleep(SETTLE_S)
    tally.other.clear()
    begun = sum(service.cpu_times()[:2])
    await measured(tally, seconds)
    used = sum(service.cpu_times()[:2]) - begun
    spent = used / (seconds + SETTLE_S)
    print(f"with it:    {said(tally, seconds)}")
    print(f"service:    {spent:.2f} of a processor, {spent / (tally.chunks / seconds) * 1e6:.0f} us a chunk")
    print(f"streaming:  {(service.memory_info().rss - before) / sockets / 1024:.1f} KiB for each socket and its stream")
    print(f"out of order or lost: {tally.out_of_order}; anything else: {len(tally.other)} {tally.other[:1]}")


def direct_in_a_process(arguments: argparse.Namespace, port: int) -> None:
    """The direct streams, from a process of its own, so that nothing of them is left."""
    command = [sys.executable, __file__, "--direct", str(port)]
    command += ["--sockets", str(arguments.sockets), "--seconds", str(arguments.seconds)]
    subprocess.run(command, check=True)


async def direct(port: int, *, sockets: int, seconds: float) -> None:
    tally = Tally()
    held = await opened(lambda: DirectClient(tally), port, sockets)
    await measured(tally, seconds)
    print(f"directly:   {said(tally, seconds)} ({len(held)} streams)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--upstream", type=int)
    parser.add_argument("--direct", type=int)
    arguments = parser.parse_args()
    if arguments.upstream is not None:
        uvloop.run(upstream(arguments.upstream, arguments.rate))
        return
    if arguments.direct is not None:
        uvloop.run(direct(arguments.direct, sockets=arguments.sockets, seconds=arguments.seconds))
        return
    port, upstream_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench.yaml").write_text(settings(port, upstream_port))
        commands = (
            [sys.executable, __file__, "--upstream", str(upstream_port), "--rate", str(arguments.rate)],
            [sys.executable, "-m", "llm_service", "serve", "--config", f"{folder}/bench.yaml", "--data-dir", folder],
        )
        children = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
        try:
            until_listening(port)
            until_listening(upstream_port)
            direct_in_a_process(arguments, upstream_port)
            service = psutil.Process(children[1].pid)
            uvloop.run(service_run(port, service, sockets=arguments.sockets, seconds=arguments.seconds))
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live").close()
        finally:
            for child in children:
                child.send_signal(signal.SIGTERM)
            for child in children:
                child.wait(20)


if __name__ == "__main__":
    main()
