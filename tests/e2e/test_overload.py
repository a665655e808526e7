"""More is asked than can be served well: some are refused in time, the others are served, and health answers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import quantiles
from typing import Any

import orjson
import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.routing import OverloadOptions, RoutingOptions
from llm_service.sandbox import Sandbox
from tests.support.clock import StoppableClock
from tests.support.contract import mistakes_of_error
from tests.support.doors import Door, StreamingDoor, chat
from tests.support.doors.asks import DEEPSEEK, PLAIN, REFERENCE, each_door, each_streaming
from tests.support.rest import Answer, ask
from tests.support.service import Running, running
from tests.support.shared_answers import CHAT, body_of, called, calls, settings_for
from tests.support.timed import within
from tests.support.waiting import until

HELD = {"sandbox": "tokens-5+slow-head-20s"}
SLOW = {"sandbox": "tokens-5+slow-head-10ms"}
CLIENTS = 400
STUCK = 60
PATIENCE_S = 30.0


@asynccontextmanager
async def bounded(sandbox: Sandbox, max_in_flight: int | None = None, **other: Any) -> AsyncIterator[Running]:
    """A service that takes so many requests at once."""
    routing = RoutingOptions(overload=OverloadOptions(max_in_flight=max_in_flight, max_lag_s=None))
    async with running(settings_for(sandbox, routing=routing, **other), resilient=True) as service:
        yield service


@asynccontextmanager
async def full(sandbox: Sandbox) -> AsyncIterator[Running]:
    """One that has as much to do as it takes."""
    async with bounded(sandbox, 1) as service:
        held = asyncio.create_task(ask(service.address, "POST", CHAT, body_of(**HELD)))
        await called(sandbox)
        try:
            yield service
        finally:
            held.cancel()
            await asyncio.gather(held, return_exceptions=True)


async def system_of(service: Running) -> Any:
    return (await ask(service.address, "GET", "/health")).json()["system"]


# -- doors


@each_door
async def test_a_request_too_many_is_refused_the_same_way_through_every_door(sandbox: Sandbox, door: Door) -> None:
    async with full(sandbox) as service:
        told = await door.ask(service.address, chat(PLAIN))
        assert told.failure is not None
        assert told.failure.kind == ("overloaded", "service_unavailable", None, True)
        assert 0.5 <= (told.failure.retry_after_s or 0) <= 1.5
        assert len(calls(sandbox)) == 1
    await until(lambda: service.stores.pressure.in_flight == 0)


async def test_rest_tells_clients_to_come_again_and_when(sandbox: Sandbox) -> None:
    async with full(sandbox) as service:
        for stream in (False, True):
            refused = await ask(service.address, "POST", CHAT, body_of(stream=stream))
            assert refused.status == 503
            assert refused.headers["retry-after"] in ("1", "2")
            assert refused.headers["x-should-retry"] == "true"
            assert list(mistakes_of_error(refused.json(), status=503)) == []


@each_streaming
async def test_who_goes_on_with_a_stream_is_not_refused(
    sandbox: Sandbox, upstream_clock: StoppableClock, streaming: StreamingDoor
) -> None:
    async with bounded(sandbox, 1) as service:
        async with streaming.stream(service.address, chat(PLAIN, sandbox="tokens-30+pace-0")) as reading:
            first = await reading.next()
            assert first is not None
            await reading.told()
        upstream_clock.stop()
        held = asyncio.create_task(REFERENCE.ask(service.address, chat(PLAIN, **SLOW)))
        await called(sandbox, 2)
        async with streaming.resume(service.address, first.cursor) as reading:
            assert (await reading.told()).failure is None
        upstream_clock.go_on()
        assert (await held).failure is None


async def test_health_and_administration_answer_while_requests_are_refused(sandbox: Sandbox) -> None:
    async with full(sandbox) as service:
        for path in ("/health/live", "/health/ready", "/health", "/admin/limits", "/v1/models"):
            assert (await ask(service.address, "GET", path)).status == 200
        system = await system_of(service)
        assert (system["requests_in_flight"], system["shedding"]) == (1, "requests_in_flight")
    async with bounded(sandbox, 1) as service:
        assert (await system_of(service))["shedding"] is None


async def test_a_process_short_of_memory_serves_one_at_a_time(sandbox: Sandbox) -> None:
    routing = RoutingOptions(overload=OverloadOptions(max_memory_bytes=64 * 1024 * 1024))
    async with running(settings_for(sandbox, routing=routing), resilient=True) as service:
        await until(lambda: service.stores.pressure.measured)
        assert (await REFERENCE.ask(service.address, chat(PLAIN))).failure is None
        held = asyncio.create_task(ask(service.address, "POST", CHAT, body_of(**HELD)))
        await called(sandbox, 2)
        refused = await REFERENCE.ask(service.address, chat(PLAIN))
        assert refused.code == "overloaded"
        assert (await system_of(service))["shedding"] == "memory"
        assert [line["why"] for line in service.log.of("requests are refused")] == ["memory"]
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)


async def test_a_process_that_is_late_again_and_again_refuses_until_it_is_not(sandbox: Sandbox) -> None:
    routing = RoutingOptions(overload=OverloadOptions(max_lag_s=0.03))
    async with running(settings_for(sandbox, routing=routing), resilient=True) as service:
        held = asyncio.create_task(ask(service.address, "POST", CHAT, body_of(**HELD)))
        await called(sandbox)
        hogging = asyncio.create_task(hog_the_loop())
        await until(lambda: service.stores.pressure.lag.steady_s > 0.03)
        refused = await REFERENCE.ask(service.address, chat(PLAIN))
        assert (await system_of(service))["shedding"] == "event_loop_lag"
        hogging.cancel()
        assert refused.code == "overloaded"
        await until(lambda: service.stores.pressure.lag.steady_s < 0.015, within_s=PATIENCE_S)
        assert (await REFERENCE.ask(service.address, chat(PLAIN))).failure is None
        held.cancel()
        await asyncio.gather(held, hogging, return_exceptions=True)


async def hog_the_loop() -> None:
    """Work that gives the loop back every 80 ms, so that the ticks are 60 ms late."""
    while True:
        free_at = time.monotonic() + 0.08
        while time.monotonic() < free_at:
            pass
        await asyncio.sleep(0)


async def test_graphql_shows_the_same_figures(sandbox: Sandbox) -> None:
    query = """{ health { system { eventLoopLagMs { mean worst } memoryBytes memoryLimitBytes descriptors
        descriptorsLimit diskFreeBytes requestsInFlight shedding } } }"""
    async with full(sandbox) as service:
        asked = orjson.dumps({"query": query})
        told = (await ask(service.address, "POST", "/graphql", asked)).json()["data"]["health"]["system"]
        assert (told["requestsInFlight"], told["shedding"]) == (1, "requests_in_flight")
        assert told["memoryBytes"] > 0
        assert told["diskFreeBytes"] > 0
        assert told["eventLoopLagMs"]["worst"] >= told["eventLoopLagMs"]["mean"] >= 0


# -- many


@pytest.mark.timed
@pytest.mark.parametrize("max_in_flight", [None, 150])
async def test_400_at_once_on_a_slow_upstream_get_answers_or_503_and_latency_is_back_right_after(
    sandbox: Sandbox, upstream_clock: StoppableClock, max_in_flight: int | None
) -> None:
    limits = LimitsOptions(everybody=AllowanceOptions(concurrent_requests=350))
    async with bounded(sandbox, max_in_flight, limits=limits) as service:
        upstream_clock.stop()
        asking = [
            asyncio.create_task(ask(service.address, "POST", CHAT, body_of(stream=number % 2 == 0, **SLOW)))
            for number in range(CLIENTS)
        ]
        most = max_in_flight or 350
        await called(sandbox, most)
        await until(lambda: sum(task.done() for task in asking) == CLIENTS - most, within_s=PATIENCE_S)
        within(await took_s(service, "GET", "/health/live"), 1)
        upstream_clock.go_on()
        answers = await asyncio.gather(*asking)
        assert Counter(answer.status for answer in answers) == {
            200: most,
            503 if max_in_flight else 429: CLIENTS - most,
        }
        within(sorted([await took_s(service, "POST", CHAT, body_of()) for _ in range(9)])[4], 0.3)
        await until(lambda: service.stores.pressure.in_flight == 0)


@pytest.mark.timed
@pytest.mark.parametrize("places", [STUCK, 20])
async def test_60_requests_stuck_on_one_provider_leave_another_s_latency_alone(sandbox: Sandbox, places: int) -> None:
    providers = dict(settings_for(sandbox).providers)
    providers["deepseek"] = replace(
        providers["deepseek"], max_concurrency=places, max_waiting=30, max_wait_s=PATIENCE_S
    )
    async with bounded(sandbox, providers=providers) as service:
        stuck = [
            asyncio.create_task(ask(service.address, "POST", CHAT, body_of(DEEPSEEK, sandbox="stall-head")))
            for _ in range(STUCK)
        ]
        await called(sandbox, places)
        turned_away = max(0, STUCK - places - 30)
        await until(lambda: sum(task.done() for task in stuck) == turned_away, within_s=PATIENCE_S)
        times = [await took_s(service, "POST", CHAT, body_of()) for _ in range(40)]
        within(quantiles(times, n=10)[-1], 0.5)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        refused = [task.result() for task in stuck if not task.cancelled()]
        assert [answer.json()["error"]["code"] for answer in refused] == ["overloaded"] * turned_away
        assert {answer.headers["retry-after"] for answer in refused} <= {"1", "2"}


async def took_s(service: Running, method: str, path: str, body: bytes = b"") -> float:
    """How long an answer takes that is one."""
    begun = time.monotonic()
    answer: Answer = await ask(service.address, method, path, body)
    assert answer.status == 200, answer.body
    return time.monotonic() - begun
