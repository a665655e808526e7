"""Nobody is believed dead too soon, and whoever is dead is believed to be in the end."""

from collections.abc import Sequence

import pytest

from llm_service.storage import MemoryLimits, StoreUnavailable
from llm_service.streams import Vitals
from llm_service.streams.vitals import MOST_SILENT, SILENT_S
from tests.support.clock import ManualClock


class Limits(MemoryLimits):
    """A store that several processes share, as far as signs of life go."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, life="one")
        self.living = {"other"}
        self.now_life = "one"
        self.is_away = False
        self.asked: list[str] = []

    @property
    def life(self) -> str:
        return self.now_life

    async def lives(self, holder: str) -> bool:
        self.asked.append(holder)
        if self.is_away:
            raise StoreUnavailable("away")
        return holder in self.living


class Site:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.limits = Limits(self.clock)
        self.vitals = Vitals(self.limits, holder="me", clock=self.clock)

    async def looks(self, seconds: float, *, every_s: float = 1.0) -> Sequence[bool]:
        """What is said of the other one, each time after so long."""
        said = []
        for _ in range(round(seconds / every_s)):
            self.clock.advance(every_s)
            said.append(await self.vitals.lives("other"))
        return said


@pytest.fixture
def site() -> Site:
    return Site()


async def test_own_process_lives_whatever_the_store_says(site: Site) -> None:
    assert await site.vitals.lives("me")
    assert site.limits.asked == []


@pytest.mark.parametrize("every_s", [0.125, 0.5, 1.0])
async def test_holder_is_dead_after_a_silence_that_was_looked_at(site: Site, every_s: float) -> None:
    assert await site.looks(2) == [True] * 2
    site.limits.living.clear()
    assert await site.vitals.lives("other")
    said = await site.looks(SILENT_S + 1, every_s=every_s)
    assert said.index(False) == SILENT_S / every_s - 1
    assert not any(said[said.index(False) :])


async def test_first_look_believes_nothing(site: Site) -> None:
    site.limits.living.clear()
    site.clock.advance(1000)
    assert await site.vitals.lives("other")


async def test_beat_ends_the_silence(site: Site) -> None:
    site.limits.living.clear()
    assert await site.looks(3) == [True] * 3
    site.limits.living.add("other")
    assert await site.looks(1) == [True]
    site.limits.living.clear()
    assert await site.looks(4) == [True, True, True, False]
    site.limits.living.add("other")
    assert await site.looks(1) == [True]


@pytest.mark.parametrize("away_s", [1, 20])
async def test_store_that_is_away_says_of_nobody_that_it_is_dead(site: Site, away_s: int) -> None:
    site.limits.living.clear()
    assert await site.looks(3) == [True] * 3
    site.limits.is_away = True
    assert await site.looks(away_s) == [True] * away_s
    site.limits.is_away = False
    assert await site.looks(4) == [True, True, True, False]


async def test_silence_does_not_count_across_another_life_of_the_store(site: Site) -> None:
    site.limits.living.clear()
    assert await site.looks(4) == [True, True, True, False]
    site.limits.now_life = "two"
    assert await site.looks(4) == [True, True, True, False]


async def test_time_in_which_nobody_looked_is_no_silence(site: Site) -> None:
    site.limits.living.clear()
    assert await site.looks(10 * SILENT_S, every_s=SILENT_S + 0.5) == [True] * 9
    assert await site.looks(4) == [True, True, False, False]


async def test_long_time_between_two_looks_counts_in_part(site: Site) -> None:
    site.limits.living.clear()
    assert await site.looks(8, every_s=2) == [True, True, True, False]


async def test_silence_of_one_is_not_that_of_another_and_is_remembered_of_so_many(site: Site) -> None:
    site.limits.living.clear()
    assert await site.looks(4) == [True, True, True, False]
    assert await site.vitals.lives("third")
    for number in range(2 * MOST_SILENT):
        assert await site.vitals.lives(f"{number}")
    assert len(site.vitals._silence) <= MOST_SILENT
    assert await site.vitals.lives("other")
