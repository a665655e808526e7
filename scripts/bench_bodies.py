"""How long one request with a large body, or a large answer, keeps the event loop from everybody else.

For each form and size, of one request, the best of several: how long the loop's longest turn takes, on the clock and in
CPU time of its own, and the CPU time of all its turns. A turn is what the loop does between two looks at its sockets.
What a thread does beside it is not in the CPU time; where that thread holds the interpreter's lock it is on the clock.

PYTHONPATH=src python scripts/bench_bodies.py                    64 KiB, 1 MiB and 10 MiB, each form
PYTHONPATH=src python scripts/bench_bodies.py --profile text     and where the time of 1 MiB of text goes
PYTHONPATH=src python scripts/bench_bodies.py --graphql          conversations as variables of GraphQL, by messages
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.api import AuthOptions
from llm_service.bootstrap import Surroundings, build_service, open_stores, providers
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.observability import ObservabilityOptions, build_access_log, build_log
from llm_service.prices import PriceOptions
from llm_service.providers import ProviderOptions
from llm_service.runtime import SystemClock, settle_memory, system_random
from llm_service.transport import HttpHead, HttpRequest, Receiver

KEY: Final = "sk-test-bench"
KIB: Final = 1024
SIZES: Final = (64 * KIB, 1024 * KIB, 10 * 1024 * KIB - 1024)
READ_BYTES: Final = 64 * KIB
TRIES: Final = 7
ALL_LIMITS: Final = AllowanceOptions(
    requests_per_minute=10**9, tokens_per_minute=10**12, concurrent_requests=10**5, budget_usd=Decimal(10**6)
)
PROSE: Final = "The quick brown fox jumps over the lazy dog, and then it does so again. "
RUSSIAN: Final = "Съешь же ещё этих мягких французских булок, да выпей чаю, а потом ещё раз. "  # noqa: RUF001 - it is Russian


def text(size: int) -> list[dict[str, Any]]:
    """One message."""
    return [{"role": "user", "content": (PROSE * (size // len(PROSE) + 1))[:size]}]


def russian(size: int) -> list[dict[str, Any]]:
    """One message of two bytes a letter."""
    return [{"role": "user", "content": (RUSSIAN * (size // len(RUSSIAN) + 1))[: size * 10 // 18]}]


def turns(size: int) -> list[dict[str, Any]]:
    """A long conversation: as many messages as there may be, or of 100 characters."""
    roles, count = ("user", "assistant"), min(size // 135, 16_000)
    content = (PROSE * (size // count // len(PROSE) + 1))[: size // count - 35]
    return [{"role": roles[at % 2], "content": content} for at in range(count)]


def image(size: int) -> list[dict[str, Any]]:
    """A question about an image that comes along."""
    address = "data:image/png;base64," + "iVBORw0K" * (size // 8)
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": address}}]
    return [{"role": "user", "content": parts}]


CHAT: Final = "/v1/chat/completions"
MUTATION: Final = "mutation Ask($input: ChatInput!) { chat(input: $input) { cost } }"
GRAPHQL: Final = (
    (64 * KIB, 1),
    (64 * KIB, 100),
    (64 * KIB, 480),
    (1024 * KIB, 1),
    (1024 * KIB, 1000),
    (1024 * KIB, 3300),
)
"""Bytes, and messages among which they are divided: a request has at most 10,000 values."""
FORMS: Final = {form.__name__: form for form in (text, russian, turns, image)}


class Transport:
    """Answers at once with as much text as it is told to, in pieces as sockets are read."""

    answer_bytes = 100

    def __init__(self, **_: object) -> None:
        self._loop = asyncio.get_running_loop()

    def send(self, request: HttpRequest, receiver: Receiver) -> "Transport":
        self._loop.call_soon(self._answer, receiver)
        return self

    def _answer(self, receiver: Receiver) -> None:
        receiver.on_head(HttpHead(200, {}))
        self._piece(receiver, answer(self.answer_bytes), 0)

    def _piece(self, receiver: Receiver, body: bytes, at: int) -> None:
        if at < len(body):
            receiver.on_body(body[at : at + READ_BYTES])
            self._loop.call_soon(self._piece, receiver, body, at + READ_BYTES)
        else:
            receiver.on_end()

    def abort(self) -> None:
        """Nothing to abort."""

    async def aclose(self) -> None:
        """Nothing to close."""


def answer(size: int) -> bytes:
    message = {"role": "assistant", "content": (PROSE * (size // len(PROSE) + 1))[:size]}
    usage = {"prompt_tokens": 250, "completion_tokens": 200, "total_tokens": 450}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    envelope = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "mock-model"}
    return orjson.dumps({**envelope, "choices": [choice], "usage": usage})


class Turns:
    """The CPU time that each turn of the event loop takes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.longest_s = self.longest_cpu_s = self.cpu_s = 0.0
        self._on = False

    def __enter__(self) -> "Turns":
        self._on = True
        self._before = time.monotonic(), time.thread_time()
        self._loop.call_soon(self._tick)
        return self

    def _tick(self) -> None:
        took_s, cpu_s = time.monotonic() - self._before[0], time.thread_time() - self._before[1]
        self.longest_s = max(self.longest_s, took_s)
        self.longest_cpu_s = max(self.longest_cpu_s, cpu_s)
        self.cpu_s += cpu_s
        self._before = time.monotonic(), time.thread_time()
        if self._on:
            self._loop.call_soon(self._tick)

    def __exit__(self, *_: object) -> None:
        self._on = False


