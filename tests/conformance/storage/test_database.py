"""Opening, migrating and reaching a database, on both engines."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_service.domain import Secret
from llm_service.storage import Database, DatabaseError, StoreUnavailable, UsageFilter, open_database
from llm_service.storage.sql.migrate import migrations_for
from llm_service.storage.sql.postgres_open import open_postgres
from llm_service.storage.sql.sqlite_file import open_sqlite
from tests.conformance.storage.conftest import Place
from tests.support.records import key, rows, secret

SOURCE = Path(__file__).parents[3] / "src"
APPEND = """
import asyncio, sys
from pathlib import Path
from llm_service.domain import Secret
from llm_service.storage import open_database
from tests.support.records import rows

async def main(url, folder, name):
    database = await open_database(Secret(url) if url else None, data_dir=Path(folder))
    for first in range(1, 201, 20):
        mine = rows(20, writer=name, first=first)
        both = rows(20, writer="both", first=first)
        marks = await database.ledger.append([*mine, *both])
        assert len(set(marks)) == 40
    await database.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_new_database_is_open_and_whole(database: Database, engine: str) -> None:
    await database.ping()
    assert list(await database.check()) == []
    assert database.reach == ("machine" if engine == "sqlite" else "cluster")


async def test_what_was_kept_is_there_when_opened_again(place: Place) -> None:
    first = await place.open()
    await first.ledger.append(rows(3))
    await first.keys.insert(key(), secret())
    await first.aclose()
    again = await place.open()
    assert len(await again.ledger.page(UsageFilter(), after=None, count=9)) == 3
    assert await again.keys.get("key_1") == key()


async def test_many_that_start_at_once_make_one_schema(place: Place) -> None:
    stores = await asyncio.gather(*(place.open() for _ in range(6)))
    marks = await asyncio.gather(*(store.ledger.append(rows(1, writer=f"w{n}")) for n, store in enumerate(stores)))
    assert sorted(mark for (mark,) in marks) == [1, 2, 3, 4, 5, 6]


async def test_processes_that_append_at_once_lose_and_double_nothing(place: Place, tmp_path: Path) -> None:
    database = await place.open()
    script = tmp_path / "append.py"
    script.write_text(APPEND)
    environment = {"PYTHONPATH": f"{SOURCE}:{SOURCE.parent}"}
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, str(script), place.url or "", str(place.folder), name, env=environment
        )
        for name in ("one", "two", "three")
    ]
    assert [await child.wait() for child in children] == [0, 0, 0]
    page = await database.ledger.page(UsageFilter(), after=None, count=10_000)
    assert [kept.mark for kept in page] == list(range(800, 0, -1))
    assert {kept.record.request_id for kept in page} == {
        f"{name}-{number}" for name in ("one", "two", "three", "both") for number in range(1, 201)
    }
    (total,) = await database.ledger.sums(UsageFilter(), by=[])
    assert (total.requests, total.nano_usd) == (800, 800_000)


async def test_a_closed_database_says_so_and_closes_again(place: Place) -> None:
    database = await place.open()
    await database.aclose()
    await database.aclose()
    for call in (database.ping(), database.ledger.append(rows(1)), database.keys.find("p"), database.facts.get("a")):
        with pytest.raises(StoreUnavailable):
            await call


NEXT = {
    "sqlite": "ALTER TABLE facts ADD COLUMN note TEXT;\nCREATE TABLE later (a TEXT);\n",
    "postgres": "ALTER TABLE facts ADD COLUMN note TEXT;\nCREATE TABLE later (a TEXT);\n",
}


async def reopened(place: Place, engine: str, scripts: Sequence[str], *, program: str = "9.9.9") -> None:
    """As a later version would, that knows further steps."""
    from llm_service.storage.sql.migrate import Migration

    known = [*migrations_for(engine)]
    known += [Migration(len(known) + 1 + number, script) for number, script in enumerate(scripts)]
    if place.url:
        driver = await open_postgres(Secret(place.url), connections=2, migrations=known, program=program)
        await driver.aclose()
    else:
        path = place.folder / "llm-service.db"
        await open_sqlite(path, migrations=known, program=program).aclose()


async def test_an_older_database_is_migrated_and_keeps_its_data(place: Place, engine: str) -> None:
    old = await place.open()
    await old.facts.put("a", "1")
    await old.ledger.append(rows(2))
    await reopened(place, engine, [NEXT[engine], "DROP TABLE later;"])
    assert await old.facts.get("a") == "1"  # the version before runs on beside it
    assert list(await old.ledger.append(rows(3))) == [1, 2, 3]


async def test_a_program_older_than_the_database_refuses_it(place: Place, engine: str) -> None:
    await (await place.open()).aclose()
    await reopened(place, engine, [NEXT[engine]])
    with pytest.raises(DatabaseError, match=r"has schema 2, made by llm-service 9\.9\.9.*knows up to schema 1: start"):
        await place.open()


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(place: Place, engine: str) -> None:
    first = await place.open()
    await first.facts.put("a", "1")
    await first.aclose()
    with pytest.raises(DatabaseError):
        await reopened(place, engine, ["CREATE TABLE later (a TEXT);\nINSERT INTO nowhere VALUES (1);\n"])
    again = await place.open()
    assert await again.facts.get("a") == "1"
    await reopened(place, engine, [NEXT[engine]])


def test_migrations_are_numbered_from_one_without_a_gap_on_both_engines() -> None:
    numbers = {engine: [step.version for step in migrations_for(engine)] for engine in ("sqlite", "postgres")}
    assert numbers["sqlite"] == numbers["postgres"] == list(range(1, len(numbers["sqlite"]) + 1))


async def test_the_postgres_driver_is_not_loaded_for_sqlite(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib, llm_service.storage as s\n"
        f"d = asyncio.run(s.open_database(None, data_dir=pathlib.Path({str(tmp_path)!r})))\n"
        "sys.exit('asyncpg' in sys.modules)"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env={"PYTHONPATH": str(SOURCE)})
    assert await child.wait() == 0
    await (await open_database(None, data_dir=tmp_path)).aclose()
