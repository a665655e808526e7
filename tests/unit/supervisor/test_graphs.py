"""One process: requests meet the graph that is there, and end on the graph that they met."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from llm_service.bootstrap import Service
from llm_service.config import Settings
from llm_service.runtime import Tally, Tasks
from llm_service.supervisor import Edition, Graph, ReloadRefused
from llm_service.supervisor.edition import Generation
from llm_service.supervisor.graphs import HostedGraphs, ServedGraphs
from llm_service.supervisor.reload import LocalReload
from tests.support.clock import ManualClock
from tests.support.service import LogLines
from tests.support.waiting import until
from tests.unit.supervisor.conftest import loaded


class FakeService:
    """What graphs have to do with."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answering = asyncio.Event()
        self.may_end = asyncio.Event()
        self.closed = 0
        self.drained_s: float | None = None
        self.health = self.serving = self
        self.retired = 0
        self.held = 0
        self.taken_over = 0
        self.draining = False
        self.unsettled = Tally()
        self.tasks = Tasks(lambda work, failure: None)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.answering.set()
        await self.may_end.wait()
        await send(self.number)

    def hold(self) -> None:
        self.held += 1

    def took_over(self) -> None:
        self.taken_over += 1

    def retire(self) -> None:
        self.retired += 1

    async def drain(self, grace_s: float, *, hurried: asyncio.Event) -> None:
        self.drained_s = grace_s

    async def aclose(self) -> None:
        self.closed += 1


class House:
    """Graphs of fake services, and requests as the server begins them."""

    def __init__(self) -> None:
        self.log = LogLines()
        self.clock = ManualClock()
        self.services: list[FakeService] = []
        self.failure: Exception | None = None
        self.graphs = ServedGraphs(self.make(self.edition(1)), self.build)

    def edition(self, number: int) -> Edition:
        return Edition(generation=Generation(number=number, loaded_at=self.clock.now()), loaded=loaded(Settings()))

    def make(self, edition: Edition) -> Graph:
        self.services.append(FakeService(edition.generation.number))
        return Graph(edition=edition, service=cast("Service", self.services[-1]), log=self.log)

    async def build(self, edition: Edition) -> Graph:
        if self.failure is not None:
            raise self.failure
        return self.make(edition)

    async def change(self) -> bool:
        await self.graphs.prepare(self.edition(len(self.services) + 1))
        return self.graphs.commit()

    def ask(self) -> "asyncio.Future[int]":
        """A request, begun as the server begins it; which graph answered."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def send(number: int) -> None:
            answer.set_result(number)

        async def run() -> None:
            await self.graphs.server.config.app({}, None, send)  # type: ignore[operator, arg-type]

        task = asyncio.get_running_loop().create_task(run())
        tasks = self.graphs.server.server_state.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return answer


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    for service in house.services:
        service.may_end.set()
    await house.graphs.aclose()
    assert [service.closed for service in house.services] == [1] * len(house.services)


async def test_a_request_ends_on_the_graph_that_it_met_and_the_next_meets_the_new_one(house: House) -> None:
    before = house.ask()
    await house.services[0].answering.wait()
    assert await house.change()
    after = house.ask()
    house.services[1].may_end.set()
    assert await after == 2
    assert house.services[0].closed == 0
    house.services[0].may_end.set()
    assert await before == 1
    await until(lambda: house.services[0].closed)


async def test_a_graph_without_requests_is_closed_at_once(house: House) -> None:
    await house.change()
    await until(lambda: house.services[0].closed)
    assert house.services[1].closed == 0


async def test_what_cannot_be_built_leaves_all_as_it_is(house: House) -> None:
    house.failure = OSError("no such file")
    with pytest.raises(ReloadRefused, match="cannot be built: OSError: no such file"):
        await house.change()
    assert house.graphs.current.edition.generation.number == 1
    assert house.log.of("cannot build")[0]["generation"] == 2


async def test_what_is_given_up_is_closed(house: House) -> None:
    await house.graphs.prepare(house.edition(2))
    await house.graphs.abort()
    assert house.services[1].closed == 1
    assert not house.graphs.commit()


async def test_connections_that_outlive_their_requests_are_asked_to_meet_the_new_graph(house: House) -> None:
    await house.change()
    assert [service.retired for service in house.services] == [1, 0]


async def test_new_settings_are_told_of_when_they_are_in_force_and_not_before(house: House) -> None:
    await house.graphs.prepare(house.edition(2))
    assert [service.taken_over for service in house.services] == [0, 0]
    house.graphs.commit()
    assert [service.taken_over for service in house.services] == [0, 1]


async def test_a_shutdown_drains_every_graph_and_takes_no_new_one(house: House) -> None:
    house.ask()
    await house.services[0].answering.wait()
    await house.change()
    await house.graphs.prepare(house.edition(3))
    await house.graphs.drain(7.0, hurried=asyncio.Event())
    assert [service.drained_s for service in house.services] == [7.0, 7.0, None]
    assert [service.draining for service in house.services] == [True, True, False]
    assert not house.graphs.commit()
    with pytest.raises(ReloadRefused, match="shutting down"):
        await house.graphs.prepare(house.edition(4))


async def test_a_failure_to_close_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        house.services[0].closed = 1
        raise OSError("disk full")

    monkeypatch.setattr(house.services[0], "aclose", fail)
    await house.change()
    await until(lambda: house.log.of("cannot close"))


async def test_reloads_are_one_after_the_other(house: House) -> None:
    reload = LocalReload(lambda: loaded(Settings()), clock=house.clock)
    with pytest.raises(ReloadRefused, match="is starting"):
        await reload.reload()
    reload.graphs = house.graphs
    generations = await asyncio.gather(*(reload.reload() for _ in range(3)))
    assert [generation.number for generation in generations] == [2, 3, 4]
    assert [line["generation"] for line in house.log.of("reloaded")] == [2, 3, 4]


async def test_in_another_server_what_is_on_its_way_out_has_a_moment_before_the_stores_close(house: House) -> None:
    graphs = HostedGraphs(house.make(house.edition(1)), house.build)
    service, said = house.services[-1], list[int]()

    async def send(number: int) -> None:
        said.append(number)

    asking = asyncio.ensure_future(graphs({}, None, send))
    await service.answering.wait()
    draining = asyncio.ensure_future(graphs.drain(7, hurried=asyncio.Event()))
    await until(lambda: service.drained_s == 7)
    await asyncio.sleep(0)
    assert not draining.done()
    service.may_end.set()
    await draining
    assert (said, asking.done()) == ([1], True)
    await graphs.aclose()
