"""Requests at the edge of what HTTP and JSON allow, and what the service makes of them."""

import asyncio
from contextlib import suppress
from typing import Any

import orjson
import pytest

from llm_service.api import connection as connection_module
from llm_service.api import unread as unread_module
from llm_service.sandbox import Sandbox
from tests.support.rest import ask, chat_body, connected
from tests.support.service import Running
from tests.support.waiting import loop_turns, until, until_answered

pytestmark = pytest.mark.timed


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def fast_lane(request: pytest.FixtureRequest) -> bool:
    """Both ways: a request at the edge is where they could differ."""
    lane: bool = request.param
    return lane


PATH = "/v1/chat/completions"
CHUNKED_HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
).encode()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_nested_beyond_what_can_be_passed_on_is_the_callers_mistake(
    gateway: Running, stream: bool
) -> None:
    deep: object = 1
    for _ in range(250):
        deep = [deep]
    body = chat_body("plain/sandbox/chat", stream=stream, deep=deep).replace(b"[1]", b"[" * 100 + b"]" * 100)
    answer = await ask(gateway.address, "POST", PATH, body)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_value")
    assert "nested" in answer.json()["error"]["message"]
    assert gateway.log.of("defect") == []


@pytest.mark.parametrize("asked", [{"model": "plain/" + "x" * 600}, {"model": "plain/m", "models": ["x" * 600]}])
async def test_a_name_of_a_model_is_bounded(gateway: Running, asked: dict[str, Any]) -> None:
    answer = await ask(gateway.address, "POST", PATH, chat_body(**asked))
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_value")
    assert answer.json()["error"]["param"] in ("model", "models[0]")


# -- heads


async def raw(gateway: Running, sent: bytes) -> bytes:
    """What comes back for these bytes, until the service closes the connection."""
    async with connected(gateway.address) as connection:
        connection.writer.write(sent)
        async with asyncio.timeout(5):
            return await connection.reader.read()


@pytest.mark.parametrize("path", [PATH, "/v1/models"])
async def test_of_two_hosts_neither_counts(gateway: Running, path: str) -> None:
    method = b"POST" if path == PATH else b"GET"
    head = b"%b %b HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\nConnection: close\r\n" % (method, path.encode())
    answer = await raw(gateway, head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The header host may come only once." in answer


def posted(body: bytes, *fields: bytes, length: bool = True) -> bytes:
    """A chat request as bytes, with these further header fields."""
    head = [b"POST /v1/chat/completions HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/json", *fields]
    if length:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*head, b"", body])


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
async def test_a_request_that_offers_an_upgrade_is_answered_without_one(gateway: Running, protocol: bytes) -> None:
    body = chat_body("plain/sandbox/chat")
    offer = (b"Connection: Upgrade, HTTP2-Settings, close", b"Upgrade: " + protocol, b"HTTP2-Settings: AAMAAABk")
    answer = await raw(gateway, posted(body, *offer))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"chat.completion"' in answer


async def test_offers_of_an_upgrade_may_be_split_and_follow_each_other(gateway: Running) -> None:
    body = chat_body("plain/sandbox/chat")
    first = posted(body, b"Connection: Upgrade", b"Upgrade: h2c")
    second = posted(body, b"Connection: Upgrade, close", b"Upgrade: h2c")
    async with connected(gateway.address) as connection:
        for start in range(0, len(first), 50):
            connection.writer.write(first[start : start + 50])
            await loop_turns()
        connection.writer.write(second)
        async with asyncio.timeout(5):
            answers = await connection.reader.read()
    assert answers.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("target", [b"/health", b"example.com:443", b"http://example.com/", b"*"])
async def test_nobody_gets_a_tunnel_and_nobody_waits_for_who_asks_for_one(gateway: Running, target: bytes) -> None:
    async with connected(gateway.address) as client:
        client.writer.write(b"CONNECT " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.head())[0] == 400
    assert (await ask(gateway.address, "GET", "/health/live")).status == 200


async def test_an_address_in_absolute_form_is_that_of_the_host(gateway: Running) -> None:
    async with connected(gateway.address) as client:
        assert (await client.ask("GET", f"http://{client.host}/health/live")).status == 200
        assert (await client.ask("GET", "http://EXAMPLE.com/health/live?a", Host="example.COM")).status == 200
        assert (await client.ask("GET", f"http://example.com/{client.host}/health/live")).status == 400


