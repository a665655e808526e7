"""The socket that the service listens on, and how many connections it keeps."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from llm_service.api import HttpServer, listen
from llm_service.api.connection import Connection
from tests.support.waiting import loop_turns, until


async def test_small_writes_to_a_client_go_out_at_once() -> None:
    delays: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        delays.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen("127.0.0.1", 0) as listening:
        async with await asyncio.start_server(connected, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            assert await delays
            writer.close()


async def test_the_system_takes_little_for_a_client_that_does_not_read() -> None:
    taken = 0

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        accepted = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
        with accepted, suppress(BlockingIOError):
            for _ in range(1000):
                taken += accepted.send(b"x" * 16_384)
        full.set()

    full = asyncio.Event()
    with listen("127.0.0.1", 0) as listening:
        async with await asyncio.start_server(connected, sock=listening):
            with socket.create_connection(listening.getsockname()):
                await full.wait()
    assert taken < 1_000_000  # and not the four million and more of a system left alone


# -- too many connections


@dataclass
class Full:
    """A server that keeps few connections, and how its clients fare."""

    server: HttpServer
    port: int
    may_answer: asyncio.Event
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def client(self, say: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that is there, and has said this."""
        reader, writer = await self.newcomer()
        writer.write(say)
        own = writer.get_extra_info("sockname")
        await until(lambda: own in [getattr(one, "client", None) for one in self.server.server_state.connections])
        return reader, writer

    def age(self, writer: asyncio.StreamWriter) -> None:
        """Let a client have been silent for a second: the loop's clock counts whole milliseconds."""
        (connection,) = [
            one
            for one in self.server.server_state.connections
            if isinstance(one, Connection) and one.client == writer.get_extra_info("sockname")
        ]
        connection.heard_at -= 1.0

    async def newcomer(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer


@asynccontextmanager
async def full(most: int) -> AsyncIterator[Full]:
    may_answer = asyncio.Event()

    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = HttpServer(app, refused=lambda _: "req_1", most_connections=lambda: most)
    with listen("127.0.0.1", 0) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.listening.wait()
        site = Full(server, listening.getsockname()[1], may_answer)
        try:
            yield site
        finally:
            may_answer.set()
            for writer in site.writers:
                writer.close()
            server.should_exit = True
            await serving


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the service has ended a connection without a word."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_who_was_silent_longest_goes_for_who_comes_and_who_is_served_stays() -> None:
    async with full(3) as site:
        served, _ = await site.client(GET % b"/slow")
        oldest, writer = await site.client()
        site.age(writer)
        other, _ = await site.client(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
        newest, writer = await site.client()
        assert await ended(oldest)
        writer.write(GET % b"/")
        assert (await newest.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        assert not other.at_eof()
        site.may_answer.set()
        assert (await served.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")


async def test_where_everybody_is_being_served_who_comes_last_is_turned_away() -> None:
    async with full(2) as site:
        served = [(await site.client(GET % b"/slow"))[0] for _ in range(2)]
        await until(lambda: len(site.server.requests) == 2)
        reader, _ = await site.newcomer()
        assert await ended(reader)
        site.may_answer.set()
        for one in served:
            assert (await one.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")


# -- what requests leave behind


async def test_a_request_leaves_no_reference_cycle_with_its_connection() -> None:
    async with full(3) as site:
        reader, writer = await site.client()
        await asked(reader, writer)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await asked(reader, writer)
            assert gc.collect() == 0
        finally:
            gc.enable()


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GET % b"/")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
    await loop_turns(3)
