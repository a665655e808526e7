"""What starts, connections, streams and stalled readers cost: see scripts/stress-memory, which runs it."""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil
import redis
import uvloop

MIB: Final = 2**20
SETTLED_S: Final = 2.0
KEY: Final = "sk-stress"
PADDING: Final = b"x" * 16_000
ENVELOPE: Final = b'"id":"c1","created":1,"model":"m","object":"chat.completion'
WHOLE: Final = (
    b'{%b","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}' % ENVELOPE
)
ENDING: Final = (
    b'data: {%b.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n' % ENVELOPE
)


# -- the upstream, a process of its own


class Upstream(asyncio.Protocol):
    """Answers as the prompt says: whole, so many chunks ten times a second, or 90 MB as fast as they are taken."""

    open_streams = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._received = b""
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._task: asyncio.Task[None] | None = None

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, _: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended:
            return
        if head.startswith(b"GET /open"):
            self._received = b""
            self._say_whole(b"%d" % Upstream.open_streams)
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        self._received = b""
        asked = json.loads(body)["messages"][0]["content"] if body else ""
        if asked.startswith("stream"):
            self._task = asyncio.get_running_loop().create_task(self._stream(*map(float, asked.split()[1:])))
        else:
            self._say_whole(WHOLE if body else b'{"object":"list","data":[]}')

    def _say_whole(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)

    async def _stream(self, count: float, pause_s: float, padding: float) -> None:
        Upstream.open_streams += 1
        try:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            self._transport.write(head)
            due = time.monotonic()
            for number in range(int(count)):
                content = b"%d %b" % (number, PADDING[: int(padding)])
                choice = b'{"index":0,"delta":{"content":"%b"},"finish_reason":null}' % content
                self._piece(b'data: {%b.chunk","choices":[%b]}\n\n' % (ENVELOPE, choice))
                due += pause_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._may_write.wait()
            self._piece(ENDING)
            self._transport.write(b"0\r\n\r\n")
        finally:
            Upstream.open_streams -= 1

    def _piece(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))


def run_upstream(said: Any) -> None:
    """The life of the upstream's process."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=4096)
        said.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    raise_files()
    uvloop.run(serve())


@contextmanager
def upstream() -> Iterator[int]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=run_upstream, args=(there,))
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def raise_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


# -- the service


class Service:
    """One run of the program."""

    def __init__(self, folder: Path, upstream_port: int, *, workers: int = 1, **settings: Any) -> None:
        self.port = free_port()
        settings |= {
            "sandbox": "off",
            "auth": {"admin_key": KEY},
            "server": {"max_connections": 19_000, "workers": workers},
            "providers": {"mock": {"kind": "openai_compatible", "base_url": f"http://127.0.0.1:{upstream_port}/v1"}},
        }
        config = folder / "llm-service.yaml"
        config.write_text(json.dumps(settings))
        program = [sys.executable, "-P", "-m", "llm_service", "serve", "--config", str(config)]
        begun = time.monotonic()
        self._log = (folder / "log").open("ab")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._process = subprocess.Popen(
            [*program, "--port", str(self.port), "--data-dir", str(folder / "data"), "--json"],
            stdout=self._log,
            stderr=self._log,
            env=environment,
        )
        self._wait_for_an_answer()
        self.started_s = time.monotonic() - begun
        self.process = psutil.Process(self._process.pid)
        self.start_cpu_s = self.cpu_s()

    def _wait_for_an_answer(self) -> None:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asking:
                    asking.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                    if asking.recv(1):
                        return
            except ConnectionError:
                if self._process.poll() is not None:
                    raise SystemExit("the service did not start") from None
                time.sleep(0.002)

    @property
    def tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        return float(sum(one.cpu_times().user + one.cpu_times().system for one in self.tree))

    def pss(self) -> float:
        """MiB of all processes, each page by how many share it."""
        return float(sum(int(one.memory_full_info().pss) for one in self.tree)) / MIB

    def end(self) -> float:
        """Seconds that it took."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._log.close()
        return time.monotonic() - begun

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


# -- clients


