"""Which providers get requests: decided at run time, in force in every process, kept in the database."""

from collections.abc import AsyncIterator, Callable

import pytest

from llm_service.domain import Body, InvalidValue, ProviderState
from llm_service.runtime import Tasks
from llm_service.services import Override, ProviderOverrides, ProviderStates, decided
from llm_service.services.follow import POLL_S
from llm_service.services.provider_overrides import PREFIX
from llm_service.storage import StoreUnavailable
from tests.support.clock import ManualClock
from tests.support.memory_keys import MemoryBulletin, MemoryFacts
from tests.support.service import LogLines
from tests.support.waiting import loop_turns

ENABLED = {"one": True, "two": True, "off": False}


class World:
    """What all processes share."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.facts = MemoryFacts()
        self.bulletin = MemoryBulletin()

    async def pass_poll(self) -> None:
        self.clock.advance(POLL_S)
        await settled()


class Process:
    """One process with its overrides, under one generation of the settings."""

    def __init__(self, world: World, *, messages: bool) -> None:
        self.log = LogLines()
        self.tasks = Tasks(lambda _, failure: pytest.fail(str(failure)))
        self.overrides = ProviderOverrides(
            world.facts,
            bulletin=world.bulletin if messages else None,
            clock=world.clock,
            tasks=self.tasks,
            log=self.log,
        )
        self.states = ProviderStates(ENABLED, self.overrides)
        self.overrides.start()

    def state(self, name: str = "one") -> ProviderState:
        return self.states.state_of(name)


async def settled() -> None:
    await loop_turns(20)


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


async def test_what_is_configured_holds_until_something_is_decided(start: Callable[..., Process]) -> None:
    process = start()
    assert [process.state(name) for name in ("one", "off", "unknown")] == ["enabled", "disabled", "disabled"]
    await process.states.put("one", "draining")
    await process.states.put("off", "enabled")
    assert [process.state(name) for name in ("one", "two", "off")] == ["draining", "enabled", "enabled"]
    await process.states.put("off", None)
    assert process.state("off") == "disabled"


async def test_a_change_holds_in_another_process_by_message(start: Callable[..., Process]) -> None:
    here, there = start(), start()
    await settled()
    await here.states.put("one", "disabled")
    await settled()
    assert there.state() == "disabled"


async def test_without_messages_it_holds_within_half_a_second(world: World, start: Callable[..., Process]) -> None:
    here, there = start(), start(messages=False)
    await settled()
    await here.states.put("one", "disabled")
    await settled()
    assert there.state() == "enabled"
    await world.pass_poll()
    assert there.state() == "disabled"


async def test_a_lost_message_is_made_good_by_the_poll(world: World, start: Callable[..., Process]) -> None:
    here, there = start(), start()
    await settled()
    world.bulletin.mute = True
    await here.states.put("one", "disabled")
    await world.pass_poll()
    assert there.state() == "disabled"


async def test_a_message_that_cannot_be_sent_does_not_undo_the_change(
    world: World, start: Callable[..., Process]
) -> None:
    process = start()
    world.bulletin.away = True
    await process.states.put("one", "disabled")
    assert process.state() == "disabled"
    assert len(process.log.of("a changed provider was not announced; other processes find it in the database")) == 1


async def test_while_the_database_is_away_what_is_known_goes_on(world: World, start: Callable[..., Process]) -> None:
    here, there = start(), start(messages=False)
    await here.states.put("one", "disabled")
    await world.pass_poll()
    world.facts.away = True
    for _ in range(3):
        await world.pass_poll()
    with pytest.raises(StoreUnavailable):
        await here.states.put("one", None)
    assert (here.state(), there.state()) == ("disabled", "disabled")
    world.facts.away = False
    await world.pass_poll()
    assert [len(there.log.of(f"changes of providers {what}")) for what in
            ("cannot be read; known states go on", "are read again")] == [1, 1]  # fmt: skip


async def test_a_decision_counts_though_another_was_not_heard_of(world: World, start: Callable[..., Process]) -> None:
    here, there = start(), start()
    await here.states.put("one", "disabled")
    await settled()
    world.bulletin.mute = True
    await there.states.put("one", "enabled")
    assert here.state() == "disabled"
    await here.states.put("one", "disabled")
    assert here.state() == "disabled"
    await there.states.catch_up()
    assert there.state() == "disabled"


@pytest.mark.parametrize("state", ["draining", None])
async def test_what_is_kept_holds_though_the_database_is_away_right_after(
    world: World, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch, state: ProviderState | None
) -> None:
    process = start(messages=False)
    await process.states.put("one", "disabled")
    keep = world.facts.put

    async def keep_and_go(name: str, value: str | None) -> None:
        await keep(name, value)
        world.facts.away = True

    monkeypatch.setattr(world.facts, "put", keep_and_go)
    await process.states.put("one", state)
    assert process.state() == (state or "enabled")
    assert len(process.log.of("a changed provider could not be read again")) == 1


async def test_a_process_that_starts_knows_what_was_decided_before(start: Callable[..., Process]) -> None:
    await start().states.put("one", "draining")
    later = start()
    await later.overrides.catch_up()
    assert later.state() == "draining"


async def test_listeners_hear_of_each_state_that_holds_and_of_no_other(
    world: World, start: Callable[..., Process]
) -> None:
    here, there = start(), start()
    heard: list[tuple[str, ProviderState]] = []
    there.states.on_change(lambda name, state: heard.append((name, state)))
    await settled()
    for name, state in (("one", "disabled"), ("two", "enabled"), ("off", "disabled"), ("gone", "disabled")):
        await here.states.put(name, state)
        await settled()
    await here.states.put("one", None)
    await settled()
    assert heard == [("one", "disabled"), ("one", "enabled")]
    there.states.close()
    await here.states.put("one", "draining")
    await settled()
    assert len(heard) == 2


async def test_a_listener_that_fails_keeps_no_other_from_hearing(start: Callable[..., Process]) -> None:
    process = start()
    heard: list[str] = []

    def fail(name: str, state: ProviderState) -> None:
        raise RuntimeError("a defect")

    process.states.on_change(fail)
    process.states.on_change(lambda name, state: heard.append(name))
    await process.states.put("one", "disabled")
    assert heard == ["one"]
    assert len(process.log.of("a changed provider was not acted upon")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "1",
        '{"state": "gone", "since": ""}',
        '{"state": "disabled"}',
        '{"state": "disabled", "since": "now"}',
    ],
)
async def test_what_makes_no_sense_in_the_database_is_left_alone_and_told_once(
    world: World, start: Callable[..., Process], text: str
) -> None:
    process = start()
    world.facts.facts[PREFIX + "one"] = text
    for _ in range(3):
        await world.pass_poll()
    assert process.state() == "enabled"
    assert len(process.log.of("a provider's state in the database makes no sense")) == 1


async def test_the_same_decision_again_keeps_its_moment(world: World, start: Callable[..., Process]) -> None:
    process = start()
    await process.states.put("one", "disabled")
    first = process.states.override_of("one")
    world.clock.advance(60)
    await process.states.put("one", "disabled")
    assert process.states.override_of("one") == first == Override("disabled", "2026-11-23T00:16:40Z")


DRAINING = Override("draining", "2026-11-23T00:00:00Z")
DISABLED = Override("disabled", "2026-11-23T00:00:00Z")


@pytest.mark.parametrize(
    ("body", "now", "state"),
    [
        ({"enabled": True}, DISABLED, "enabled"),
        ({"enabled": False}, None, "disabled"),
        ({"enabled": None}, DISABLED, None),
        ({"drain": True}, None, "draining"),
        ({"drain": True, "enabled": True}, DISABLED, "draining"),
        ({"drain": True, "enabled": None}, DISABLED, "draining"),
        ({"drain": False}, DRAINING, None),
        ({"drain": None}, DRAINING, None),
        ({"drain": False}, DISABLED, "disabled"),
        ({"drain": None}, None, None),
        ({"drain": False, "enabled": True}, DRAINING, "enabled"),
        ({"drain": None, "enabled": False}, DRAINING, "disabled"),
        ({"enabled": True}, DRAINING, "enabled"),
    ],
)
def test_the_last_word_holds(body: Body, now: Override | None, state: ProviderState | None) -> None:
    assert decided(body, now) == state


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "enabled"),
        ({"enabled": "yes"}, "enabled"),
        ({"drain": 1}, "drain"),
        ({"state": "disabled"}, "state"),
        ({"enabled": False, "drain": True}, "drain"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(body: Body, param: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        decided(body, None)
    assert refused.value.param == param
