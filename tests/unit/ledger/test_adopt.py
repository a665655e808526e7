"""Journals of the dead: every record arrives, every open request gets one record, whoever dies on the way."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from llm_service.domain import Settlement
from llm_service.ledger import Ledger, journal, verify
from llm_service.ledger.folder import let_go, take
from llm_service.storage import StoreUnavailable
from tests.support.clock import ManualClock
from tests.support.ledger_entries import Settled, SilentLog, a_record, an_intent
from tests.support.memory_ledger import MemoryLedger
from tests.unit.ledger.conftest import Open

Call = Callable[..., Any]


def die(ledger: Ledger) -> None:
    """What the kernel does for a process that is killed: its files are closed, and its lock is free."""
    ledger._journal.leave()
    os.close(ledger._journal._lock_fd)


def dead_after_five(ledger_of: Open, writer: str = "dead-1", *, first: int = 1) -> None:
    """A process that closed a request and a hit, and had three more open."""
    dead = ledger_of(writer)
    for number in range(first, first + 4):
        dead.open(an_intent(number))
    dead.close(a_record(first))
    dead.close(a_record(first + 4, cache="hit", nano_usd=0))
    die(dead)


def journals(folder: Path) -> set[str]:
    return {path.name.split(".")[0] for path in (folder / "journal").iterdir()}


async def test_every_request_of_a_dead_process_has_one_record(
    ledger_of: Open, store: MemoryLedger, settled: Settled, tmp_path: Path
) -> None:
    dead_after_five(ledger_of)
    assert await ledger_of("living").adopt() == 1
    statuses = {row.record.request_id[-1]: row.record.status for row in store.rows}
    assert statuses == {"1": "ok", "5": "ok", "2": "interrupted", "3": "interrupted", "4": "interrupted"}
    assert (await verify(store)).sound
    assert {row.link.writer for row in store.rows} == {"dead-1"}
    assert journals(tmp_path) == {"living"}


async def test_an_interrupted_request_is_charged_what_was_held(ledger_of: Open, store: MemoryLedger) -> None:
    dead = ledger_of("dead-1")
    dead.open(an_intent(7, tags={"team": "red"}))
    die(dead)
    await ledger_of("living").adopt()
    record = store.rows[0].record
    assert (record.input_tokens, record.output_tokens, record.nano_usd) == (1000, 7, 1_007_000)
    assert (record.status, record.cost_source, record.tags) == ("interrupted", "estimate", {"team": "red"})


async def test_an_interrupted_request_keeps_what_the_cache_knew_of_it(ledger_of: Open, store: MemoryLedger) -> None:
    dead = ledger_of("dead-1")
    dead.open(an_intent(7, cache="miss", cache_key="ab" * 16))
    dead.close(a_record(8, cache="hit", cache_key="cd" * 16, nano_usd=0, saved_nano_usd=5))
    die(dead)
    await ledger_of("living").adopt()
    hit, interrupted = (row.record for row in store.rows)
    assert (interrupted.status, interrupted.cache, interrupted.cache_key) == ("interrupted", "miss", "ab" * 16)
    assert (hit.cache_key, hit.saved_nano_usd, interrupted.saved_nano_usd) == ("cd" * 16, 5, 0)
    assert (await verify(store)).sound


async def test_leases_of_a_dead_process_are_settled_with_what_is_known(ledger_of: Open, settled: Settled) -> None:
    dead_after_five(ledger_of)
    await ledger_of("living").adopt()
    assert settled.heard == {
        ("dead-1", "req_00000001"): Settlement(tokens=11, nano_usd=1),
        ("dead-1", "req_00000002"): Settlement(tokens=1002, nano_usd=1_002_000),
        ("dead-1", "req_00000003"): Settlement(tokens=1003, nano_usd=1_003_000),
        ("dead-1", "req_00000004"): Settlement(tokens=1004, nano_usd=1_004_000),
        ("dead-1", "req_00000005"): Settlement(tokens=0, nano_usd=0, provider=False),
    }


async def test_the_chain_of_a_dead_process_is_sealed(ledger_of: Open, store: MemoryLedger) -> None:
    dead_after_five(ledger_of)
    await ledger_of("living").adopt()
    assert [(seal.writer, seal.first_seq, seal.last_seq) for seal in store.kept_seals] == [("dead-1", 1, 5)]


async def test_a_living_process_is_left_alone(ledger_of: Open, store: MemoryLedger, tmp_path: Path) -> None:
    living = ledger_of("other")
    living.open(an_intent(1))
    assert await ledger_of("living").adopt() == 0
    assert journals(tmp_path) == {"other", "living"}
    living.close(a_record(1))


async def test_a_dead_process_without_requests_leaves_nothing(ledger_of: Open, tmp_path: Path) -> None:
    die(ledger_of("dead-1"))
    (tmp_path / "journal" / "dead-2.lock").touch()
    await ledger_of("living").adopt()
    assert journals(tmp_path) == {"living"}


async def test_a_record_whose_segment_was_removed_is_not_written_again(
    ledger_of: Open, store: MemoryLedger, settled: Settled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal.Journal.create.__func__, "__kwdefaults__", {"segment_bytes": 4096})  # type: ignore[attr-defined]
    dead = ledger_of("dead-1")
    dead.open(an_intent(1))
    dead.open(an_intent(2))
    for number in range(10, 20):
        dead.close(a_record(number))
    dead.close(a_record(1))
    for number in range(20, 30):
        dead.close(a_record(number))
    await dead.flush()
    die(dead)
    await ledger_of("living").adopt()
    statuses = [row.record.status for row in store.rows if row.record.request_id == "req_00000001"]
    assert statuses == ["ok"]
    assert len(store.rows) == 22
    assert (await verify(store)).sound
    assert settled.heard["dead-1", "req_00000001"] == Settlement(tokens=11, nano_usd=1)


async def test_a_chain_goes_on_where_the_store_knows_it_to_end(
    ledger_of: Open, store: MemoryLedger, tmp_path: Path
) -> None:
    """After a loss of power, the database may hold records that the journal has lost."""
    dead = ledger_of("dead-1")
    dead.open(an_intent(1))
    dead.close(a_record(2))
    size = dead._journal.position.offset
    dead.close(a_record(3))
    await dead.flush()
    die(dead)
    os.truncate(tmp_path / "journal" / "dead-1.00000001.journal", size + 100)
    await ledger_of("living").adopt()
    assert [row.link.seq for row in store.rows] == [1, 2, 3]
    assert (await verify(store)).sound


async def test_several_living_processes_adopt_each_journal_once(
    ledger_of: Open, store: MemoryLedger, tmp_path: Path
) -> None:
    for number in range(5):
        dead_after_five(ledger_of, f"dead-{number}", first=10 * number)
    living = [ledger_of(f"living-{number}") for number in range(3)]
    adopted = await asyncio.gather(*(ledger.adopt() for ledger in living))
    assert sum(adopted) == 5
    assert len(store.rows) == len(set(store.ids())) == 25
    assert (await verify(store)).sound
    assert len(journals(tmp_path)) == 3


class Killed(BaseException):
    """Nobody catches this one."""


class Dies:
    """Stands before everything that an adopter calls, and ends it before or after the call of this number."""

    def __init__(self, number: int, *, after: bool) -> None:
        self.left = number
        self.after = after

    def step(self, call: Call) -> Call:
        async def stepped(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Killed
            answer = await call(*arguments, **named)
            if self.left == 0:
                raise Killed
            return answer

        return stepped


class Watched(MemoryLedger):
    """The calls of an adopter, each watched."""

    def __init__(self, under: MemoryLedger, dies: Dies) -> None:
        super().__init__()
        for name in ("append", "known", "find", "chain", "seals", "seal"):
            setattr(self, name, dies.step(getattr(under, name)))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 12))
async def test_an_adopter_may_be_killed_at_any_call(
    number: int, after: bool, ledger_of: Open, store: MemoryLedger, settled: Settled, tmp_path: Path
) -> None:
    dead_after_five(ledger_of)
    dies = Dies(number, after=after)
    watched = Settled()
    watched.settled, watched.told_all = dies.step(settled.settled), dies.step(settled.told_all)  # type: ignore[method-assign]
    adopter = ledger_of("adopter", store=Watched(store, dies), on_lost=watched)
    with pytest.raises(Killed):
        await adopter.adopt()
    die(adopter)
    await ledger_of("living").adopt()
    assert sorted(store.ids()) == [f"req_{number:08d}" for number in range(1, 6)]
    assert (await verify(store)).sound
    assert len(settled.heard) == 5
    assert "dead-1" in settled.told
    assert {settled.marks[row.record.request_id] for row in store.rows} == {row.mark for row in store.rows}
    assert journals(tmp_path) == {"living"}


@pytest.mark.parametrize("writes", range(4))
async def test_an_adopter_may_be_killed_between_two_records(
    writes: int, ledger_of: Open, store: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_after_five(ledger_of)
    living = ledger_of("living")
    left = iter(range(writes))
    pwrite = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        return pwrite(fd, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "pwrite", full)
        assert await living.adopt() == 0
    await ledger_of("next").adopt()
    assert sorted(store.ids()) == [f"req_{number:08d}" for number in range(1, 6)]
    assert (await verify(store)).sound


async def test_a_store_that_is_away_is_asked_again_after_growing_pauses(
    ledger_of: Open, store: MemoryLedger, clock: ManualClock
) -> None:
    dead_after_five(ledger_of)
    living = ledger_of("living")
    store.away = True
    calls = list[int]()
    for _ in range(8):
        await living.adopt()
        calls.append(store.calls)
        clock.advance(1)
    assert calls == [1, 2, 2, 3, 3, 3, 3, 4]
    assert living.state.dead_journals == 1
    store.away = False
    clock.advance(30)
    assert await living.adopt() == 1
    assert living.state.dead_journals == 0


async def test_a_limit_store_that_is_away_keeps_the_journal(
    ledger_of: Open, store: MemoryLedger, settled: Settled, clock: ManualClock
) -> None:
    dead_after_five(ledger_of)
    living = ledger_of("living")
    settled.failures.append(StoreUnavailable("away"))
    assert await living.adopt() == 0
    clock.advance(1)
    assert await living.adopt() == 1
    assert len(settled.heard) == 5


async def test_a_journal_of_a_later_version_is_kept_and_does_not_hold_up_the_others(
    ledger_of: Open, store: MemoryLedger, log: SilentLog, tmp_path: Path
) -> None:
    dead_after_five(ledger_of, "dead-2")
    folder = tmp_path / "journal"
    lock_fd = take(folder, "dead-1")
    assert lock_fd is not None
    (folder / "dead-1.00000001.journal").write_bytes(
        b'{"x":1,"crc":"4e9d12c6"}\n'.replace(b"4e9d12c6", b"%08x" % crc32(b'{"x":1'))
    )
    let_go(folder, "dead-1", lock_fd, remove=False)
    assert await ledger_of("living").adopt() == 1
    assert len(store.rows) == 5
    assert "journal_not_adopted" in log.events()
    assert journals(tmp_path) == {"living", "dead-1"}
