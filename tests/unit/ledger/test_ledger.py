"""The ledger as its users see it: written at once, shipped later, kept whatever happens to disk and database."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from llm_service.domain import LedgerUnavailable
from llm_service.ledger import Ledger, LedgerOptions, backlog, journal, ship
from llm_service.ledger import verify as verify_all
from llm_service.storage import StoreUnavailable
from tests.support.clock import ManualClock
from tests.support.ledger_entries import Settled, SilentLog, a_record, an_intent
from tests.support.memory_ledger import MemoryLedger
from tests.support.waiting import loop_turns, until
from tests.unit.ledger.conftest import Open


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "journal").iterdir())


async def test_a_record_is_shipped_after_a_fifth_of_a_second(
    ledger: Ledger, store: MemoryLedger, clock: ManualClock
) -> None:
    ledger.open(an_intent())
    assert ledger.close(a_record()) is None
    await loop_turns()
    clock.advance(0.19)
    await loop_turns()
    assert store.rows == []
    clock.advance(0.02)
    await until(lambda: store.rows)
    assert [row.record for row in store.rows] == [a_record()]


async def test_five_hundred_records_do_not_wait(ledger: Ledger, store: MemoryLedger) -> None:
    for number in range(500):
        ledger.close(a_record(number))
    await until(lambda: len(store.rows) == 500)
    assert store.calls == 1


async def test_a_record_is_there_from_its_close_on(ledger: Ledger, store: MemoryLedger) -> None:
    ledger.close(a_record(1))
    assert ledger.recent("req_00000001") == a_record(1)
    await ledger.flush()
    assert ledger.recent("req_00000001") is None
    assert store.ids() == ["req_00000001"]


async def test_a_second_close_of_a_request_is_left_out(ledger: Ledger, store: MemoryLedger) -> None:
    ledger.close(a_record(1))
    ledger.close(a_record(1, nano_usd=99))
    assert ledger.state.unshipped_records == 1
    await ledger.flush()
    ledger.close(a_record(1, nano_usd=99))
    assert ledger.state.unshipped_records == 0
    assert [(row.link.seq, row.record.nano_usd) for row in store.rows] == [(1, 1)]


async def test_a_correction_is_a_further_record(ledger: Ledger, store: MemoryLedger) -> None:
    ledger.close(a_record(1))
    ledger.adjust(a_record(2, adjusts="req_00000001", nano_usd=-1))
    with pytest.raises(ValueError, match="names the record"):
        ledger.adjust(a_record(3))
    await ledger.flush()
    assert [row.record.nano_usd for row in store.rows] == [1, -1]


async def test_whoever_asks_hears_the_mark_before_and_after_shipping(ledger: Ledger) -> None:
    heard = []
    ledger.close(a_record(1))
    ledger.close(a_record(2))
    ledger.when_shipped("req_00000002", heard.append)
    await ledger.flush()
    assert heard == [2]
    ledger.when_shipped("req_00000001", heard.append)
    assert heard == [2, 1]


async def test_a_callback_that_fails_keeps_nobody_else_from_hearing(ledger: Ledger, log: SilentLog) -> None:
    heard = []
    ledger.close(a_record(1))
    ledger.when_shipped("req_00000001", lambda mark: heard[mark])
    ledger.when_shipped("req_00000001", heard.append)
    await ledger.flush()
    assert heard == [1]
    assert "callback_failed" in log.events()


async def test_requests_go_on_while_the_store_is_away_and_nothing_is_lost(
    ledger: Ledger, store: MemoryLedger, clock: ManualClock, log: SilentLog
) -> None:
    store.away = True
    for number in range(600):
        ledger.open(an_intent(number))
        ledger.close(a_record(number))
    await until(lambda: ledger.state.error)
    with pytest.raises(StoreUnavailable):
        await ledger.flush()
    clock.advance(3)
    assert ledger.state.unshipped_records == 600
    assert ledger.state.oldest_unshipped_s == 3
    store.away = False
    clock.advance(2)
    await until(lambda: len(store.rows) == 600)
    await until(lambda: ledger.state.error is None)
    assert ledger.state.oldest_unshipped_s is None
    assert log.events().count("records_are_kept_back") == log.events().count("records_are_shipped_again") == 1


async def test_the_pauses_between_attempts_grow_to_two_seconds(
    ledger: Ledger, store: MemoryLedger, clock: ManualClock
) -> None:
    store.away = True
    ledger.close(a_record())
    for _ in range(12):
        calls = store.calls
        await loop_turns()
        for _ in range(20):
            clock.advance(0.1)
            await loop_turns()
        assert store.calls > calls
    assert store.calls < 40


async def test_an_answer_of_the_store_that_was_lost_doubles_nothing(ledger: Ledger, store: MemoryLedger) -> None:
    ledger.close(a_record(1))
    append = store.append

    async def forgetful(rows: object) -> None:
        await append(rows)  # type: ignore[arg-type]
        raise StoreUnavailable("no answer in time")

    store.append = forgetful  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable):
        await ledger.flush()
    store.append = append  # type: ignore[method-assign]
    ledger.close(a_record(2))
    await ledger.flush()
    assert [row.link.seq for row in store.rows] == [1, 2]


async def test_memory_is_bounded_while_the_store_is_away(
    ledger_of: Open, store: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PIECE_BYTES", 8192)
    monkeypatch.setattr(ship, "MOST_REMEMBERED", 20)
    monkeypatch.setattr(backlog.Backlog.__init__, "__kwdefaults__", {"most_rows": 10})
    monkeypatch.setattr(journal.Journal.create.__func__, "__kwdefaults__", {"segment_bytes": 16384})  # type: ignore[attr-defined]
    ledger = ledger_of()
    for number in range(300):
        ledger.open(an_intent(number))
        ledger.close(a_record(number))
    assert len(ledger._shipper._backlog._rows) == 10
    assert ledger.recent("req_00000000") is None
    assert ledger.recent("req_00000299") is not None
    await asyncio.gather(ledger.flush(), ledger.flush())
    ledger.close(a_record(300))  # the first behind what was on disk alone
    assert len(ledger._shipper._backlog._rows) == 1
    await ledger.flush()
    assert [row.record for row in store.rows] == [a_record(number) for number in range(301)]
    assert (await verify_all(store)).sound


async def test_segments_go_when_they_are_shipped(
    ledger_of: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal.Journal.create.__func__, "__kwdefaults__", {"segment_bytes": 8192})  # type: ignore[attr-defined]
    ledger = ledger_of()
    for number in range(100):
        ledger.close(a_record(number))
    assert len(files(tmp_path)) > 5
    await ledger.flush()
    assert len(files(tmp_path)) == 2  # the lock, and the segment that is written now


async def test_the_end_ships_seals_and_leaves_nothing(ledger: Ledger, store: MemoryLedger, tmp_path: Path) -> None:
    ledger.close(a_record(1))
    await ledger.aclose()
    assert store.ids() == ["req_00000001"]
    assert [(seal.first_seq, seal.last_seq) for seal in store.kept_seals] == [(1, 1)]
    assert files(tmp_path) == []


async def test_a_store_that_comes_back_before_the_end_gets_what_is_left(
    ledger_of: Open, store: MemoryLedger, clock: ManualClock, log: SilentLog, tmp_path: Path
) -> None:
    ledger = ledger_of(options=LedgerOptions(shipping_grace_s=30))
    store.away = True
    ledger.close(a_record(1))
    ending = asyncio.create_task(ledger.aclose())
    await until(lambda: store.calls)
    store.away = False
    await loop_turns()
    clock.advance(2)
    await ending
    assert store.ids() == ["req_00000001"]
    assert files(tmp_path) == []
    assert "journal_left_behind" not in log.events()


async def test_what_cannot_be_shipped_at_the_end_is_left_to_the_next(
    ledger_of: Open, store: MemoryLedger, log: SilentLog, tmp_path: Path
) -> None:
    ledger = ledger_of(options=LedgerOptions(shipping_grace_s=0.01))
    store.away = True
    ledger.close(a_record(1))
    await ledger.aclose()
    assert len(files(tmp_path)) == 2
    assert log.said[-1] == ("journal_left_behind", {"records": 1, "reason": "the store is away"})
    store.away = False
    following = ledger_of("host-b2")
    assert await following.adopt() == 1
    assert store.ids() == ["req_00000001"]
    assert files(tmp_path) == ["host-b2.00000001.journal", "host-b2.lock"]


async def test_a_request_that_is_open_at_the_end_is_left_to_the_next(
    ledger: Ledger, store: MemoryLedger, ledger_of: Open
) -> None:
    ledger.open(an_intent(1))
    await ledger.aclose()
    assert store.rows == []
    await ledger_of("host-b2").adopt()
    assert [row.record.status for row in store.rows] == ["interrupted"]


async def test_a_store_that_hangs_does_not_hold_up_the_end(
    ledger_of: Open, store: MemoryLedger, log: SilentLog
) -> None:
    ledger = ledger_of(options=LedgerOptions(shipping_grace_s=0.01))
    store.gate = asyncio.Event()
    ledger.close(a_record(1))
    await ledger.aclose()
    store.gate = None
    assert "journal_left_behind" in log.events()


async def test_nothing_is_begun_after_the_end(ledger: Ledger) -> None:
    await ledger.aclose()
    with pytest.raises(LedgerUnavailable):
        ledger.open(an_intent())
    with pytest.raises(LedgerUnavailable):
        ledger.close(a_record())


async def test_with_fsync_always_a_close_waits_for_the_disk_together_with_others(
    ledger_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, all_closed = list[int](), threading.Event()
    fdatasync = os.fdatasync

    def slow_disk(fd: int) -> None:
        synced.append(fd)
        assert all_closed.wait(10)
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", slow_disk)
    ledger = ledger_of(start=True, options=LedgerOptions(fsync="always"))
    waits = [ledger.close(a_record(number)) for number in range(100)]
    all_closed.set()
    await asyncio.gather(*(wait for wait in waits if wait is not None))
    assert None not in waits
    assert ledger.state.unsynced_bytes == 0
    assert 1 <= len(synced) <= 2


async def test_with_fsync_interval_what_is_written_is_on_the_disk_soon(ledger: Ledger) -> None:
    ledger.close(a_record())
    assert ledger.state.unsynced_bytes > 0
    await until(lambda: ledger.state.unsynced_bytes == 0)


async def test_a_disk_that_fails_is_told_to_whoever_waits(ledger_of: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = ledger_of(start=True, options=LedgerOptions(fsync="always"))

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        wait = ledger.close(a_record())
        assert wait is not None
        with pytest.raises(LedgerUnavailable, match="not complete"):
            await wait
        await until(lambda: ledger.state.error)
    second = ledger.close(a_record(2))
    assert second is not None
    await second
    await until(lambda: ledger.state.error is None)


async def test_on_a_full_disk_nothing_is_begun_and_a_close_is_kept_until_it_fits(
    ledger: Ledger, store: MemoryLedger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, log: SilentLog
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "pwrite", full)
        with pytest.raises(LedgerUnavailable, match="No space left on device"):
            ledger.open(an_intent(1))
        with pytest.raises(LedgerUnavailable):
            ledger.close(a_record(2))
        with pytest.raises(LedgerUnavailable, match="earlier requests"):
            ledger.open(an_intent(3))
        assert ledger.state.unwritten_records == 1
        assert ledger.state.error == "the journal cannot be written: No space left on device"
        assert ledger.recent("req_00000002") == a_record(2)
        await loop_turns()
        clock.advance(0.3)
        await loop_turns()
    assert ledger.state.unwritten_records == 1
    clock.advance(0.3)
    await until(lambda: ledger.state.unwritten_records == 0)
    assert ledger.state.error is None
    await ledger.flush()
    assert store.ids() == ["req_00000002"]
    assert [event for event in log.events() if event.startswith("journal")] == [
        "journal_cannot_be_written",
        "journal_is_written_again",
    ]


async def test_a_record_that_is_kept_can_also_be_closed_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "pwrite", lambda *_: 0)
        with pytest.raises(LedgerUnavailable):
            ledger.close(a_record(2))
    ledger.close(a_record(2))
    assert ledger.state.unwritten_records == 0
    assert ledger.state.unshipped_records == 1


def test_options_say_what_the_contract_says() -> None:
    assert LedgerOptions() == LedgerOptions(retention_days=400, fsync="interval")


async def test_a_folder_that_cannot_be_used_is_an_error_at_the_start(tmp_path: Path, ledger_of: Open) -> None:
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(LedgerUnavailable, match="cannot be kept"):
        ledger_of()


async def test_hits_are_settled_without_a_provider(ledger: Ledger, settled: Settled) -> None:
    ledger.close(a_record(1, cache="hit"))
    assert ledger.state.open_requests == 0
    assert settled.heard == {}