async def test_chunks_are_not_hidden_in_what_is_no_body(gateway: Running) -> None:
    """An extension of a chunk costs the client as much as us, but it has no end."""
    async with connected(gateway.address) as client:
        client.writer.write(CHUNKED_HEAD)
        with suppress(ConnectionError):
            for _ in range(40):
                client.writer.write(b"1;" + b"x" * 4000 + b"\r\n{\r\n")
                await client.writer.drain()
                await asyncio.sleep(0)
            await client.reader.read()
    assert [line["reason"] for line in gateway.log.of("not a request")] == [
        "More than 65536 bytes of the request's chunks are no body."
    ]


async def test_a_body_in_the_smallest_chunks_is_taken(gateway: Running) -> None:
    body = chat_body("plain/sandbox/chat", user="u" * 20_000)
    async with connected(gateway.address) as client:
        client.writer.write(CHUNKED_HEAD)
        for begin in range(0, len(body), 500):
            client.writer.write(b"".join(b"1\r\n%c\r\n" % byte for byte in body[begin : begin + 500]))
            await client.writer.drain()
        client.writer.write(b"0\r\n\r\n")
        assert (await client.answer()).status == 200


async def test_a_trailer_is_no_header(gateway: Running) -> None:
    body = chat_body("plain/sandbox/chat")
    chunked = b"%x\r\n%b\r\n0\r\nX-LLM-Timeout-S: nonsense\r\nOrigin: http://evil.example\r\n\r\n" % (len(body), body)
    answer = await raw(gateway, posted(chunked, b"Transfer-Encoding: chunked", b"Connection: close", length=False))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("stream", [False, True])
async def test_nonsense_after_a_request_does_not_spoil_its_answer(gateway: Running, stream: bool) -> None:
    body = chat_body("plain/sandbox/tokens-5+pace-20ms", stream=stream)
    answer = await raw(gateway, posted(body) + b"NONSENSE\r\n\r\n" * 3)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n" if stream else b"}")


@pytest.mark.parametrize("begun", [b"GET /", b"GET / HTTP/1.1\r\nX-Long: ", posted(b"", length=False)[:-2]])
async def test_a_head_without_end_is_refused_while_little_of_it_is_kept(gateway: Running, begun: bytes) -> None:
    async with connected(gateway.address) as connection:
        connection.writer.write(begun)
        sent_bytes = 0
        with suppress(ConnectionError):
            while sent_bytes < 50_000_000 and not connection.reader.at_eof():
                connection.writer.write(b"a" * 50_000)
                await connection.writer.drain()
                sent_bytes += 50_000
    assert sent_bytes < 10_000_000


@pytest.mark.parametrize(
    "begun", [b"", b"\r\n", b"GET / HTTP/1.1\r\n", posted(b"{", b"Content-Length: 2", length=False)]
)
async def test_a_client_that_never_finishes_its_request_is_given_up(
    gateway: Running, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection_module, "RECEIVE_S", 0.2)
    assert await raw(gateway, begun) == b""


async def test_a_client_that_never_reads_its_answer_is_cut_off(
    gateway: Running, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_module, "UNREAD_S", 0.2)
    async with connected(gateway.address) as connection:
        connection.reader._transport.pause_reading()  # type: ignore[attr-defined]
        connection.send("POST", PATH, chat_body("plain/sandbox/bulk-64mb", stream=True))
        await until(lambda: gateway.log.of("request"))
    assert [line["status"] for line in gateway.log.of("request")] == ["aborted"]


async def test_a_client_that_reads_slowly_gets_all(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_module, "UNREAD_S", 0.2)
    host, port = gateway.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=65536)
    writer.write(posted(chat_body("plain/sandbox/bulk-32mb"), b"Connection: close"))
    received_bytes = 0
    while piece := await reader.read(131072):
        received_bytes += len(piece)
        await asyncio.sleep(0.001)  # this is what makes it a slow reader
    writer.close()
    assert received_bytes > 32_000_000


async def test_a_client_that_waits_for_a_slow_answer_is_not_given_up(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "RECEIVE_S", 0.1)
    body = chat_body("plain/sandbox/slow-first-byte-1s")
    answer = await raw(gateway, posted(body) + posted(body, b"Connection: close"))
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("path", ["/health//", "/docs//", "/openapi.json//", "//"])
async def test_nobody_is_sent_to_the_address_that_a_host_names(gateway: Running, path: str) -> None:
    answer = await ask(gateway.address, "GET", path, Host="evil.example")
    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")


