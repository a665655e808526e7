"""What is told of budgets: how much is used, and whether the limit store and the ledger agree."""

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from llm_service.bootstrap.gauges import ServiceGauges
from llm_service.domain import Limit, LimitState
from llm_service.observability import catalog
from tests.support.clock import ManualClock

USD = 10**9


def budget(subject: str) -> Limit:
    return Limit(key=f"model.{subject}", scope="model", subject=subject, kind="money", amount=100 * USD)


class Books:
    """A limit store and a ledger: what each has of every budget."""

    local = False

    def __init__(self, **both: tuple[int, int]) -> None:
        self.both = both

    async def read(self, limits: Sequence[Limit]) -> Sequence[LimitState]:
        return [LimitState(limit=one, used=self.both[one.subject][0] * USD, reserved=0) for one in limits]

    async def spent(
        self, scope: str, subject: str, *, since: datetime | None, until: datetime | None
    ) -> tuple[int, None]:
        return self.both[subject][1] * USD, None


async def told(**both: tuple[int, int]) -> dict[str, float]:
    books = Books(**both)
    ground: Any = SimpleNamespace(
        settings=SimpleNamespace(models={}),
        stores=SimpleNamespace(gate=books, database=SimpleNamespace(ledger=books)),
        clock=ManualClock(),
    )
    rules: Any = SimpleNamespace(configured=lambda: [budget(subject) for subject in both])
    gauges = ServiceGauges(ground, SimpleNamespace(), rules, None, leads=True)  # type: ignore[arg-type]
    return {metric.name: value for metric, _, value in await gauges.of_budgets()}


@pytest.mark.parametrize(
    ("both", "drift_usd"),
    [
        ({"one": (12, 10), "two": (5, 5)}, 2.0),
        ({"one": (10, 60), "two": (5, 5)}, -50.0),
        ({"one": (10, 13), "two": (7, 5)}, -3.0),
    ],
    ids=["beyond the ledger", "the store has lost writes", "the larger of two"],
)
async def test_the_budget_that_differs_most_is_told_whichever_side_has_more(
    both: dict[str, tuple[int, int]], drift_usd: float
) -> None:
    found = await told(**both)
    assert found[catalog.LIMIT_DRIFT.name] == pytest.approx(drift_usd)
    assert found[catalog.BUDGET_USED.name] == max(used for used, _ in both.values()) / 100
