"""Where our own client promises more than both do: its pool, its strictness, and what it sends once more."""

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from llm_service.transport import HttpTransport, TransportError
from llm_service.transport import connection as connections
from llm_service.transport import pool as pools
from llm_service.transport.call import MOST_AT_ONCE
from tests.support.raw_server import read_request, serving
from tests.support.upstream import ANSWER, OK, Noted, a_request, asked, failed, once_then, reset, saying, settle, told
from tests.support.waiting import loop_turns, until


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(max_connections=4, on_failure=failed)
    yield transport
    await transport.aclose()


class Upstream:
    """Answers with what it is given, and counts."""

    def __init__(self, said: bytes = ANSWER) -> None:
        self.said = said
        self.connections = 0
        self.now = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.now += 1
        self.writers.append(writer)
        try:
            while True:
                await read_request(reader)
                writer.write(self.said)
        finally:
            self.now -= 1


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_used_connection_that_closes_unanswered_is_replaced_once(transport: HttpTransport, end: str) -> None:
    requests = 0

    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        assert (await read_request(reader)).endswith(b"{}")
        requests += 1
        if end == "reset":
            reset(writer)

    async with serving(once_then(rest)) as address:
        for _ in range(4):
            assert (await asked(transport, address)).outcome == (200, b"ok", "end")
    assert requests == 3


async def test_what_is_sent_once_more_is_not_sent_a_third_time(transport: HttpTransport) -> None:
    connected = requests = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected, requests
        connected += 1
        await read_request(reader)
        requests += 1
        if connected == 1:
            writer.write(ANSWER)
            await read_request(reader)
            requests += 1

    async with serving(handle) as address:
        assert (await asked(transport, address)).data == b"ok"
        assert (await asked(transport, address)).outcome == (None, b"", "disconnected")
    assert (connected, requests) == (2, 3)


