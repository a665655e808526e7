"""One request and its answer, held against upstreams that misbehave byte by byte."""

import asyncio
import gzip
import zlib

import pytest

from llm_service.transport import HttpHead, Transport
from tests.support.raw_server import read_request, serving
from tests.support.upstream import OK, MakeTransport, Noted, a_request, asked, failed, reset, saying, told
from tests.support.waiting import loop_turns


async def test_head_and_body_arrive(transport: Transport) -> None:
    noted = await told(transport, saying(OK + b"X-Thing:  a \r\nContent-Length: 5\r\n\r\nhel", b"lo"))
    assert noted.head is not None
    assert (noted.head.headers["x-thing"], noted.outcome) == ("a", (200, b"hello", "end"))


async def test_headers_are_found_in_any_case_and_of_two_the_first(transport: Transport) -> None:
    noted = await told(transport, saying(OK + b"ReTry-After: 1\r\nretry-after: 2\r\nContent-Length: 0\r\n\r\n"))
    assert noted.head is not None
    headers = noted.head.headers
    found = (headers["retry-after"], headers.get("Retry-After"), headers.get("x-no"), "RETRY-AFTER" in headers)
    assert found == ("1", "1", None, True)
    assert {name.lower() for name in headers} == {"retry-after", "content-length"}


async def test_the_request_carries_our_headers_and_none_of_the_library(transport: Transport) -> None:
    heads = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    async with serving(handle) as address:
        await asked(transport, address)
        await asked(transport, address, method="GET", body=None)
    names = [[line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:-2]] for head in heads]
    common = {b"host", b"user-agent", b"accept", b"accept-encoding", b"content-type"}
    assert set(names[0]) == common | {b"content-length"}
    assert set(names[1]) == common
    assert heads[0].endswith(b"\r\n\r\n{}")
    assert b"\r\nhost: %b\r\n" % address.removeprefix("http://").encode() in heads[0].replace(b"Host", b"host")


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice
async def test_a_large_body_is_sent_whole(transport: Transport) -> None:
    requests = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(OK + b"Content-Length: 2\r\n\r\nok")

    body = bytes(range(256)) * 40_000
    async with serving(handle) as address:
        noted = await asked(transport, address, body=body)
    assert noted.outcome == (200, b"ok", "end")
    assert requests[0].partition(b"\r\n\r\n")[2] == body


async def test_headers_are_not_mixed_up_between_requests(transport: Transport) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_request(reader)
            found = [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-mine")]
            writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(found[0]), found[0]))

    mine = {"x-mine": "a"}
    async with serving(handle) as address:
        answers = []
        for value in ("a", "b", "a", "c"):
            mine["x-mine"] = value  # the caller's own mapping, changed under our hands
            answers.append((await asked(transport, address, headers=mine)).data[-1:])
        answers.append((await asked(transport, address, headers={"x-mine": "b"})).data[-1:])
    assert answers == [b"a", b"b", b"a", b"c", b"b"]


async def test_a_redirect_is_not_followed(transport: Transport) -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    assert (await told(transport, saying(moved))).outcome == (307, b"", "end")


async def test_cookies_are_not_sent_back(transport: Transport) -> None:
    requests = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            requests.append(await read_request(reader))
            writer.write(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    async with serving(handle) as address:
        await asked(transport, address)
        await asked(transport, address)
    assert b"cookie" not in requests[1].lower()


async def test_a_proxy_from_the_environment_is_not_used(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await told(transport, saying(OK + b"Content-Length: 2\r\n\r\nok"))).data == b"ok"


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (b"Content-Length: 10\r\n\r\nhello", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"hello"),
    ],
)
async def test_a_body_that_is_cut_short_is_an_error(transport: Transport, said: bytes, body: bytes) -> None:
    noted = await told(transport, saying(OK + said))
    assert noted.outcome == (200, body, "disconnected")
    assert noted.failure is not None
    assert noted.failure.sent


async def test_a_connection_closed_without_an_answer_is_an_error(transport: Transport) -> None:
    noted = await told(transport, saying())
    assert (noted.outcome, noted.failure and noted.failure.sent) == ((None, b"", "disconnected"), True)


@pytest.mark.parametrize("said", [b"", OK, OK + b"Content-Length: 5\r\n\r\nab", OK + b"\r\nab"])
async def test_a_connection_that_is_reset_is_an_error(transport: Transport, client: str, said: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)
        await loop_turns(5)  # what is said must be read before it is taken back
        reset(writer)

    noted = await told(transport, handle)
    lenient = client == "aiohttp" and said == OK + b"\r\nab"  # any end is the end of a body without a length
    assert noted.outcome[2] == ("end" if lenient else "disconnected")


async def test_a_refused_connection_was_not_sent(transport: Transport) -> None:
    async with serving(saying()) as address:
        pass
    noted = await asked(transport, address)
    assert noted.failure is not None
    assert (noted.failure.kind, noted.failure.sent) == ("connect", False)
    assert str(noted.failure) == "cannot connect: Connection refused"


async def test_a_name_that_is_not_known_was_not_sent(make: MakeTransport) -> None:
    transport = make(max_connections=1, on_failure=failed)
    noted = await asked(transport, "http://" + "a" * 64 + ".invalid")  # no label may be that long: nobody is asked
    assert noted.failure is not None
    assert (noted.failure.kind, noted.failure.sent) == ("connect", False)
    assert "aaa" not in str(noted.failure)
    await transport.aclose()


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress])
async def test_a_compressed_body_is_decoded(transport: Transport, encode: object) -> None:
    body = encode(b"hello " * 1000)  # type: ignore[operator]
    name = b"gzip" if encode is gzip.compress else b"deflate"
    head = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (name, len(body))
    assert (await told(transport, saying(head + body))).outcome == (200, b"hello " * 1000, "end")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (gzip.compress(b"hello", mtime=0)[:-4], "disconnected"),
        (b"no gzip at all", "protocol"),
        (gzip.compress(b"hello", mtime=0) + b"more", "protocol"),
    ],
)
async def test_a_compressed_body_that_is_broken_is_an_error(transport: Transport, body: bytes, kind: str) -> None:
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert (await told(transport, saying(head + body))).outcome[2] == kind


async def test_an_encoding_that_was_not_asked_for_is_an_error(transport: Transport) -> None:
    noted = await told(transport, saying(OK + b"Content-Encoding: zstd\r\nContent-Length: 2\r\n\r\nab"))
    assert noted.outcome == (None, b"", "protocol")


@pytest.mark.parametrize("callback", ["on_head", "on_body", "on_end"])
async def test_a_receiver_that_raises_is_reported_and_its_answer_ends_with_an_error(
    make: MakeTransport, callback: str
) -> None:
    reported: list[BaseException] = []
    transport = make(max_connections=1, on_failure=lambda _, failure: reported.append(failure))
    noted = Noted()

    def raising(_: object = None) -> None:
        raise LookupError

    setattr(noted, callback, raising)
    async with serving(saying(OK + b"Content-Length: 5\r\n\r\nhello", b"")) as address:
        transport.send(a_request(address), noted)
        await noted.over.wait()
    assert [type(failure) for failure in reported] == [LookupError]
    assert noted.outcome[2] == "disconnected"
    await transport.aclose()


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice
async def test_the_answer_is_delivered_though_the_request_was_not_read(transport: Transport) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await done.wait()

    done = asyncio.Event()
    async with serving(handle) as address:
        noted = await asked(transport, address, body=bytes(30_000_000))
        assert noted.outcome == (413, b"no", "end")
        assert isinstance(noted.head, HttpHead)
        done.set()
