"""Connections are kept, bounded, given out fairly, and not trusted after they were idle."""

import asyncio

import pytest

from llm_service.transport import Transport
from tests.support.raw_server import read_request, serving
from tests.support.upstream import ANSWER, OK, MakeTransport, Noted, a_request, asked, failed, once_then, settle
from tests.support.waiting import loop_turns


class Upstream:
    """Counts connections and requests; ``said`` answers each."""

    def __init__(self, said: bytes = ANSWER) -> None:
        self.said = said
        self.connections = 0
        self.now = 0
        self.most = 0
        self.bodies: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while True:
                self.bodies.append((await read_request(reader)).partition(b"\r\n\r\n")[2])
                await loop_turns()
                writer.write(self.said)
        finally:
            self.now -= 1


async def test_connections_are_used_again_and_bounded(transport: Transport) -> None:
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        for _ in range(3):
            batch = [Noted() for _ in range(10)]
            for noted in batch:
                transport.send(a_request(address), noted)
            for noted in batch:
                await noted.over.wait()
                assert noted.data == b"ok"
    assert upstream.connections == 4


async def test_one_after_the_other_needs_one_connection(transport: Transport) -> None:
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        for _ in range(20):
            assert (await asked(transport, address)).data == b"ok"
    assert upstream.connections == 1


async def test_who_waits_is_served_in_the_order_of_coming(make: MakeTransport) -> None:
    transport = make(max_connections=1, on_failure=failed)
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        batch = [Noted() for _ in range(12)]
        for number, noted in enumerate(batch):
            transport.send(a_request(address, body=b"%d" % number), noted)
        for noted in batch:
            await noted.over.wait()
    assert [int(body) for body in upstream.bodies] == [*range(12)]
    assert (upstream.connections, upstream.most) == (1, 1)
    await transport.aclose()


async def test_the_bound_holds_when_connections_are_not_kept(make: MakeTransport) -> None:
    transport = make(max_connections=2, on_failure=failed)
    upstream = Upstream(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok")
    async with serving(upstream.handle) as address:
        batch = [Noted() for _ in range(10)]
        for noted in batch:
            transport.send(a_request(address), noted)
        for noted in batch:
            await noted.over.wait()
            assert noted.outcome == (200, b"ok", "end")
    assert upstream.connections == 10
    await transport.aclose()


async def test_a_bound_of_one_serves_two_upstreams(make: MakeTransport) -> None:
    transport = make(max_connections=1, on_failure=failed)
    one, other = Upstream(), Upstream()
    async with serving(one.handle) as here, serving(other.handle) as there:
        batch = [Noted() for _ in range(6)]
        for number, noted in enumerate(batch):
            transport.send(a_request(here if number % 2 else there), noted)
        for noted in batch:
            await asyncio.wait_for(noted.over.wait(), 5)
            assert noted.data == b"ok"
    await transport.aclose()


async def test_a_failed_connection_lets_the_next_one_try(make: MakeTransport) -> None:
    transport = make(max_connections=1, on_failure=failed)
    async with serving(Upstream().handle) as address:
        pass
    batch = [Noted() for _ in range(4)]
    for noted in batch:
        transport.send(a_request(address), noted)
    for noted in batch:
        await asyncio.wait_for(noted.over.wait(), 5)
    assert [noted.outcome[2] for noted in batch] == ["connect"] * 4
    await transport.aclose()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_is_not_used_again_after(transport: Transport, said: bytes) -> None:
    upstream = Upstream(said)
    async with serving(upstream.handle) as address:
        for _ in range(3):
            assert (await asked(transport, address)).outcome == (200, b"ok", "end")
            await settle()
    assert upstream.connections == 3


async def test_a_connection_that_was_closed_while_idle_is_not_used(transport: Transport) -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(ANSWER)

    async with serving(handle) as address:
        for _ in range(5):
            assert (await asked(transport, address)).outcome == (200, b"ok", "end")
            await settle()
    assert connections == 5


async def test_a_new_connection_that_closes_unanswered_is_not_tried_again(transport: Transport) -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)

    async with serving(handle) as address:
        assert (await asked(transport, address)).outcome == (None, b"", "disconnected")
    assert connections == 1


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", OK])
async def test_a_used_connection_that_said_anything_is_not_tried_again(transport: Transport, said: bytes) -> None:
    requests = 0

    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await read_request(reader)
        writer.write(said)

    async with serving(once_then(rest)) as address:
        assert (await asked(transport, address)).data == b"ok"
        assert (await asked(transport, address)).outcome == (None, b"", "disconnected")
    assert requests == 1
