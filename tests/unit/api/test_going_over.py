"""A process that leaves its clients to others: none of them is cut off in the middle of what it does."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_service.api import HttpServer, Shares, connection, listen
from tests.support.rest import Connection, connected
from tests.support.waiting import until

LENGTH = [(b"content-length", b"2")]


@dataclass
class Process:
    """One of several that listen on a socket. Its application answers ``/slow`` in two pieces, when it may.

    A WebSocket it accepts, and says no more.
    """

    server: HttpServer
    address: str
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def app(self, scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": LENGTH})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        if scope["path"] == "/slow":
            await self.may_end.wait()
        await send({"type": "http.response.body", "body": b"k"})


@asynccontextmanager
async def process(listening: socket.socket) -> AsyncIterator[Process]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await made.app(scope, receive, send)

    server = HttpServer(app, refused=lambda _: "req_1", share=Shares(1).of(1))
    made = Process(server, f"http://127.0.0.1:{listening.getsockname()[1]}")
    serving = asyncio.create_task(server.serve(sockets=[listening.dup()]))
    await server.listening.wait()
    yield made
    made.may_end.set()
    server.should_exit = True
    await serving


@pytest.fixture
async def one() -> AsyncIterator[Process]:
    with listen("127.0.0.1", 0) as listening:
        async with process(listening) as made:
            yield made


async def begun(client: Connection) -> None:
    """A request whose answer has begun."""
    client.send("GET", "/slow")
    await client.head()
    await client.reader.readexactly(1)


async def at_end(client: Connection) -> bool:
    return await client.reader.read(1) == b""


async def test_a_kept_connection_gets_one_more_answer_which_says_that_it_closes(one: Process) -> None:
    async with connected(one.address) as client:
        assert "connection" not in (await client.ask("GET", "/")).headers
        leaving = asyncio.create_task(one.server.leave())
        await until(lambda: one.server._leaving)
        answer = await client.ask("GET", "/")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await at_end(client)
        await leaving


async def test_a_client_whose_answer_had_begun_may_ask_once_more(one: Process) -> None:
    """It was told nothing of an end: its next request may be on its way when its answer is complete."""
    async with connected(one.address) as client:
        await begun(client)
        leaving = asyncio.create_task(one.server.leave())
        await until(lambda: one.server._leaving)
        one.may_end.set()
        assert await client.reader.readexactly(1) == b"k"
        assert (await client.ask("GET", "/")).headers["connection"] == "close"
        await leaving


async def test_an_answer_that_has_not_begun_says_that_the_connection_closes(one: Process) -> None:
    async with connected(one.address) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n")
        await until(lambda: one.server.server_state.connections)
        leaving = asyncio.create_task(one.server.leave())
        await until(lambda: one.server._leaving)
        client.writer.write(b"\r\n{")
        _, headers = await client.head()
        assert headers["connection"] == "close"
        await leaving


async def test_an_offer_to_upgrade_is_no_defect_while_it_leaves(one: Process) -> None:
    async with connected(one.address) as client:
        await until(lambda: one.server.server_state.connections)
        leaving = asyncio.create_task(one.server.leave())
        await until(lambda: one.server._leaving)
        client.writer.write(
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
        )
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"], answer.body) == (200, "close", b"ok")
        assert await at_end(client)
        await leaving


async def test_a_handshake_that_comes_while_it_leaves_is_taken(one: Process) -> None:
    async with connected(one.address) as client:
        await until(lambda: one.server.server_state.connections)
        leaving = asyncio.create_task(one.server.leave())
        await until(lambda: one.server._leaving)
        client.writer.write(
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        status, _ = await client.head()
        assert status == 101
        await leaving


@pytest.mark.parametrize("used", [True, False])
async def test_a_silent_client_is_not_waited_for_for_long(
    one: Process, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_S", 0.05)
    async with connected(one.address) as client:
        if used:
            await client.ask("GET", "/")
        await until(lambda: one.server.server_state.connections)
        async with asyncio.timeout(5):
            await one.server.leave()
            assert await at_end(client)


async def test_what_has_just_come_over_a_silent_connection_is_answered(one: Process) -> None:
    async with connected(one.address) as client:
        await client.ask("GET", "/")
        (kept,) = one.server.server_state.connections
        os.write(client.writer.get_extra_info("socket").fileno(), b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        kept.timeout_keep_alive_handler()  # type: ignore[attr-defined]  # the loop has not seen it yet
        assert (await client.answer()).body == b"ok"
        kept.timeout_keep_alive_handler()  # type: ignore[attr-defined]
        assert await at_end(client)


async def test_new_connections_are_for_the_others_until_there_are_none() -> None:
    with listen("127.0.0.1", 0) as listening:
        async with process(listening) as one, process(listening) as other:
            await one.server.leave()
            async with connected(one.address) as client:
                await client.ask("GET", "/")
                assert (len(one.server.server_state.connections), len(other.server.server_state.connections)) == (0, 1)
            await other.server.leave()
            async with connected(one.address) as waiting:
                waiting.send("GET", "/")
                one.server.stay()
                assert (await waiting.answer()).headers["connection"] == "close"


async def test_who_waits_for_it_may_stop_to(one: Process) -> None:
    async with connected(one.address) as client:
        await begun(client)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await one.server.leave()
                pytest.fail("a client is still there")
        one.may_end.set()
        assert await client.reader.readexactly(1) == b"k"
