"""The bytes of a stream of events, whatever its client and its service do meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_service.api import Serving
from llm_service.api.rest.live import EventStream
from llm_service.domain import KeyRevoked, LedgerUnavailable, ScopeMissing
from llm_service.runtime import Tasks
from llm_service.services import Events, Listening, MetricsHistory
from llm_service.streams import Streams
from tests.support.clock import ManualClock
from tests.support.key_service import Process, World
from tests.support.measured import Measured
from tests.support.service import LogLines
from tests.support.waiting import loop_turns, until


class Line:
    """A client, a listener of its own, and what the client was sent."""

    def __init__(self, *, keep_alive_s: float = 60, until: datetime | None = None) -> None:
        self.clock = clock = ManualClock()
        log = LogLines()
        self.tasks = Tasks(lambda _, failure: pytest.fail(str(failure)))
        history = MetricsHistory(Measured(clock), bulletin=None, clock=clock, tasks=self.tasks, log=log)
        self.events = Events(history, bulletin=None, process="p", worker=None, clock=clock, tasks=self.tasks, log=log)
        self.serving = Serving(Streams(clock, retention_s=60, total_bytes=1_000_000))
        self.process = Process(World())
        self.listening: Listening = self.events.listen(("store",), owner="key_1", until=until)
        self.refusal: Exception | None = None
        self.looks = 0
        self.stream = EventStream(
            self.listening,
            self.serving,
            self.process.authenticator,
            keep_alive_s=keep_alive_s,
            may_still=self._may_still,
            look_s=0.002,
        )
        self.sent: list[Any] = []
        self.gone = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.broken = False
        self.serves = asyncio.create_task(self.stream({"state": {"request_id": "req_1"}}, self._receive, self._send))

    async def _may_still(self) -> None:
        self.looks += 1
        if self.refusal is not None:
            raise self.refusal

    async def _receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.takes.wait()
        if self.broken:
            raise OSError("broken pipe")
        self.sent.append(message)

    def tell(self, number: int = 1) -> None:
        self.events.tell_here("store", {"number": number})

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def complete(self) -> bool:
        return self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    await loop_turns(3)
    yield line
    await asyncio.wait_for(line.serves, 5)
    assert line.events._listening == {}
    assert line.serving._standing == {}
    assert not line.process.issued.has_listeners
    await line.tasks.aclose()


async def test_events_that_come_at_once_are_one_write(line: Line) -> None:
    for number in (1, 2):
        line.tell(number)
    await loop_turns(5)
    line.listening.end()
    await until(line.serves.done)
    start, beginning, told, last = line.sent
    assert start["status"] == 200
    assert beginning["body"] == b"retry: 2000\n\n"
    at = b'{"at":"2026-11-23T00:16:40.000Z"'
    assert told["body"] == (
        b"event: store\nid: 1\ndata: " + at + b',"number":1}\n\nevent: store\nid: 2\ndata: ' + at + b',"number":2}\n\n'
    )
    assert (last["body"], line.complete) == (b"", True)


async def test_what_was_told_before_the_end_is_still_sent(line: Line) -> None:
    line.tell()
    line.serving.retire()
    await until(line.serves.done)
    assert line.body.count(b"event: store") == 1
    assert line.complete


async def test_a_revoked_key_is_told_last(line: Line) -> None:
    line.process.issued.tell_revoked("another")
    assert line.listening.error is None
    line.process.issued.tell_revoked("key_1")
    await until(line.serves.done)
    assert line.body.partition(b"\n\n")[2].startswith(b'event: error\ndata: {"error":{')
    assert b'"code":"key_revoked"' in line.body
    assert line.body.endswith(b"\n\n")
    assert isinstance(line.listening.error, KeyRevoked)


async def test_who_may_listen_no_more_is_told_so_last(line: Line) -> None:
    line.refusal = LedgerUnavailable("away")
    await until(lambda: line.looks > 5)
    assert not line.serves.done()
    line.refusal = ScopeMissing("no scope any more")
    await until(line.serves.done)
    assert line.body.partition(b"\n\n")[2].startswith(b'event: error\ndata: {"error":{')
    assert b'"code":"scope_missing"' in line.body


async def test_a_key_that_expires_is_told_so_last() -> None:
    line = Line(until=datetime(2026, 11, 23, 0, 17, tzinfo=UTC))
    await loop_turns(3)
    line.clock.advance(60)
    await until(line.serves.done)
    assert line.complete
    assert line.body.partition(b"\n\n")[2].startswith(b'event: error\ndata: {"error":{')
    assert b'"code":"invalid_api_key"' in line.body
    await line.tasks.aclose()


async def test_a_client_that_has_left_is_sent_nothing_more(line: Line) -> None:
    line.gone.set()
    await until(line.serves.done)
    line.tell()
    assert line.body == b"retry: 2000\n\n"


async def test_a_broken_connection_is_no_failure(line: Line) -> None:
    line.broken = True
    line.tell()
    await until(line.serves.done)


async def test_a_client_that_does_not_read_keeps_no_more_than_its_queue(line: Line) -> None:
    line.takes.clear()
    for number in range(1000):
        line.tell(number)
        await asyncio.sleep(0)
    line.takes.set()
    await until(lambda: b'"number":999' in line.body)
    assert b'"dropped":' in line.body
    line.gone.set()


async def test_silence_is_filled() -> None:
    line = Line(keep_alive_s=0.005)
    await until(lambda: line.body.endswith(b": keep-alive\n: keep-alive\n"))
    line.gone.set()
    await line.serves
    await line.tasks.aclose()


async def test_a_stream_that_is_cut_off_leaves_nothing(line: Line) -> None:
    line.serves.cancel()
    await asyncio.gather(line.serves, return_exceptions=True)
    line.serves = asyncio.create_task(asyncio.sleep(0))  # type: ignore[assignment]
