"""The server as an HTTP/1.1 server: connections that are kept, pipelining, bad requests, start and end."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from llm_service.sandbox import Sandbox
from llm_service.sandbox.messages import Ending, Head, Reply, Request, Step
from tests.support.waiting import loop_turns
from tests.unit.sandbox.raw import PLAIN, chat, connected, eventually, exchange, get, post, request

HEALTH = "/openai/v1/health"


async def test_connection_is_kept_for_the_next_request(sandbox: Sandbox) -> None:
    async with connected(sandbox.address) as client:
        for stream in (False, True, False):
            received = await client.exchange(post(PLAIN, chat("gpt-4o", stream=stream)))
            assert (received.status, received.ending) == (200, "kept")


async def test_pipelined_requests_are_answered_in_order(sandbox: Sandbox) -> None:
    first = post(PLAIN, chat("gpt-4o", "echo: one", stream=True))
    second = post(PLAIN, chat("gpt-4o", "echo: two"))
    async with connected(sandbox.address) as client:
        client.writer.write(first + second)
        async with asyncio.timeout(5):
            got = await client.reader.readuntil(b"two")
    assert got.index(b"[DONE]") < got.index(b"two")


async def test_head_has_no_body(sandbox: Sandbox) -> None:
    async with connected(sandbox.address) as client:
        client.writer.write(request("HEAD", "/openai/v1/models") + get(HEALTH))
        async with asyncio.timeout(5):
            got = await client.reader.readuntil(b'"ok"}')
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert got.count(b"{") == 1


async def test_connection_closes_when_the_client_says_so(sandbox: Sandbox) -> None:
    async with connected(sandbox.address) as client:
        await client.exchange(post(PLAIN, chat("gpt-4o"), headers={"connection": "close"}))
        assert await client.ended() == "closed"


async def test_request_may_come_byte_by_byte(sandbox: Sandbox) -> None:
    data = post(PLAIN, chat("gpt-4o", "echo: slowly"))
    async with connected(sandbox.address) as client:
        for at in range(len(data) - 1):
            client.writer.write(data[at : at + 1])
            await loop_turns()
        received = await client.exchange(data[-1:])
    assert received.json()["choices"][0]["message"]["content"] == "slowly"


async def test_chunked_request_bodies_are_read(sandbox: Sandbox) -> None:
    data = (
        b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-test-1234\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
        b'19\r\n{"model":"gpt-4o","messag\r\n2c\r\nes":[{"role":"user","content":"echo: hop"}]}\r\n0\r\n\r\n'
    )
    assert (await exchange(sandbox.address, data)).json()["choices"][0]["message"]["content"] == "hop"


async def test_body_may_wait_for_100_continue(sandbox: Sandbox) -> None:
    head, _, body = post(PLAIN, chat("gpt-4o"), headers={"expect": "100-continue"}).partition(b"\r\n\r\n")
    async with connected(sandbox.address) as client:
        client.writer.write(head + b"\r\n\r\n")
        async with asyncio.timeout(5):
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.exchange(body)).status == 200


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"]
)
async def test_what_is_not_http_is_refused(sandbox: Sandbox, data: bytes) -> None:
    received = await exchange(sandbox.address, data)
    assert received.status == 400


async def test_a_request_on_which_the_sandbox_fails_is_not_blamed_on_its_sender(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Request) -> Reply:
        raise ZeroDivisionError

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    monkeypatch.setattr(sandbox, "answer", fail)
    received = await exchange(sandbox.address, get(HEALTH))
    assert received.status == 500
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]


async def test_huge_heads_are_refused(sandbox: Sandbox) -> None:
    data = b"GET / HTTP/1.1\r\n" + b"x-padding: %b\r\n" % (b"a" * 8000) * 50 + b"\r\n"
    assert (await exchange(sandbox.address, data)).status == 413


async def test_floods_of_pipelined_requests_are_refused(sandbox: Sandbox) -> None:
    async with connected(sandbox.address) as client:
        client.writer.write(post(PLAIN, chat("sandbox/stall-head")) + get(HEALTH) * 100)
        assert await client.ended() == "closed"
    assert sandbox.stats()["states"] == {"cancelled": 1}


async def test_failure_of_a_reply_is_reported_and_ends_the_connection(sandbox: Sandbox) -> None:
    def failing() -> Iterator[Step]:
        yield Head(200)
        raise ZeroDivisionError

    endings, reported = list[Ending](), list[Any]()
    sandbox.answer = lambda request: Reply(steps=failing(), ended=endings.append)  # type: ignore[method-assign]
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    received = await exchange(sandbox.address, get("/"))
    assert (received.status, received.ending) == (200, "closed")
    assert [type(error) for error in reported] == [ZeroDivisionError]
    assert endings == [Ending.BROKEN]


async def test_many_clients_at_once_do_not_mix(sandbox: Sandbox) -> None:
    async def one(number: int) -> bool:
        body = chat("sandbox/split-11", f"echo: number {number}", stream=True)
        return (await exchange(sandbox.address, post(PLAIN, body))).text == f"number {number}"

    assert all(await asyncio.gather(*(one(number) for number in range(60))))
    assert sandbox.stats()["states"] == {"completed": 60}


async def test_end_drops_what_runs() -> None:
    sandbox = Sandbox()
    await sandbox.start()
    async with connected(sandbox.address) as client:
        client.writer.write(post(PLAIN, chat("sandbox/stall-head")))
        await eventually(lambda: sandbox.stats()["open"] == 1)
        await sandbox.aclose()
        assert sandbox.stats()["states"] == {"cancelled": 1}
        assert await client.ended() in ("closed", "reset")
    await sandbox.aclose()


async def test_address_is_known_after_the_start_only() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = sandbox.address
    address = await sandbox.start("127.0.0.1", 0)
    assert sandbox.address == address
    assert address.startswith("http://127.0.0.1:")
    await sandbox.aclose()


async def _status(address: str) -> int:
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return (await exchange(address, get(HEALTH))).status
