"""What lasts is not looked at again and again by the garbage collector; threads take short turns."""

import asyncio
import gc
import resource
import sys
from pathlib import Path

import pytest

from llm_service.runtime import give_back, keep_memory_low, lasting, memory, settle_memory
from llm_service.runtime.memory import LOW_EVERY_S
from tests.support.clock import ManualClock
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def nothing_is_kept() -> object:
    yield
    gc.unfreeze()


def test_the_collector_rests_while_lasting_things_are_made_and_skips_them_afterwards() -> None:
    kept_before = gc.get_freeze_count()
    with lasting():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]  # type: ignore[var-annotated]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= kept_before + len(made)


def test_the_collector_works_again_after_a_failure() -> None:
    with pytest.raises(OSError, match="broken"), lasting():
        raise OSError("broken")
    assert gc.isenabled()


def test_memory_that_is_free_between_what_is_used_is_given_back() -> None:
    pieces = [bytearray(30_000) for _ in range(3000)]
    used = pieces[::100]
    del pieces
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > 60_000_000
    assert len(used) == 30


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def test_no_thread_keeps_the_event_loop_waiting_for_long() -> None:
    before, thresholds = sys.getswitchinterval(), gc.get_threshold()
    try:
        settle_memory()
        assert sys.getswitchinterval() <= 0.001
    finally:
        sys.setswitchinterval(before)
        gc.set_threshold(*thresholds)


async def test_once_a_minute_what_malloc_keeps_is_given_back() -> None:
    clock = ManualClock()
    pieces = [bytearray(30_000) for _ in range(1000)]
    used = pieces[::100]
    keeping = asyncio.ensure_future(keep_memory_low(clock))
    await until(lambda: clock.timers)
    del pieces
    before = resident_bytes()
    clock.advance(LOW_EVERY_S)
    await until(lambda: clock.timers)
    assert before - resident_bytes() > 20_000_000
    assert len(used) == 10
    keeping.cancel()


async def test_where_the_c_library_cannot_nothing_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(memory, "trimming", lambda: None)
    keeping = asyncio.ensure_future(keep_memory_low(clock))
    await until(lambda: clock.timers)
    clock.advance(LOW_EVERY_S)
    await keeping
