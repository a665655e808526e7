"""The declared workload reaches its hit ratio, and each miss has its reason."""

from dataclasses import replace
from pathlib import Path

import pytest
from bench.workloads.support_assistant import HITS, Account, Mix, expected, requests_of, run

from tests.support.process import place, serving

MODEL = "openai/sandbox/tokens-30"
COUNT = 3_000
SEED = 3


@pytest.mark.parametrize("workers", [1, 2], ids=["memory", "valkey"])
async def test_the_declared_workload_hits_four_times_of_five(tmp_path: Path, workers: int) -> None:
    asked = tuple(requests_of(Mix(), count=COUNT, seed=SEED))
    with serving(place(tmp_path, cached=True), "--workers", f"{workers}") as service:
        account = await run(service.address, key="", model=MODEL, requests=asked, connections=8)

    best = expected(Mix(), count=COUNT, seed=SEED)
    assert not account.failures
    assert account.statuses.total() == COUNT
    assert set(account.statuses) <= {*HITS, "miss"}
    assert account.hit_ratio > 0.8
    assert account.hit_ratio == pytest.approx(best.hit_ratio, abs=0.002)
    assert account.misses["forgotten"] == 0


def test_the_whole_of_the_declared_workload_can_be_hit_four_times_of_five() -> None:
    assert expected(Mix(), count=5_000, seed=1).hit_ratio > 0.85


def test_a_miss_has_its_reason() -> None:
    account = Account()
    first = next(requests_of(Mix(), count=1, seed=1))
    for asked, status in ((first, "miss"), (first, "hit"), (first, "miss"), (replace(first, version=9), "miss")):
        account.answered(asked, status)
    assert account.as_object()["hit_ratio"] == 0.25
    assert account.as_object()["misses"] == {"new": 1, "forgotten": 1, "changed": 1}
