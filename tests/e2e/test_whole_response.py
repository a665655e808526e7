"""A response past ASGI, or written whole behind it, is to the byte what the general way of ASGI would have written."""

import re

import pytest

from llm_service.api import connection, whole_response
from tests.support.rest import chat_body, connected
from tests.support.service import Running

BODY = chat_body("plain/sandbox/chat")
UNKNOWN = chat_body("nobody-has-this")
CLOSE = b"Connection: close\r\n"
OTHERWISE_EACH_TIME = re.compile(
    rb"(?<=\r\ndate: )[^\r]+|(?<=x-request-id: )[^\r]+|(?<=server-timing: )[^\r]+|req_[0-9a-f]{26}"
    rb'|(?<="id":)"[^"]+"|(?<="created":)\d+'
)


def posted(
    body: bytes, *, fields: bytes = b"", version: bytes = b"1.1", path: bytes = b"/v1/chat/completions"
) -> bytes:
    head = b"POST %b HTTP/%b\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" % (path, version)
    return head + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


REQUESTS = {
    "an answer, then the client closes": (posted(BODY, fields=CLOSE), 1),
    "an answer to HTTP/1.0": (posted(BODY, version=b"1.0"), 1),
    "three on one connection, one after the other": (posted(BODY) + posted(UNKNOWN) + posted(BODY, fields=CLOSE), 3),
    "an error": (posted(UNKNOWN, fields=CLOSE), 1),
    "a body that is no JSON": (posted(b"{", fields=CLOSE), 1),
    "a client that asks whether to go on": (posted(BODY, fields=CLOSE + b"Expect: 100-continue\r\n"), 1),
    "no body for who asks for the head alone": (
        b"HEAD /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + CLOSE + b"\r\n",
        1,
    ),
    "embeddings": (
        posted(b'{"model":"plain/sandbox/echo","input":"a"}', fields=CLOSE, path=b"/v1/embeddings"),
        1,
    ),
}


async def answered(gateway: Running, sent: bytes) -> bytes:
    """What comes back until the service closes, without what differs from one time to the next."""
    async with connected(gateway.address) as client:
        client.writer.write(sent)
        return OTHERWISE_EACH_TIME.sub(b"-", await client.reader.read())


@pytest.mark.parametrize("kind", list(REQUESTS))
async def test_all_ways_say_the_same(gateway: Running, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, responses = REQUESTS[kind]
    fast = await answered(gateway, sent)
    monkeypatch.setattr(connection.Connection, "_begins_hot", lambda _: False)
    written = list[bool]()
    write = whole_response._write
    monkeypatch.setattr(whole_response, "_write", lambda *given: written.append(write(*given)) or written[-1])
    whole = await answered(gateway, sent)
    assert written == [True] * responses
    monkeypatch.setattr(connection, "offer", lambda _: None)
    assert await answered(gateway, sent) == whole == fast
    assert len(written) == responses


async def test_a_client_that_has_left_gets_nothing_and_breaks_nothing(gateway: Running) -> None:
    async with connected(gateway.address) as client:
        client.writer.write(posted(BODY))
        client.writer.transport.abort()
    assert b" 200 OK" in await answered(gateway, posted(BODY, fields=CLOSE))
    assert gateway.log.of("defect") == []
