"""A database in which every table has rows, made by its schema alone, so that a new table cannot be forgotten."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from llm_service.storage.sql.migrate import apply, migrations_for

ROWS = 3
LEFT_ALONE = frozenset(("schema_versions",))
"""What the migrations write themselves and nobody adds to."""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""The rows of each table, sorted."""


def of_schema(version: int) -> sqlite3.Connection:
    """A SQLite database of a schema, in memory, as its migrations leave it."""
    file = sqlite3.connect(":memory:", isolation_level=None)
    for step in migrations_for("sqlite")[:version]:
        apply(file, step)
    return file


def columns_of(version: int) -> Mapping[str, Mapping[str, str]]:
    """The columns of each table of a schema with their types, in the order in which the tables were made."""
    with closing(of_schema(version)) as file:
        return _columns(file)


def columns_of_file(path: Path) -> Mapping[str, Mapping[str, str]]:
    """The same of a file."""
    with closing(sqlite3.connect(path)) as file:
        return _columns(file)


def _columns(file: sqlite3.Connection) -> Mapping[str, Mapping[str, str]]:
    tables = [row[0] for row in file.execute(_TABLES)]
    return {name: {row[1]: row[2] for row in file.execute(f"PRAGMA table_info({name})")} for name in tables}


def rows_to_add(version: int) -> Rows:
    """A few rows for each table; those of ``facts`` and others that begin with some get further ones."""
    return {
        table: [tuple(_value(table, name, kind, number) for name, kind in columns.items()) for number in range(ROWS)]
        for table, columns in columns_of(version).items()
        if table not in LEFT_ALONE
    }


def _value(table: str, column: str, kind: str, number: int) -> Any:
    if column == "key_id" and table == "key_secrets":
        return f"id-{number}"  # of an api key that there is
    match kind:
        case "TEXT":
            return f"{column}-{number}"
        case "BLOB":
            return bytes(range(number, number + 16))
        case "DOUBLE PRECISION":
            return number + 0.25
        case _:
            return 1_000 + number


def fill_sqlite(path: Path, version: int) -> None:
    """A new file of a schema, filled."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for step in migrations_for("sqlite")[:version]:
            apply(file, step)
            file.execute("INSERT INTO schema_versions VALUES (?, ?)", (step.version, f"0.0.{step.version}"))
        for table, rows in rows_to_add(version).items():
            file.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


async def fill_postgres(url: str, version: int) -> None:
    """An empty database made one of a schema, and filled."""
    connection = await asyncpg.connect(url)
    try:
        for step in migrations_for("postgres")[:version]:
            await connection.execute(step.sql)
            await connection.execute("INSERT INTO schema_versions VALUES ($1, $2)", step.version, f"0.0.{step.version}")
        columns = columns_of(version)
        for table, rows in rows_to_add(version).items():
            await connection.copy_records_to_table(table, records=rows, columns=list(columns[table]))
    finally:
        await connection.close()


def rows_in_sqlite(path: Path, columns: Mapping[str, Mapping[str, str]]) -> Rows:
    """What the file holds of these columns."""
    with closing(sqlite3.connect(path)) as file:
        return {
            table: sorted(map(tuple, file.execute(f"SELECT {', '.join(names)} FROM {table}")), key=repr)
            for table, names in columns.items()
        }


async def rows_in_postgres(url: str, columns: Mapping[str, Mapping[str, str]]) -> Rows:
    """What the database holds of these columns."""
    connection = await asyncpg.connect(url)
    try:
        return {
            table: sorted(map(tuple, await connection.fetch(f"SELECT {', '.join(names)} FROM {table}")), key=repr)
            for table, names in columns.items()
        }
    finally:
        await connection.close()


async def columns_in_postgres(url: str) -> Mapping[str, frozenset[str]]:
    """The tables and columns that a database has."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
    finally:
        await connection.close()
    tables = {row["table_name"] for row in found}
    return {name: frozenset(row["column_name"] for row in found if row["table_name"] == name) for name in tables}
