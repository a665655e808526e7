"""Requests at the edge of what HTTP and JSON allow, and what the service makes of them."""

import asyncio

import pytest

from tests.support.rest import ask, chat_body, connected
from tests.support.service import Running

PATH = "/v1/chat/completions"


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
