"""Request bodies that come in pieces: in chunks, at the upstream's pace, once, and no longer than they are wanted."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from llm_service.transport import HttpTransport, Transport
from tests.support.raw_server import Handle, read_chunk, serving
from tests.support.upstream import ANSWER, MakeTransport, Noted, a_request, asked, failed, once_then, settle
from tests.support.waiting import until


class Pieces:
    """Gives pieces, and notes how many were taken and whether somebody ended it."""

    def __init__(self, *pieces: bytes, forever: bool = False, failure: Exception | None = None) -> None:
        self.taken = 0
        self.ended = False
        self._pieces = pieces
        self._forever = forever
        self._failure = failure

    async def give(self) -> AsyncIterator[bytes]:
        try:
            while True:
                for piece in self._pieces:
                    self.taken += 1
                    yield piece
                if self._failure is not None:
                    raise self._failure
                if not self._forever:
                    return
        finally:
            self.ended = True


def reading(heads: list[bytes], chunks: list[bytes]) -> Handle:
    """An upstream that reads requests in chunks and answers each at its end."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            while chunk := await read_chunk(reader):
                chunks.append(chunk)
            writer.write(ANSWER)

    return handle


@pytest.mark.parametrize("given", [(), (b"",), (b"one",), (b"one", b"", b"two" * 50_000), (bytes(range(256)),) * 40])
async def test_pieces_arrive_whole_and_in_order(transport: Transport, given: tuple[bytes, ...]) -> None:
    heads, chunks = list[bytes](), list[bytes]()
    async with serving(reading(heads, chunks)) as address:
        for _ in range(2):  # and the connection is good for another one
            noted = await asked(transport, address, body=Pieces(*given).give())
            assert noted.outcome == (200, b"ok", "end")
    assert b"".join(chunks) == b"".join(given) * 2
    lower = [head.lower() for head in heads]
    assert all(b"\r\ntransfer-encoding: chunked\r\n" in head and b"content-length" not in head for head in lower)


async def test_a_body_comes_no_faster_than_it_is_read(transport: Transport, client: str) -> None:
    release = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()

    pieces = Pieces(bytes(100_000), forever=True)
    async with serving(handle) as address:
        noted = Noted()
        flow = transport.send(a_request(address, body=pieces.give()), noted)
        await until(lambda: pieces.taken)
        taken = -1
        while taken != pieces.taken:
            taken = pieces.taken
            await settle()
        assert taken < 200  # what the sockets and their buffers hold
        flow.abort()
        if client == "own":  # aiohttp leaves who waits for room to the garbage collector
            await until(lambda: pieces.ended)
        release.set()


async def test_an_answer_may_come_while_the_body_is_being_sent(transport: Transport) -> None:
    connections = 0
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await read_chunk(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await done.wait()  # the rest is never read

    async with serving(handle) as address:
        both = [Pieces(bytes(100_000), forever=True) for _ in range(2)]
        for pieces in both:
            assert (await asked(transport, address, body=pieces.give())).outcome == (413, b"no", "end")
        await until(lambda: all(pieces.ended for pieces in both))
        done.set()
    assert connections == 2  # half a request is no place for the next one


async def test_half_a_request_is_no_place_for_the_next_one_though_nothing_waits_to_be_sent(
    transport: Transport,
) -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await read_chunk(reader)
        writer.write(ANSWER)
        await reader.read()

    async def thinking() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    async with serving(handle) as address:
        for _ in range(2):
            assert (await asyncio.wait_for(asked(transport, address, body=thinking()), 5)).data == b"ok"
    assert connections == 2


async def test_a_giver_that_fails_is_reported_and_no_request_is_complete(make: MakeTransport) -> None:
    reported = list[str]()
    transport = make(max_connections=1, on_failure=lambda work, error: reported.append(f"{work}: {error!r}"))
    heads, chunks = list[bytes](), list[bytes]()
    async with serving(reading(heads, chunks)) as address:
        noted = await asked(transport, address, body=Pieces(b"one", failure=LookupError("no more")).give())
        assert noted.outcome == (None, b"", "disconnected")
        assert noted.failure is not None
        assert noted.failure.sent
        assert (await asked(transport, address, body=Pieces(b"two").give())).data == b"ok"
    assert reported == ["the body of an upstream call: LookupError('no more')"]
    await transport.aclose()


async def test_closing_the_client_ends_what_is_being_sent(make: MakeTransport) -> None:
    transport = make(max_connections=1, on_failure=failed)
    began = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        began.set()
        await reader.read()

    pieces = Pieces(bytes(100_000), forever=True)
    async with serving(handle) as address:
        transport.send(a_request(address, body=pieces.give()), Noted())
        await began.wait()
        await transport.aclose()
        await until(lambda: pieces.ended)


async def test_pieces_are_not_sent_again() -> None:
    """A body of bytes would be: the connection had been used, and closed without a byte of an answer."""
    requests = 0

    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1

    transport = HttpTransport(max_connections=1, on_failure=failed)
    async with serving(once_then(rest)) as address:
        assert (await asked(transport, address)).data == b"ok"
        noted = await asked(transport, address, body=Pieces(b"one").give())
    assert (noted.outcome, requests) == ((None, b"", "disconnected"), 1)
    await transport.aclose()
