"""What is SQLite's alone: the file, its copies, its lock."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_service.storage import (
    SQLITE_NAME,
    AuditEntry,
    DatabaseError,
    StoreUnavailable,
    UsageFilter,
    open_database,
    save_database,
)
from llm_service.storage import open as opening
from llm_service.storage.sql import sqlite_lane
from llm_service.storage.sql.conditions import conditions
from llm_service.storage.sql.database import SqlDatabase
from llm_service.storage.sql.ledger import _FIND
from llm_service.storage.sql.lists import by_pieces
from llm_service.storage.sql.migrate import Migration, migrations_for
from llm_service.storage.sql.sqlite_file import begin_sqlite, open_sqlite, refuse_remote
from tests.conformance.storage.conftest import Place
from tests.support.records import NOON, key, rows, secret
from tests.support.waiting import loop_turns

FULL = 2  # sqlite.org/pragma.html, synchronous


@pytest.fixture
def engine() -> str:
    return "sqlite"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def locked(path: Path, *, for_s: float | None = None) -> Iterator[None]:
    """Another process's write lock; let go at the end, or after so many seconds."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(for_s or 0, other.rollback)
        if for_s is not None:
            timer.start()
        yield
        if for_s is not None:
            timer.join()


async def test_the_file_and_its_companions_are_their_owners_alone(place: Place) -> None:
    database = await place.open()
    await database.facts.put("a", "1")
    found = {path.name: mode(path) for path in place.folder.iterdir()}
    assert found == dict.fromkeys((SQLITE_NAME, f"{SQLITE_NAME}-wal", f"{SQLITE_NAME}-shm"), 0o600)