class Client(asyncio.Protocol):
    """Asks once; counts the chunks of a stream, and whether each came in its order."""

    def __init__(self, request: bytes, *, reads: bool = True) -> None:
        self._request = request
        self._reads = reads
        self._rest = b""
        self.chunks = 0
        self.in_order = True
        self.complete = False
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if not self._reads:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(None)
            if not data.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"answered {data[:300]!r}")
            if not self._reads:
                self.transport.pause_reading()
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if b'"delta":{"content":"' in event:
                number = int(event.partition(b'"content":"')[2].split(b" ")[0])
                self.in_order = self.in_order and number == self.chunks
                self.chunks += 1
            elif b"[DONE]" in event:
                self.complete = True
                self._end()

    def connection_lost(self, _: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def request(asked: str, *, stream: bool, kept: bool = False) -> bytes:
    body = json.dumps({"model": "mock/m", "messages": [{"role": "user", "content": asked}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    head += "" if kept else "cache-control: no-store\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def ask(service: Service, asked: str, *, stream: bool = True, reads: bool = True) -> Client:
    loop, made = asyncio.get_running_loop(), Client(request(asked, stream=stream), reads=reads)
    await loop.create_connection(lambda: made, "127.0.0.1", service.port)
    return made


async def ask_many(service: Service, count: int, asked: str, *, stream: bool = True) -> list[Client]:
    """A hundred at once, so that no queue overflows."""
    clients: list[Client] = []
    while len(clients) < count:
        few = await asyncio.gather(
            *(ask(service, f"{asked}", stream=stream) for _ in range(min(100, count - len(clients))))
        )
        await asyncio.gather(*(one.answered for one in few))
        clients += few
    return clients


async def open_upstream(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /open HTTP/1.1\r\n\r\n")
    said = await reader.readuntil(b"\r\n\r\n")
    length = int(said.partition(b"content-length: ")[2].split(b"\r\n")[0])
    found = int(await reader.readexactly(length))
    writer.close()
    return found


# -- what is measured


def starts(folder: Path, port: int) -> None:
    for workers in (1, 2):
        took, cpu, idle = [], [], []
        for _ in range(5):
            service = Service(folder, port, workers=workers)
            took.append(service.started_s)
            cpu.append(service.start_cpu_s)
            time.sleep(SETTLED_S)
            idle.append(service.pss())
            service.end()
        print(
            f"{workers} worker{'s' * (workers > 1)}: first byte after {min(took):.2f} s at best, {median(took):.2f} in "
            f"the middle; {min(cpu):.2f} s of CPU; idle {min(idle):.1f} to {max(idle):.1f} MiB",
            flush=True,
        )


async def idle_connections(service: Service, count: int) -> None:
    await ask_many(service, 200, "hello", stream=False)
    before, cpu_s = service.pss(), service.cpu_s()
    clients = await ask_many(service, count, "hello", stream=False)
    cpu_s = service.cpu_s() - cpu_s
    held = service.pss()
    alive = sum(not one.transport.is_closing() and not one.ended.done() for one in clients)
    print(
        f"{alive} idle connections: {held:.1f} MiB in all, {(held - before) * 1024 / count:.1f} KiB each; "
        f"{cpu_s / count * 1e6:.0f} µs of CPU each to come and be answered once",
        flush=True,
    )
    for one in clients:
        one.transport.abort()


async def active_streams(service: Service, count: int, seconds: float) -> None:
    before = service.pss()
    chunks = int(seconds * 10)
    clients = await ask_many(service, count, f"stream {chunks} 0.1 20")
    began, cpu_s = time.monotonic(), service.cpu_s()
    came = sum(one.chunks for one in clients)
    await asyncio.sleep(seconds / 2)
    took, cpu_s, came = time.monotonic() - began, service.cpu_s() - cpu_s, sum(one.chunks for one in clients) - came
    held = service.pss()
    await asyncio.gather(*(one.ended for one in clients))
    well = sum(one.complete and one.in_order and one.chunks == chunks for one in clients)
    print(
        f"{count} streams of 10 chunks a second: {well} complete and in order; {came / took:.0f} chunks/s, "
        f"{cpu_s / came * 1e6:.0f} µs of CPU a chunk, {cpu_s / took:.0%} of a core; {held:.1f} MiB in all, "
        f"{(held - before) * 1024 / count:.1f} KiB a stream",
        flush=True,
    )
    for one in clients:
        one.transport.abort()


async def stalled_readers(service: Service, count: int = 4, chunks: int = 5700) -> None:
    """Most of it is what has passed already: up to ``streams.max_bytes`` are kept, so that a stream can be resumed."""
    asked = f"stream {chunks} 0 16000"
    first = await ask(service, asked, reads=False)  # what the allocator takes for the first one is no reader's
    await asyncio.sleep(SETTLED_S)
    before = service.pss()
    clients = [await ask(service, asked, reads=False) for _ in range(count)]
    await asyncio.gather(*(one.answered for one in clients))
    await asyncio.sleep(SETTLED_S)
    each = (service.pss() - before) / count
    for one in (first, *clients):
        one.transport.resume_reading()
        await one.ended
        one.transport.abort()
    whole = sum(one.complete and one.in_order and one.chunks == chunks for one in clients)
    print(f"{count} stalled readers of 90 MB: {each:+.1f} MiB each; {whole} whole in the end", flush=True)


async def cancelled(service: Service, port: int, count: int = 40) -> None:
    clients = await ask_many(service, count, "stream 600 0.1 20")
    running = await open_upstream(port)
    for one in clients:
        one.transport.abort()
    left = running
    for _ in range(50):
        await asyncio.sleep(0.02)
        left = await open_upstream(port)
    print(f"{running - left} of {count} upstreams are cancelled when their clients leave", flush=True)


async def drained(service: Service, count: int = 20) -> None:
    clients = await ask_many(service, count, "stream 20 0.1 20")
    began = time.monotonic()
    service.interrupt()
    await asyncio.gather(*(one.ended for one in clients))
    well = sum(one.complete and one.in_order for one in clients)
    took = await asyncio.to_thread(service.end)
    print(f"{well} of {count} streams finish after SIGTERM; the end {took + time.monotonic() - began:.1f} s after it")


async def shared_load(folder: Path, port: int, connections: int = 64, requests: int = 50) -> None:
    """How even two workers are loaded, and what a request asks of the store that they share."""
    limits = {"requests_per_minute": 10**9, "tokens_per_minute": 10**12, "concurrent_requests": 10**5}
    service = Service(folder, port, workers=2, limits={"global": limits, "per_key": limits})
    try:
        workers = [one for one in service.process.children() if "valkey" not in one.name()]
        valkey = redis.Redis(unix_socket_path=str(next((folder / "data").rglob("*.sock"))))
        clients = await ask_many(service, connections, "hello", stream=False)
        held = [sum(end.laddr.port == service.port for end in one.net_connections("tcp")) - 1 for one in workers]
        before, cpu_s = commands(valkey), [sum(one.cpu_times()[:2]) for one in workers]
        for turn in range(requests):
            for number, one in enumerate(clients):
                one.answered = asyncio.get_running_loop().create_future()
                one.transport.write(request(f"{turn} {number}", stream=False, kept=True))
            await asyncio.gather(*(one.answered for one in clients))
        took = [sum(one.cpu_times()[:2]) - was for one, was in zip(workers, cpu_s, strict=True)]
        after, count = commands(valkey), connections * requests
        busy = [round(one, 2) for one in took]
        print(f"2 workers, {connections} connections: {held} connections each; {busy} s of CPU each")
        for name in sorted(after, key=lambda one: before.get(one, 0) - after[one]):
            if (each := (after[name] - before.get(name, 0)) / count) > 0.01:
                print(f"  {name}: {each:.2f} a request")
        for one in clients:
            one.transport.abort()
    finally:
        service.end()


def commands(valkey: Any) -> dict[str, int]:
    """How often each was asked for; reads of the socket are about as many as round trips."""
    told = valkey.info("commandstats")
    reads = valkey.info("stats")["total_reads_processed"]
    return {**{name.removeprefix("cmdstat_"): facts["calls"] for name, facts in told.items()}, "reads": reads}


async def serve_and_measure(folder: Path, port: int, wanted: argparse.Namespace) -> None:
    service = Service(folder, port)
    try:
        asked: dict[str, Callable[[], Any]] = {
            "connections": lambda: idle_connections(service, wanted.connections),
            "streams": lambda: active_streams(service, wanted.streams, wanted.seconds),
            "stalled": lambda: stalled_readers(service),
            "cancel": lambda: cancelled(service, port),
        }
        for name, measure in asked.items():
            if name in wanted.what:
                await measure()
        if "drain" in wanted.what:
            await drained(service)
    finally:
        if service.process.is_running():
            service.end()


def main() -> None:
    everything = ("start", "workers", "connections", "streams", "stalled", "cancel", "drain")
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("what", nargs="*", default=everything, metavar=f"{{{','.join(everything)}}}")
    wanted = parser.parse_args()
    raise_files()
    with upstream() as port, tempfile.TemporaryDirectory() as folder:
        if "start" in wanted.what:
            starts(Path(folder), port)
        if "workers" in wanted.what:
            uvloop.run(shared_load(Path(folder), port))
        if set(wanted.what) - {"start", "workers"}:
            uvloop.run(serve_and_measure(Path(folder), port, wanted))


if __name__ == "__main__":
    main()
