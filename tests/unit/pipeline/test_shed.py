"""The stage that refuses what is too much, and counts what it lets in until that settles."""

import random
from pathlib import Path
from typing import Any, cast

import pytest

from llm_service.domain import Caller, Outcome, Overloaded, Reply, chat_request
from llm_service.pipeline import Exchange, Shed, Watcher
from llm_service.routing import Overload, OverloadOptions
from llm_service.runtime import Pressure, Tasks
from tests.support.clock import ManualClock
from tests.support.service import LogLines

OK = Outcome(status="ok")


def an_exchange() -> Exchange:
    return Exchange(
        id="req_1",
        stream_id="str_1",
        surface="rest",
        request=chat_request({"model": "p/m", "messages": [{"role": "user", "content": "Hi"}]}, 60),
        caller=Caller(key_id="key_1", scopes=frozenset()),
        tasks=Tasks(lambda work, failure: None),
        received_at=0.0,
    )


async def reply(_: Exchange) -> Reply:
    return cast(Reply, "the reply")


class World:
    def __init__(self, tmp_path: Path, **options: Any) -> None:
        clock = ManualClock()
        self.pressure = Pressure(tmp_path, clock=clock)
        self.overload = Overload(
            self.pressure, OverloadOptions(**options), workers=1, clock=clock, log=LogLines(), give_back=lambda: None
        )
        self.stage = Shed(self.pressure, self.overload, random.Random(1))


async def test_requests_are_counted_until_they_settle(tmp_path: Path) -> None:
    world = World(tmp_path)
    exchanges = [an_exchange(), an_exchange()]
    for exchange in exchanges:
        assert await world.stage(exchange, reply) == "the reply"
    assert world.pressure.in_flight == 2
    exchanges[0].settle(OK)
    exchanges[0].settle(OK)
    assert world.pressure.in_flight == 1
    exchanges[1].settle(Outcome(status="aborted"))
    assert world.pressure.in_flight == 0


async def test_one_that_cannot_close_its_account_is_not_counted_any_more(tmp_path: Path) -> None:
    class Broken(Watcher):
        def settle(self, outcome: Outcome) -> None:
            raise OSError("broken")

    world, exchange = World(tmp_path), an_exchange()
    await world.stage(exchange, reply)
    exchange.watchers.append(Broken())
    with pytest.raises(OSError, match="broken"):
        exchange.settle(OK)
    assert world.pressure.in_flight == 0


async def test_a_request_too_many_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    world = World(tmp_path, max_in_flight=1)
    first, second = an_exchange(), an_exchange()
    await world.stage(first, reply)
    with pytest.raises(Overloaded) as refused:
        world.stage(second, reply)
    assert (second.watchers, world.pressure.in_flight, world.overload.refused) == ([], 1, 1)
    assert 0.5 <= (refused.value.retry_after_s or 0) <= 1.5
    first.settle(OK)
    assert await world.stage(second, reply) == "the reply"


async def test_what_is_asked_for_the_sake_of_a_request_that_was_let_in_is_not_refused(tmp_path: Path) -> None:
    world = World(tmp_path, max_in_flight=1)
    first, inner = an_exchange(), an_exchange()
    inner.surface = "filter"
    await world.stage(first, reply)
    assert await world.stage(inner, reply) == "the reply"
    assert world.pressure.in_flight == 2
    inner.settle(OK)
    assert world.pressure.in_flight == 1


async def test_clients_that_are_refused_together_are_not_to_come_again_together(tmp_path: Path) -> None:
    world = World(tmp_path, max_in_flight=1)
    await world.stage(an_exchange(), reply)
    times = set()
    for _ in range(20):
        with pytest.raises(Overloaded) as refused:
            world.stage(an_exchange(), reply)
        times.add(refused.value.retry_after_s)
    assert len(times) == 20


async def test_each_measurement_is_judged(tmp_path: Path) -> None:
    world = World(tmp_path, max_memory_bytes=64 * 1024 * 1024)
    await world.stage(an_exchange(), reply)
    world.pressure.memory_bytes = 10**9
    await world.stage(an_exchange(), reply)
    world.pressure.measured += 1
    with pytest.raises(Overloaded):
        world.stage(an_exchange(), reply)
