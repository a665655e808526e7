"""Holds what the server's side of a request costs: from the bytes that a socket read to those that are written to it.

Behind the door stands a gateway that answers at once, and in front of the connections no sockets. Each kind of answer
goes by the fast lane, and by the plain route of ASGI for comparison.

PYTHONPATH=src python scripts/bench_lane.py              the table, and whether the fast lane keeps within its limits
PYTHONPATH=src python scripts/bench_lane.py --profile KIND    where the time of one kind goes by the fast lane
"""

import argparse
import asyncio
import cProfile
import gc
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, cast

import orjson

from llm_service.admission import Admitted, Held
from llm_service.api import (
    Calls,
    DoorParts,
    GenerateDoor,
    HttpServer,
    RestApp,
    Resuming,
    ServerOptions,
    Serving,
    StreamRoutes,
)
from llm_service.api.acts import Acts
from llm_service.domain import (
    Claim,
    Claims,
    Event,
    Head,
    Lease,
    Limit,
    Outcome,
    RateLimited,
    Reply,
    Secret,
    Sink,
    Subscription,
)
from llm_service.observability import Listeners
from llm_service.pipeline import Exchange
from llm_service.runtime import RandomIds, SystemClock, Tasks, system_random
from llm_service.services import Authenticator
from llm_service.storage import LimitStore
from llm_service.streams import Streams

KEY: Final = "sk-test-bench"
CONNECTIONS: Final = 32
ROUNDS: Final = 4
TRIES: Final = 60
CHUNKS: Final = 100
STAGES: Final = tuple(
    "observe shed resolve check screen remember replay rank admit share account call upstream".split()
)
WHOLE: Final = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "mock-model",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x" * 700}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 250, "completion_tokens": 200, "total_tokens": 450},
    }
)
CHUNK: Final = b'{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}'
LIMITS: Final = [
    Limit(key=f"{kind}:{scope}", scope=scope, subject="", kind=kind, amount=1000)
    for scope in ("global", "key")
    for kind in ("requests", "tokens")
]
CLAIMS: Final = Claims.among([Claim(limit, 1) for limit in LIMITS])
LEASE: Final = Lease("req_1", callers=CLAIMS, candidate=0, provider=(), second=0, used=(1, 2, 3, 4))
ADMITTED: Final = Admitted(held=Held(LEASE, cast(LimitStore, None), ""))
HEAD: Final = Head(provider="mock", model="mock/mock-model", upstream_model="mock-model")


class Whole(Reply):
    """An answer that is there."""

    head = HEAD
    whole = WHOLE
    outcome = Outcome(status="ok")

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        raise TypeError("nobody streams it")

    async def aclose(self) -> None:
        """Nothing to give up."""


class Streamed(Reply):
    """A stream, each chunk as one read of a socket."""

    head = HEAD
    whole = None
    outcome = None

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        for number in range(after + 1, CHUNKS + 1):
            sink.write([Event(number, CHUNK)])
        sink.end(Outcome(status="ok"))
        return self

    def pause(self) -> None:
        raise RuntimeError("everything is read here")

    def resume(self) -> None:
        raise RuntimeError("everything is read here")

    def detach(self) -> bool:
        return False

    async def aclose(self) -> None:
        """Nothing to give up."""


class Gateway:
    """Answers at once, under limits of everybody and of the key; refuses whom no model can serve."""

    stage_names = STAGES

    async def chat(self, exchange: Exchange) -> Reply:
        now = exchange.received_at
        exchange.marks.extend([now] * len(STAGES))
        exchange.head_at = now
        if exchange.request.model == "full":
            raise RateLimited("The limit of requests is reached.", limit=LIMITS[0], used=1000, retry_after_s=2.5)
        exchange.admitted = ADMITTED
        return Streamed() if exchange.request.stream else Whole()


class Silent:
    """A log of nothing."""

    def debug(self, event: str, **facts: object) -> None:
        """Nobody reads it."""

    def info(self, event: str, **facts: object) -> None:
        """Nobody reads it."""

    def warning(self, event: str, **facts: object) -> None:
        raise RuntimeError(f"{event}: {facts}")

    error = warning


