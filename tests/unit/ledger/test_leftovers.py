"""What ended processes left is brought home by one that does not serve, or it is said what keeps it."""

import asyncio
from pathlib import Path

import pytest

from llm_service.ledger import Ledger, LedgerOptions, Left
from llm_service.ledger.leftovers import LOOK_EVERY_S, Leftovers
from tests.support.clock import ManualClock
from tests.support.ledger_entries import Settled, SilentLog, a_record, an_intent
from tests.support.memory_ledger import MemoryLedger
from tests.support.waiting import loop_turns, until
from tests.unit.ledger.conftest import Open

AT_ONCE = LedgerOptions(shipping_grace_s=0.01)


@pytest.fixture
def leftovers(tmp_path: Path, store: MemoryLedger, clock: ManualClock, log: SilentLog, settled: Settled) -> Leftovers:
    return Leftovers(tmp_path, store=store, on_lost=settled, clock=clock, log=log)


async def left_behind(ledger: Ledger, store: MemoryLedger, number: int) -> None:
    """The process ends with a record and an open request, and its store is away until it has."""
    store.away = True
    ledger.close(a_record(number))
    ledger.open(an_intent(number + 1))
    await ledger.aclose()
    store.away = False


async def test_all_that_ended_processes_left_arrives(
    leftovers: Leftovers, ledger_of: Open, store: MemoryLedger, settled: Settled, tmp_path: Path
) -> None:
    await left_behind(ledger_of("a", options=AT_ONCE), store, 1)
    await left_behind(ledger_of("b", options=AT_ONCE), store, 3)
    assert await leftovers.ship(within_s=0) == Left(shipped=2, waiting=0, living=0)
    assert [(row.record.request_id[-1], row.record.status) for row in store.rows] == [
        ("1", "ok"),
        ("2", "interrupted"),
        ("3", "ok"),
        ("4", "interrupted"),
    ]
    assert settled.told == ["a", "b"]
    assert list((tmp_path / "journal").iterdir()) == []


async def test_where_nothing_was_left_there_is_nothing_to_do(leftovers: Leftovers) -> None:
    assert (await leftovers.ship(within_s=0)).nothing


async def test_a_store_that_is_away_is_asked_until_the_time_is_over(
    leftovers: Leftovers, ledger_of: Open, store: MemoryLedger, clock: ManualClock
) -> None:
    await left_behind(ledger_of("a", options=AT_ONCE), store, 1)
    store.away = True
    assert await leftovers.ship(within_s=0) == Left(shipped=0, waiting=1, living=0)
    shipping = asyncio.create_task(leftovers.ship(within_s=60))
    await loop_turns()
    store.away = False
    while not shipping.done():
        clock.advance(LOOK_EVERY_S)
        await asyncio.sleep(0)
    assert await shipping == Left(shipped=1, waiting=0, living=0)


async def test_one_that_serves_is_waited_for_and_left_alone(
    leftovers: Leftovers, ledger: Ledger, store: MemoryLedger, clock: ManualClock
) -> None:
    ledger.close(a_record(1))
    assert await leftovers.ship(within_s=0) == Left(shipped=0, waiting=0, living=1)
    shipping = asyncio.create_task(leftovers.ship(within_s=1e9))
    await loop_turns()
    assert not shipping.done()
    await ledger.aclose()

    def looked_again() -> bool:  # it may be looking just now, in a thread, and sleep only afterwards
        clock.advance(LOOK_EVERY_S)
        return shipping.done()

    await until(looked_again)
    assert (await shipping).nothing
    assert store.ids() == ["req_00000001"]
