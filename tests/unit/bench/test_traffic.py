"""Load and upstream, in both languages, find each other well, and find fault with what is wrong."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.traffic.http import Message
from bench.traffic.load import Load, arguments
from bench.traffic.made import in_c, program
from bench.traffic.messages import (
    Wanted,
    closing_events,
    content_event,
    places,
    request_body,
    wanted,
    whole_answer,
)
from bench.traffic.upstream import serve

CHECKOUT = Path(__file__).parents[3]
COMPILERS = ["", *(["cc"] if shutil.which("cc") else [])]
LANGUAGES = pytest.mark.parametrize("compiler", COMPILERS, ids=lambda compiler: "C" if compiler else "Python")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traffic")


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """The port of a server that answers each request, head and body, with bytes."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = Message()
        while data := await reader.read(65_536):
            message.feed(data)
            if message.complete:
                writer.write(answer(bytes(message.body)))
                message = Message()
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()


async def loaded(compiler: str, made: Path, port: int, **switches: Any) -> dict[str, Any]:
    """What a load of a quarter of a second came to."""
    given = {"port": port, "seconds": 0.25, "connections": 4, **switches}
    named = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    if not compiler:
        return await Load(arguments(named)).run()
    command = program("load", compiler=compiler, folder=made)
    process = await asyncio.create_subprocess_exec(*command, *named, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    found: dict[str, Any] = json.loads(said)
    assert process.returncode == (1 if found["errors"] else 0)
    return found


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def streamed(*pieces: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


@LANGUAGES
async def test_every_answer_is_good_and_counted(compiler: str, made: Path) -> None:
    server = await serve(0)
    port = server.sockets[0].getsockname()[1]
    found = await loaded(compiler, made, port, requests=40, prompt_bytes=16_384)
    assert (found["ok"], found["sent"], found["errors"]) == (40, 40, 0)
    assert found["latency_us"]["count"] == 40
    assert 0 < found["latency_us"]["p50"] <= found["latency_us"]["max"]
    server.close()


@LANGUAGES
@pytest.mark.parametrize("gap_ms", [0, 5])
async def test_every_chunk_of_a_stream_is_seen_in_its_place(compiler: str, made: Path, gap_ms: int) -> None:
    server = await serve(0)
    port = server.sockets[0].getsockname()[1]
    found = await loaded(compiler, made, port, requests=8, chunks=10, gap_ms=gap_ms)
    assert (found["ok"], found["errors"], found["chunks"]) == (8, 0, 80)
    assert (found["first_us"]["count"], found["chunk_us"]["count"]) == (8, 72)
    server.close()


@LANGUAGES
async def test_requests_at_a_rate_are_sent_when_they_are_due(compiler: str, made: Path) -> None:
    server = await serve(0)
    port = server.sockets[0].getsockname()[1]
    found = await loaded(compiler, made, port, rate=200)
    assert found["errors"] == 0
    assert 40 <= found["sent"] <= 51
    server.close()


def misplaced(body: bytes) -> bytes:
    asked = wanted(body)
    chunks = [content_event(asked.id, place, 0) for place in (0, 2, 1)]
    return streamed(*chunks, closing_events(asked))


def short(body: bytes) -> bytes:
    asked = wanted(body)
    return streamed(content_event(asked.id, 0, 0), closing_events(asked))


def endless(body: bytes) -> bytes:
    asked = wanted(body)
    chunks = [content_event(asked.id, place, 0) for place in range(3)]
    return streamed(*chunks, closing_events(asked).replace(b"[DONE]", b"{}"))


WRONG: list[tuple[str, Callable[[bytes], bytes], dict[str, int]]] = [
    ("status 503", lambda body: whole(whole_answer(wanted(body).id), b"503 Unavailable"), {}),
    ("status 200", lambda body: whole(whole_answer(wanted(body).id)), {"expect": 429}),
    ("content", lambda body: whole(whole_answer("another")), {}),
    ("usage", lambda body: whole(b"{}"), {}),
    ("order", misplaced, {"chunks": 3}),
    ("count", short, {"chunks": 3}),
    ("end", endless, {"chunks": 3}),
]


@LANGUAGES
@pytest.mark.parametrize(("problem", "answer", "switches"), WRONG, ids=[problem for problem, _, _ in WRONG])
async def test_a_wrong_answer_is_found_out(
    compiler: str, made: Path, problem: str, answer: Callable[[bytes], bytes], switches: dict[str, int]
) -> None:
    async with answering(answer) as port:
        found = await loaded(compiler, made, port, requests=1, connections=1, **switches)
    assert problem in found["problems"]
    assert found["example"]
    assert found["ok"] == 0 or problem == "order"


@LANGUAGES
async def test_a_connection_that_closes_with_its_answer_is_made_again(compiler: str, made: Path) -> None:
    def answer(body: bytes) -> bytes:
        return whole(whole_answer(wanted(body).id)).replace(b"\r\n", b"\r\nconnection: close\r\n", 1)

    async with answering(answer) as port:
        found = await loaded(compiler, made, port, requests=6, connections=2)
    assert (found["ok"], found["errors"]) == (6, 0)


@LANGUAGES
async def test_the_upstream_counts_streams_that_are_left(compiler: str, made: Path) -> None:
    from bench.measuring.processes import free_port

    port = free_port()
    command = (*program("upstream", compiler=compiler, folder=made), str(port))
    process = await asyncio.create_subprocess_exec(*command, env=ENVIRONMENT)
    try:
        reader, writer = await reached(port)
        body = request_body("left-1", model="m", prompt_bytes=100, chunks=100, gap_ms=1_000)
        request = b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        writer.write(request % (len(body), body))
        assert places(await reader.readuntil(b"\n\n"))[0][0] == 0
        writer.close()
        for _ in range(500):
            counts = await counted(port)
            if counts["left"]:
                break
        assert (counts["requests"], counts["streams"], counts["left"], counts["finished"]) == (1, 1, 1, 0)
    finally:
        process.terminate()
        await process.wait()


async def reached(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(500):
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
    raise AssertionError(f"nobody listens at {port}")


async def counted(port: int) -> dict[str, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /counts HTTP/1.1\r\n\r\n")
    message = Message()
    while not message.complete:
        message.feed(await reader.read(65_536))
    writer.close()
    counts: dict[str, int] = json.loads(message.body)
    return counts


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_a_message_is_read_however_it_is_cut(size: int) -> None:
    message, data = Message(), streamed(b"one", b"two" * 100) + b"HTTP/1.1"
    left = b""
    for at in range(0, len(data), size):
        left = data[at : at + size] if message.complete else message.feed(data[at : at + size])
    assert message.complete
    assert message.status == 200
    assert message.body == b"one" + b"two" * 100
    assert data.endswith(left)


def test_a_request_says_what_it_wants() -> None:
    body = request_body("7f-12", model="m", prompt_bytes=4_096, chunks=5, gap_ms=20)
    assert wanted(body) == Wanted(id="7f-12", chunks=5, gap_ms=20, streams=True, usage=True)
    assert abs(len(body) - 4_096) < 8
    assert not wanted(request_body("1", model="m", prompt_bytes=100)).streams
    assert wanted(b'{"stream": true}') == Wanted(id="0", chunks=50, gap_ms=0, streams=True, usage=False)


def test_without_a_compiler_there_is_python() -> None:
    assert program("load", compiler="no-such-compiler") == (sys.executable, "-P", "-m", "bench.traffic.load")
    assert not in_c(program("load", compiler=""))
