"""The whole database as one file and back, on both engines and from one to the other; every table of the schema."""

import asyncio
import re
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import asyncpg
import pytest

from llm_service.domain import Secret
from llm_service.storage import (
    SQLITE_NAME,
    DatabaseError,
    DatabaseInUse,
    DatabaseThere,
    as_of_schema,
    load_postgres,
    newest_schema,
    save_database,
)
from llm_service.storage.sql.migrate import migrations_for
from llm_service.storage.sql.postgres_open import explained as postgres_explained
from llm_service.storage.sql.sqlite_file import explained, open_sqlite
from tests.conformance.storage.conftest import Place
from tests.support.filled import (
    columns_in_postgres,
    columns_of,
    columns_of_file,
    fill_postgres,
    fill_sqlite,
    rows_in_postgres,
    rows_in_sqlite,
)
from tests.support.postgres import PostgresServer
from tests.support.records import rows

VERSIONS = range(1, newest_schema() + 1)


@pytest.fixture
async def filled(place: Place) -> Place:
    """Every table has rows."""
    if place.url is None:
        fill_sqlite(place.folder / SQLITE_NAME, newest_schema())
    else:
        await fill_postgres(place.url, newest_schema())
    return place


async def saved(place: Place, name: str = "copy") -> Path:
    target = place.folder / name
    url = Secret(place.url) if place.url else None
    await save_database(url, source=place.folder / SQLITE_NAME, target=target, on_rows=nobody_looks)
    return target


def nobody_looks(_: int) -> None:
    """Progress that is not shown."""


async def test_every_row_of_every_table_is_in_the_file(filled: Place) -> None:
    columns = columns_of(newest_schema())
    copy = await saved(filled)
    found = rows_in_sqlite(copy, columns)
    if filled.url is None:
        there = rows_in_sqlite(filled.folder / SQLITE_NAME, columns)
    else:
        there = await rows_in_postgres(filled.url, columns)
    assert found == there
    assert all(len(kept) >= 3 for kept in found.values())
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


async def test_every_row_of_every_table_comes_back_into_postgresql(
    filled: Place, postgres_server: PostgresServer
) -> None:
    columns = columns_of(newest_schema())
    copy = await saved(filled)
    url = await postgres_server.new_database()
    await load_postgres(copy, Secret(url), replace=False, on_rows=nobody_looks)
    assert await rows_in_postgres(url, columns) == rows_in_sqlite(copy, columns)


async def test_both_engines_have_the_same_tables_and_columns(postgres_server: PostgresServer) -> None:
    url = await postgres_server.new_database()
    await fill_postgres(url, newest_schema())
    expected = {table: frozenset(columns) for table, columns in columns_of(newest_schema()).items()}
    assert await columns_in_postgres(url) == expected


@pytest.mark.parametrize("engine", ["postgres"])
async def test_a_file_is_one_moment_of_a_database_that_is_written_to(place: Place) -> None:
    database = await place.open()
    await database.ledger.append(rows(200, tags={"a": "b"}))
    stop = asyncio.Event()

    async def write() -> None:
        first = 1
        while not stop.is_set():
            await database.ledger.append(rows(20, writer="writer-b", first=first))
            first += 20

    writing = asyncio.create_task(write())
    copies = [await saved(place, f"copy-{number}") for number in range(3)]
    stop.set()
    await writing
    for copy in copies:
        found = rows_in_sqlite(copy, {"ledger": {"mark": ""}, "marks": {"name": "", "newest": ""}})
        newest = dict(found["marks"])["ledger"]
        assert sorted(found["ledger"]) == [(mark,) for mark in range(1, newest + 1)]


@pytest.mark.parametrize("engine", ["postgres"])
async def test_whole_answers_are_read_a_few_at_once(filled: Place) -> None:
    assert filled.url is not None
    connection = await asyncpg.connect(filled.url)
    answers = [(b"id %d" % number, b"f", "r", "h", 0, bytes(1000)) for number in range(100)]
    await connection.copy_records_to_table("replays", records=answers)
    await connection.close()
    counts = [0]
    target = filled.folder / "copy"
    await save_database(Secret(filled.url), source=target, target=target, on_rows=counts.append)
    assert max(after - before for before, after in pairwise(counts)) <= 16
    assert len(rows_in_sqlite(target, columns_of(newest_schema()))["replays"]) > 100


def test_a_copy_that_there_is_no_room_for_is_what_is_complained_of(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "copy")) as file:
        file.execute("PRAGMA max_page_count = 1")
        full = pytest.raises(OSError, match="No space left on device")
        with full as found, explained(tmp_path / SQLITE_NAME, writes=tmp_path / "copy"):
            file.execute("CREATE TABLE t (a)")
    assert found.value.filename == str(tmp_path / "copy")


@pytest.mark.parametrize("engine", ["postgres"])
async def test_an_older_schema_is_saved_as_it_is(place: Place) -> None:
    assert place.url is not None
    await fill_postgres(place.url, 4)
    copy = await saved(place)
    columns = columns_of(4)
    assert rows_in_sqlite(copy, columns) == await rows_in_postgres(place.url, columns)
    assert await columns_in_postgres(place.url) == {table: frozenset(names) for table, names in columns.items()}


@pytest.mark.parametrize("engine", ["postgres"])
async def test_a_newer_schema_is_refused_lest_something_be_left_out(place: Place) -> None:
    assert place.url is not None
    await fill_postgres(place.url, newest_schema())
    connection = await asyncpg.connect(place.url)
    await connection.execute("INSERT INTO schema_versions VALUES (99, '9.9.9')")
    await connection.close()
    with pytest.raises(DatabaseError, match=r"has schema 99, made by llm-service 9\.9\.9"):
        await saved(place)
    assert not (place.folder / "copy").exists()