async def test_commits_reach_the_disk_before_they_return(tmp_path: Path) -> None:
    with closing(sqlite_lane.connect(tmp_path / "a.db", writes=True)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == FULL


@contextmanager
def switching(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's lock on a new file while it switches that to the write-ahead log."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other


async def test_who_opens_a_new_file_waits_for_another_who_does_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[bool]()
    with switching(tmp_path / SQLITE_NAME) as other:

        def begin(path: Path) -> bool:
            begun.append(begin_sqlite(path))
            other.rollback()
            return begun[-1]

        monkeypatch.setattr(opening, "begin_sqlite", begin)
        database = await open_database(None, data_dir=tmp_path)
    assert begun == [False, True]
    await database.ping()
    await database.aclose()


async def test_who_never_lets_go_of_a_new_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "SWITCH_S", 0.05)
    with switching(tmp_path / SQLITE_NAME), pytest.raises(DatabaseError, match="another process holds its lock"):
        await open_database(None, data_dir=tmp_path)


async def test_a_backup_is_one_moment_of_a_database_that_is_written_to(place: Place) -> None:
    database = await place.open()
    await database.ledger.append(rows(200, tags={"a": "b"}))
    stop = asyncio.Event()

    async def write() -> None:
        first = 1
        while not stop.is_set():
            await database.ledger.append(rows(20, writer="writer-b", first=first))
            first += 20

    writing = asyncio.create_task(write())
    copies = [place.folder / f"copy-{number}" / SQLITE_NAME for number in range(5)]
    for copy in copies:
        copy.parent.mkdir()
        await save_database(None, source=place.folder / SQLITE_NAME, target=copy, on_rows=print)
    stop.set()
    await writing
    for copy in copies:
        assert mode(copy) == 0o600
        restored = await open_database(None, data_dir=copy.parent)
        page = await restored.ledger.page(UsageFilter(), after=None, count=100_000)
        assert [kept.mark for kept in page] == list(range(len(page), 0, -1))
        assert await restored.ledger.spent("global", "", since=None, until=None) == (1_000 * len(page), len(page))
        assert list(await restored.check()) == []
        await restored.aclose()


async def test_a_backup_does_not_overwrite(place: Place) -> None:
    await place.open()
    target = place.folder / "copy"
    target.write_text("something else")
    with pytest.raises(FileExistsError, match="copy"):
        await save_database(None, source=place.folder / SQLITE_NAME, target=target, on_rows=print)
    assert target.read_text() == "something else"


async def test_of_the_copies_from_before_migrations_the_newest_two_stay(place: Place) -> None:
    path, steps = place.folder / SQLITE_NAME, migrations_for("sqlite")
    for known in (2, 3, 7, len(steps)):
        await open_sqlite(path, migrations=steps[:known], program="next").aclose()
    assert {copy.name for copy in place.folder.glob("*.backup")} == {f"{path.name}.v{older}.backup" for older in (3, 7)}


async def test_the_write_ahead_log_and_the_file_stay_bounded_by_what_is_kept(place: Place) -> None:
    """What was removed makes room for what comes: neither grows with what has passed through."""
    database = await place.open()
    path = place.folder / SQLITE_NAME
    sizes = []
    for lot in range(3):
        await database.audit.append([entry(f"{lot}-{number}") for number in range(2_000)])
        assert await database.audit.remove(before=NOON + timedelta(days=1), count=10_000) == 2_000
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(path.stat().st_size)
    assert sizes[2] <= 1.1 * sizes[0]
    assert path.with_name(f"{path.name}-wal").stat().st_size <= 64 << 20


def entry(act_id: str) -> AuditEntry:
    return AuditEntry(id=act_id, at=NOON, door="command", act="key.create", outcome="done", subject="x" * 200)


async def test_a_copy_is_made_before_a_migration_and_none_without_one(place: Place) -> None:
    old = await place.open()
    await old.ledger.append(rows(3))
    await (await place.open()).aclose()
    path = place.folder / SQLITE_NAME
    assert not list(place.folder.glob("*.backup"))
    steps = [*migrations_for("sqlite")]
    newest = len(steps)
    steps += [Migration(newest + 1, "DROP TABLE ledger;"), Migration(newest + 2, "DROP TABLE facts;")]
    await open_sqlite(path, migrations=steps, program="next").aclose()
    (copy,) = place.folder.glob("*.backup")
    assert (copy.name, mode(copy)) == (f"{SQLITE_NAME}.v{newest}.backup", 0o600)
    await old.aclose()
    copy.replace(path)
    for companion in place.folder.glob(f"{SQLITE_NAME}-*"):
        companion.unlink()
    restored = await place.open()
    assert len(await restored.ledger.page(UsageFilter(), after=None, count=9)) == 3


async def test_a_lock_of_four_seconds_delays_and_loses_nothing(place: Place) -> None:
    database = await place.open()
    await database.keys.insert(key(), secret())
    with locked(place.folder / SQLITE_NAME, for_s=4.0):
        appending = asyncio.create_task(database.ledger.append(rows(2)))
        await loop_turns()
        async with asyncio.timeout(1):  # who reads does not wait
            assert await database.keys.find(secret().prefix) is not None
            assert await database.ledger.known(["writer-a-1"]) == frozenset()
        assert list(await appending) == [1, 2]
    assert await database.ledger.known(["writer-a-1", "writer-a-2"]) == {"writer-a-1", "writer-a-2"}


async def test_a_longer_lock_is_told_and_the_loop_runs_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_lane, "BUSY_S", 0.1)
    database = await place.open()
    with (
        locked(place.folder / SQLITE_NAME),
        pytest.raises(StoreUnavailable, match="another process holds its lock"),
    ):
        await database.ledger.append(rows(2))
    assert list(await database.ledger.append(rows(2))) == [1, 2]


async def test_work_that_takes_too_long_is_ended(place: Place) -> None:
    database = await place.open()
    assert isinstance(database, SqlDatabase)
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS c FROM n"
    with pytest.raises(StoreUnavailable, match="in time"):
        await database._driver.rows(endless, timeout_s=0.1)
    async with asyncio.timeout(1):
        await database.ping()


async def test_who_stops_waiting_does_not_break_the_work_of_others(place: Place) -> None:
    database = await place.open()
    appending = [asyncio.create_task(database.ledger.append(rows(1, writer=f"w{number}"))) for number in range(20)]
    await loop_turns()
    for task in appending[::2]:
        task.cancel()
    await asyncio.gather(*appending, return_exceptions=True)
    kept = await database.ledger.known([f"w{number}-1" for number in range(20)])
    assert {f"w{number}-1" for number in range(1, 20, 2)} <= kept


