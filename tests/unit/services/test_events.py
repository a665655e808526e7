"""Events come to whoever listens, in order and within bounds, from every process that shares a bulletin."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_service.domain import (
    MASK,
    ConcurrencyLimited,
    Cost,
    InvalidApiKey,
    InvalidValue,
    Outcome,
    Secret,
    UpstreamError,
    Usage,
)
from llm_service.observability import AlertChanged, Redaction
from llm_service.runtime import Tasks
from llm_service.services import KINDS, UNLESS_ASKED, Events, Listening, MetricsHistory, event_object, read_kinds
from llm_service.services.events import (
    BEAT_S,
    EVENTS_TOPIC,
    MOST_KEPT,
    MOST_LISTENERS,
    MOST_REQUESTS_PER_S,
    MOST_UNSENT,
    SEND_S,
    WANTED_S,
    WANTED_TOPIC,
    ServiceEvent,
)
from tests.support.clock import ManualClock
from tests.support.finished import finished, record
from tests.support.measured import Measured
from tests.support.memory_keys import MemoryBulletin
from tests.support.service import LogLines
from tests.support.timed import within
from tests.support.untraced import untraced
from tests.support.waiting import loop_turns
from tests.unit.observability.test_outlet import FACT


class Process:
    def __init__(self, clock: ManualClock, bulletin: MemoryBulletin | None = None, worker: int | None = None) -> None:
        self.clock, self.log = clock, LogLines()
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda _, failure: self.failures.append(failure))
        self.source = Measured(clock)
        self.history = MetricsHistory(self.source, bulletin=bulletin, clock=clock, tasks=self.tasks, log=self.log)
        self.events = Events(
            self.history,
            bulletin=bulletin,
            process=f"proc_{worker}",
            worker=worker,
            clock=clock,
            tasks=self.tasks,
            log=self.log,
        )
        self.history.start()
        self.events.start()

    def request(self, number: int = 1) -> None:
        self.events.request_finished(replace(FACT, request_id=f"req_{number}"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def alone(clock: ManualClock) -> AsyncIterator[Process]:
    process = Process(clock)
    yield process
    await process.tasks.aclose()
    assert process.failures == []


@pytest.fixture
async def two(clock: ManualClock) -> AsyncIterator[tuple[Process, Process, MemoryBulletin]]:
    bulletin = MemoryBulletin()
    processes = Process(clock, bulletin, 1), Process(clock, bulletin, 2)
    yield (*processes, bulletin)
    for process in processes:
        await process.tasks.aclose()
        assert process.failures == []


def ids(listening: Listening) -> list[object]:
    return [heard.event.data["request_id"] for heard in listening.take()]


async def passes(clock: ManualClock, seconds: float) -> None:
    await loop_turns(5)
    clock.advance(seconds)
    await loop_turns(5)


# -- at one process


async def test_a_request_is_told_with_the_facts_of_its_line(alone: Process) -> None:
    listening = alone.events.listen(UNLESS_ASKED, owner="k")
    alone.request()
    await listening.wait()
    (heard,) = listening.take()
    assert (heard.event.kind, heard.dropped, heard.event.worker) == ("request", 0, None)
    assert event_object(heard) == {
        "at": "2026-11-23T00:16:40.000Z",
        "request_id": "req_1",
        "surface": "rest",
        "key_id": "local",
        "model": "p/m",
        "provider": "p",
        "upstream_model": "m",
        "stream": False,
        "status": "ok",
        "duration_ms": 2.0,
        "first_content_ms": 1.0,
        "attempts": 0,
        "cache": "bypass",
    }


async def test_of_a_failure_its_code_is_told_and_its_words_unless_they_are_the_caller_s(alone: Process) -> None:
    listening = alone.events.listen(("request",), owner="k")
    for error in (UpstreamError("It broke."), InvalidValue("You said: xyz.")):
        alone.events.request_finished(replace(FACT, outcome=Outcome(status="error", error=error)))
    theirs, callers = (heard.event.data for heard in listening.take())
    assert (theirs["status"], theirs["error_code"], theirs["error"]) == ("error", "upstream_error", "It broke.")
    assert (callers["error_code"], callers.get("error")) == ("invalid_value", None)


async def test_tokens_and_money_are_those_of_the_record(alone: Process) -> None:
    listening = alone.events.listen(("request",), owner="k")
    said = Outcome(
        status="ok", usage=Usage(input_tokens=3, output_tokens=4), cost=Cost(usd=Decimal("1E-7"), source="estimate")
    )
    recorded = record(input_tokens=100, output_tokens=11, nano_usd=150)
    for fact in (finished(outcome=said, record=recorded, cache="semantic"), finished(outcome=said, record=None)):
        alone.events.request_finished(fact)
    known, unknown = (heard.event.data for heard in listening.take())
    assert (known["input_tokens"], known["output_tokens"], known["cost_usd"]) == (100, 11, "0.00000015")
    assert known["cache"] == "semantic"
    assert not {"input_tokens", "output_tokens", "cost_usd"} & unknown.keys()


async def test_what_others_wrote_is_masked_as_in_the_log(alone: Process) -> None:
    secret, looks = "a-password-of-ours", "sk-proj-0123456789abcdefghij"
    alone.events.redaction = Redaction([Secret(secret)])
    listening = alone.events.listen(UNLESS_ASKED, owner="k")
    failed = Outcome(status="error", error=UpstreamError(f"{secret} is no key of ours."))
    alone.events.request_finished(replace(FACT, model=looks, provider=None, upstream_model=None, outcome=failed))
    alone.events.tell("breaker", {"provider": "p", "cause": secret})
    alone.events.tell_here("store", {"store": "limits", "cause": f"no answer of rediss://x:{secret}@host"})
    request, breaker, store = (dict(heard.event.data) for heard in listening.take())
    assert (request["model"], request["error"]) == (MASK, f"{MASK} is no key of ours.")
    assert breaker == {"provider": "p", "cause": MASK}
    assert secret not in str(store)


async def test_who_listens_anew_is_not_told_of_requests_that_others_missed(alone: Process, clock: ManualClock) -> None:
    first = alone.events.listen(("request",), owner="k")
    for number in range(MOST_REQUESTS_PER_S + 50):
        alone.request(number)
    first.close()
    alone.request()
    clock.advance(1)
    second = alone.events.listen(("request",), owner="k")
    alone.request()
    (heard,) = second.take()
    assert "skipped" not in heard.event.data


async def test_who_listens_does_so_until_its_key_expires(alone: Process, clock: ManualClock) -> None:
    until = datetime.fromtimestamp(clock.time() + 60, UTC)
    listening, left, late = (alone.events.listen(("store",), owner="k", until=until) for _ in range(3))
    left.close()
    clock.advance(59)
    assert (listening.over, listening.error) == (False, None)
    late.offer(ServiceEvent("store", 0.0, None, {}))
    clock.advance(1)
    assert listening.over
    assert isinstance(listening.error, InvalidApiKey)
    assert (late.over, len(late.take()), left.error) == (False, 1, None)
    assert clock.timers == 0


async def test_an_alert_is_told_with_what_it_says(alone: Process) -> None:
    listening = alone.events.listen(("alert",), owner="k")
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    alone.events.alert_changed(
        AlertChanged(
            rule="provider-down",
            labels={"provider": "p"},
            severity="page",
            state="firing",
            summary="p is down.",
            value=1.0,
            at=at,
        )
    )
    (heard,) = listening.take()
    assert event_object(heard) == {
        "at": "2026-11-23T12:00:00.000Z",
        "rule": "provider-down",
        "labels": {"provider": "p"},
        "severity": "page",
        "state": "firing",
        "summary": "p is down.",
        "value": 1.0,
    }


async def test_each_hears_the_kinds_that_it_wants(alone: Process) -> None:
    stores, requests = (alone.events.listen((kind,), owner="k") for kind in ("store", "request"))
    alone.request()
    alone.events.tell_here("store", {"store": "limits", "up": False})
    assert [heard.event.kind for heard in stores.take()] == ["store"]
    assert [heard.event.kind for heard in requests.take()] == ["request"]


async def test_who_is_slow_loses_the_oldest_and_is_told_how_many(alone: Process, clock: ManualClock) -> None:
    listening = alone.events.listen(("store",), owner="k")
    for number in range(MOST_KEPT + 7):
        alone.events.tell_here("store", {"number": number})
    heard = listening.take()
    assert [one.event.data["number"] for one in heard] == [*range(7, MOST_KEPT + 7)]
    assert [one.dropped for one in heard] == [7] + [0] * (MOST_KEPT - 1)
    assert event_object(heard[0])["dropped"] == 7
    alone.events.tell_here("store", {"number": 0})
    assert listening.take()[0].dropped == 0


async def test_so_many_requests_are_told_a_second_and_the_number_of_the_others(
    alone: Process, clock: ManualClock
) -> None:
    listening = alone.events.listen(("request",), owner="k")
    for number in range(MOST_REQUESTS_PER_S + 50):
        alone.request(number)
    assert len(listening.take()) == MOST_REQUESTS_PER_S
    clock.advance(1)
    alone.request(9000)
    alone.request(9001)
    assert [heard.event.data.get("skipped") for heard in listening.take()] == [50, None]


async def test_what_was_kept_is_taken_also_after_the_end(alone: Process) -> None:
    listening = alone.events.listen(("store",), owner="k")
    alone.events.tell_here("store", {})
    listening.end()
    alone.events.tell_here("store", {})
    assert not listening.over
    await listening.wait()
    assert len(listening.take()) == 1
    assert listening.over


async def test_who_has_left_hears_nothing_and_costs_nothing(alone: Process) -> None:
    listening = alone.events.listen(("request", "metrics"), owner="k")
    listening.close()
    listening.close()
    alone.request()
    assert listening.take() == []
    assert not alone.events._wants_requests


async def test_a_key_listens_so_often_at_once_and_others_do_not_suffer(alone: Process) -> None:
    some = [alone.events.listen(("store",), owner="k") for _ in range(MOST_LISTENERS)]
    with pytest.raises(ConcurrencyLimited):
        alone.events.listen(("store",), owner="k")
    alone.events.listen(("store",), owner="another").close()
    some[0].close()
    alone.events.listen(("store",), owner="k")


@pytest.mark.parametrize("interval_s", [0, 0.9, 61, float("nan")])
async def test_an_interval_out_of_bounds_is_refused(alone: Process, interval_s: float) -> None:
    with pytest.raises(InvalidValue):
        alone.events.listen(("metrics",), owner="k", interval_s=interval_s)


async def test_figures_come_by_the_clock(alone: Process, clock: ManualClock) -> None:
    listening = alone.events.listen(("metrics",), owner="k", interval_s=2)
    for _ in range(5):
        alone.source.request()
        await passes(clock, 1)
    heard = listening.take()
    assert [one.event.kind for one in heard] == ["metrics"] * 3
    assert heard[-1].event.data["requests_per_s"] == 1.0
    assert heard[-1].event.snapshot is not None
    assert event_object(heard[-1])["at"] == "2026-11-23T00:16:45.000Z"


def test_kinds_are_read_in_any_order_and_unknown_ones_named() -> None:
    assert read_kinds(None) == UNLESS_ASKED == tuple(kind for kind in KINDS if kind != "metrics")
    assert read_kinds("metrics, request,request") == ("request", "metrics")
    for text in ("request,", "requests", " "):
        with pytest.raises(InvalidValue, match="there are request, alert"):
            read_kinds(text)


# -- among processes


async def test_a_listener_hears_what_another_process_has_seen(
    two: tuple[Process, Process, MemoryBulletin], clock: ManualClock
) -> None:
    here, there, _ = two
    listening = here.events.listen(UNLESS_ASKED, owner="k")
    await loop_turns(5)
    here.request(1)
    there.request(2)
    there.events.tell("breaker", {"provider": "p"})
    await passes(clock, SEND_S)
    heard = listening.take()
    assert [(one.event.worker, one.event.kind) for one in heard] == [(1, "request"), (2, "request"), (2, "breaker")]


async def test_what_every_process_sees_by_itself_is_told_once(
    two: tuple[Process, Process, MemoryBulletin], clock: ManualClock
) -> None:
    here, there, _ = two
    listening = here.events.listen(("store",), owner="k")
    await loop_turns(5)
    for process in (here, there):
        process.events.tell_here("store", {"store": "limits"})
    await passes(clock, SEND_S)
    assert [one.event.worker for one in listening.take()] == [1]


async def test_while_nobody_listens_nothing_is_sent(
    two: tuple[Process, Process, MemoryBulletin], clock: ManualClock
) -> None:
    here, there, bulletin = two
    for process in (here, there):
        process.request()
        process.events.tell("breaker", {})
    await passes(clock, 1)
    assert bulletin.heard == []
    assert clock.timers == 0


async def test_some_seconds_after_the_last_listener_has_left_nothing_is_sent(
    two: tuple[Process, Process, MemoryBulletin], clock: ManualClock
) -> None:
    here, there, bulletin = two
    listening = here.events.listen(("request", "breaker"), owner="k")
    await passes(clock, 3 * BEAT_S)
    listening.close()
    await passes(clock, WANTED_S + BEAT_S)
    said = len(bulletin.heard)
    there.request()
    there.events.tell("breaker", {})
    await passes(clock, 60)
    assert len(bulletin.heard) == said
    assert not there.events._wants_requests


async def test_kinds_that_are_wanted_elsewhere_alone_are_sent(
    two: tuple[Process, Process, MemoryBulletin], clock: ManualClock
) -> None:
    here, there, bulletin = two
    here.events.listen(("breaker",), owner="k")
    await loop_turns(5)
    there.request()
    await passes(clock, SEND_S)
    assert {topic for topic, _ in bulletin.heard} == {WANTED_TOPIC}
    more = here.events.listen(("request",), owner="k")  # known there at once
    await loop_turns(5)
    there.request(2)
    await passes(clock, SEND_S)
    assert ids(more) == ["req_2"]


async def test_many_events_travel_in_one_message_and_no_more_than_so_many(
    two: tuple[Process, Process, MemoryBulletin], clock: ManualClock
) -> None:
    here, there, bulletin = two
    listening = here.events.listen(("breaker",), owner="k")
    await loop_turns(5)
    for number in range(MOST_UNSENT + 10):
        there.events.tell("breaker", {"number": number})
    await passes(clock, SEND_S)
    assert [topic for topic, _ in bulletin.heard if topic == EVENTS_TOPIC] == [EVENTS_TOPIC]
    assert len(listening.take()) == MOST_UNSENT


async def test_a_bulletin_that_is_away_keeps_nobody_from_hearing_of_this_process(
    two: tuple[Process, Process, MemoryBulletin], clock: ManualClock
) -> None:
    here, there, bulletin = two
    bulletin.away = True
    listening = here.events.listen(("request",), owner="k")
    await passes(clock, BEAT_S)
    here.request(1)
    bulletin.away = False
    await passes(clock, BEAT_S)
    there.request(2)
    await passes(clock, SEND_S)
    assert ids(listening) == ["req_1", "req_2"]


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", '["p"]', '["p",0,1]', '{"a":1}', '["p",0,[["odd",1,2,{}]]]', '["p",0,[1]]']
    + [
        f'["p",0,[{one}]]'
        for one in ('["request",1]', '["request","1",2,{}]', '["request",1,2,[]]', '["metrics",1,2,{}]')
    ],
)
async def test_messages_that_make_no_sense_do_nothing(two: tuple[Process, Process, MemoryBulletin], text: str) -> None:
    here, _, bulletin = two
    listening = here.events.listen(("request",), owner="k")
    await loop_turns(5)
    for topic in (EVENTS_TOPIC, WANTED_TOPIC):
        await bulletin.publish(topic, text)
    assert listening.take() == []


async def test_an_event_of_another_version_hides_none_of_those_beside_it(
    two: tuple[Process, Process, MemoryBulletin],
) -> None:
    here, _, bulletin = two
    listening = here.events.listen(("request",), owner="k")
    await loop_turns(5)
    told = '["p",0,[["request",1,2,{"request_id":"req_1"},"more"],["request",1,null,{"request_id":"req_2"}]]]'
    await bulletin.publish(EVENTS_TOPIC, told)
    assert ids(listening) == ["req_2"]


# -- what it costs


@pytest.mark.timed
def test_a_request_that_nobody_wants_to_hear_of_costs_less_than_a_third_of_a_microsecond(clock: ManualClock) -> None:
    tell = Process(clock, MemoryBulletin(), 1).events.request_finished

    def once() -> float:
        begun = time.perf_counter()
        for _ in range(10_000):
            tell(FACT)
        return (time.perf_counter() - begun) / 10_000

    with untraced():
        least_s = min(once() for _ in range(20))
    within(least_s, 0.3e-6)
