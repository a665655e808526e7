"""Sending: in batches, within bounds, again where that helps, and never in anybody's way."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest

from llm_service.observability.otlp.encoding import Envelope
from llm_service.observability.otlp.exporter import (
    BATCH_BYTES,
    BATCH_SPANS,
    LAST_S,
    MAX_BYTES,
    MAX_SPANS,
    Answer,
    Exporter,
    ExporterParts,
    Unreachable,
)
from tests.support.clock import ManualClock
from tests.support.service import LogLines
from tests.support.waiting import loop_turns

TURNS = 20


class World:
    """A collector that answers as it is told, and an exporter that sends to it every 10 s."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = LogLines()
        self.sent: list[list[int]] = []
        self.measured: list[bytes] = []
        self.sent_metrics = 0
        self.answer: Answer | Exception | None = Answer(200, b"{}")
        self.defects: list[BaseException] = []
        self.exporter = Exporter(
            ExporterParts(
                post=lambda path, body: self.post(path, body),  # noqa: PLW0108 - tests replace it
                envelope=Envelope({"service.name": "s"}, scope="scope", version="1"),
                measure=lambda: self.measure(),  # noqa: PLW0108
                interval_s=10.0,
                clock=self.clock,
                log=self.log,
                report=lambda _, defect: self.defects.append(defect),
            )
        )

    async def post(self, path: str, body: bytes) -> Answer:
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        if 200 <= self.answer.status < 300:
            told = orjson.loads(body)
            if path == "/v1/metrics":
                self.sent_metrics += 1
            else:
                self.sent.append(told["resourceSpans"][0]["scopeSpans"][0]["spans"])
        return self.answer

    async def measure(self) -> Sequence[bytes]:
        return self.measured

    async def pass_s(self, seconds: float) -> None:
        await loop_turns(TURNS)  # whoever sends is waiting by now
        self.clock.advance(seconds)
        await loop_turns(TURNS)

    def add(self, *numbers: int) -> None:
        self.exporter.add([b"%d" % number for number in numbers])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    running = asyncio.create_task(world.exporter.run())
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_spans_go_together_at_the_next_time(world: World) -> None:
    world.add(1, 2)
    world.add(3)
    await world.pass_s(9.9)
    assert world.sent == []
    await world.pass_s(0.2)
    assert world.sent == [[1, 2, 3]]
    await world.pass_s(10)
    assert world.sent == [[1, 2, 3]]


async def test_a_full_batch_goes_at_once_and_without_metrics(world: World) -> None:
    world.measured = [b"{}"]
    world.add(*range(BATCH_SPANS + 1))
    await loop_turns(TURNS)
    assert [len(batch) for batch in world.sent] == [BATCH_SPANS, 1]
    assert world.sent_metrics == 0
    await world.pass_s(10)
    assert world.sent_metrics == 1


async def test_metrics_keep_their_time_however_often_batches_are_full(world: World) -> None:
    world.measured = [b"{}"]
    for _ in range(6):
        await world.pass_s(5)
        world.add(*range(BATCH_SPANS))
        await loop_turns(TURNS)
    assert world.sent_metrics == 3


