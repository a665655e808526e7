"""One process at a time: others wait for their turn, and a dead one's turn is taken over once."""

import asyncio
from collections.abc import Mapping

import pytest

from llm_service.services import Turn
from llm_service.services.turn import STALE_S
from tests.support.clock import ManualClock
from tests.support.waiting import loop_turns


class Facts:
    """Facts in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        await loop_turns()
        return self.kept.get(name)

    async def having(self, prefix: str) -> Mapping[str, str]:
        await loop_turns()
        return {name: value for name, value in self.kept.items() if name.startswith(prefix)}

    async def put_if_absent(self, name: str, value: str) -> str:
        await loop_turns()
        return self.kept.setdefault(name, value)

    async def put(self, name: str, value: str | None) -> None:
        await loop_turns()
        self.kept.pop(name, None) if value is None else self.kept.update({name: value})


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def turn(facts: Facts, clock: ManualClock, holder: str) -> Turn:
    return Turn(facts, name="work", holder=holder, clock=clock)


async def test_a_second_process_waits_for_its_turn(facts: Facts, clock: ManualClock) -> None:
    async with turn(facts, clock, "a").taken() as first, turn(facts, clock, "b").taken() as second:
        assert (first, second) == (True, False)
    async with turn(facts, clock, "b").taken() as later:
        assert later
    assert facts.kept == {}


async def test_who_fails_leaves_the_turn_until_what_it_began_has_surely_arrived(
    facts: Facts, clock: ManualClock
) -> None:
    with pytest.raises(ValueError, match="failed"):
        async with turn(facts, clock, "a").taken():
            raise ValueError("failed")
    async with turn(facts, clock, "b").taken() as early:
        assert not early
    clock.advance(STALE_S)
    async with turn(facts, clock, "b").taken() as later:
        assert later


async def test_a_dead_processs_turn_is_taken_over_by_exactly_one(facts: Facts, clock: ManualClock) -> None:
    await facts.put("work", f"dead {clock.time():.6f}")
    clock.advance(STALE_S - 1)
    async with turn(facts, clock, "a").taken() as early:
        assert not early
    clock.advance(1)
    at_work: list[str] = []

    async def work(holder: str) -> bool:
        async with turn(facts, clock, holder).taken() as ours:
            if ours:
                at_work.append(holder)
                assert len(at_work) == 1
                await loop_turns()
                at_work.remove(holder)
            return ours

    assert any(await asyncio.gather(*(work(f"p{number}") for number in range(8))))
    assert "work" not in facts.kept