async def test_http_1_0_gets_a_stream_without_chunks_until_the_connection_closes(gateway: Running) -> None:
    body = chat_body("plain/sandbox/tokens-3", stream=True)
    answer = await raw(gateway, posted(body, b"Connection: keep-alive").replace(b" HTTP/1.1", b" HTTP/1.0", 1))
    head, _, events = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head
    assert b"\r\nconnection: close" in head
    assert events.startswith(b"id: ")
    assert events.endswith(b"data: [DONE]\n\n")


async def test_http_1_0_gets_a_whole_answer_by_its_length(gateway: Running) -> None:
    answer = await raw(gateway, posted(chat_body("plain/sandbox/chat")).replace(b" HTTP/1.1", b" HTTP/1.0", 1))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(body) in head


@pytest.mark.parametrize("sent", [b"\x16\x03\x01secret", b"NONSENSE secret\r\n\r\n"])
async def test_what_is_no_http_is_found_in_the_log_by_its_request_id(gateway: Running, sent: bytes) -> None:
    head, _, body = (await raw(gateway, sent)).partition(b"\r\n\r\n")
    names = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    said = orjson.loads(body)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"date" in names
    assert said["request_id"].encode() == names[b"x-request-id"]
    (line,) = gateway.log.lines
    assert (line["request_id"], line["reason"]) == (said["request_id"], "This is not a valid HTTP request.")
    assert "secret" not in str(line)


@pytest.mark.parametrize("asked", [b"POST /v1/chat/completions", b"GET /v1/models", b"GET /health"])
async def test_http_1_1_without_a_host_is_refused(gateway: Running, asked: bytes) -> None:
    answer = await raw(gateway, asked + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"needs the header Host" in answer


@pytest.mark.parametrize(("field", "bound_s"), [(b"X: y", 3), (b"Expect: 100-continue", 0.8)])
async def test_who_announces_too_much_and_sends_nothing_is_soon_rid_of_the_connection(
    gateway: Running, field: bytes, bound_s: float
) -> None:
    async with connected(gateway.address) as connection, asyncio.timeout(bound_s):
        connection.writer.write(posted(b"", b"Content-Length: 50000000", field, length=False))
        answer = await connection.reader.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b' bytes."' in answer


@pytest.mark.parametrize(
    ("field", "param"),
    [
        (b"X-LLM-On-Disconnect: zzz", b"X-LLM-On-Disconnect"),
        (b"Content-Encoding: gzip", b"Content-Encoding"),
        (b"Content-Encoding: identity, br", b"Content-Encoding"),
    ],
)
async def test_a_header_that_cannot_be_obeyed_is_refused(gateway: Running, field: bytes, param: bytes) -> None:
    answer = await raw(gateway, posted(chat_body("plain/sandbox/chat"), field, b"Connection: close"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"param":"%b","code":"invalid_value"' % param in answer


@pytest.mark.parametrize(
    "field", [b"X-LLM-On-Disconnect: cancel", b"X-LLM-On-Disconnect: finish", b"Content-Encoding: identity"]
)
async def test_a_header_that_asks_for_what_is_done_anyway_is_taken(gateway: Running, field: bytes) -> None:
    answer = await raw(gateway, posted(chat_body("plain/sandbox/chat"), field, b"Connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")


# -- hang-ups


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_with_a_second_request_waiting_ends_the_first(
    gateway: Running, sandbox: Sandbox, fast_lane: bool, stream: bool
) -> None:
    async def open_upstreams() -> int:
        return int((await ask(sandbox.address, "GET", "/_stats")).json()["open"])

    async def none_is_open() -> bool:
        return await open_upstreams() == 0

    async with connected(gateway.address) as connection:
        connection.send("POST", PATH, chat_body("plain/sandbox/stall-head", stream=stream))
        await until_answered(open_upstreams)
        await until(lambda: fast_lane or len(gateway.service.tasks))  # somebody listens for a hang-up
        connection.send("POST", PATH, chat_body("plain/sandbox/stall-head", stream=stream))
        await connection.writer.drain()
        assert (await ask(gateway.address, "GET", "/health/live")).status == 200
    await until_answered(none_is_open, within_s=1)
    await until(lambda: gateway.log.of("request"))
    assert [line["status"] for line in gateway.log.of("request")] == ["aborted"]
