"""However the bytes of an answer come, the same is told of them."""

import asyncio
import gzip
from collections.abc import Sequence

import pytest

from llm_service.transport import Transport
from tests.support.raw_server import read_request, serving
from tests.support.upstream import OK, Noted, always_saying, asked

ZIPPED = gzip.compress(b"hello hello hello", mtime=0)
ANSWERS = {
    "with a length": (OK + b"Content-Length: 5\r\n\r\nhello", (200, b"hello")),
    "with no body": (OK + b"Content-Length: 0\r\nX: y\r\n\r\n", (200, b"")),
    "in chunks": (
        OK
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A\r\n, world... \r\n0\r\n\r\n".replace(b"... ", b"..."),
        (200, b"hello, world..."[:15]),
    ),
    "in chunks with extension and trailer": (
        b"HTTP/1.1 429 Slow\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nno\r\n0\r\nX-End: 1\r\n\r\n",
        (429, b"no"),
    ),
    "after interim ones": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
        (200, b"ok"),
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", (304, b"")),
    "compressed": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(ZIPPED), ZIPPED),
        (200, b"hello hello hello"),
    ),
    "of the old kind": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
        (200, b"old"),
    ),
}


async def outcomes(transport: Transport, splits: Sequence[Sequence[bytes]]) -> list[Noted]:
    async with serving(always_saying(splits.__getitem__)) as address:
        return [await asked(transport, address) for _ in splits]


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_may_be_split_anywhere(transport: Transport, name: str) -> None:
    said, expected = ANSWERS[name]
    splits = [[said], [said[i : i + 1] for i in range(len(said))]]
    splits += [[said[:at], said[at:]] for at in range(1, len(said))]
    for pieces, noted in zip(splits, await outcomes(transport, splits), strict=True):
        assert noted.outcome == (*expected, "end"), pieces


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_cut_anywhere_is_not_complete(transport: Transport, name: str) -> None:
    said, (status, body) = ANSWERS[name]
    cut = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said[:cut])

    async with serving(handle) as address:
        for cut in range(len(said)):
            noted = await asked(transport, address)
            assert noted.outcome[2] == "disconnected", said[:cut]
            assert noted.outcome[0] in (None, status)
            assert body.startswith(noted.data)


async def test_a_body_without_a_length_ends_with_its_connection(transport: Transport) -> None:
    head = OK + b"Content-Type: text/plain\r\n\r\n"
    cut = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write((head + b"hello")[:cut])

    async with serving(handle) as address:
        for cut in range(len(head) + 6):
            complete = (200, b"hello"[: cut - len(head)], "end")
            assert (await asked(transport, address)).outcome == (
                complete if cut >= len(head) else (None, b"", "disconnected")
            )


async def test_one_read_of_the_socket_is_one_piece(transport: Transport) -> None:
    chunks = b"".join(b"5\r\nhello\r\n" for _ in range(50))
    said = OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    pieces = (await outcomes(transport, [[said, chunks, b"0\r\n\r\n"]]))[0].pieces
    assert pieces == [b"hello" * 50] * 2
