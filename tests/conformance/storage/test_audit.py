"""Every AuditStore keeps its word, on both engines: in order, once each, and page by page without a gap."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_service.storage import AuditEntry, AuditFilter, AuditStore, Database, StoreUnavailable
from llm_service.storage.sql.migrate import migrations_for
from tests.conformance.storage.conftest import Place
from tests.conformance.storage.test_database import driver_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FULL = AuditEntry(
    id="act_full",
    at=NOON + timedelta(microseconds=1),
    door="graphql",
    act="key.update",
    outcome="refused",
    subject="key_7",
    error_code="invalid_value",
    key_id="key_1",
    key_name="Ann's",
    peer="2001:db8::1",
    request_id="req_1",
    fields=("budget_usd", "name"),
    times=7,
)


@pytest.fixture
async def audit(database: Database) -> AuditStore:
    return database.audit


def entry(name: str, **fields: Any) -> AuditEntry:
    usual = {"at": NOON, "door": "rest", "act": "key.create", "outcome": "done"}
    return AuditEntry(id=name, **{**usual, **fields})


async def ids(audit: AuditStore, *, after: int | None = None, count: int = 1000, **which: Any) -> Sequence[str]:
    return [one.id for one in await audit.page(AuditFilter(**which), after=after, count=count)]


async def test_an_entry_is_as_it_was_given(audit: AuditStore) -> None:
    bare = entry("act_bare", at=NOON)
    await audit.append([FULL, bare])
    found = await audit.page(AuditFilter(), after=None, count=10)
    assert [one.mark for one in found] == [2, 1]
    for one, given in zip(found, (bare, FULL), strict=True):
        one.mark = 0  # type: ignore[misc]
        assert one == given


async def test_what_cannot_be_kept_as_it_is_is_cut_and_cleaned(audit: AuditStore) -> None:
    texts = dict.fromkeys(("subject", "key_id", "key_name", "peer", "request_id"), "\0\ud800" + "ü" * 600)
    await audit.append([entry("act_1", act="x" * 600, fields=("\0" * 600,) * 70, **texts)])
    (kept,) = await audit.page(AuditFilter(), after=None, count=10)
    assert {getattr(kept, name) for name in texts} == {"\ufffd\ufffd" + "ü" * 510}
    assert (kept.act, kept.fields) == ("x" * 512, ("\ufffd" * 512,) * 64)


async def test_the_same_again_is_kept_once(audit: AuditStore) -> None:
    await audit.append([entry("a"), entry("b")])
    await audit.append([entry("b"), entry("c"), entry("c"), entry("a")])
    await audit.append([])
    assert await ids(audit) == ["c", "b", "a"]


async def test_entries_are_found_by_what_they_say(audit: AuditStore) -> None:
    await audit.append([FULL, entry("a", subject="key_8"), entry("b", at=NOON + SECOND, key_id="admin")])
    for which, found in (
        ({"act": "key.update"}, ["act_full"]),
        ({"key_id": "admin"}, ["b"]),
        ({"subject": "key_8"}, ["a"]),
        ({"outcome": "refused"}, ["act_full"]),
        ({"door": "rest"}, ["b", "a"]),
        ({"since": NOON + SECOND}, ["b"]),
        ({"until": NOON + SECOND}, ["a", "act_full"]),
        ({"since": NOON, "until": NOON + SECOND, "act": "key.create"}, ["a"]),
        ({"subject": "nothing"}, []),
    ):
        assert await ids(audit, **which) == found, which


async def test_what_is_old_is_removed_in_pieces_and_marks_are_not_given_again(audit: AuditStore) -> None:
    await audit.append([entry(f"old {number}", at=NOON - SECOND) for number in range(3)])
    await audit.append([entry("new")])
    assert [await audit.remove(before=NOON, count=2) for _ in range(3)] == [2, 1, 0]
    assert await ids(audit) == ["new"]
    assert await audit.remove(before=NOON + SECOND, count=9) == 1
    await audit.append([entry("newer")])
    assert [one.mark for one in await audit.page(AuditFilter(), after=None, count=9)] == [5]


@pytest.mark.parametrize("seed", range(3))
async def test_who_goes_from_page_to_page_misses_none_and_sees_none_twice_while_others_write(
    place: Place, seed: int
) -> None:
    """Marks are without a gap, so whoever sees all from the newest down to the first has missed nothing."""
    dice = random.Random(seed)
    writers = [(await place.open()).audit for _ in range(3)]
    reader = (await place.open()).audit
    done = asyncio.Event()

    async def write(name: int, store: AuditStore) -> None:
        """Some at once, and now and then those of before again, as after an answer that was lost.

        Where others have had SQLite's lock for too long, once more, as the trail does.
        """

        async def append(entries: list[AuditEntry]) -> None:
            while True:
                with suppress(StoreUnavailable):
                    await store.append(entries)
                    return

        before: list[AuditEntry] = []
        for batch in range(8):
            few = [entry(f"{name}.{batch}.{number}") for number in range(dice.randint(1, 4))]
            await append(few)
            if dice.random() < 0.4:
                await append([*before, *few])
            before = few

    async def walk() -> int:
        walks = 0
        while walks == 0 or not done.is_set():
            marks: list[int] = []
            count, after = dice.randint(1, 7), None
            while page := await reader.page(AuditFilter(), after=after, count=count):
                assert after is None or page[0].mark < after
                marks += [one.mark for one in page]
                after = marks[-1]
            assert marks == list(range(len(marks), 0, -1))
            walks += 1
        return walks

    walking = asyncio.get_running_loop().create_task(walk())
    try:
        await asyncio.gather(*(write(name, store) for name, store in enumerate(writers)))
    finally:
        done.set()
    assert await walking >= 1
    kept = await ids(reader)
    assert len(kept) == len(set(kept)) >= 24
    for name in range(3):  # each writer's own, in its order
        assert [one for one in kept if one.startswith(f"{name}.")] == sorted(
            (one for one in kept if one.startswith(f"{name}.")), reverse=True
        )


async def test_a_database_of_schema_7_gets_the_log_and_the_version_before_runs_on_beside_it(
    place: Place, engine: str
) -> None:
    old = await driver_of(place, migrations_for(engine)[:7], program="0.1.0")
    await (await place.open()).audit.append([entry("a")])
    assert [row["newest"] for row in await old.rows("SELECT newest FROM marks WHERE name = 'audit'")] == [1]
    assert await old.rows("SELECT newest FROM marks WHERE name = 'ledger'")
    await old.aclose()
    assert await ids((await place.open()).audit) == ["a"]
