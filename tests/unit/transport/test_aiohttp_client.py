"""The port's promises, held against a server that misbehaves byte by byte."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from llm_service.transport import AiohttpTransport, Flow, HttpHead, HttpRequest, TransportError
from tests.support.raw_server import Handle, read_request, serving
from tests.support.waiting import until

OK = b"HTTP/1.1 200 OK\r\n"


class Noted:
    """A receiver that writes down what it is told."""

    def __init__(self) -> None:
        self.head: HttpHead | None = None
        self.data = b""
        self.pieces = 0
        self.failure: TransportError | None = None
        self.calls_after_end = 0
        self.over = asyncio.Event()
        self.first = asyncio.Event()

    def on_head(self, head: HttpHead) -> None:
        self.head = head

    def on_body(self, data: bytes) -> None:
        self.calls_after_end += self.over.is_set()
        self.data += data
        self.pieces += 1
        self.first.set()

    def on_end(self) -> None:
        self.over.set()

    def on_error(self, error: TransportError) -> None:
        self.failure = error
        self.over.set()


def failed(work: str, failure: BaseException) -> None:
    pytest.fail(f"{work}: {failure!r}")


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport(max_connections=4, on_failure=failed)
    yield transport
    await transport.aclose()


def a_request(address: str, **other: object) -> HttpRequest:
    headers = {"user-agent": "test", "accept": "*/*", "accept-encoding": "identity", "content-type": "application/json"}
    fields: dict[str, object] = {"method": "POST", "headers": headers, "body": b"{}", **other}
    return HttpRequest(url=f"{address}/chat", **fields)  # type: ignore[arg-type]


def saying(*pieces: bytes) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return handle


async def asked(transport: AiohttpTransport, handle: Handle) -> Noted:
    async with serving(handle) as address:
        noted = Noted()
        transport.send(a_request(address), noted)
        await noted.over.wait()
        return noted


async def test_head_and_body_arrive(transport: AiohttpTransport) -> None:
    noted = await asked(transport, saying(OK + b"X-Thing: a\r\nContent-Length: 5\r\n\r\nhel", b"lo"))
    assert noted.head is not None
    assert (noted.head.status, noted.head.headers["x-thing"], noted.data) == (200, "a", b"hello")
    assert noted.failure is None


async def test_the_request_carries_our_headers_and_none_of_the_library(transport: AiohttpTransport) -> None:
    heads = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    await asked(transport, handle)
    names = {line.split(b":")[0].lower() for line in heads[0].split(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
    assert names == {b"host", b"content-length", b"user-agent", b"accept", b"accept-encoding", b"content-type"}


async def test_a_redirect_is_not_followed(transport: AiohttpTransport) -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    noted = await asked(transport, saying(moved))
    assert noted.head is not None
    assert noted.head.status == 307


async def test_a_body_that_is_cut_short_is_an_error(transport: AiohttpTransport) -> None:
    noted = await asked(transport, saying(OK + b"Content-Length: 10\r\n\r\nhello"))
    assert noted.failure is not None
    assert (noted.failure.kind, noted.failure.sent) == ("disconnected", True)


async def test_a_chunked_body_without_its_end_is_an_error(transport: AiohttpTransport) -> None:
    noted = await asked(transport, saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
    assert noted.failure is not None
    assert noted.failure.kind == "disconnected"


async def test_a_connection_closed_without_an_answer_is_an_error(transport: AiohttpTransport) -> None:
    noted = await asked(transport, saying())
    assert noted.failure is not None
    assert (noted.failure.kind, noted.head) == ("disconnected", None)


@pytest.mark.parametrize(
    "head", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n"]
)
async def test_what_is_no_http_is_a_protocol_error(transport: AiohttpTransport, head: bytes) -> None:
    noted = await asked(transport, saying(head))
    assert noted.failure is not None
    assert noted.failure.kind == "protocol"


async def test_a_refused_connection_was_not_sent(transport: AiohttpTransport) -> None:
    async with serving(saying()) as address:
        pass
    noted = Noted()
    transport.send(a_request(address), noted)
    await noted.over.wait()
    assert noted.failure is not None
    assert (noted.failure.kind, noted.failure.sent) == ("connect", False)


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress])
async def test_a_compressed_body_is_decoded(transport: AiohttpTransport, encode: object) -> None:
    body = encode(b"hello " * 1000)  # type: ignore[operator]
    name = b"gzip" if encode is gzip.compress else b"deflate"
    head = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (name, len(body))
    noted = await asked(transport, saying(head + body))
    assert noted.data == b"hello " * 1000


async def test_a_bomb_arrives_in_bounded_pieces_and_can_be_stopped(transport: AiohttpTransport) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
    flows: list[Flow] = []

    class Stopping(Noted):
        def on_body(self, data: bytes) -> None:
            super().on_body(data)
            if len(self.data) > 1_000_000:
                flows[0].abort()
                self.over.set()

    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with serving(saying(head, bomb)) as address:
        noted = Stopping()
        flows.append(transport.send(a_request(address), noted))
        await noted.over.wait()
    assert len(noted.data) < 2_000_000
    assert noted.calls_after_end == 0


async def test_a_paused_flow_bounds_what_is_decoded_too(transport: AiohttpTransport) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    flows: list[Flow] = []

    class Pausing(Noted):
        def on_body(self, data: bytes) -> None:
            super().on_body(data)
            flows[0].pause()

    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with serving(saying(head + bomb)) as address:
        noted = Pausing()
        flows.append(transport.send(a_request(address), noted))
        await noted.first.wait()
        assert noted.pieces == 1
        while not noted.over.is_set():
            flows[0].resume()
            await asyncio.sleep(0)
    assert (len(noted.data), noted.failure) == (20_000_000, None)


async def test_an_encoding_that_was_not_asked_for_is_an_error(transport: AiohttpTransport) -> None:
    noted = await asked(transport, saying(OK + b"Content-Encoding: zstd\r\nContent-Length: 2\r\n\r\nab"))
    assert noted.failure is not None
    assert noted.data == b""


async def test_abort_closes_the_connection_at_once(transport: AiohttpTransport) -> None:
    closed = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await reader.read()
        closed.set()

    async with serving(handle) as address:
        noted = Noted()
        flow = transport.send(a_request(address), noted)
        await noted.first.wait()
        flow.abort()
        await asyncio.wait_for(closed.wait(), 1)
    assert noted.failure is None


async def test_abort_before_the_head_closes_the_connection_at_once(transport: AiohttpTransport) -> None:
    asked_for, closed = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked_for.set()
        await reader.read()
        closed.set()

    async with serving(handle) as address:
        flow = transport.send(a_request(address), Noted())
        await asked_for.wait()
        flow.abort()
        await asyncio.wait_for(closed.wait(), 1)


async def test_a_paused_flow_bounds_what_is_read(transport: AiohttpTransport) -> None:
    written = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(OK + b"Content-Length: 500000000\r\n\r\n")
        for _ in range(500):
            writer.write(bytes(1_000_000))
            written += 1_000_000
            await writer.drain()

    class Pausing(Noted):
        def on_body(self, data: bytes) -> None:
            super().on_body(data)
            flows[0].pause()

    flows: list[Flow] = []
    async with serving(handle) as address:
        noted = Pausing()
        flows.append(transport.send(a_request(address), noted))
        await noted.first.wait()
        for _ in range(200):
            await asyncio.sleep(0.001)
        assert len(noted.data) < 1_000_000
        assert written < 20_000_000  # the rest is in the sockets' own buffers
        before = noted.pieces
        flows[0].resume()
        await until(lambda: noted.pieces > before)
        flows[0].abort()


async def test_connections_are_used_again_and_bounded(transport: AiohttpTransport) -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(OK + b"Content-Length: 2\r\n\r\nok")

    async with serving(handle) as address:
        for _ in range(3):
            batch = [Noted() for _ in range(10)]
            for noted in batch:
                transport.send(a_request(address), noted)
            for noted in batch:
                await noted.over.wait()
                assert noted.data == b"ok"
    assert connections == 4


async def test_closing_aborts_what_runs() -> None:
    transport = AiohttpTransport(max_connections=4, on_failure=failed)
    gone = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()
        gone.set()

    async with serving(handle) as address:
        transport.send(a_request(address), Noted())
        await asyncio.sleep(0.01)
        await transport.aclose()
        await asyncio.wait_for(gone.wait(), 1)