@pytest.mark.parametrize("engine", ["postgres"])
async def test_where_no_service_has_begun_there_is_nothing_to_save(place: Place) -> None:
    with pytest.raises(DatabaseError, match="no service has begun one"):
        await saved(place)


@pytest.mark.parametrize("engine", ["postgres"])
class TestLoading:
    async def test_what_is_there_stays_unless_it_is_to_be_replaced(
        self, filled: Place, postgres_server: PostgresServer
    ) -> None:
        copy = await saved(filled)
        other = await postgres_server.new_database()
        await fill_postgres(other, 3)
        before = await rows_in_postgres(other, columns_of(3))
        with pytest.raises(DatabaseThere):
            await load_postgres(copy, Secret(other), replace=False, on_rows=nobody_looks)
        assert await rows_in_postgres(other, columns_of(3)) == before
        await load_postgres(copy, Secret(other), replace=True, on_rows=nobody_looks)
        assert await rows_in_postgres(other, columns_of(newest_schema())) == rows_in_sqlite(
            copy, columns_of(newest_schema())
        )

    async def test_a_database_that_a_service_works_on_is_refused(self, filled: Place) -> None:
        copy = await saved(filled)
        await (await filled.open()).ping()
        with pytest.raises(DatabaseInUse, match="stop every service on it"):
            await load_postgres(copy, Secret(filled.url or ""), replace=True, on_rows=nobody_looks)

    async def test_a_load_that_fails_leaves_all_as_it_was(self, filled: Place) -> None:
        assert filled.url is not None
        copy = await saved(filled)
        before = await rows_in_postgres(filled.url, columns_of(newest_schema()))

        def fails(_: int) -> None:
            raise RuntimeError("cut off")

        with pytest.raises(RuntimeError):
            await load_postgres(copy, Secret(filled.url), replace=True, on_rows=fails)
        assert await rows_in_postgres(filled.url, columns_of(newest_schema())) == before


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.LockNotAvailableError, "somebody else holds its tables): end what works on it"),
        (asyncpg.DiskFullError, "its server's disk is full): make room there"),
    ],
)
def test_what_an_operator_can_mend_is_said(error: type[asyncpg.PostgresError], said: str) -> None:
    with pytest.raises(DatabaseError, match=re.escape(said)), postgres_explained():
        raise error


# -- migrations, with data


def as_migrated(version: int) -> Sequence[str]:
    return [table for table in columns_of(version) if table not in {"schema_versions", "marks", "alert_lease"}]


@pytest.mark.parametrize("version", VERSIONS)
async def test_data_of_every_schema_is_whole_when_it_was_brought_forward(
    place: Place, engine: str, version: int
) -> None:
    columns = columns_of(version)
    path = place.folder / SQLITE_NAME
    if place.url is None:
        fill_sqlite(path, version)
        before = rows_in_sqlite(path, columns)
    else:
        await fill_postgres(place.url, version)
        before = await rows_in_postgres(place.url, columns)
    await (await place.open()).aclose()
    after = rows_in_sqlite(path, columns) if place.url is None else await rows_in_postgres(place.url, columns)
    assert {table: [row for row in after[table] if row in before[table]] for table in columns} == before
    unchanged = as_migrated(version)
    assert {table: after[table] for table in unchanged} == {table: before[table] for table in unchanged}
    if place.url is not None:
        newest = {table: frozenset(names) for table, names in columns_of(newest_schema()).items()}
        assert await columns_in_postgres(place.url) == newest
    elif version < newest_schema():  # and the copy from before is what the older program had, to the last row
        assert rows_in_sqlite(place.folder / f"{SQLITE_NAME}.v{version}.backup", columns) == before


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_an_older_schema_has_of_a_newer_one_is_taken_back_and_forward_again(
    tmp_path: Path, version: int
) -> None:
    newest, older, columns = tmp_path / "newest", tmp_path / SQLITE_NAME, columns_of(version)
    fill_sqlite(newest, newest_schema())
    as_of_schema(newest, older, version)
    expected = rows_in_sqlite(newest, columns)
    found = rows_in_sqlite(older, columns)
    own = as_migrated(version)
    assert {table: found[table] for table in own} == {table: expected[table] for table in own}
    assert found["schema_versions"] == expected["schema_versions"][:version]
    known = migrations_for("sqlite")[:version]
    await open_sqlite(older, migrations=known, program="older").aclose()  # which takes it for its own
    await (await Place(None, tmp_path).open()).aclose()
    assert columns_of_file(older) == columns_of(newest_schema())


def test_no_schema_that_there_is_not_can_be_gone_back_to(tmp_path: Path) -> None:
    fill_sqlite(tmp_path / "newest", newest_schema())
    with pytest.raises(DatabaseError, match="give one from 1 to that"):
        as_of_schema(tmp_path / "newest", tmp_path / "older", newest_schema() + 1)


def test_each_step_only_adds_so_that_the_version_before_runs_on_beside_it() -> None:
    """Going back with PostgreSQL: what an older program reads and writes is there in every later schema."""
    for version in VERSIONS:
        now, before = columns_of(version), columns_of(version - 1)
        for table, columns in before.items():
            assert columns.items() <= now[table].items(), (version, table)
    for step in migrations_for("postgres"):
        words = step.sql.upper()
        assert "DROP TABLE" not in words
        assert "DROP COLUMN" not in words
        assert "ALTER COLUMN" not in words
        assert "RENAME" not in words
