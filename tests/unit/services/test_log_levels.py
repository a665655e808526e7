"""The level of the log at run time: in force in every process, kept in the database, for a while or for good."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llm_service.domain import Body, InvalidValue, LedgerUnavailable
from llm_service.observability import LevelOverride
from llm_service.runtime import Tasks
from llm_service.services import LogLevels, level_object
from llm_service.services.follow import POLL_S
from llm_service.services.log_levels import FACT
from tests.support.clock import ManualClock
from tests.support.memory_keys import MemoryBulletin, MemoryFacts
from tests.support.service import LogLines
from tests.support.waiting import loop_turns


class World:
    """What all processes share."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.facts = MemoryFacts()
        self.bulletin = MemoryBulletin()

    async def passes(self, seconds: float = POLL_S) -> None:
        self.clock.advance(seconds)
        await loop_turns(20)


class Process:
    def __init__(self, world: World, *, messages: bool) -> None:
        self.log = LogLines()
        self.tasks = Tasks(lambda _, failure: pytest.fail(str(failure)))
        self.override = LevelOverride()
        self.levels = LogLevels(
            world.facts,
            override=self.override,
            bulletin=world.bulletin if messages else None,
            clock=world.clock,
            tasks=self.tasks,
            log=self.log,
        )
        self.levels.start()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def start(world: World) -> AsyncIterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*, messages: bool = True) -> Process:
        started.append(Process(world, messages=messages))
        return started[-1]

    yield start
    for process in started:
        await process.tasks.aclose()


@pytest.mark.parametrize("messages", [True, False])
async def test_a_level_holds_in_every_process_and_outlives_them(
    world: World, start: Callable[..., Process], *, messages: bool
) -> None:
    one, two = start(messages=messages), start(messages=messages)
    await one.levels.change({"log_level": "debug"})
    assert one.override.level == "debug"
    await world.passes(0 if messages else POLL_S)
    assert two.override.level == "debug"
    later = start()
    await later.levels.catch_up()
    assert later.override.level == "debug"
    await two.levels.change({"log_level": None})
    await world.passes()
    assert [process.override.level for process in (one, two, later)] == [None] * 3
    assert one.levels.decided is None


async def test_a_level_for_a_while_ends_by_itself_also_without_the_database(
    world: World, start: Callable[..., Process]
) -> None:
    one, two = start(), start()
    await one.levels.change({"log_level": "error", "log_level_for_s": 600})
    await world.passes()
    assert one.levels.decided is not None
    assert level_object(one.levels.decided) == {
        "level": "error",
        "since": "2026-11-23T00:16:40Z",
        "until": "2026-11-23T00:26:40Z",
    }
    await world.passes(598)
    assert two.override.level == "error"
    world.facts.away = True
    for _ in range(4):
        await world.passes()
    assert [one.override.level, two.override.level] == [None, None]
    world.facts.away = False
    await world.passes()
    assert [one.override.level, two.override.level] == [None, None]


async def test_each_change_is_told_once(world: World, start: Callable[..., Process]) -> None:
    process = start()
    await process.levels.change({"log_level": "debug"})
    for _ in range(3):
        await world.passes()
    await process.levels.change({"log_level": None})
    assert [line["event"] for line in process.log.lines] == [
        "the log goes by another level",
        "the log goes by the configured level again",
    ]


async def test_nothing_is_decided_while_the_database_is_away(world: World, start: Callable[..., Process]) -> None:
    process = start()
    world.facts.away = True
    with pytest.raises(LedgerUnavailable):
        await process.levels.change({"log_level": "debug"})
    assert process.override.level is None


async def test_what_makes_no_sense_is_told_once_and_changes_nothing(
    world: World, start: Callable[..., Process]
) -> None:
    process = start()
    for text in ("{", '{"level": "loud", "since": "2026-11-23T00:00:00Z", "until": null}', "[]"):
        await world.facts.put(FACT, text)
        await world.passes()
        await world.passes()
    assert process.override.level is None
    assert len(process.log.of("the level of the log in the database makes no sense")) == 3


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "log_level"),
        ({"log_level": "loud"}, "log_level"),
        ({"log_level": ["debug"]}, "log_level"),
        ({"log_level": "debug", "log_level_for_s": 0}, "log_level_for_s"),
        ({"log_level": "debug", "log_level_for_s": True}, "log_level_for_s"),
        ({"log_level": "debug", "log_level_for_s": 604_801}, "log_level_for_s"),
        ({"log_level_for_s": 5}, "log_level"),
        ({"log_level": "debug", "log_format": "text"}, "log_format"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(start: Callable[..., Process], body: Any, param: str) -> None:
    refused: Body = body
    with pytest.raises(InvalidValue) as raised:
        await start().levels.change(refused)
    assert raised.value.param == param