async def test_a_full_disk_is_told_and_nothing_half_written_stays(place: Place) -> None:
    database = await place.open()
    await database.ledger.append(rows(2))
    driver = database._driver if isinstance(database, SqlDatabase) else None

    def full(connection: sqlite3.Connection) -> int:
        return connection.execute("PRAGMA max_page_count = 60").fetchone()[0]

    await driver._writer.call(full, timeout_s=1)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await database.ledger.append(rows(5_000, writer="writer-b"))
    assert await database.ledger.spent("global", "", since=None, until=None) == (2_000, 2)
    await driver._writer.call(lambda it: it.execute("PRAGMA max_page_count = 100000").fetchone(), timeout_s=1)
    assert list(await database.ledger.append(rows(1, writer="writer-b"))) == [3]


@pytest.mark.parametrize(
    ("which", "column"),
    [
        ({"key_id": "a"}, "key_id"),
        ({"key_ids": ["a", "b"]}, "key_id"),
        ({"key_id": "a", "model": "m", "user": "u"}, "key_id"),
        ({"user": "u"}, "user_name"),
        ({"user": "u", "model": "m", "provider": "p"}, "user_name"),
    ],
)
async def test_records_of_keys_and_users_are_looked_up_in_the_pieces_index(
    which: dict[str, Any], column: str, place: Place
) -> None:
    wanted = UsageFilter(**which)
    asked = {**conditions(wanted)[1], "first_piece": 0, "last_piece": 3, "after": 9, "count": 1}
    index = f"ledger_pieces_by_{column.split('_', maxsplit=1)[0]} (<expr>=? AND {column}=?"
    assert index in await plan_of(place, by_pieces(wanted), asked)


async def test_records_of_an_upstreams_id_are_looked_up_in_the_pieces_index(place: Place) -> None:
    assert "ledger_pieces_by_upstream_id (<expr>=? AND upstream_id=?)" in await plan_of(place, _FIND, {"id": "gen"})


async def plan_of(place: Place, statement: str, values: dict[str, Any]) -> str:
    database = await place.open()
    assert isinstance(database, SqlDatabase)
    rows = await database._driver.rows(f"EXPLAIN QUERY PLAN {statement}", values)
    return "\n".join(row["detail"] for row in rows)


async def test_a_damaged_file_is_found_by_the_check(place: Place) -> None:
    database = await place.open()
    await database.ledger.append(rows(2_000))
    await database.aclose()
    path = place.folder / SQLITE_NAME
    with path.open("r+b") as file:
        for page in range(140, 160):  # those before hold the schema, without which nothing opens
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    assert list(await (await place.open()).check())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no database at all" * 100, r"is no database\): put a backup"),
        (b"SQLite format 3\0" + b"\xff" * 4080, "put a backup"),
    ],
)
async def test_a_file_that_is_no_database_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / SQLITE_NAME).write_bytes(content)
    with pytest.raises(DatabaseError, match=words):
        await open_database(None, data_dir=tmp_path)
    assert (tmp_path / SQLITE_NAME).read_bytes() == content


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"No such file or directory.*set server\.data_dir"):
        await open_database(None, data_dir=tmp_path / "missing")


MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:40 / /mnt/share rw,relatime shared:1 - {kind} server:/export rw
24 23 8:2 / /mnt/share/local\\040disk rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_refused(kind: str, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(kind=kind))
    with pytest.raises(DatabaseError, match=rf"network file system \({kind}\): set server.data_dir"):
        refuse_remote(Path("/mnt/share/data/a.db"), mounts=mounts)
    for fine in ("/mnt/share/local disk/a.db", "/mnt/shared/a.db", "/a.db"):
        refuse_remote(Path(fine), mounts=mounts)


def test_a_system_without_a_list_of_mounts_is_trusted(tmp_path: Path) -> None:
    refuse_remote(tmp_path / "a.db", mounts=tmp_path / "missing")
