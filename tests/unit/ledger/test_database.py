"""The ledger on a real database: what it hashed is what the database gives back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llm_service.ledger import verify
from llm_service.storage import Database, open_database
from tests.support.clock import ManualClock
from tests.support.ledger_entries import Settled, a_ledger, a_record, an_intent
from tests.unit.ledger.test_adopt import die

STRANGE = {
    "user": "a\0b" + "c" * 1000,
    "tags": {"t" * 300: "\U0001f600", "q": "'\"\\"},
    "nano_usd": 2**60,
    "saved_nano_usd": 2**60,
    "cache_key": "\ud800" * 3,
    "queue_ms": 1,
}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(None, data_dir=tmp_path)
    yield opened
    await opened.aclose()


async def test_chains_are_sound_whatever_a_record_holds(database: Database, tmp_path: Path) -> None:
    clock = ManualClock()
    dead = a_ledger(tmp_path, store=database.ledger, clock=clock, writer="dead-1")
    for number in range(1, 20):
        dead.open(an_intent(number, user=STRANGE["user"], tags=STRANGE["tags"]))
    for number in range(1, 10):
        dead.close(a_record(number, **STRANGE))
    die(dead)
    living = a_ledger(tmp_path, store=database.ledger, clock=clock, writer="living", on_lost=Settled())
    living.close(a_record(100))
    await living.adopt()
    await living.aclose()
    verification = await verify(database.ledger)
    assert (verification.writers, verification.records, verification.faults) == (2, 20, [])
    assert {seal.last_seq for seal in await database.ledger.seals("dead-1")} == {19}
