"""Opening, migrating and reaching a database, on both engines."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from llm_service.domain import Secret
from llm_service.ledger import verify
from llm_service.ledger.chain import GENESIS, Tip, canonical, digest, follow
from llm_service.storage import (
    SQLITE_NAME,
    Database,
    DatabaseError,
    LedgerRow,
    StoreUnavailable,
    UsageFilter,
    open_database,
)
from llm_service.storage.sql.base import Driver, Session
from llm_service.storage.sql.migrate import Migration, migrations_for
from llm_service.storage.sql.moments import DAY, HOUR, micros
from llm_service.storage.sql.postgres_open import open_postgres
from llm_service.storage.sql.sqlite_file import open_sqlite
from tests.conformance.storage.conftest import Place
from tests.support.ledger_entries import MORNING, a_record, a_retried_record
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


OLD_HASHES = (
    GENESIS,
    "a82f17fc68c43214190755f17ceb223c80a939c7cf7dadd51a05f3f29f591fb1",
    "933f8fdb50fd6b11d12fff850af4ee28547828d5c5393150733229222b7fec63",
)
"""What the version that knew schema 1 made of the first records of a chain."""
NEXT = {
    "sqlite": "ALTER TABLE facts ADD COLUMN note TEXT;\nCREATE TABLE later (a TEXT);\n",
    "postgres": "ALTER TABLE facts ADD COLUMN note TEXT;\nCREATE TABLE later (a TEXT);\n",
}


async def reopened(place: Place, engine: str, scripts: Sequence[str], *, program: str = "9.9.9") -> None:
    """As a later version would, that knows further steps."""
    known = [*migrations_for(engine)]
    known += [Migration(len(known) + 1 + number, script) for number, script in enumerate(scripts)]
    await (await driver_of(place, known, program=program)).aclose()


async def driver_of(place: Place, known: Sequence[Migration], *, program: str) -> Driver:
    """Of a program that knows these steps."""
    if place.url:
        return await open_postgres(Secret(place.url), connections=2, migrations=known, program=program)
    return open_sqlite(place.folder / SQLITE_NAME, migrations=known, program=program)


async def test_an_older_database_is_migrated_and_keeps_its_data(place: Place, engine: str) -> None:
    old = await place.open()
    await old.facts.put("a", "1")
    await old.ledger.append(rows(2))
    before = await old.ledger.page(UsageFilter(), after=None, count=9)
    await reopened(place, engine, [NEXT[engine], "DROP TABLE later;\nALTER TABLE ledger ADD COLUMN more TEXT;"])
    assert await old.facts.get("a") == "1"  # the version before runs on beside it
    assert await old.ledger.page(UsageFilter(), after=None, count=9) == before
    assert list(await old.ledger.append(rows(3))) == [1, 2, 3]


async def append_as_schema_1(driver: Driver, number: int) -> None:
    """What the version that knew schema 1 did for record ``number`` of a chain, in its own words."""
    text = canonical(a_record(number))
    record = {
        "mark": number, "request_id": f"req_{number:08d}", "writer": "old", "seq": number,
        "previous": OLD_HASHES[number - 1], "hash": OLD_HASHES[number], "at": micros(a_record(number).at),
        "key_id": "key_1", "user_name": "jo", "tags": '{"team": "blue", "app": "chat"}', "surface": "rest",
        "model": "fast", "provider": "deepseek", "upstream_model": "deepseek-flash", "upstream_id": f"gen-{number}",
        "input_tokens": 10, "output_tokens": number, "cached_input_tokens": 3, "reasoning_tokens": 0,
        "nano_usd": number, "cost_source": "provider", "status": "ok", "cache": "bypass", "attempts": 1,
        "queue_ms": 0.25, "first_chunk_ms": 12.5, "duration_ms": 100.0, "overhead_ms": 0.3125,
    }  # fmt: skip
    assert digest(OLD_HASHES[number - 1], text) == OLD_HASHES[number]
    same = ("key_id", "user_name", "model", "provider", "surface", "status")
    sums = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "nano_usd")
    of_both = {name: record[name] for name in (*same, *sums)} | {"requests": 1, "errors": 0}

    async def work(session: Session) -> None:
        await session.many(insertion("ledger", record), [tuple(record.values())])
        for span in (HOUR, DAY):
            whole = {"span": span, "start": micros(MORNING) // span * span, **of_both}
            for tables in ("rollups", {"tagged": 1}), ("tag_rollups", {"tag_name": "team", "tag_value": "blue"}):
                added = {**whole, "same": f"of schema 1, {number}", **tables[1]}
                await session.many(insertion(tables[0], added), [tuple(added.values())])
        await session.rows("UPDATE marks SET newest = :newest WHERE name = 'ledger'", {"newest": number})

    await driver.write(work)


def insertion(table: str, row: Mapping[str, object]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"


async def test_a_database_of_schema_1_is_summed_and_verified_with_what_was_added_since(
    place: Place, engine: str
) -> None:
    old = await driver_of(place, migrations_for(engine)[:1], program="0.1.0")
    await append_as_schema_1(old, 1)
    database = await place.open()
    assert (await verify(database.ledger)).sound
    (kept,) = await database.ledger.page(UsageFilter(cache="bypass"), after=None, count=9)
    assert kept.record == a_record(1)
    await append_as_schema_1(old, 2)  # the version before runs on beside this one
    await old.aclose()
    hit = a_record(3, cache="hit", cache_key="ab" * 16, nano_usd=0, saved_nano_usd=7)
    link = follow(Tip(2, OLD_HASHES[2]), writer="old", text=canonical(hit))
    retried = a_retried_record(4)
    next_link = follow(Tip(3, link.hash), writer="old", text=canonical(retried))
    await database.ledger.append([LedgerRow(record=hit, link=link), LedgerRow(record=retried, link=next_link)])
    found = await verify(database.ledger)
    assert (found.records, found.faults) == (4, [])
    for which in (UsageFilter(), UsageFilter(tag=("team", "blue"))):
        sums = await database.ledger.sums(which, by=["day", "cache"])
        assert [(one.group["cache"], one.requests, one.hits, one.nano_usd, one.saved_nano_usd) for one in sums] == [
            ("bypass", 3, 0, 7, 0), ("hit", 1, 1, 0, 7)
        ]  # fmt: skip
        assert [one.wasted_nano_usd for one in sums] == [4, 0]


async def test_a_program_older_than_the_database_refuses_it(place: Place, engine: str) -> None:
    await (await place.open()).aclose()
    await reopened(place, engine, [NEXT[engine]])
    newest = len(migrations_for(engine))
    told = rf"has schema {newest + 1}, made by llm-service 9\.9\.9.*knows up to schema {newest}: start"
    with pytest.raises(DatabaseError, match=told):
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
