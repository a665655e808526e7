"""Pause, resume and abort, whenever they come; and the end of the client itself."""

import asyncio
import gzip
import resource

import pytest

from llm_service.transport import Flow, Transport
from tests.support.raw_server import Handle, read_request, serving
from tests.support.upstream import OK, MakeTransport, Noted, a_request, asked, failed, saying, settle
from tests.support.waiting import loop_turns, until


class Acting(Noted):
    """Does something with its flow at each piece of the body."""

    def __init__(self, act: str, *, also_at_head: bool = False) -> None:
        super().__init__()
        self.act = act
        self.also_at_head = also_at_head
        self.flow: Flow | None = None

    def begin(self, transport: Transport, address: str) -> Flow:
        """Send a request, and act on its answer."""
        self.flow = transport.send(a_request(address), self)
        return self.flow

    def on_head(self, head: object) -> None:
        super().on_head(head)  # type: ignore[arg-type]
        if self.also_at_head:
            self._do()

    def on_body(self, data: bytes) -> None:
        super().on_body(data)
        self._do()

    def _do(self) -> None:
        assert self.flow is not None
        getattr(self.flow, self.act)()


def streaming(gone: asyncio.Event, *, began: asyncio.Event | None = None, said: bytes = b"") -> Handle:
    """An upstream that says so much, and then waits until the client leaves."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)
        if began is not None:
            began.set()
        try:
            await reader.read()
        finally:
            gone.set()

    return handle


async def test_a_bomb_arrives_in_bounded_pieces_and_can_be_stopped(transport: Transport) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)

    class Stopping(Acting):
        def _do(self) -> None:
            if len(self.pieces) > 4:
                super()._do()
                self.over.set()

    async with serving(saying(head, bomb)) as address:
        noted = Stopping("abort")
        noted.begin(transport, address)
        await noted.over.wait()
        await settle()
    assert max(map(len, noted.pieces)) <= 256 * 1024
    assert noted.calls_after_end == 0


async def test_a_paused_flow_bounds_what_is_decoded_too(transport: Transport) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with serving(saying(head + bomb)) as address:
        noted = Acting("pause")
        flow = noted.begin(transport, address)
        await noted.first.wait()
        await settle()
        assert len(noted.pieces) == 1
        while not noted.over.is_set():
            flow.resume()
            await loop_turns()
    assert (len(noted.data), noted.failure) == (20_000_000, None)


@pytest.mark.parametrize("said", [b"", OK[:7], OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"])
async def test_abort_closes_the_connection_at_once(transport: Transport, said: bytes) -> None:
    began, gone = asyncio.Event(), asyncio.Event()
    async with serving(streaming(gone, began=began, said=said)) as address:
        noted = Noted()
        flow = transport.send(a_request(address), noted)
        await began.wait()
        await settle()
        flow.abort()
        flow.abort()
        await asyncio.wait_for(gone.wait(), 1)
        await settle()
    assert not noted.over.is_set()


@pytest.mark.parametrize("where", ["on_head", "on_body"])
async def test_abort_inside_a_callback_is_the_last_of_it(transport: Transport, where: str) -> None:
    gone = asyncio.Event()
    said = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n"
    async with serving(streaming(gone, said=said)) as address:
        noted = Acting("abort", also_at_head=where == "on_head")
        noted.begin(transport, address)
        await asyncio.wait_for(gone.wait(), 1)
        await settle()
    assert (len(noted.pieces), noted.over.is_set()) == (0 if where == "on_head" else 1, False)


async def test_abort_at_the_last_piece_means_no_end(transport: Transport) -> None:
    async with serving(saying(OK + b"Content-Length: 5\r\n\r\nhello")) as address:
        noted = Acting("abort")
        noted.begin(transport, address)
        await noted.first.wait()
        await settle()
    assert not noted.over.is_set()


async def test_abort_before_anything_was_done_is_quiet(transport: Transport) -> None:
    async with serving(saying(OK + b"Content-Length: 2\r\n\r\nok")) as address:
        noted = Noted()
        transport.send(a_request(address), noted).abort()
        await settle()
        assert (await asked(transport, address)).data == b"ok"
    assert not noted.over.is_set()


async def test_a_call_that_waits_for_a_connection_can_be_aborted(make: MakeTransport) -> None:
    transport = make(max_connections=1, on_failure=failed)
    release = asyncio.Event()
    seen = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append((await read_request(reader))[-1:])
            await release.wait()
            writer.write(OK + b"Content-Length: 2\r\n\r\nok")

    async with serving(handle) as address:
        notes = [Noted() for _ in range(4)]
        flows = [transport.send(a_request(address, body=b"%d" % n), noted) for n, noted in enumerate(notes)]
        await until(lambda: seen)
        flows[1].abort()
        release.set()
        for n in (0, 2, 3):
            await notes[n].over.wait()
    assert seen == [b"0", b"2", b"3"]
    assert not notes[1].over.is_set()
    await transport.aclose()


async def test_pause_and_resume_keep_a_large_body_whole_in_bounded_memory(transport: Transport) -> None:
    size = 32 * 1024 * 1024
    block = bytes(range(256)) * 256
    written = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            writer.write(block)
            written += len(block)
            await writer.drain()

    class Counting(Acting):
        received = 0
        before = 0

        def on_body(self, data: bytes) -> None:
            assert data[:1] == block[self.received % 256 :][:1]
            self.received += len(data)
            self.first.set()
            self._do()

    async with serving(handle) as address:
        noted = Counting("pause")
        flow = noted.begin(transport, address)
        await noted.first.wait()
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while not noted.over.is_set():
            noted.before = got = noted.received
            await loop_turns(3)
            assert noted.received == got  # nothing comes while it is paused
            assert written - got < 16 * 1024 * 1024  # the rest is in the sockets' own buffers
            flow.resume()
            await until(lambda: noted.received > noted.before or noted.over.is_set())
    assert (noted.received, noted.failure) == (size, None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 24 * 1024


async def test_pausing_and_resuming_in_one_callback_stops_nothing(transport: Transport) -> None:
    class Both(Acting):
        def _do(self) -> None:
            assert self.flow is not None
            self.flow.pause()
            self.flow.resume()

    async with serving(saying(OK + b"Content-Length: 9\r\n\r\nabc", b"def", b"ghi")) as address:
        noted = Both("pause")
        noted.begin(transport, address)
        await asyncio.wait_for(noted.over.wait(), 2)
    assert noted.outcome == (200, b"abcdefghi", "end")


@pytest.mark.parametrize(("length", "ending"), [(3, "end"), (9, "disconnected")], ids=["end", "break"])
async def test_the_end_waits_for_a_reader_that_paused(transport: Transport, length: int, ending: str) -> None:
    async with serving(saying(OK + b"Content-Length: %d\r\n\r\nabc" % length)) as address:
        noted = Acting("pause")
        flow = noted.begin(transport, address)
        await noted.first.wait()
        await settle()
        assert not noted.over.is_set()
        flow.resume()
        await asyncio.wait_for(noted.over.wait(), 2)
    assert noted.outcome == (200, b"abc", ending)


async def test_closing_aborts_what_runs(make: MakeTransport) -> None:
    transport = make(max_connections=2, on_failure=failed)
    began, gone = asyncio.Event(), asyncio.Event()
    async with serving(streaming(gone, began=began, said=OK)) as address:
        notes = [Noted() for _ in range(6)]
        for noted in notes:
            transport.send(a_request(address), noted)
        await began.wait()
        await transport.aclose()
        await asyncio.wait_for(gone.wait(), 1)
        await settle()
    assert [noted.over.is_set() for noted in notes] == [False] * 6


async def test_closing_twice_or_unused_is_quiet(make: MakeTransport) -> None:
    transport = make(max_connections=2, on_failure=failed)
    await transport.aclose()
    await transport.aclose()
