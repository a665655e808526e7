"""Seals, retention, and what verification finds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from llm_service.domain import Tried, Verdict
from llm_service.ledger import Fault, Ledger, LedgerOptions, verify
from llm_service.ledger.chain import GENESIS, START, Tip, canonical, digest, follow
from llm_service.ledger.seals import seal_up_to
from llm_service.storage import ChainLink, LedgerRow
from tests.support.clock import ManualClock
from tests.support.ledger_entries import SilentLog, a_record
from tests.support.memory_ledger import MemoryLedger
from tests.support.waiting import loop_turns, until
from tests.unit.ledger.conftest import Open

WRITER = "w"
OLD_HASH = "a82f17fc68c43214190755f17ceb223c80a939c7cf7dadd51a05f3f29f591fb1"


def fill(store: MemoryLedger, count: int = 10, *, writer: str = WRITER) -> None:
    tip = START
    for number in range(1, count + 1):
        record = a_record(number)
        link = follow(tip, writer=writer, text=canonical(record))
        store.rows.append(LedgerRow(record=record, link=link, mark=number))
        tip = Tip(link.seq, link.hash)


async def seal(store: MemoryLedger, last_seq: int, clock: ManualClock) -> None:
    row = next(row for row in store.rows if row.link.seq == last_seq)
    await seal_up_to(store, WRITER, Tip(last_seq, row.link.hash), clock=clock)


async def faults(store: MemoryLedger) -> list[tuple[str, int, int]]:
    return [(fault.kind, fault.first_seq, fault.last_seq) for fault in (await verify(store)).faults]


async def test_chains_that_are_as_they_were_written_are_sound(store: MemoryLedger) -> None:
    fill(store)
    fill(store, writer="other")
    verification = await verify(store)
    assert (verification.writers, verification.records, verification.sound) == (2, 20, True)


@pytest.mark.parametrize(
    "change",
    [
        {"nano_usd": 4},
        {"status": "refused"},
        {"tags": {"team": "red"}},
        {"queue_ms": 1},
        {"saved_nano_usd": 1},
        {"wasted_nano_usd": 1},
        {"verdicts": (Verdict(filter="a", type="pii", on="input", action="mask"),)},
        {"tries": (Tried(provider="p", upstream_model="m"),)},
        {"cache_key": "00"},
    ],
)
async def test_a_changed_record_is_found(change: dict[str, object], store: MemoryLedger) -> None:
    fill(store)
    store.rows[4] = replace(store.rows[4], record=replace(store.rows[4].record, **change))  # type: ignore[arg-type]
    assert await faults(store) == [("changed", 5, 5)]


async def test_records_that_were_hashed_before_there_were_later_fields_are_sound_beside_newer_ones(
    store: MemoryLedger,
) -> None:
    """The first hash is the one that the first version gave this record."""
    old = ChainLink(writer=WRITER, seq=1, previous=GENESIS, hash=OLD_HASH)
    newer = a_record(2, cache="hit", cache_key="ab" * 16, nano_usd=0, saved_nano_usd=7)
    link = follow(Tip(1, OLD_HASH), writer=WRITER, text=canonical(newer))
    store.rows += [LedgerRow(record=a_record(1), link=old, mark=1), LedgerRow(record=newer, link=link, mark=2)]
    assert (await verify(store)).sound
    store.rows[0] = replace(store.rows[0], record=replace(a_record(1), saved_nano_usd=1))
    store.rows[1] = replace(store.rows[1], record=replace(newer, cache_key=None))
    assert await faults(store) == [("changed", 1, 1), ("changed", 2, 2)]


async def test_a_changed_record_with_a_hash_to_match_is_found_by_the_next(store: MemoryLedger) -> None:
    fill(store)
    row = store.rows[4]
    record = replace(row.record, nano_usd=0)
    store.rows[4] = replace(
        row, record=record, link=replace(row.link, hash=digest(row.link.previous, canonical(record)))
    )
    assert await faults(store) == [("changed", 6, 6)]


async def test_a_changed_last_record_with_a_hash_to_match_is_found_by_its_seal(
    store: MemoryLedger, clock: ManualClock
) -> None:
    fill(store)
    await seal(store, 10, clock)
    record = replace(store.rows[9].record, nano_usd=0)
    link = replace(store.rows[9].link, hash=digest(store.rows[9].link.previous, canonical(record)))
    store.rows[9] = replace(store.rows[9], record=record, link=link)
    assert await faults(store) == [("changed", 10, 10)]


async def test_removed_records_are_found(store: MemoryLedger) -> None:
    fill(store)
    del store.rows[3:6]
    assert await faults(store) == [("missing", 4, 6)]


async def test_a_removed_beginning_is_found(store: MemoryLedger) -> None:
    fill(store)
    del store.rows[:2]
    assert await faults(store) == [("missing", 1, 2)]


async def test_a_removed_end_is_found_by_its_seal(store: MemoryLedger, clock: ManualClock) -> None:
    fill(store)
    await seal(store, 4, clock)
    await seal(store, 10, clock)
    del store.rows[7:]
    assert await faults(store) == [("missing", 8, 10)]


async def test_a_doubled_record_is_found(store: MemoryLedger) -> None:
    fill(store)
    store.rows.insert(5, store.rows[4])
    (fault,) = (await verify(store)).faults
    assert fault == Fault(
        kind="doubled",
        writer=WRITER,
        first_seq=5,
        last_seq=5,
        request_id="req_00000005",
        text="another record has the same number",
    )


async def test_two_records_that_changed_places_are_found(store: MemoryLedger) -> None:
    fill(store)
    third, fourth = store.rows[2].record, store.rows[3].record
    store.rows[2] = replace(store.rows[2], record=fourth)
    store.rows[3] = replace(store.rows[3], record=third)
    assert await faults(store) == [("changed", 3, 3), ("changed", 4, 4)]


async def test_a_record_that_comes_too_late_is_out_of_order(store: MemoryLedger) -> None:
    fill(store)
    store.rows.append(store.rows.pop(2))

    async def as_they_stand(writer: str, *, after_seq: int, count: int) -> Sequence[LedgerRow]:
        return store.rows if after_seq == 0 else []

    store.chain = as_they_stand  # type: ignore[method-assign]
    assert await faults(store) == [("missing", 3, 3), ("out_of_order", 3, 3)]


async def test_more_records_than_a_page_are_walked(store: MemoryLedger) -> None:
    fill(store, 2500)
    verification = await verify(store)
    assert (verification.records, verification.sound) == (2500, True)


async def test_a_doubled_record_on_the_edge_of_a_page_is_found(store: MemoryLedger) -> None:
    fill(store, 2500)
    store.rows.insert(1000, store.rows[999])
    assert await faults(store) == [("doubled", 1000, 1000)]


async def test_retention_that_works_during_the_walk_is_no_fault(store: MemoryLedger, clock: ManualClock) -> None:
    fill(store)
    await seal(store, 4, clock)
    await seal(store, 10, clock)
    chain = store.chain

    async def removing(writer: str, *, after_seq: int, count: int) -> Sequence[LedgerRow]:
        await store.remove_sealed(before=a_record(5).at)
        return await chain(writer, after_seq=after_seq, count=count)

    store.chain = removing  # type: ignore[method-assign]
    verification = await verify(store)
    assert (verification.sound, verification.records, verification.removed) == (True, 6, 4)


async def test_what_retention_removed_is_not_missing(store: MemoryLedger, clock: ManualClock) -> None:
    fill(store)
    await seal(store, 4, clock)
    await seal(store, 7, clock)
    await seal(store, 10, clock)
    assert await store.remove_sealed(before=a_record(8).at) == 7
    verification = await verify(store)
    assert (verification.sound, verification.records, verification.removed) == (True, 3, 7)
    store.rows[0] = replace(store.rows[0], record=replace(store.rows[0].record, nano_usd=0))
    assert await faults(store) == [("changed", 8, 8)]


async def test_a_whole_chain_that_retention_removed_is_sound(store: MemoryLedger, clock: ManualClock) -> None:
    fill(store)
    await seal(store, 10, clock)
    await store.remove_sealed(before=a_record(11).at)
    verification = await verify(store)
    assert (verification.sound, verification.records, verification.removed) == (True, 0, 10)


async def test_records_that_are_gone_before_retention_removed_theirs_are_missing(
    store: MemoryLedger, clock: ManualClock
) -> None:
    fill(store)
    await seal(store, 4, clock)
    await seal(store, 10, clock)
    store.kept_seals[1] = replace(store.kept_seals[1], removed=True)
    store.rows.clear()
    assert await faults(store) == [("missing", 1, 4)]


async def hour(clock: ManualClock, minutes: int = 60) -> None:
    for _ in range(minutes):
        clock.advance(60)
        await loop_turns(20)  # whatever was waiting for this minute does its work


async def test_a_chain_is_sealed_by_the_hour(ledger: Ledger, store: MemoryLedger, clock: ManualClock) -> None:
    ledger.close(a_record(1))
    await ledger.flush()
    await hour(clock, 59)
    assert store.kept_seals == []
    await hour(clock, 2)
    ledger.close(a_record(2))
    ledger.close(a_record(3))
    await ledger.flush()
    await hour(clock, 61)
    await hour(clock, 61)  # an hour without a record has no seal
    assert [(seal.first_seq, seal.last_seq) for seal in store.kept_seals] == [(1, 1), (2, 3)]


async def test_records_are_removed_when_they_were_kept_long_enough(
    ledger_of: Open, store: MemoryLedger, clock: ManualClock, log: SilentLog
) -> None:
    fill(store)
    await seal(store, 10, clock)
    clock.advance(timedelta(days=30).total_seconds())
    ledger_of(start=True, options=LedgerOptions(retention_days=20))
    await until(lambda: not store.rows)
    assert store.kept_seals[0].removed
    assert ("old_records_removed", {"records": 10}) in log.said


async def test_hours_are_removed_when_they_were_kept_long_enough(
    ledger_of: Open, store: MemoryLedger, clock: ManualClock, log: SilentLog
) -> None:
    ledger_of(start=True, options=LedgerOptions(hourly_retention_days=90))
    await until(lambda: ("old_hours_removed", {"rows": 24}) in log.said)
    assert store.hours_removed_before == clock.now() - timedelta(days=90)


async def test_upkeep_that_the_store_refuses_is_done_later(
    ledger_of: Open, store: MemoryLedger, clock: ManualClock, log: SilentLog
) -> None:
    store.away = True
    fill(store)
    ledger_of(start=True, options=LedgerOptions(retention_days=1))
    await until(lambda: "ledger_upkeep_put_off" in log.events())
    store.away = False
    await seal(store, 10, clock)
    clock.advance(timedelta(days=30).total_seconds())
    await until(lambda: not store.rows)
