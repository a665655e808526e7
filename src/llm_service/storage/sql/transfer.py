"""The whole database as one SQLite file, whatever engine keeps it, and back: what a backup is made of.

Tables are asked for by the schema itself and never named here, so that a new one cannot be forgotten.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from llm_service.domain import Secret, fact
from llm_service.storage.sql.base import WORK_S, DatabaseError
from llm_service.storage.sql.going_back import empty_file, tables_of
from llm_service.storage.sql.migrate import known_version, migrations_for, schema_of_postgres
from llm_service.storage.sql.postgres_open import APPLICATION
from llm_service.storage.sql.postgres_open import explained as postgres_explained
from llm_service.storage.sql.sqlite import copy, create_private
from llm_service.storage.sql.sqlite_file import explained as sqlite_explained

_OURS: Final = f"{APPLICATION} backup"
"""Another name than the service's sessions have, so that we do not meet ourselves."""
_ROWS: Final = 2_000
_LARGE_ROWS: Final = 16
"""So many rows are read at once; fewer of those that hold whole answers (columns of bytes): they may be megabytes."""
_LOCK_S: Final = 10
_SNAPSHOT: Final = """
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0
"""
_RELOAD: Final = f"""
    BEGIN; SET LOCAL lock_timeout = '{_LOCK_S}s';
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0
"""
_IN_USE: Final = """
    SELECT count(*) AS sessions FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()
"""

OnRows = Callable[[int], None]


@fact
class Saved:
    """What a file holds: the schema's version, and the rows of each table."""

    schema: int
    tables: Mapping[str, int]


class DatabaseInUse(Exception):
    """A service works on the database that was to be replaced; the message says what to do."""


class DatabaseThere(Exception):
    """There is a database already where one was to be put."""


async def save_database(url: Secret | None, *, source: Path, target: Path, on_rows: OnRows) -> Saved:
    """One moment of the database in a new file (0600), beside whatever service works on it; nothing is migrated.

    ``source``: the SQLite file where ``url`` is None. Raises DatabaseError, FileExistsError and OSError.
    """
    if url is not None:
        return await _save_postgres(url, target, on_rows)
    with sqlite_explained(source, writes=target):
        await asyncio.to_thread(copy, source, target)
    return await asyncio.to_thread(saved_in, target)


def saved_in(path: Path) -> Saved:
    """What a file of `save_database` holds. Blocks. Raises DatabaseError."""
    with sqlite_explained(path), closing(sqlite3.connect(path)) as file:
        schema = file.execute("SELECT max(version) FROM schema_versions").fetchone()[0]
        return Saved(schema=schema, tables={name: _count(file, name) for name in tables_of(file)})


def fact_in(path: Path, name: str) -> str | None:
    """A small fact that such a file holds. Blocks. Raises DatabaseError."""
    with sqlite_explained(path), closing(sqlite3.connect(path)) as file:
        found = file.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])


async def load_postgres(source: Path, url: Secret, *, replace: bool, on_rows: OnRows) -> None:
    """Everything of a file of this program's schema into the database at ``url``, in one transaction: all or nothing.

    What is there is removed if ``replace``; else raises DatabaseThere. Raises DatabaseInUse and DatabaseError.
    """
    steps = migrations_for("postgres")
    async with _connection(url) as connection:
        await connection.execute(_RELOAD)
        await _refuse_in_use(connection)
        found = await schema_of_postgres(connection)
        if found is not None and not replace:
            raise DatabaseThere
        for step in steps[known_version(found, steps) :]:
            await connection.execute(step.sql)
        with closing(sqlite3.connect(source)) as file:
            await _fill_postgres(connection, file, on_rows)
        await connection.execute("COMMIT")


async def is_in_postgres(url: Secret) -> bool:
    """Whether there is a database of ours. Raises DatabaseInUse where a service works on it, and DatabaseError."""
    async with _connection(url) as connection:
        await _refuse_in_use(connection)
        return await schema_of_postgres(connection, locked=False) is not None


async def _save_postgres(url: Secret, target: Path, on_rows: OnRows) -> Saved:
    steps = migrations_for("postgres")
    with _new_file(target):
        async with _connection(url) as connection:
            await connection.execute(_SNAPSHOT)
            found = await schema_of_postgres(connection, locked=False)
            if found is None:
                raise DatabaseError(
                    "there is no database of llm-service at store.database_url: no service has begun one"
                )
            version = known_version(found, steps)
            with sqlite_explained(target, writes=target), closing(empty_file(target, version)) as file:
                await _fill_file(connection, file, on_rows)
    return await asyncio.to_thread(saved_in, target)


async def _fill_file(connection: Any, file: sqlite3.Connection, on_rows: OnRows) -> None:
    done = 0
    file.execute("BEGIN")
    for table, columns in tables_of(file).items():
        names, places = ", ".join(columns), ", ".join("?" * len(columns))
        count = _LARGE_ROWS if _has_bytes(file, table) else _ROWS
        cursor = await connection.cursor(f"SELECT {names} FROM {table}")  # noqa: S608 - names of the schema's own
        file.execute(f"DELETE FROM {table}")  # noqa: S608 - what the schema begins with is among the rows
        while rows := await cursor.fetch(count):
            file.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", map(tuple, rows))  # noqa: S608
            done += len(rows)
            on_rows(done)
    file.execute("COMMIT")


async def _fill_postgres(connection: Any, file: sqlite3.Connection, on_rows: OnRows) -> None:
    tables = tables_of(file)
    await connection.execute(f"TRUNCATE {', '.join(tables)}")
    done = 0

    def read(table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        nonlocal done
        for row in file.execute(f"SELECT {', '.join(columns)} FROM {table}"):  # noqa: S608 - names of the schema's own
            done += 1
            if done % _ROWS == 0:
                on_rows(done)
            yield row

    for table, columns in tables.items():
        await connection.copy_records_to_table(table, records=read(table, columns), columns=columns)
    on_rows(done)


async def _refuse_in_use(connection: Any) -> None:
    (found,) = await connection.fetch(_IN_USE, APPLICATION)
    if found["sessions"]:
        raise DatabaseInUse(
            f"the PostgreSQL database of store.database_url is in use by a service ({found['sessions']} sessions): "
            "stop every service on it, on all machines"
        )


@asynccontextmanager
async def _connection(url: Secret) -> AsyncIterator[Any]:
    """A connection for one long piece of work; what is not committed when that ends is rolled back."""
    import asyncpg

    with postgres_explained():
        settings = {"application_name": _OURS}
        connection = await asyncpg.connect(url.reveal(), timeout=WORK_S, server_settings=settings)
        try:
            yield connection
        finally:
            connection.terminate()


@contextmanager
def _new_file(path: Path) -> Iterator[None]:
    """A file that its owner alone may read; half of it is never left."""
    create_private(path)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _has_bytes(file: sqlite3.Connection, table: str) -> bool:
    return any(row[2] == "BLOB" for row in file.execute(f"PRAGMA table_info({table})"))


def _count(file: sqlite3.Connection, table: str) -> int:
    return int(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a name of the schema's own
