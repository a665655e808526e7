"""Bringing a database's schema up to date: numbered files of SQL, forward only, all of one or nothing."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from llm_service.domain import fact_in_order
from llm_service.storage.sql.base import DatabaseError, Row
from llm_service.storage.sql.postgres import Connection
from llm_service.storage.sql.sqlite import copy

_LOCK: Final = 0x6C6C6D5F  # any number, as long as it is the same in every version
_COPIES: Final = 2
"""How many copies stay beside the file: each is as large as that was."""
_FOUND: Final = "SELECT version, program FROM schema_versions ORDER BY version DESC LIMIT 1"
_SQLITE_HAS: Final = "SELECT 1 FROM sqlite_master WHERE name = 'schema_versions'"
_POSTGRES_HAS: Final = "SELECT 1 WHERE to_regclass('schema_versions') IS NOT NULL"


@fact_in_order
class Migration:
    """One step forward, to ``version``."""

    version: int
    sql: str


def migrations_for(engine: str) -> Sequence[Migration]:
    """All steps of an engine (``sqlite``, ``postgres``) in order, from version 1 without a gap.

    Each engine has whole files, though much is the same in both: what was run somewhere must never change, and no
    template stands between the file and what the database is told.
    """
    folder = Path(__file__).parent / "migrations" / engine
    return [Migration(int(file.stem), file.read_text("utf-8")) for file in sorted(folder.glob("*.sql"))]


def newest_schema() -> int:
    """The version of the schema that this program works on."""
    return len(migrations_for("sqlite"))


def migrate_sqlite(
    connection: sqlite3.Connection, path: Path, *, migrations: Sequence[Migration], program: str
) -> None:
    """Migrates under the file's own lock, after a copy of what was there: ``<name>.v<version>.backup``.

    All steps are one transaction: nobody takes a new file with its first steps for an old one that has to be copied.
    Raises DatabaseError for a newer schema, OSError and sqlite3.Error.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        has = connection.execute(_SQLITE_HAS).fetchone()
        found = connection.execute(_FOUND).fetchone() if has else None
        version = known_version(found, migrations)
        if 0 < version < len(migrations):
            _keep(path, version)
        for step in migrations[version:]:
            apply(connection, step)
            connection.execute("INSERT INTO schema_versions VALUES (?, ?)", (step.version, program))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


async def migrate_postgres(connection: Connection, *, migrations: Sequence[Migration], program: str) -> None:
    """Migrates step by step under an advisory lock, so that processes which start at once do it one after the other.

    Raises DatabaseError for a newer schema, and what asyncpg raises; the connection is of no use then.
    """
    while True:
        await connection.execute("BEGIN")
        version = known_version(await schema_of_postgres(connection), migrations)
        if version < len(migrations):
            await connection.execute(migrations[version].sql)
            await connection.execute("INSERT INTO schema_versions VALUES ($1, $2)", version + 1, program)
        await connection.execute("COMMIT")
        if version == len(migrations):
            return


async def schema_of_postgres(connection: Connection, *, locked: bool = True) -> Row | None:
    """The row that names the newest schema; None where there is none yet. ``locked``: nobody changes it meanwhile."""
    if locked:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
    has = await connection.fetch(_POSTGRES_HAS)
    found = await connection.fetch(_FOUND) if has else ()
    return found[0] if found else None


def apply(connection: sqlite3.Connection, step: Migration) -> None:
    """The statements of a step, in whatever transaction is open: ``executescript`` would commit it."""
    for statement in _statements(step.sql):
        connection.execute(statement)


def known_version(found: sqlite3.Row | Row | None, migrations: Sequence[Migration]) -> int:
    """The number of the newest schema; 0 where there is none. Raises DatabaseError for one that is not known."""
    version = int(found["version"]) if found is not None else 0
    if found is not None and version > len(migrations):
        raise DatabaseError(
            f"the database has schema {version}, made by llm-service {found['program']}, and this version knows up to "
            f"schema {len(migrations)}: start that version or a later one, or have that one make a backup for this one "
            f"(`llm-service backup --for-schema {len(migrations)} FILE`) and restore it"
        )
    return version


def _keep(path: Path, version: int) -> None:
    """A copy beside the file, of which the newest few stay.

    One that is there already was made by a start that did not get further.
    """
    target = path.with_name(f"{path.name}.v{version}.backup")
    half = target.with_name(f"{target.name}.part")
    with suppress(FileNotFoundError):
        half.unlink()
    copy(path, half)
    half.replace(target)
    ever = [path.with_name(f"{path.name}.v{older}.backup") for older in range(1, version + 1)]
    for old in [one for one in ever if one.exists()][:-_COPIES]:
        old.unlink(missing_ok=True)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