async def test_a_batch_of_large_spans_is_bounded_in_bytes(world: World) -> None:
    large = b'"%b"' % (b"x" * (BATCH_BYTES // 3))
    world.exporter.add([large] * 5 + [b'"%b"' % (b"x" * 2 * BATCH_BYTES)])
    await world.pass_s(10)
    assert [len(batch) for batch in world.sent] == [2, 2, 1, 1]


@pytest.mark.parametrize("answer", [Answer(503, b""), Answer(429, b""), Unreachable("nobody is there")])
async def test_what_did_not_get_through_is_sent_again_in_its_order(world: World, answer: Answer | Exception) -> None:
    world.answer = answer
    world.add(1)
    await world.pass_s(10)
    world.add(2)
    await world.pass_s(10)
    assert len(world.log.of("telemetry is not sent")) == 1
    world.answer = Answer(200, b"")
    await world.pass_s(10)
    assert world.sent == [[1, 2]]
    assert [line["dropped_spans"] for line in world.log.of("telemetry is sent again")] == [0]


async def test_while_it_is_away_full_batches_do_not_hurry_it(world: World) -> None:
    world.answer = Unreachable("nobody is there")
    world.add(*range(BATCH_SPANS))
    await loop_turns(TURNS)
    world.answer = Answer(200, b"")
    world.add(*range(BATCH_SPANS))
    await loop_turns(TURNS)
    assert world.sent == []


async def test_what_is_refused_for_good_is_dropped_and_told_once(world: World) -> None:
    world.answer = Answer(400, b"no")
    for _ in range(3):
        world.add(1, 2)
        await world.pass_s(10)
    assert world.exporter.dropped == 6
    (line,) = world.log.of("telemetry is not sent")
    assert (line["path"], line["dropped_spans"]) == ("/v1/traces", 2)


async def test_a_collector_that_takes_no_metrics_gets_spans_all_the_same(world: World) -> None:
    world.measured = [b"{}"]
    post = world.post

    async def traces_only(path: str, body: bytes) -> Answer:
        return await post(path, body) if path == "/v1/traces" else Answer(404, b"")

    world.post = traces_only  # type: ignore[method-assign]
    for number in range(3):
        world.add(number)
        await world.pass_s(10)
    assert world.sent == [[0], [1], [2]]
    assert [line["path"] for line in world.log.of("telemetry is not sent")] == ["/v1/metrics"]
    assert world.log.of("telemetry is sent again") == []


async def test_a_partial_success_is_counted(world: World) -> None:
    world.answer = Answer(200, b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}')
    world.add(1, 2, 3)
    await world.pass_s(10)
    assert world.exporter.dropped == 2


@pytest.mark.parametrize("said", [b"nonsense", b"[]", b'{"partialSuccess": null}', b'{"partialSuccess": {}}', b""])
async def test_an_answer_that_says_nothing_clear_is_a_success(world: World, said: bytes) -> None:
    world.answer = Answer(200, said)
    world.add(1)
    await world.pass_s(10)
    assert (world.exporter.dropped, world.log.lines) == (0, [])


async def test_there_is_room_for_so_many_and_the_newest_are_dropped(world: World) -> None:
    world.answer = Unreachable("nobody is there")
    for _ in range(MAX_SPANS // 2 + 5):
        world.add(1, 2)
    assert world.exporter.dropped == 10
    world.exporter.add([b"x" * MAX_BYTES])
    assert world.exporter.dropped == 11
    assert len(world.log.of("telemetry is not sent")) == 1


async def test_bytes_are_bounded_and_given_back_when_sent(world: World) -> None:
    large = [b'"%b"' % (b"x" * (MAX_BYTES // 2))]
    world.exporter.add(large)
    world.exporter.add(large)
    assert world.exporter.dropped == 1
    await world.pass_s(10)
    world.exporter.add(large)
    assert world.exporter.dropped == 1


async def test_a_defect_of_measuring_is_reported_and_the_next_time_may_go_well(world: World) -> None:
    async def broken() -> Sequence[bytes]:
        raise OSError("unreadable")

    measure, world.measure = world.measure, broken  # type: ignore[method-assign]
    world.add(1)
    await world.pass_s(10)
    assert [str(defect) for defect in world.defects] == ["unreadable"]
    assert world.sent == [[1]]
    world.measure, world.measured = measure, [b"{}"]  # type: ignore[method-assign]
    await world.pass_s(10)
    assert world.sent_metrics == 1


async def test_a_defect_of_measuring_loses_no_spans_at_the_end() -> None:
    async def broken() -> Sequence[bytes]:
        raise OSError("unreadable")

    world = World()
    world.measure = broken  # type: ignore[method-assign]
    world.add(1)
    await world.exporter.aclose()
    assert (world.sent, len(world.defects)) == ([[1]], 1)


async def test_the_end_sends_what_is_left() -> None:
    world = World()
    world.measured = [b"{}"]
    world.add(1)
    await world.exporter.aclose()
    assert (world.sent, world.sent_metrics) == ([[1]], 1)
    assert world.log.lines == []


async def test_the_end_waits_for_a_silent_collector_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LAST_S <= 5
    monkeypatch.setattr("llm_service.observability.otlp.exporter.LAST_S", 0.01)
    world = World()
    world.answer = None
    world.add(1, 2)
    await world.exporter.aclose()
    assert [line["spans"] for line in world.log.of("telemetry lost")] == [2]
