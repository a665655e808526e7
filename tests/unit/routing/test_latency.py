"""Figures of how long something took lately."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.routing import PeakEwma, RecentTimes

seconds = st.floats(min_value=0, max_value=600)
steps = st.lists(st.tuples(seconds, st.floats(min_value=0, max_value=100)), max_size=30)


def test_nothing_is_known_at_first() -> None:
    assert PeakEwma().value(1000.0) == 0.0


def test_a_peak_counts_at_once() -> None:
    ewma = PeakEwma()
    ewma.observe(0.1, 1000.0)
    ewma.observe(2.0, 1000.1)
    assert ewma.value(1000.1) == 2.0


@pytest.mark.parametrize("step_s", [0.01, 0.5, 5.0])
def test_what_follows_a_peak_brings_it_down_with_time_however_often_it_comes(step_s: float) -> None:
    ewma = PeakEwma(decay_s=10.0)
    ewma.observe(9.0, 0.0)
    for number in range(1, round(10 / step_s) + 1):
        ewma.observe(1.0, number * step_s)
    assert ewma.value(10.0) == pytest.approx(1.0 + 8.0 / math.e)


def test_a_figure_fades_by_itself_and_is_forgotten() -> None:
    ewma = PeakEwma(decay_s=10.0)
    ewma.observe(9.0, 0.0)
    assert ewma.value(10.0) == pytest.approx(9.0 / math.e)
    assert ewma.value(29.9) > 0.0
    assert ewma.value(30.0) == 0.0


def test_what_was_forgotten_does_not_weigh_on_the_next_figure() -> None:
    ewma = PeakEwma(decay_s=10.0)
    ewma.observe(9.0, 0.0)
    ewma.observe(1.0, 30.0)
    assert ewma.value(30.0) == 1.0


def test_reading_changes_nothing() -> None:
    ewma = PeakEwma()
    ewma.observe(9.0, 0.0)
    assert ewma.value(5.0) == ewma.value(5.0)


@given(steps=steps, took_s=seconds)
def test_the_average_lies_between_the_latest_and_the_highest_figure(
    steps: list[tuple[float, float]], took_s: float
) -> None:
    ewma, now = PeakEwma(), 0.0
    for each, delay_s in steps:
        now += delay_s
        ewma.observe(each, now)
    ewma.observe(took_s, now)
    highest = max([took_s, *(each for each, _ in steps)])
    assert took_s <= ewma.value(now) * (1 + 1e-9)
    assert ewma.value(now) <= highest * (1 + 1e-9)


@given(steps=steps, took_s=seconds, longer_s=seconds, delay_s=st.floats(min_value=0, max_value=100))
def test_a_longer_time_never_counts_for_less(
    steps: list[tuple[float, float]], took_s: float, longer_s: float, delay_s: float
) -> None:
    one, other, now = PeakEwma(), PeakEwma(), 0.0
    for each, wait_s in steps:
        now += wait_s
        one.observe(each, now)
        other.observe(each, now)
    one.observe(min(took_s, longer_s), now + delay_s)
    other.observe(max(took_s, longer_s), now + delay_s)
    assert one.value(now + delay_s) <= other.value(now + delay_s) * (1 + 1e-9)


def filled(times: int, **bounds: float) -> RecentTimes:
    recent = RecentTimes(**bounds)  # type: ignore[arg-type]
    for number in range(1, times + 1):
        recent.add(float(number), 0.0)
    return recent


def test_a_few_times_say_nothing() -> None:
    assert filled(19).quantile(0.5, 0.0) is None
    assert filled(20).quantile(0.5, 0.0) == 10.0


def test_none_is_no_time_even_where_one_would_do() -> None:
    assert RecentTimes(least=0).quantile(0.5, 0.0) is None


@pytest.mark.parametrize(
    ("q", "expected"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.951, 96.0), (0.95, 95.0), (1.0, 100.0)]
)
def test_a_quantile_is_a_time_that_was_seen(q: float, expected: float) -> None:
    assert filled(100).quantile(q, 0.0) == expected


def test_the_oldest_makes_room() -> None:
    assert filled(300, most=256).quantile(0.0, 0.0) == 45.0


def test_what_is_too_old_does_not_count() -> None:
    recent = filled(30, lasts_s=60.0)
    recent.add(99.0, 50.0)
    assert recent.quantile(1.0, 60.0) == 99.0
    assert recent.quantile(1.0, 60.1) is None


@given(
    steps=st.lists(st.tuples(st.sampled_from((0.1, 0.2, 0.3, 0.4)), st.sampled_from((0.0, 1.0, 29.0)))),
    q=st.floats(min_value=0, max_value=1),
)
def test_it_agrees_with_sorting_all_that_was_ever_seen(steps: list[tuple[float, float]], q: float) -> None:
    recent, seen, now = RecentTimes(most=5, lasts_s=60.0, least=2), [], 0.0
    for took_s, delay_s in steps:
        now += delay_s
        recent.add(took_s, now)
        seen.append((now, took_s))
        latest = sorted(took_s for at, took_s in seen[-5:] if at >= now - 60.0)
        expected = latest[max(math.ceil(q * len(latest)), 1) - 1] if len(latest) >= 2 else None
        assert recent.quantile(q, now) == expected


def test_memory_is_bounded() -> None:
    recent = RecentTimes(most=8)
    for number in range(100):
        recent.add(float(number % 3), float(number))
    assert len(recent) == 8