class Wire(asyncio.Transport):
    """A client's end that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default


def posted(body: dict[str, Any], key: str = KEY) -> bytes:
    """A request as clients send it."""
    content = orjson.dumps({"messages": [{"role": "user", "content": "y" * 1000}], **body})
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: application/json\r\n"
        b"Accept-Encoding: gzip, deflate\r\nUser-Agent: bench/1.0\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (key.encode(), len(content))
    ) + content


class Kind(NamedTuple):
    """One kind of request: what is sent, the status, by what its answer ends, and what it may cost."""

    sent: bytes
    status: bytes
    end: bytes
    limit_us: float
    parts: int = 1


KINDS: Final = {
    "a whole answer": Kind(posted({"model": "mock/mock-model"}), b"200", b"}", 50.0),
    "a refusal (429)": Kind(posted({"model": "full"}), b"429", b"}", 50.0),
    "a wrong key (401)": Kind(posted({"model": "mock/mock-model"}, "sk-wrong"), b"401", b"}", 32.0),
    "a stream's chunk": Kind(
        posted({"model": "mock/mock-model", "stream": True}), b"200", b"0\r\n\r\n", 3.0, parts=CHUNKS
    ),
}


def build_app(clock: SystemClock) -> RestApp:
    """The doors of REST over such a gateway."""
    options, log = ServerOptions(), Silent()
    tasks = Tasks(on_failure=lambda work, failure: log.error(work, failure=failure))
    streams = Streams(clock, retention_s=0, total_bytes=1_000_000)
    calls = Calls(
        gateway=Gateway(),  # type: ignore[arg-type]  # as much of one as the door needs
        listeners=Listeners([]),
        serving=Serving(streams),
        finish=False,
        clock=clock,
        tasks=tasks,
    )
    authenticator = Authenticator(admin_key=Secret(KEY), keyless=False, allowed_origins=())
    resumed = StreamRoutes(Resuming(streams), options=options, authenticator=authenticator, clock=clock, tasks=tasks)
    ids = RandomIds(clock, system_random())
    parts = DoorParts(calls=calls, authenticator=authenticator, log=log, options=options, resumed=resumed, ids=ids)

    async def no_sockets(*_: object) -> None:
        raise RuntimeError("nobody asks for one")

    return RestApp(
        door=GenerateDoor(parts),
        routes=(),
        authenticator=authenticator,
        ids=ids,
        log=log,
        acts=Acts(log),
        clock=clock,
        tasks=tasks,
        fixed_headers=(),
        sockets=no_sockets,
    )


async def server_of(app: RestApp, *, fast: bool) -> HttpServer:
    """A server that listens nowhere, with the headers of this second."""
    lane = app.lane(is_open=fast)
    server = HttpServer(app, refused=app.refused, lane=lambda: lane)
    server.config.load()
    await server.on_tick(0)
    return server


def connections_to(server: HttpServer) -> Sequence[tuple[Any, Wire]]:
    made = []
    for _ in range(CONNECTIONS):
        make: Any = server.config.http_protocol_class
        protocol = make(config=server.config, server_state=server.server_state, app_state={})
        wire = Wire()
        protocol.connection_made(wire)
        made.append((protocol, wire))
    return made


async def cost_us(connections: Sequence[tuple[Any, Wire]], kind: Kind) -> float:
    """CPU of one request, or of one part of its answer: the mean of one round over all connections."""
    begun = time.thread_time()
    for _ in range(ROUNDS):
        for protocol, wire in connections:
            wire.writes.clear()
            protocol.data_received(kind.sent)
        for _, wire in connections:
            while not wire.writes or not wire.writes[-1].endswith(kind.end):  # noqa: ASYNC110 - tasks that nobody knows
                await asyncio.sleep(0)
    took_s = time.thread_time() - begun
    for _, wire in connections:
        if not wire.writes[0].startswith(b"HTTP/1.1 " + kind.status):
            raise RuntimeError(f"it was answered {wire.writes[0]!r}")
    return took_s / ROUNDS / len(connections) / kind.parts * 1e6


async def least_us(connections: Sequence[tuple[Any, Wire]], kind: Kind) -> float:
    """The least of many rounds: neighbours on the machine only ever add. A busy one gets more tries."""
    best_us = float("inf")
    for turn in range(TRIES):
        best_us = min(best_us, await cost_us(connections, kind))
        if turn >= TRIES // 2 and best_us <= kind.limit_us:
            break
    return best_us


async def main(profiled: str | None) -> int:
    app = build_app(SystemClock())
    lanes = {fast: connections_to(await server_of(app, fast=fast)) for fast in (True, False)}
    if profiled is not None:
        return await profile(lanes[True], KINDS[profiled])
    gc.disable()
    beyond = 0
    for name, kind in KINDS.items():
        fast_us, plain_us = [await least_us(lanes[fast], kind) for fast in (True, False)]
        beyond += fast_us > kind.limit_us
        verdict = "within" if fast_us <= kind.limit_us else "beyond"
        print(f"{name}: {fast_us:.1f} µs, {verdict} the limit of {kind.limit_us:g} µs; by ASGI {plain_us:.1f} µs")
    return 1 if beyond else 0


async def profile(connections: Sequence[tuple[Any, Wire]], kind: Kind) -> int:
    """Python's own view of it, which counts calls exactly and makes them dearer than they are."""
    await cost_us(connections, kind)
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    await cost_us(connections, kind)
    profiler.disable()
    figures = pstats.Stats(profiler)
    print(f"{figures.total_calls / ROUNDS / CONNECTIONS:.1f} calls a request")  # type: ignore[attr-defined]
    figures.sort_stats("tottime").print_stats(60)
    return 0


def run(work: Callable[[], Any]) -> int:
    if sys.platform == "win32":
        return cast(int, asyncio.run(work()))
    import uvloop

    return cast(int, asyncio.Runner(loop_factory=uvloop.new_event_loop).run(work()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", choices=list(KINDS))
    given = parser.parse_args()
    sys.exit(run(lambda: main(given.profile)))
