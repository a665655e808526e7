"""What our own code costs for one whole answer and one stream chunk: no server, no client, no socket. No limit is held.

PYTHONPATH=src python scripts/bench_request.py              without limits
PYTHONPATH=src python scripts/bench_request.py --limits     with limits of every kind, of all and of the key
PYTHONPATH=src python scripts/bench_request.py --hits       answers from the cache; without it every request misses
PYTHONPATH=src python scripts/bench_request.py --no-cache   the cache switched off
PYTHONPATH=src python scripts/bench_request.py --profile    and where the time of whole answers goes
PYTHONPATH=src python scripts/bench_request.py --keys N     with one of N issued keys, in place of the admin key
PYTHONPATH=src python scripts/bench_request.py --keys N --each     every request with the next one, which is looked up
PYTHONPATH=src python scripts/bench_request.py --keys N --only-make FOLDER    a data directory with N keys; prints one
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Final, cast

import orjson

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.api import AuthOptions, Serve
from llm_service.bootstrap import Stores, Surroundings, build_service, open_stores, providers
from llm_service.cache import CacheOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.observability import ObservabilityOptions, build_access_log, build_log
from llm_service.prices import PriceOptions
from llm_service.providers import ProviderOptions
from llm_service.runtime import SystemClock, settle_memory, system_random
from llm_service.transport import HttpHead, HttpRequest, Receiver

KEY: Final = "sk-test-bench"
REQUESTS: Final = 300
ROUNDS: Final = 30
CHUNKS: Final = 200
ENVELOPE: Final = {"id": "chatcmpl-1", "created": 1, "model": "mock-model"}
USAGE: Final = {"prompt_tokens": 250, "completion_tokens": 200, "total_tokens": 450}
WHOLE: Final = orjson.dumps(
    {
        **ENVELOPE,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "x" * 700},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": USAGE,
    }
)


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: %b\n\n" % orjson.dumps({**ENVELOPE, "object": "chat.completion.chunk", "choices": [choice]})


BODIES: Final = {
    False: [WHOLE],
    True: [
        chunk({"role": "assistant", "content": ""}),
        *[chunk({"content": " word"})] * CHUNKS,
        chunk({}, "stop"),
        b"data: [DONE]\n\n",
    ],
}


class Transport:
    """Answers at once, each piece as one read of a socket."""

    def __init__(self, **_: object) -> None:
        self._loop = asyncio.get_running_loop()

    def send(self, request: HttpRequest, receiver: Receiver) -> "Transport":
        body = BODIES[isinstance(request.body, bytes) and b'"stream":true' in request.body]
        self._loop.call_soon(self._answer, receiver, body)
        return self

    def _answer(self, receiver: Receiver, body: list[bytes]) -> None:
        receiver.on_head(HttpHead(200, {}))
        for piece in body:
            receiver.on_body(piece)
        receiver.on_end()

    def abort(self) -> None:
        """Nothing to abort."""

    async def aclose(self) -> None:
        """Nothing to close."""


ALL_LIMITS: Final = AllowanceOptions(
    requests_per_minute=10**9, tokens_per_minute=10**12, concurrent_requests=10**5, budget_usd=Decimal(10**6)
)


async def main(wanted: argparse.Namespace) -> None:
    providers.CLIENTS = {"own": Transport}  # type: ignore[attr-defined,dict-item]
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: ASYNC230, SIM115 - once, and for good
    options, clock = ObservabilityOptions(log_format="json"), SystemClock()
    log = build_log(options, clock=clock, stream=sys.stderr)
    provider = ProviderOptions(kind="openai_compatible", base_url="http://127.0.0.1:1/v1", api_key=Secret("sk-test-up"))
    settings = Settings(
        auth=AuthOptions(admin_key=Secret(KEY)),
        providers={"mock": provider},
        prices={"mock/*": PriceOptions(input_usd=Decimal("0.1"), output_usd=Decimal("0.2"))},
        cache=CacheOptions(enabled=wanted.cache),
        limits=LimitsOptions(everybody=ALL_LIMITS, per_key=ALL_LIMITS) if wanted.limits else LimitsOptions(),
    )
    async with AsyncExitStack() as held:
        folder = wanted.only_make or Path(held.enter_context(tempfile.TemporaryDirectory()))
        around = Surroundings(data_dir=folder, clock=clock, dice=system_random(), log=log)
        stores = await open_stores(
            held,
            around,
            store=settings.store,
            ledger=settings.ledger,
            cache=settings.cache,
            streams=settings.streams,
        )
        issued = await issued_keys(stores, wanted.keys)
        if wanted.only_make:
            print(issued[len(issued) // 2])
            return
        presented = cycle(issued if wanted.each else [issued[len(issued) // 2] if issued else KEY])
        listening = [build_access_log(options, log=log, clock=clock, stream=nowhere)]
        built = build_service(settings, stores, log=log, listening=listening, clock=clock)
        serve = built.lane.routes[b"/v1/chat/completions"]
        settle_memory()
        begun, counted = time.process_time(), 0
        profiler = cProfile.Profile(time.thread_time)
        if wanted.profile:
            profiler.enable()
        whole_us = await least_us(serve, presented, stream=False, hits=wanted.hits)
        profiler.disable()
        await stores.ledger.flush()
        counted = REQUESTS * ROUNDS
        all_us = (time.process_time() - begun) / counted * 1e6
        stream_us = await least_us(serve, presented, stream=True, hits=wanted.hits)
        print(
            f"one whole answer: {whole_us:.1f} µs; with what is done for it later, on average: {all_us:.1f} µs of CPU"
        )
        print(f"one stream chunk: {(stream_us - whole_us) / CHUNKS:.2f} µs")
        if wanted.profile:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        await built.aclose()


async def issued_keys(stores: Stores, count: int) -> list[str]:
    """New keys as their owners hold them, made as the service makes every key."""
    return [(await stores.keys.create({"name": f"key {number}"})).secret.reveal() for number in range(count)]


async def least_us(serve: Serve, presented: Iterator[str], *, stream: bool, hits: bool) -> float:
    """The least mean of many rounds, in CPU of this thread: neighbours on the machine only ever add."""
    body = {"model": "mock/mock-model", "messages": [{"role": "user", "content": "y" * 1000}], "stream": stream}
    prompt = orjson.dumps({**body, "seed": int(stream)})  # streams are requests of their own here
    requests = REQUESTS // 10 if stream else REQUESTS
    best_us = float("inf")
    for turn in range(ROUNDS):
        numbers = (0 if hits else turn * requests + number for number in range(requests))
        clients = [Asking(next(presented), prompt.replace(b"y" * 12, b"%012d" % number, 1)) for number in numbers]
        task = cast("asyncio.Task[None]", asyncio.current_task())
        begun = time.thread_time()
        for client in clients:
            await serve(client, task)
        best_us = min(best_us, (time.thread_time() - begun) / requests * 1e6)
    return best_us


class Asking:
    """A client on the fast lane whose request is there, and who takes everything."""

    peer: str | None = "127.0.0.1"

    def __init__(self, key: str, body: bytes) -> None:
        self._headers = {
            b"host": b"127.0.0.1",
            b"authorization": b"Bearer " + key.encode(),
            b"content-type": b"application/json",
        }
        self._body = body
        self._ended = asyncio.Event()

    def headers(self) -> dict[bytes, bytes]:
        return self._headers

    def whole_body(self) -> bytes:
        return self._body

    async def piece(self) -> tuple[bytes, bool]:
        raise RuntimeError("the body is there")

    def on_left(self, callback: object) -> None:
        """It stays."""

    async def gone(self) -> None:
        await self._ended.wait()

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        if status != 200:
            raise SystemExit(f"the service answered {status}: {body!r}")

    respond_early = respond

    def begin(self, head: bytes) -> None:
        """It is glad."""

    def write(self, data: bytes) -> None:
        """It reads."""

    def end(self, data: bytes) -> None:
        self._ended.set()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for switch in ("--limits", "--hits", "--profile", "--each"):
        parser.add_argument(switch, action="store_true")
    parser.add_argument("--no-cache", dest="cache", action="store_false")
    parser.add_argument("--keys", type=int, default=0)
    parser.add_argument("--only-make", type=Path)
    given = parser.parse_args()
    if not given.keys and (given.each or given.only_make):
        parser.error("--each and --only-make need --keys")
    if given.only_make:
        given.only_make.mkdir(mode=0o700, exist_ok=True)
    return given


if __name__ == "__main__":
    running = main(arguments())
    if sys.platform == "win32":
        asyncio.run(running)
    else:
        import uvloop

        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(running)
