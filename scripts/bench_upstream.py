"""What asking an upstream costs here: a provider's dialect, its sender and our own HTTP client. No socket, no upstream.

python scripts/bench_upstream.py              CPU of a whole answer, and of a chunk alone and among others in one read
python scripts/bench_upstream.py --calls      and how many Python functions are called for each
python scripts/bench_upstream.py --profile    and which

Beyond the bounds below it fails: they are five times what a quiet machine needs.
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from llm_service.domain import Candidate, Event, Outcome, Secret, chat_request
from llm_service.providers import HttpProvider, ProviderOptions, TimeoutOptions, UpstreamCall, dialect_for
from llm_service.runtime import SystemClock
from llm_service.transport import HttpTransport
from llm_service.transport.connection import Connection

REQUESTS: Final = 200
CHUNKS: Final = 200
ROUNDS: Final = 40
IN_ONE_READ: Final = 8
MOST_US: Final = {"whole answer": 200.0, "chunk": 40.0, "chunk among others": 20.0}
ENVELOPE: Final = {"id": "chatcmpl-1", "created": 1, "model": "mock-model", "system_fingerprint": "fp_1"}
USAGE: Final = {"prompt_tokens": 250, "completion_tokens": 200, "total_tokens": 450}
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 26 Nov 2026 19:00:00 GMT\r\nserver: mock\r\ncontent-type: %b\r\n"
    b"x-request-id: 1234567890\r\nx-ratelimit-remaining: 100\r\nvary: origin\r\n"
)


def body(*, stream: bool) -> dict[str, Any]:
    return {"model": "mock/m", "messages": [{"role": "user", "content": "y" * 1000}], "stream": stream, "seed": 1}


def whole() -> bytes:
    message = {"role": "assistant", "content": "x" * 700}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    said = orjson.dumps({**ENVELOPE, "object": "chat.completion", "choices": [choice], "usage": USAGE})
    return HEAD % b"application/json" + b"content-length: %d\r\n\r\n" % len(said) + said


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: %b\n\n" % orjson.dumps({**ENVELOPE, "object": "chat.completion.chunk", "choices": [choice]})


def framed(said: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(said), said)


class Socket:
    """Takes what is written, and answers with given reads."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection: Any = None
        self.reads: Sequence[bytes] = ()

    def write(self, _: bytes) -> None:
        self.loop.call_soon(self.answer)

    def answer(self) -> None:
        for read in self.reads:
            self.connection.data_received(read)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nobody reads: what comes is given."""

    def resume_reading(self) -> None:
        """The same."""

    def abort(self) -> None:
        """Nothing to close."""


class Sink:
    """Takes events, and says when there are no more."""

    def __init__(self) -> None:
        self.events = 0
        self.outcome: Outcome | None = None
        self.ended = asyncio.Event()

    def write(self, batch: Sequence[Event]) -> None:
        self.events += len(batch)

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.ended.set()


class Bench:
    """A provider over one connection that is no socket."""

    def __init__(self) -> None:
        clock = SystemClock()
        options = ProviderOptions(kind="openai_compatible", base_url="http://127.0.0.1:1/v1")
        transport = HttpTransport(max_connections=1, on_failure=fail)
        self.socket = Socket()
        transport._pool._reach = self.reach  # type: ignore[method-assign]
        self.provider = HttpProvider(
            name="mock",
            dialect=dialect_for("mock", options, clock),
            transport=transport,
            base_url="http://127.0.0.1:1/v1",
            headers={},
            query={},
            timeouts=TimeoutOptions(),
            clock=clock,
            keys=[(Secret("sk-test-up"), {"authorization": "Bearer sk-test-up"})],
        )

    async def reach(self, connection: Connection) -> None:
        self.socket.connection = connection
        connection.connection_made(self.socket)  # type: ignore[arg-type]

    async def ask(self, reads: Sequence[bytes], *, stream: bool) -> None:
        self.socket.reads = reads
        reply = await self.provider.chat(CALLS[stream])
        if stream:
            sink = Sink()
            reply.attach(sink)
            if sink.outcome is None:
                await sink.ended.wait()
        if reply.outcome is None or reply.outcome.status != "ok":
            raise SystemExit(f"the answer was not read: {reply.outcome}")

    async def least_us(self, reads: Sequence[bytes], *, stream: bool) -> float:
        """The least mean of many rounds, in CPU of this thread."""
        requests = REQUESTS // 20 if stream else REQUESTS
        best_us = float("inf")
        for _ in range(ROUNDS):
            begun = time.thread_time()
            for _ in range(requests):
                await self.ask(reads, stream=stream)
            best_us = min(best_us, (time.thread_time() - begun) / requests * 1e6)
        return best_us

    async def calls(self, reads: Sequence[bytes], *, stream: bool) -> int:
        """Calls of functions, those of C included, for one answer."""
        await self.ask(reads, stream=stream)
        count = 0

        def counting(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(counting)
        await self.ask(reads, stream=stream)
        sys.setprofile(None)
        return count


def call(*, stream: bool) -> UpstreamCall:
    return UpstreamCall(
        request=chat_request(body(stream=stream)),
        candidate=Candidate(provider="mock", upstream_model="mock-model"),
        request_id="req_1",
    )


CALLS: Final = {stream: call(stream=stream) for stream in (False, True)}


def fail(work: str, failure: BaseException) -> None:
    raise SystemExit(f"{work}: {failure!r}")


def stream_of(chunks: int, in_one_read: int) -> list[bytes]:
    head = HEAD % b"text/event-stream" + b"transfer-encoding: chunked\r\n\r\n"
    first = framed(chunk({"role": "assistant", "content": ""})) + framed(chunk({"content": "Once"}))
    pieces = [framed(chunk({"content": f" word{number}"})) for number in range(chunks)]
    batches = [b"".join(pieces[at : at + in_one_read]) for at in range(0, chunks, in_one_read)]
    return [head + first, *batches, framed(chunk({}, "stop")), framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"]


async def main(wanted: argparse.Namespace) -> None:
    bench = Bench()
    short, alone, together = stream_of(0, 1), stream_of(CHUNKS, 1), stream_of(CHUNKS, IN_ONE_READ)
    measure: dict[str, Callable[..., Any]] = {"µs": bench.least_us}
    if wanted.calls:
        measure["calls"] = bench.calls
    beyond = []
    for unit, ask in measure.items():
        whole_us, short_us = await ask([whole()], stream=False), await ask(short, stream=True)
        found = {
            "whole answer": whole_us,
            "chunk": (await ask(alone, stream=True) - short_us) / CHUNKS,
            "chunk among others": (await ask(together, stream=True) - short_us) / CHUNKS,
        }
        for what, figure in found.items():
            print(f"one {what}: {figure:.2f} {unit}")
        print(f"one stream without its chunks: {short_us:.2f} {unit}")
        beyond += [what for what, most in MOST_US.items() if unit == "µs" and found[what] > most]
    if wanted.profile:
        for reads, stream in (([whole()], False), (alone, True)):
            profiler = cProfile.Profile(time.thread_time)
            profiler.enable()
            for _ in range(20 if stream else 2000):
                await bench.ask(reads, stream=stream)
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    if beyond:
        raise SystemExit(f"beyond the bounds: {', '.join(beyond)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--profile", action="store_true")
    running = main(parser.parse_args())
    if sys.platform == "win32":
        asyncio.run(running)
    else:
        import uvloop

        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(running)
