"""Samples of several machines over days: increases within windows, restarts, machines that come and go."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.alerts.history import FINE_S, SLOT_S, History, MachineSample
from llm_service.alerts.options import LONGEST_S
from llm_service.alerts.samples import condensed, read_sample, sample_text
from tests.support.figures import Machine

REQUESTS = "llm_requests_total"
TTFC = "llm_time_to_first_chunk_seconds"


def grown(history: History, over_s: float) -> float:
    return history.increase(REQUESTS, over_s=over_s)


def sampled(machine: Machine, at: float) -> MachineSample:
    """As it is after it was kept and read again."""
    return read_sample(sample_text(condensed(machine.snapshot(at))))


def test_an_increase_is_of_its_window_alone() -> None:
    history, machine = History(interval_s=10), Machine()
    for moment in range(0, 100, 10):
        machine.requests(1)
        history.add("a", sampled(machine, moment))
    assert [grown(history, over_s) for over_s in (10, 30, 90, 1000)] == [1, 3, 9, 9]
    assert history.increase(REQUESTS, over_s=20, ending_s=50) == 2


def test_what_was_counted_before_the_first_sample_is_nobody_s_increase() -> None:
    history, machine = History(interval_s=10), Machine()
    machine.requests(1000)
    history.add("a", sampled(machine, 0))
    assert grown(history, 60) == 0


def test_increases_go_on_over_a_restart() -> None:
    history, machine = History(interval_s=10), Machine()
    for moment, requests in ((0, 0), (10, 7), (20, 5)):
        machine.requests(requests)
        machine.observe(TTFC, 0.3, times=requests)
        history.add("a", sampled(machine, moment))
    machine.restart()
    for moment, requests in ((30, 3), (40, 2)):
        machine.requests(requests)
        machine.observe(TTFC, 0.3, times=requests)
        history.add("a", sampled(machine, moment))
    assert [grown(history, over_s) for over_s in (10, 20, 40)] == [2, 5, 17]
    found = history.distribution(TTFC, over_s=40)
    assert found is not None
    assert found.count == 17


@pytest.mark.parametrize(("before", "after"), [((), ("fast",)), (("fast",), ()), (("fast",), ("slow",))])
def test_nothing_is_counted_twice_when_rules_name_other_models(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    history, machine = History(interval_s=10), Machine()
    machine.requests(1000)
    machine.observe(TTFC, 0.3, times=700, model="fast")
    machine.observe(TTFC, 0.3, times=300, model="slow")
    for moment, models in ((0, before), (10, before), (20, after), (30, after)):
        machine.requests(1)
        machine.observe(TTFC, 0.3, model="fast")
        history.add("a", read_sample(sample_text(condensed(machine.snapshot(moment), models=models))))
    assert grown(history, 60) == 3
    for named in ({}, *({"model": model} for model in after)):
        found = history.distribution(TTFC, over_s=60, **named)
        assert found is not None
        assert found.count <= 3
    last = history.distribution(TTFC, over_s=10)
    assert last is not None
    assert (last.count, round(last.sum, 9)) == (1, 0.3)


def test_a_restart_that_comes_with_other_models_is_one() -> None:
    history, machine = History(interval_s=10), Machine()
    for moment, models in ((0, ("fast",)), (10, ("fast",)), (20, ())):
        if moment == 20:
            machine.restart()
        machine.requests(5)
        machine.observe(TTFC, 0.3, times=5, model="fast")
        history.add("a", read_sample(sample_text(condensed(machine.snapshot(moment), models=models))))
    assert grown(history, 60) == 10
    found = history.distribution(TTFC, over_s=60)
    assert found is not None
    assert found.count == 10


def test_a_sum_that_was_added_up_in_another_order_is_no_restart() -> None:
    history, costs = History(interval_s=10), (0.1, 0.2, 0.3)
    sums = (costs[2] + costs[1] + costs[0], costs[0] + costs[1] + costs[2])
    for moment, cost in enumerate(sorted(sums, reverse=True)):
        machine = Machine()
        machine.count("llm_cost_usd_total", cost, provider="a")
        history.add("a", sampled(machine, moment * 10))
    assert sums[0] != sums[1]
    assert abs(history.increase("llm_cost_usd_total", over_s=60)) < 1e-9


def test_machines_are_summed_and_one_that_left_stays_counted_but_has_no_gauges() -> None:
    history, machines = History(interval_s=10), {name: Machine() for name in "ab"}
    for moment in range(0, 100, 10):
        for name, machine in machines.items():
            if name == "a" or moment <= 30:
                machine.requests(1)
                machine.gauge("llm_store_up", 0, store="limits")
                history.add(name, sampled(machine, moment))
    assert grown(history, 90) == 9 + 3
    assert history.values("llm_store_up", "store") == {"limits": [0]}


def test_a_sample_that_comes_again_or_late_changes_nothing() -> None:
    history, machine = History(interval_s=10), Machine()
    history.add("a", sampled(machine, 0))
    machine.requests(3)
    assert history.add("a", sampled(machine, 10))
    machine.requests(3)
    assert not history.add("a", sampled(machine, 10))
    assert not history.add("a", sampled(machine, 5))
    assert grown(history, 100) == 3


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60), st.integers(1, 500))
def test_an_increase_is_the_sum_of_what_was_counted_whatever_restarts(counts: list[int], over_s: int) -> None:
    """Unless a restart counts at least as much in one interval as was counted before it: then nobody can tell."""
    history, machine, total = History(interval_s=10), Machine(), 0.0
    for number, count in enumerate(counts):
        if count == 5 and total > 5:
            machine.restart()
            total = 0
        machine.requests(count)
        total += count
        history.add("a", sampled(machine, number * 10))
    begins_with = max((len(counts) - 1) * 10 - over_s, 0) // 10
    assert grown(history, over_s) == sum(counts[begins_with + 1 :])


def test_thinning_changes_long_windows_by_five_minutes_at_most_and_bounds_what_is_kept() -> None:
    history, machine, dice = History(interval_s=60), Machine(), random.Random(1)
    counted = []
    for moment in range(0, int(LONGEST_S) + 86_400, 60):
        machine.requests(dice.randrange(3))
        history.add("a", sampled(machine, moment))
        counted.append((moment, machine.snapshot(moment).total(REQUESTS)))
        if moment % 3600 == 0:
            history.thin()
    history.thin()
    kept = len(history._machines["a"].samples)
    assert kept <= LONGEST_S / SLOT_S + FINE_S / 60 + 3
    newest, total = counted[-1]
    for over_s in (3600.0, 86_400.0, LONGEST_S):
        bounds = [total - before for at, before in counted if 0 <= newest - over_s - at <= SLOT_S]
        assert min(bounds) <= grown(history, over_s) <= max(bounds)


def test_a_machine_that_is_long_gone_is_forgotten() -> None:
    history, machine = History(interval_s=60), Machine()
    history.add("gone", sampled(machine, 0))
    history.add("here", sampled(machine, LONGEST_S + 1))
    history.thin()
    assert list(history.machines) == ["here"]


# -- samples


def test_a_sample_keeps_what_rules_go_by_and_is_small() -> None:
    machine = Machine()
    for model in range(100):
        for provider in ("a", "b", "c"):
            machine.count(REQUESTS, model=f"m{model}", provider=provider, status="ok", surface="rest", cache="miss")
            machine.observe(TTFC, 0.3, model=f"m{model}", provider=provider)
    whole = machine.snapshot(5.0)
    kept = condensed(whole, models=["m7"])
    assert kept.total(REQUESTS, status="ok") == 300
    assert sorted(kept.families[TTFC].distributions) == [
        (model, provider) for model in ("", "m7") for provider in ("a", "b", "c")
    ]
    assert len(sample_text(kept)) < 1000
    assert read_sample(sample_text(kept)) == kept


def test_providers_that_are_switched_off_are_not_down() -> None:
    machine = Machine()
    for provider in ("on", "off"):
        machine.gauge("llm_provider_up", 0, provider=provider)
    kept = condensed(machine.snapshot(0), is_on=lambda name: name == "on")
    assert kept.by("llm_provider_up", "provider") == {"on": 0}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": null, "families": {}}', '{"at": 1, "families": []}'])
def test_what_is_no_sample_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no sample"):
        read_sample(text)


def test_what_another_version_wrote_is_left_out() -> None:
    requests = '"llm_requests_total": [[["ok", "new"], 1], [["ok"], 2]]'
    text = f'{{"at": 1, "families": {{"llm_new_total": [[["a"], 1]], {requests}}}}}'
    assert read_sample(text).total(REQUESTS) == 2
    short = f'{{"at": 1, "families": {{"{TTFC}": [[["", "a"], [1, 2], 0.5]]}}}}'
    assert read_sample(short).distribution(TTFC) is None


def test_samples_share_their_labels_and_empty_buckets() -> None:
    machine = Machine()
    machine.observe(TTFC, 0.3, provider="deepseek")
    one, other = sampled(machine, 0).families[TTFC], sampled(machine, 10).families[TTFC]
    ((labels, counted),), ((others, recounted),) = one.distributions.items(), other.distributions.items()
    assert all(text is same for text, same in zip(labels, others, strict=True))
    assert counted.counts[0] is recounted.counts[0]
