"""A store, a clock that is turned by hand, and ledgers that are closed after the test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from llm_service.ledger import Ledger, LedgerOptions
from tests.support.clock import ManualClock
from tests.support.ledger_entries import Settled, SilentLog, a_ledger
from tests.support.memory_ledger import MemoryLedger

Open = Callable[..., Ledger]
GRACE_S = 0.5
"""Of real time: how long a ledger waits at its end for a store that is away."""


@pytest.fixture
def store() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log() -> SilentLog:
    return SilentLog()


@pytest.fixture
def settled() -> Settled:
    return Settled()


@pytest.fixture
async def ledger_of(
    tmp_path: Path, store: MemoryLedger, clock: ManualClock, log: SilentLog, settled: Settled
) -> AsyncIterator[Open]:
    """Opens ledgers on the test's folder; ``start=True`` lets them work by themselves."""
    opened = list[Ledger]()

    def open_one(writer: str = "host-a1", *, start: bool = False, **changes: Any) -> Ledger:
        options = LedgerOptions(shipping_grace_s=GRACE_S)
        given = {"store": store, "clock": clock, "log": log, "on_lost": settled, "options": options} | changes
        opened.append(a_ledger(tmp_path, writer=writer, **given))
        if start:
            opened[-1].start()
        return opened[-1]

    yield open_one
    for ledger in opened:
        await ledger.aclose()


@pytest.fixture
async def ledger(ledger_of: Open) -> Ledger:
    return ledger_of(start=True)
