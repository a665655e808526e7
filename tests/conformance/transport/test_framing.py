"""What no client may take for an answer: too large, ambiguous, malformed; and what surrounds answers."""

import asyncio

import pytest

from llm_service.transport import HttpTransport, Transport
from tests.support.raw_server import read_request, serving
from tests.support.upstream import OK, Noted, asked, saying, told

CHUNKED = b"Transfer-Encoding: chunked\r\n"
REFUSED = {
    "no HTTP": b"nonsense\r\n\r\n",
    "no status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a header without a colon": OK + b"nothing\r\n\r\n",
    "an empty name": OK + b": x\r\n\r\n",
    "a NUL": OK + b"X: a\0b\r\n\r\n",
    "a length and chunks": OK + b"Content-Length: 2\r\n" + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks and a length": OK + CHUNKED + b"Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "two lengths in one": OK + b"Content-Length: 2, 3\r\n\r\nokk",
    "a signed length": OK + b"Content-Length: +2\r\n\r\nok",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nok",
    "a length beyond all measure": OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nok",
    "a length that is no number": OK + b"Content-Length: two\r\n\r\nok",
}
BAD_CHUNKS = {
    "no number": b"zz\r\n",
    "a sign": b"-2\r\nok\r\n0\r\n\r\n",
    "a prefix": b"0x2\r\nok\r\n0\r\n\r\n",
    "beyond all measure": b"f" * 20 + b"\r\nok\r\n0\r\n\r\n",
    "longer than it says": b"2\r\nokay\r\n0\r\n\r\n",
    "no line end after it": b"2\r\nok0\r\n\r\n",
}
TOO_LARGE = {
    "a line": OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    "a line of more than 16 KiB": OK + b"X: " + b"a" * 17_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "a reason": b"HTTP/1.1 200 " + b"a" * 70_000 + b"\r\n\r\n",
    "many lines": OK + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(300)) + b"\r\n",
}


async def refused(transport: Transport, said: bytes, kinds: tuple[str, ...] = ("protocol",)) -> Noted:
    """The connection stays open on the upstream's side: it is the bytes that are refused."""
    gone = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)
        try:
            await reader.read()
        finally:
            gone.set()

    async with serving(handle) as address:
        noted = await asyncio.wait_for(asked(transport, address), 5)
        if isinstance(transport, HttpTransport):  # aiohttp leaves some of these connections to time
            await asyncio.wait_for(gone.wait(), 5)
    assert noted.failure is not None
    assert noted.failure.kind in kinds
    assert noted.failure.sent
    return noted


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_http_is_a_protocol_error(transport: Transport, name: str) -> None:
    assert (await refused(transport, REFUSED[name])).head is None


@pytest.mark.parametrize("name", BAD_CHUNKS)
async def test_a_bad_chunk_is_a_protocol_error(transport: Transport, client: str, name: str) -> None:
    kinds = ("protocol", "disconnected") if client == "aiohttp" else ("protocol",)
    noted = await refused(transport, OK + CHUNKED + b"\r\n" + BAD_CHUNKS[name], kinds)
    assert b"ok".startswith(noted.data)


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_a_head_without_measure_is_refused(transport: Transport, name: str) -> None:
    assert (await refused(transport, TOO_LARGE[name], ("protocol", "too_large"))).head is None


async def test_a_head_without_measure_is_refused_in_small_reads_too(transport: Transport) -> None:
    said = TOO_LARGE["a line of more than 16 KiB"]
    noted = await told(transport, saying(*(said[at : at + 6000] for at in range(0, len(said), 6000))))
    assert (noted.head, noted.outcome[2] in ("protocol", "too_large")) == (None, True)


async def test_an_answer_of_http_1_0_ends_its_connection(transport: Transport) -> None:
    noted = await told(transport, saying(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert noted.outcome == (200, b"ok", "end")


async def test_a_body_of_http_1_0_without_a_length_ends_with_its_connection(transport: Transport) -> None:
    assert (await told(transport, saying(b"HTTP/1.0 200 OK\r\n\r\nok"))).outcome == (200, b"ok", "end")


async def test_an_interim_answer_alone_is_none(transport: Transport) -> None:
    noted = await told(transport, saying(b"HTTP/1.1 100 Continue\r\n\r\n"))
    assert noted.outcome == (None, b"", "disconnected")
