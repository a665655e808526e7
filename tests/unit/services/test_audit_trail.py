"""Acts come into the audit log in their order and once each; no act waits long for it, and none is lost in silence."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from llm_service.domain import Secret
from llm_service.observability import Redaction
from llm_service.services import audit_trail
from llm_service.services.audit_trail import BATCH, PAUSE_S, AuditTrail
from llm_service.services.refusals import WINDOW_S
from tests.support.clock import ManualClock
from tests.support.control import CountedIds
from tests.support.memory_audit import MemoryAudit
from tests.support.service import LogLines
from tests.support.waiting import loop_turns

SECRET = "canary0secret0of0a0provider"


class Place:
    """One process that keeps acts."""

    def __init__(self) -> None:
        self.store = MemoryAudit()
        self.clock = ManualClock()
        self.log = LogLines()
        redaction = Redaction([Secret(SECRET)])
        self.trail = AuditTrail(self.store, clock=self.clock, ids=CountedIds(), log=self.log, redaction=redaction)

    def note(self, subject: str) -> None:
        self.trail.note("key.revoke", door="rest", outcome="done", subject=subject)

    def refuse(self) -> None:
        self.trail.note("key.revoke", door="rest", outcome="refused", key_id="key_1", error_code="scope_missing")

    @property
    def subjects(self) -> list[str | None]:
        return [one.subject for one in self.store.entries]

    @property
    def told(self) -> list[tuple[object, object, object]]:
        return [(line["level"], line["event"], line.get("acts")) for line in self.log.lines]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    running = asyncio.get_running_loop().create_task(place.trail.run())
    yield place
    running.cancel()
    await asyncio.wait([running])


async def test_an_act_is_kept_behind_its_back(place: Place) -> None:
    place.note("a")
    assert place.store.entries == []
    await loop_turns()
    (entry,) = place.store.entries
    assert (entry.act, entry.outcome, entry.at, entry.times) == ("key.revoke", "done", place.clock.now(), 1)


async def test_who_waits_for_it_finds_it() -> None:
    place = Place()  # nothing runs: who waits has it kept
    place.note("a")
    await place.trail.kept()
    assert place.subjects == ["a"]
    await place.trail.kept()
    assert place.subjects == ["a"]


async def test_all_come_in_their_order_and_once(place: Place) -> None:
    for number in range(BATCH + 5):
        place.note(str(number))
    await asyncio.gather(*(place.trail.kept() for _ in range(5)))
    assert place.subjects == [str(number) for number in range(BATCH + 5)]


async def test_while_the_database_is_away_acts_wait_nobody_else_does_and_it_is_told_once(place: Place) -> None:
    place.store.away = True
    for subject in "abc":
        place.note(subject)
        await place.trail.kept()
    assert (place.subjects, len(place.trail)) == ([], 3)
    place.clock.advance(PAUSE_S)
    await loop_turns()
    assert place.told == [("error", "acts_are_kept_back", 1)]
    place.store.away = False
    place.clock.advance(PAUSE_S)
    await loop_turns()
    assert (place.subjects, len(place.trail)) == (["a", "b", "c"], 0)
    assert place.told[1:] == [("info", "acts_are_kept_again", None)]


async def test_a_database_that_does_not_say_what_it_has_kept_keeps_it_once(place: Place) -> None:
    place.store.unheard = True
    place.note("a")
    await place.trail.kept()
    place.store.unheard = False
    place.note("b")
    place.clock.advance(PAUSE_S)
    await loop_turns()
    assert place.subjects == ["a", "b"]


async def test_a_database_that_hangs_holds_an_act_up_for_a_moment_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "KEPT_WITHIN_S", 0.01)
    goes_on = asyncio.Event()
    append = place.store.append

    async def hanging(entries: list[object]) -> None:
        await goes_on.wait()
        await append(entries)  # type: ignore[arg-type]

    monkeypatch.setattr(place.store, "append", hanging)
    place.note("a")
    await place.trail.kept()
    assert place.subjects == []
    goes_on.set()
    await place.trail.kept()
    assert place.subjects == ["a"]


async def test_a_defect_is_told_and_what_waits_is_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as broken_for_now:
        broken_for_now.setattr(place.store, "append", broken)
        place.note("a")
        await loop_turns()
    (line,) = place.log.of("acts_are_kept_back")
    assert isinstance(line["exc_info"], RuntimeError)
    place.clock.advance(PAUSE_S)
    await loop_turns()
    assert place.subjects == ["a"]


async def test_what_finds_no_place_is_told_and_counted_in_the_log_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "MOST_WAITING", 3)
    place.store.away = True
    for number in range(5):
        place.note(str(number))
    assert [line["reason"] for line in place.log.of("acts_are_not_kept")] == ["3 wait for the database already"]
    place.store.away = False
    await place.trail.kept()
    assert place.store.told[:3] == [("key.revoke", "done", str(number), 1) for number in range(3)]
    assert place.store.told[3:] == [("audit.lost", "failed", None, 2)]


async def test_at_the_end_what_is_counted_and_what_waits_is_kept() -> None:
    place = Place()
    for _ in range(3):
        place.refuse()
    place.note("a")
    await place.trail.aclose()
    assert [(one.outcome, one.times) for one in place.store.entries] == [("refused", 1), ("done", 1), ("refused", 2)]
    assert (place.log.lines, place.clock.timers) == ([], 0)


async def test_at_the_end_what_cannot_be_kept_is_told() -> None:
    place = Place()
    place.store.away = True
    place.note("a")
    place.refuse()
    await place.trail.aclose()
    assert place.told == [("error", "acts_are_kept_back", 2), ("error", "acts_are_not_kept", 2)]


async def test_refusals_are_counted(place: Place) -> None:
    for _ in range(100):
        place.refuse()
    await loop_turns()
    assert [one.times for one in place.store.entries] == [1]
    place.clock.advance(WINDOW_S)
    await loop_turns()
    assert [one.times for one in place.store.entries] == [1, 99]


async def test_no_secret_comes_into_it(place: Place) -> None:
    key = "llms_0123456789abcdef0123456789"
    place.trail.note(
        "key.revoke", door="rest", outcome="failed", subject=f"{SECRET} {key}", key_name=f"of {SECRET}", fields=[key]
    )
    await place.trail.kept()
    (entry,) = place.store.entries
    assert (entry.subject, entry.key_name, entry.fields) == ("*** ***", "of ***", ("***",))
