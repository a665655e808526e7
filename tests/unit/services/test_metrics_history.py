"""Samples are taken while somebody looks, and are the figures of the time between them."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from llm_service.domain import InvalidValue
from llm_service.observability import Snapshot
from llm_service.runtime import Tasks
from llm_service.services.metrics_frame import MOST_NAMES, SERIES, TOP, MetricsSnapshot, stamp
from llm_service.services.metrics_history import AT_ONCE, MOST_POINTS, TELL_S, WARM_S, MetricsHistory
from tests.support.clock import ManualClock
from tests.support.measured import Measured
from tests.support.memory_keys import MemoryBulletin
from tests.support.service import LogLines
from tests.support.timed import within
from tests.support.untraced import untraced
from tests.support.waiting import loop_turns


class Site:
    """One process, or one of several that share a bulletin."""

    def __init__(self, clock: ManualClock | None = None, bulletin: MemoryBulletin | None = None) -> None:
        self.clock = clock or ManualClock()
        self.source = Measured(self.clock)
        self.log = LogLines()
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda _, failure: self.failures.append(failure))
        self.history = MetricsHistory(self.source, bulletin=bulletin, clock=self.clock, tasks=self.tasks, log=self.log)
        self.history.start()

    async def seconds(self, count: int, **requests: object) -> None:
        """So many seconds pass, in each of which one such request ends."""
        for _ in range(count):
            await loop_turns(5)
            if requests:
                self.source.request(**requests)  # type: ignore[arg-type]
            self.clock.advance(1)
        await loop_turns(5)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.tasks.aclose()
    assert site.failures == []


def looked_at(site: Site, interval_s: float = 1) -> list[MetricsSnapshot]:
    seen: list[MetricsSnapshot] = []
    site.history.follow(seen.append, interval_s=interval_s)
    return seen


async def test_who_is_not_looked_at_reads_nothing(site: Site) -> None:
    await site.seconds(5)
    assert (site.source.reads, site.clock.timers) == (0, 0)


async def test_a_snapshot_comes_each_second_with_what_was_done_in_it(site: Site) -> None:
    seen = looked_at(site)
    await site.seconds(3, duration_s=0.2, tokens=10, cost_usd=0.001)
    assert len(seen) == 3
    last = seen[-1]
    assert (last.requests_per_s, last.errors_per_s, last.error_ratio) == (1.0, 0.0, 0.0)
    assert (last.input_tokens_per_s, last.output_tokens_per_s, last.cost_usd_per_h) == (10.0, 10.0, 3.6)
    assert (last.interval_s, last.window_s, last.workers) == (1.0, 3.0, 1)
    assert last.latency_p50_s is not None
    assert 0.1 <= last.latency_p50_s <= 0.25


@pytest.mark.timed
async def test_what_is_counted_before_the_first_sample_is_nobodys(site: Site) -> None:
    for _ in range(1000):
        site.source.request(duration_s=100)
    seen = looked_at(site)
    await site.seconds(2, duration_s=0.002)
    assert seen[-1].requests_per_s == 1.0
    within(seen[-1].latency_p99_s or 9, 0.01)


async def test_ratios_are_of_ten_seconds_and_rates_of_the_interval(site: Site) -> None:
    seen = looked_at(site)
    await site.seconds(5, status="error", cache="miss")
    await site.seconds(5, status="ok", cache="hit")
    await site.seconds(1)
    assert (seen[-1].requests_per_s, seen[-1].error_ratio, seen[-1].hit_ratio) == (0.0, 0.444444, 0.555556)
    await site.seconds(12)
    assert (seen[-1].error_ratio, seen[-1].latency_p95_s, seen[-1].by_provider) == (None, None, ())


async def test_what_a_limit_or_a_client_ended_is_no_error(site: Site) -> None:
    seen = looked_at(site)
    for status in ("ok", "error", "aborted", "refused", "interrupted"):
        await site.seconds(1, status=status)
    assert seen[-1].error_ratio == 0.4


async def test_providers_and_models_are_told_apart_the_busiest_first(site: Site) -> None:
    seen = looked_at(site)
    await site.seconds(1)
    for number in range(15):
        for _ in range(number + 1):
            site.source.request(provider=f"p{number}", model=f"m{number}", status="error" if number == 14 else "ok")
    await site.seconds(1)
    by_provider = seen[-1].by_provider
    assert [one.name for one in by_provider] == [f"p{number}" for number in range(14, 14 - TOP, -1)]
    assert [one.name for one in seen[-1].by_model] == [f"m{number}" for number in range(14, 14 - TOP, -1)]
    assert (by_provider[0].error_ratio, by_provider[1].error_ratio) == (1.0, 0.0)


async def test_of_very_many_names_only_some_are_kept(site: Site) -> None:
    looked_at(site)
    for number in range(3 * MOST_NAMES):
        site.source.request(model=f"m{number}")
    await site.seconds(2)
    assert len(site.history._names[-1].models) == MOST_NAMES


async def test_who_comes_to_be_among_the_busiest_is_not_told_with_all_that_it_ever_had(site: Site) -> None:
    for number in range(MOST_NAMES + 1):
        for _ in range(3 if number else 2):
            site.source.request(model=f"m{number}")
    seen = looked_at(site)
    await site.seconds(1)
    for _ in range(5):
        site.source.request(model="m0")
    await site.seconds(1)
    assert seen[-1].by_model == ()
    await site.seconds(12, model="m0")
    assert [(one.name, one.requests_per_s) for one in seen[-1].by_model] == [("m0", 1.0)]


async def test_what_nobody_was_asked_for_is_no_provider_s(site: Site) -> None:
    seen = looked_at(site)
    await site.seconds(2, provider="none", cache="hit")
    assert seen[-1].requests_per_s == 1.0
    assert seen[-1].by_provider == ()
    assert [one.name for one in seen[-1].by_model] == ["m"]


@pytest.mark.timed
async def test_very_many_series_do_not_hold_up_what_else_there_is_to_do(site: Site) -> None:
    for number in range(1000):
        site.source.request(model=f"m{number // 2}", provider=f"p{number % 2}")
    snapshot = await site.source.read()
    with untraced():
        longest_s = min([await _held_s(site, snapshot) for _ in range(10)])
    within(longest_s, 0.005)


async def _held_s(site: Site, snapshot: Snapshot) -> float:
    """The longest time, of the CPU, for which the event loop did nothing else."""
    work = asyncio.ensure_future(site.history._take_in(snapshot))
    longest_s, before = 0.0, time.thread_time()
    while not work.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest_s, before = max(longest_s, now - before), now
    return longest_s


async def test_each_who_follows_has_an_interval_of_its_own_until_it_leaves(site: Site) -> None:
    quick, slow = looked_at(site, 1), list[MetricsSnapshot]()
    following = site.history.follow(slow.append, interval_s=5)
    await site.seconds(11, tokens=1)
    assert (len(quick), len(slow)) == (11, 3)
    assert slow[-1].interval_s == 5.0
    assert slow[-1].requests_per_s == 1.0
    following.close()
    await site.seconds(6)
    assert len(slow) == 3


async def test_samples_go_on_for_a_while_after_the_last_look_and_then_end(site: Site) -> None:
    site.history.follow(lambda _: None, interval_s=1).close()
    await site.seconds(int(WARM_S) + 2)
    reads = site.source.reads
    assert reads >= WARM_S
    await site.seconds(5)
    assert (site.source.reads, site.clock.timers) == (reads, 0)


async def test_a_counter_that_begins_anew_is_no_negative_rate(site: Site) -> None:
    seen = looked_at(site)
    await site.seconds(3, tokens=10)
    site.source._numbers.clear()
    site.source._distributions.clear()
    await site.seconds(1)
    assert min(seen[-1].requests_per_s, seen[-1].input_tokens_per_s, seen[-1].cost_usd_per_h) == 0.0


async def test_a_source_that_fails_is_told_once_and_read_again(site: Site) -> None:
    seen = looked_at(site)
    site.source.failure = OSError("no figures")
    await site.seconds(3)
    site.source.failure = None
    await site.seconds(3)
    assert len(site.log.of("figures cannot be read")) == 1
    assert len(seen) == 2


async def test_a_clock_that_was_set_back_begins_anew(site: Site) -> None:
    seen = looked_at(site)
    await site.seconds(3, tokens=1)
    site.clock.set_back(3600)
    await site.seconds(3, tokens=1)
    assert seen[-1].requests_per_s == 1.0


async def test_a_clock_that_was_set_back_while_nobody_looked_leaves_no_hole(site: Site) -> None:
    site.history.follow(lambda _: None, interval_s=1).close()
    await site.seconds(int(WARM_S) + 2, tokens=1)
    site.clock.set_back(3600)
    site.history.follow(lambda _: None, interval_s=1)
    await site.seconds(400, tokens=1)
    told = await site.history.series(window_s=390, step_s=10)
    assert told["series"]["requests_per_s"] == [1.0] * 39


# -- series


async def test_a_series_has_a_figure_for_each_step(site: Site) -> None:
    looked_at(site)
    await site.seconds(30, tokens=7)
    told = await site.history.series(window_s=20, step_s=5)
    assert (told["step_s"], len(told["at"])) == (5, 4)
    assert told["at"][-1] == "2026-11-23T00:17:10.000Z"
    assert tuple(told["series"]) == SERIES
    assert told["series"]["requests_per_s"] == [1.0] * 4
    assert told["series"]["input_tokens_per_s"] == [7.0] * 4


async def test_the_first_look_finds_nothing_and_the_next_ones_find_more(site: Site) -> None:
    first = await site.history.series(window_s=10, step_s=1)
    assert first["series"]["requests_per_s"] == [None] * 10
    await site.seconds(3, tokens=1)
    later = await site.history.series(window_s=10, step_s=1)
    assert later["series"]["requests_per_s"] == [None] * 7 + [1.0] * 3


async def test_an_hour_is_kept_at_ten_seconds_and_five_minutes_at_one(site: Site) -> None:
    looked_at(site)
    await site.seconds(3700, tokens=1)
    history = site.history
    assert (len(history._fine), len(history._coarse)) == (301, 361)
    hour = await history.series(window_s=3600, step_s=1)
    assert (hour["step_s"], len(hour["at"])) == (10, 360)
    assert hour["series"]["requests_per_s"].count(None) <= 1
    assert {one for one in hour["series"]["requests_per_s"] if one is not None} == {1.0}
    minutes = await history.series(window_s=300, step_s=1)
    assert minutes["series"]["requests_per_s"] == [1.0] * 300


async def test_a_hole_stays_a_hole(site: Site) -> None:
    site.history.follow(lambda _: None, interval_s=1).close()
    await site.seconds(int(WARM_S) + 2, tokens=1)
    await site.seconds(60, tokens=1)  # nobody has looked for long
    await site.history.series(window_s=60, step_s=10)
    await site.seconds(20, tokens=1)
    told = await site.history.series(window_s=600, step_s=10)
    figures = told["series"]["requests_per_s"]
    assert figures[-2:] == [1.0, 1.0]
    assert None in figures[-8:-2]
    assert 1.0 in figures[:-8]


async def test_what_is_told_after_a_hole_is_of_the_last_second(site: Site) -> None:
    site.history.follow(lambda _: None, interval_s=1).close()
    await site.seconds(int(WARM_S) + 60, tokens=1)
    seen = looked_at(site)
    await site.seconds(1, tokens=1)
    assert [(one.interval_s, one.requests_per_s) for one in seen] == [(1.0, 1.0)]


async def test_a_series_after_a_hole_goes_up_to_now(site: Site) -> None:
    site.history.follow(lambda _: None, interval_s=1).close()
    await site.seconds(int(WARM_S) + 60, tokens=1)
    told = await site.history.series(window_s=10, step_s=1)
    assert told["at"][-1] == stamp(site.clock.time())


async def test_of_less_than_a_step_the_last_one_is_told(site: Site) -> None:
    looked_at(site)
    await site.seconds(30, tokens=7)
    told = await site.history.series(window_s=5, step_s=10)
    assert told["series"]["requests_per_s"] == [1.0]


async def test_an_hour_of_figures_does_not_hold_up_what_else_there_is_to_do(site: Site) -> None:
    looked_at(site)
    await site.seconds(20, tokens=1)
    asked = asyncio.ensure_future(site.history.series(window_s=3600, step_s=10))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= len(asked.result()["at"]) // AT_ONCE


async def test_too_many_steps_are_refused(site: Site) -> None:
    with pytest.raises(InvalidValue):
        await site.history.series(window_s=MOST_POINTS * 20.0, step_s=10)


# -- several processes


async def test_a_look_at_one_process_has_the_others_take_samples() -> None:
    clock, bulletin = ManualClock(), MemoryBulletin()
    here, there = Site(clock, bulletin), Site(clock, bulletin)
    looked_at(here)
    await here.seconds(5)
    assert there.source.reads >= 4
    assert len(bulletin.heard) == 1  # and not one for each second
    for site in (here, there):
        await site.tasks.aclose()


async def test_the_others_take_samples_for_as_long_as_somebody_looks() -> None:
    clock, bulletin = ManualClock(), MemoryBulletin()
    here, there = Site(clock, bulletin), Site(clock, bulletin)
    following = here.history.follow(lambda _: None, interval_s=1)
    await here.seconds(int(2 * WARM_S))
    assert there.source.reads >= 2 * WARM_S - 5
    assert len(bulletin.heard) <= 2 * WARM_S / TELL_S + 1
    following.close()
    for site in (here, there):  # and then as long as they are said to
        reads = site.source.reads
        await site.seconds(1)
        assert site.source.reads > reads
    await here.seconds(int(WARM_S))
    assert clock.timers == 0
    for site in (here, there):
        await site.tasks.aclose()


async def test_a_bulletin_that_is_away_is_no_obstacle() -> None:
    bulletin = MemoryBulletin()
    bulletin.away = True
    site = Site(bulletin=bulletin)
    seen = looked_at(site)
    await site.seconds(2)
    assert len(seen) == 2
    await site.tasks.aclose()
    assert site.failures == []