async def one(app: Any, body: bytes, *, path: str = CHAT) -> int:
    """Ask with this body, which comes as sockets are read; the length of the answer."""
    pieces = [body[at : at + READ_BYTES] for at in range(0, len(body), READ_BYTES)]
    ended, sent_bytes, status = asyncio.Event(), 0, 0

    async def receive() -> dict[str, Any]:
        if not pieces:
            await ended.wait()
            return {"type": "http.disconnect"}
        await asyncio.sleep(0)
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(sent: dict[str, Any]) -> None:
        nonlocal sent_bytes, status
        status = sent.get("status", status)
        if status != 200 and "body" in sent:
            raise SystemExit(f"the service answered {status}: {sent['body']!r}")
        sent_bytes += len(sent.get("body", b""))
        if "body" in sent and not sent.get("more_body"):
            ended.set()

    headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer " + KEY.encode())]
    headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "state": {}, "query_string": b""}
    await app({**scope, "client": ("127.0.0.1", 1), "headers": headers}, receive, send)
    return sent_bytes


async def measure(app: Any, name: str, messages: list[dict[str, Any]], *, size: int, stream: bool = False) -> None:
    asked = {"model": "mock/mock-model", "messages": messages, "stream": stream}
    await show(app, f"{name:9} {size / KIB:8.0f}", [{**asked, "seed": at + size} for at in range(TRIES)])


async def measure_graphql(app: Any, size: int, messages: int) -> None:
    content = (PROSE * (size // messages // len(PROSE) + 1))[: size // messages]
    roles = ("USER", "ASSISTANT")
    said = [{"role": roles[at % 2], "content": content} for at in range(messages)]
    asked = [{"model": "mock/mock-model", "messages": said, "seed": at} for at in range(TRIES)]
    bodies = [{"query": MUTATION, "variables": {"input": one}} for one in asked]
    await show(app, f"{messages:9} {size / KIB:8.0f}", bodies, path="/graphql")


async def show(app: Any, name: str, bodies: Sequence[Any], *, path: str = CHAT) -> None:
    measured = []
    for body in map(orjson.dumps, bodies):
        with Turns() as turned:
            await one(app, body, path=path)
        measured.append((turned.longest_s, turned.longest_cpu_s, turned.cpu_s))
    best = " ".join(f"{min(figures) * 1000:16.2f}" for figures in zip(*measured, strict=True))
    print(f"{name} KiB {best}", flush=True)


@asynccontextmanager
async def built() -> AsyncIterator[Any]:
    """The application of a service under limits of all kinds, without sockets, settled as one that serves."""
    providers.CLIENTS = {"own": Transport}  # type: ignore[attr-defined,dict-item]
    options, clock = ObservabilityOptions(log_format="json"), SystemClock()
    log = build_log(options, clock=clock, stream=sys.stderr)
    provider = ProviderOptions(kind="openai_compatible", base_url="http://127.0.0.1:1/v1", api_key=Secret("sk-test-up"))
    settings = Settings(
        auth=AuthOptions(admin_key=Secret(KEY)),
        providers={"mock": provider},
        prices={"mock/*": PriceOptions(input_usd=Decimal("0.1"), output_usd=Decimal("0.2"))},
        limits=LimitsOptions(everybody=ALL_LIMITS, per_key=ALL_LIMITS, max_input_tokens=10**9),
    )
    async with AsyncExitStack() as held:
        nowhere = held.enter_context(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: ASYNC230, SIM115
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        around = Surroundings(data_dir=folder, clock=clock, dice=system_random(), log=log)
        stores = await open_stores(
            held, around, store=settings.store, ledger=settings.ledger, cache=settings.cache, streams=settings.streams
        )
        listening = [build_access_log(options, log=log, clock=clock, stream=nowhere)]
        service = build_service(settings, stores, log=log, listening=listening, clock=clock)
        await one(service.app, orjson.dumps({"model": "mock/mock-model", "messages": text(10)}))
        settle_memory()
        yield service.app
        await stores.ledger.flush()
        await service.aclose()


async def main(wanted: argparse.Namespace) -> None:
    async with built() as app:
        gc.disable()
        if wanted.profile:
            await profiled(app, wanted.profile)
            return
        print(f"{'':22}  longest turn ms    the same, CPU  CPU of all turns")
        if wanted.graphql:
            for size, messages in GRAPHQL:
                await measure_graphql(app, size, messages)
            return
        for name, form in FORMS.items():
            for size in SIZES:
                await measure(app, name, form(size), size=size)
        for stream in (False, True):
            for size in SIZES:
                Transport.answer_bytes = size
                await measure(app, "to stream" if stream else "answer", text(50), size=size, stream=stream)


async def profiled(app: Any, form: str) -> None:
    size = SIZES[1]
    messages = text(50) if form == "answer" else FORMS[form](size)
    Transport.answer_bytes = size if form == "answer" else 100
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    for at in range(20):
        body = orjson.dumps({"model": "mock/mock-model", "messages": messages, "seed": at})
        await one(app, body)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", choices=(*FORMS, "answer"))
    parser.add_argument("--graphql", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    running = main(arguments())
    if sys.platform == "win32":
        asyncio.run(running)
    else:
        import uvloop

        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(running)
