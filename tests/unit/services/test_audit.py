"""What may be asked of the audit log, and that it loses what is old."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_service.domain import InvalidValue, LedgerUnavailable
from llm_service.runtime import Tasks
from llm_service.services import Audit, Corrections, Upkeep, read_audit_filter
from llm_service.services.provider_probes import ProviderProbes
from llm_service.services.upkeep import REMOVE_ACTS_S
from llm_service.storage import AuditEntry, AuditFilter
from tests.support.clock import ManualClock
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_replays import MemoryReplays
from tests.support.service import LogLines
from tests.support.waiting import loop_turns


def entry(number: int, at: datetime) -> AuditEntry:
    return AuditEntry(id=f"act_{number}", at=at, door="rest", act="key.create", outcome="done")


@pytest.fixture
def store() -> MemoryAudit:
    return MemoryAudit()


async def test_pages_follow_each_other(store: MemoryAudit) -> None:
    await store.append([entry(number, datetime(2026, 11, 23, tzinfo=UTC)) for number in range(5)])
    audit, cursor, seen = Audit(store), None, list[str]()
    for _ in range(3):
        page = await audit.page(AuditFilter(), cursor=cursor, count=2)
        seen += [one.id for one in page.entries]
        cursor = page.next_cursor
    assert (seen, cursor) == ([f"act_{number}" for number in (4, 3, 2, 1, 0)], None)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "٣", "1" * 19])
async def test_a_cursor_is_one_of_a_page(store: MemoryAudit, cursor: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        await Audit(store).page(AuditFilter(), cursor=cursor, count=2)
    assert refused.value.param == "cursor"


async def test_without_the_database_nothing_is_read(store: MemoryAudit) -> None:
    store.away = True
    with pytest.raises(LedgerUnavailable):
        await Audit(store).page(AuditFilter(), count=2)


def test_a_filter_has_what_was_given() -> None:
    given = {"since": "2026-11-01", "until": "2026-11-02T00:00:00Z", "act": "key.create", "key_id": "admin",
             "subject": "key_1", "outcome": "refused", "door": "graphql"}  # fmt: skip
    assert read_audit_filter(given) == AuditFilter(
        since=datetime(2026, 11, 1, tzinfo=UTC),
        until=datetime(2026, 11, 2, tzinfo=UTC),
        act="key.create",
        key_id="admin",
        subject="key_1",
        outcome="refused",
        door="graphql",
    )


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"from": "2026-11-01"}, "from"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "until"),
        ({"outcome": "ok"}, "outcome"),
        ({"door": "window"}, "door"),
        ({"act": "\0"}, "act"),
        ({"subject": "x" * 513}, "subject"),
    ],
)
def test_what_is_no_filter_is_refused(given: Mapping[str, str], param: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_audit_filter(given)
    assert refused.value.param == param


async def test_upkeep_removes_what_was_kept_long_enough(store: MemoryAudit) -> None:
    clock, log = ManualClock(), LogLines()
    now = clock.now()
    await store.append([entry(1, now - timedelta(days=10, seconds=1)), entry(2, now - timedelta(days=10) + HOUR)])
    tasks = Tasks(lambda work, failure: None)
    parts: Any = SimpleNamespace(start=lambda: None)
    upkeep = Upkeep(
        cast("ProviderProbes", parts),
        cast("Corrections", parts),
        MemoryReplays(),
        audit=Audit(store),
        acts_kept_for=timedelta(days=10),
        tasks=tasks,
        clock=clock,
        log=log,
    )
    upkeep.start()
    await loop_turns()
    assert [one.id for one in store.entries] == ["act_2"]
    assert [line["acts"] for line in log.of("old_acts_removed")] == [1]
    store.away = True
    clock.advance(REMOVE_ACTS_S)
    await loop_turns()
    assert [line["level"] for line in log.of("old acts are not removed")] == ["debug"]
    store.away = False
    clock.advance(REMOVE_ACTS_S)
    await loop_turns()
    assert store.entries == []
    await asyncio.wait_for(tasks.aclose(), 5)


HOUR = timedelta(seconds=REMOVE_ACTS_S)
