"""How the stores are, in `/health`: asked for at most once a second, and never longer than that."""

import asyncio
from typing import Any, cast

import pytest

from llm_service.ledger import LedgerState
from llm_service.services import DatabaseHealth, Health, StoreHealth
from llm_service.services import store_health as module
from llm_service.storage import Database, StoreState, StoreUnavailable
from tests.support.clock import ManualClock
from tests.support.control import client_of, parts_of
from tests.support.usage_service import Books
from tests.unit.api.test_openapi import schema


class Asked:
    """A database that answers as it is told to."""

    reach = "cluster"

    def __init__(self) -> None:
        self.pings = 0
        self.away: str | None = None
        self.hangs = False

    async def ping(self) -> None:
        self.pings += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away is not None:
            raise StoreUnavailable(self.away)


def health(asked: Asked, clock: ManualClock) -> DatabaseHealth:
    return DatabaseHealth(cast("Database", asked), clock)


async def test_many_who_ask_at_once_are_one_question_a_second() -> None:
    asked, clock = Asked(), ManualClock()
    of_database = health(asked, clock)
    reports: list[dict[str, Any]] = await asyncio.gather(*(of_database.report() for _ in range(20)))
    assert (asked.pings, {report["up"] for report in reports}) == (1, {True})
    clock.advance(1.0)
    await of_database.report()
    assert asked.pings == 2


async def test_since_tells_when_it_went_away_and_came_back() -> None:
    asked, clock = Asked(), ManualClock()
    of_database = health(asked, clock)
    up = await of_database.report()
    asked.away = "the database does not answer"
    clock.advance(5.0)
    away = await of_database.report()
    clock.advance(5.0)
    still = await of_database.report()
    asked.away = None
    clock.advance(5.0)
    back = await of_database.report()
    assert (away["up"], away["cause"], away["reach"]) == (False, "the database does not answer", "cluster")
    assert up["since"] < away["since"] == still["since"] < back["since"]
    assert (back["up"], back["cause"]) == (True, None)


async def test_a_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASKED_FOR_S", 0.01)
    asked = Asked()
    asked.hangs = True
    report = await health(asked, ManualClock()).report()
    assert (report["up"], report["cause"]) == (False, "it does not answer in time")


async def test_the_report_tells_a_shared_store_that_is_away_and_a_ledger_that_waits() -> None:
    clock = ManualClock()
    books = Books(clock=clock)
    shared = StoreState(up=False, since=clock.now(), cause="nothing listens there")
    waiting = LedgerState(
        unshipped_records=3,
        oldest_unshipped_s=1.5,
        unsynced_bytes=10,
        unwritten_records=0,
        open_requests=1,
        dead_journals=0,
        error="the database does not answer",
        failing_since=clock.now(),
    )
    stores = StoreHealth(
        gate=books.gate,
        cache_reach="cluster",
        shared=lambda: shared,
        database=health(Asked(), clock),
        ledger=lambda: waiting,
    )
    of_service = Health(version="1.2.3", sandbox=False, providers={}, clock=clock, stores=stores)
    report = (await client_of(parts_of(health=of_service)).get("/health")).json()
    schema("HealthReport").validate(report)
    assert report["stores"]["limits"] == {
        "reach": "process",
        "up": False,
        "cause": "nothing listens there",
        "since": "2026-11-23T00:16:40Z",
        "stands_in": False,
    }
    assert report["stores"]["cache"] == {
        "reach": "process",
        "up": False,
        "cause": "nothing listens there",
        "since": "2026-11-23T00:16:40Z",
    }
    assert report["status"] == "degraded"
    assert report["stores"]["ledger"]["failing_since"] == "2026-11-23T00:16:40Z"
    assert report["stores"]["ledger"]["unshipped_records"] == 3