async def test_a_used_connection_that_closes_late_is_not_replaced(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALE_S", -1.0)

    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with serving(once_then(rest)) as address:
        assert (await asked(transport, address)).data == b"ok"
        assert (await asked(transport, address)).outcome == (None, b"", "disconnected")


@pytest.mark.parametrize("surplus", [b"surplus", ANSWER, b"H"])
async def test_surplus_bytes_end_the_connection(transport: HttpTransport, surplus: bytes) -> None:
    upstream = Upstream(ANSWER + surplus)
    async with serving(upstream.handle) as address:
        for _ in range(3):
            assert (await asked(transport, address)).outcome == (200, b"ok", "end")
            await until(lambda: not upstream.now)
    assert upstream.connections == 3


async def test_an_answer_before_the_request_was_read_ends_the_connection(transport: HttpTransport) -> None:
    connections = 0
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await done.wait()  # the rest of the request is never read

    async with serving(handle) as address:
        assert (await asked(transport, address, body=bytes(30_000_000))).outcome == (200, b"ok", "end")
        assert (await asyncio.wait_for(asked(transport, address), 5)).outcome == (200, b"ok", "end")
        done.set()
    assert connections == 2


async def test_bytes_that_nobody_asked_for_end_an_idle_connection(transport: HttpTransport) -> None:
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        assert (await asked(transport, address)).data == b"ok"
        upstream.writers[0].write(OK + b"Content-Length: 4\r\n\r\nevil")
        await until(lambda: not upstream.now)
        assert (await asked(transport, address)).data == b"ok"
    assert upstream.connections == 2


async def test_chunks_in_http_1_0_end_the_connection(transport: HttpTransport) -> None:
    said = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    upstream = Upstream(said)
    async with serving(upstream.handle) as address:
        assert (await asked(transport, address)).outcome == (200, b"ok", "end")
        await until(lambda: not upstream.now)


@pytest.mark.parametrize(
    "said",
    [
        OK + b"Content-Length : 2\r\n\r\nok",
        OK + b"X: a\r\n folded\r\n\r\nok",
        OK + b"X: a\nContent-Length: 2\n\nok",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\nok",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_what_others_put_up_with_is_a_protocol_error(transport: HttpTransport, said: bytes) -> None:
    assert (await told(transport, saying(said))).outcome == (None, b"", "protocol")


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"\r\n\r\n",
        OK + b"X: " + b"a" * 1000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 1000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 1000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 1000,
    ],
)
async def test_what_never_comes_to_a_body_is_too_large(transport: HttpTransport, flood: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(flood)
        while True:
            writer.write((flood if flood.endswith(b"\n") else flood[-1:]) * 100)
            await writer.drain()
            await loop_turns()

    noted = await asyncio.wait_for(told(transport, handle), 10)
    assert noted.outcome[2] == "too_large"


async def test_a_trailer_has_the_bounds_of_a_head(transport: HttpTransport) -> None:
    trailer = b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(300))
    said = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + trailer + b"\r\n"
    assert (await told(transport, saying(said))).outcome == (200, b"ok", "too_large")


async def test_a_flow_that_is_paused_before_the_answer_is_told_nothing(transport: HttpTransport) -> None:
    async with serving(saying(OK + b"Content-Length: 3\r\n\r\nabc")) as address:
        noted = Noted()
        flow = transport.send(a_request(address), noted)
        flow.pause()
        await settle()
        assert noted.head is None
        flow.resume()
        await asyncio.wait_for(noted.over.wait(), 2)
    assert noted.outcome == (200, b"abc", "end")


async def test_others_get_their_turn_while_a_bomb_is_decoded(transport: HttpTransport) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    class Counting(Noted):
        """Notes in which turn each piece came."""

        def on_body(self, data: bytes) -> None:
            super().on_body(data)
            came.append(turns)

    came = list[int]()
    bomb = zlib.compress(bytes(16 * 2**20))
    answer = OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    running = asyncio.create_task(others())
    async with serving(saying(answer)) as address:
        noted = Counting()
        transport.send(a_request(address), noted)
        await noted.over.wait()
    running.cancel()
    assert noted.outcome == (200, bytes(16 * 2**20), "end")
    assert max(came.count(turn) for turn in came) <= MOST_AT_ONCE


async def test_a_paused_reader_does_not_keep_a_complete_connection_from_others() -> None:
    transport = HttpTransport(max_connections=1, on_failure=failed)
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        noted = Noted()
        flow = transport.send(a_request(address), noted)
        flow.pause()
        await until(lambda: upstream.connections)
        flow.resume()
        await noted.over.wait()
        assert (await asked(transport, address)).data == b"ok"
    assert upstream.connections == 1
    await transport.aclose()


async def test_idle_connections_are_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_CONNECTION_S", 0.05)
    transport = HttpTransport(max_connections=4, on_failure=failed)
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        batch = [Noted() for _ in range(3)]
        for noted in batch:
            transport.send(a_request(address), noted)
        for noted in batch:
            await noted.over.wait()
        assert upstream.now == 3
        await until(lambda: not upstream.now)
        assert (await asked(transport, address)).data == b"ok"
        await until(lambda: not upstream.now)
    await transport.aclose()


async def test_an_old_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "CONNECTION_AGE_S", -1.0)
    transport = HttpTransport(max_connections=1, on_failure=failed)
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        for _ in range(3):
            assert (await asked(transport, address)).data == b"ok"
    assert upstream.connections == 3
    await transport.aclose()


async def test_connections_that_were_made_together_do_not_end_together(transport: HttpTransport) -> None:
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        batch = [Noted() for _ in range(4)]
        for noted in batch:
            transport.send(a_request(address), noted)
        for noted in batch:
            await noted.over.wait()
        now_s = asyncio.get_running_loop().time()
        left_s = sorted(one.ends_at_s - now_s for one in transport._pool._connections)
    assert pools.CONNECTION_AGE_S * (1 - pools.AGE_SPREAD) - 5 < left_s[0] < left_s[-1] <= pools.CONNECTION_AGE_S
    assert min(later - earlier for earlier, later in pairwise(left_s)) > 5


async def test_the_last_idle_connection_is_used_first(transport: HttpTransport) -> None:
    served = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = (await read_request(reader))[-1:]
            served.append((body, writer.get_extra_info("peername")[1]))
            await loop_turns()
            writer.write(ANSWER)

    async with serving(handle) as address:
        batch = [Noted() for _ in range(3)]
        for number, noted in enumerate(batch):
            transport.send(a_request(address, body=b"%d" % number), noted)
        for noted in batch:
            await noted.over.wait()
        last = served[-1][1]
        for _ in range(3):
            await asked(transport, address)
    assert {port for _, port in served[3:]} == {last}


async def test_sockets_do_not_wait_to_fill_packets(transport: HttpTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    start = pools.aiohappyeyeballs.start_connection

    async def noting(*arguments: object, **named: object) -> socket.socket:
        made.append(await start(*arguments, **named))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(pools.aiohappyeyeballs, "start_connection", noting)
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        await asked(transport, address)
        assert made[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[int]) -> list[str]:
    """Each look-up of a name finds the next of these lists of ports, here. Returns the names that are asked for."""
    asked_for, left = list[str](), list(answers)
    resolve = asyncio.get_running_loop().getaddrinfo

    async def getaddrinfo(host: str, *rest: object, **named: object) -> Any:
        if not host.endswith(".test"):
            return await resolve(host, *rest, **named)  # type: ignore[arg-type]
        asked_for.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in left.pop(0)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked_for


async def test_where_one_address_of_a_name_is_dead_another_is_tried(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream()
    with socket.socket() as full:  # a listener whose queue is full answers no further connection
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        async with serving(upstream.handle) as address:
            resolving(monkeypatch, [full.getsockname()[1], int(address.rpartition(":")[2])])
            noted = await asked(transport, "http://two.test:80", connect_s=5.0)
        for one in waiting:
            one.close()
    assert noted.outcome == (200, b"ok", "end")


async def test_a_name_is_looked_up_for_each_new_connection(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a change of its addresses is followed, when the connections to the old ones have ended."""
    old, new = Upstream(ANSWER + b"x"), Upstream()  # a byte too much ends the connection
    async with serving(old.handle) as here, serving(new.handle) as there:
        names = resolving(monkeypatch, *([int(one.rpartition(":")[2])] for one in (here, there)))
        for _ in range(3):
            assert (await asked(transport, "http://one.test:80")).data == b"ok"
            await settle()
    assert (names, old.connections, new.connections) == (["one.test"] * 2, 1, 1)


async def test_no_connection_in_time_is_a_connect_timeout() -> None:
    """A listener whose queue is full answers no further connection."""
    transport = HttpTransport(max_connections=50, on_failure=failed)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        batch = [Noted() for _ in range(8)]
        for noted in batch:
            transport.send(a_request(address, connect_s=0.1), noted)
        await until(lambda: any(noted.failure for noted in batch))
        failure = next(noted.failure for noted in batch if noted.failure)
        assert (failure.kind, failure.sent) == ("connect_timeout", False)
        await transport.aclose()


async def test_a_call_can_be_aborted_while_it_connects() -> None:
    transport = HttpTransport(max_connections=1, on_failure=failed)
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        for turns in range(12):
            noted = Noted()
            flow = transport.send(a_request(address), noted)
            await loop_turns(turns)
            if not noted.over.is_set():
                flow.abort()
                await settle()
                assert not noted.over.is_set()
            assert (await asyncio.wait_for(asked(transport, address), 2)).data == b"ok"
            transport._pool._close_one_to_another()  # so that each round connects anew
            await until(lambda: not upstream.now)
    await transport.aclose()


async def test_a_closed_client_sends_nothing() -> None:
    transport = HttpTransport(max_connections=1, on_failure=failed)
    await transport.aclose()
    noted = await asked(transport, "http://127.0.0.1:9")
    assert isinstance(noted.failure, TransportError)
    assert (noted.failure.kind, noted.failure.sent) == ("pool", False)


async def test_closing_returns_when_the_connections_are_closed() -> None:
    transport = HttpTransport(max_connections=3, on_failure=failed)
    upstream = Upstream()
    async with serving(upstream.handle) as address:
        await asked(transport, address)
        await transport.aclose()
        assert not transport._pool._connections
        await until(lambda: not upstream.now)
