"""A database as an older version of the program would have made it, so that an operator can go back with all records.

Every step of the schema only adds. So what an older schema has is a part of a newer one, and no step back is written.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from llm_service.storage.sql.base import DatabaseError
from llm_service.storage.sql.migrate import apply, migrations_for
from llm_service.storage.sql.sqlite import create_private
from llm_service.storage.sql.sqlite_file import explained

_TABLES: Final = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid
"""


def empty_file(target: Path, version: int) -> sqlite3.Connection:
    """A file with the tables of a schema. Half of it is never used, so nothing of it is synced."""
    file = sqlite3.connect(target, isolation_level=None)
    file.execute("PRAGMA synchronous = OFF")
    _lay(file, version)
    return file


def tables_of(file: sqlite3.Connection) -> Mapping[str, Sequence[str]]:
    """The tables with their columns, in the order in which they were made: what others refer to comes first."""
    names = [row[0] for row in file.execute(_TABLES)]
    return {name: [row[1] for row in file.execute(f"PRAGMA table_info({name})")] for name in names}


def as_of_schema(source: Path, target: Path, version: int) -> None:
    """What an older schema has of a database, in a new file of that schema (0600). Blocks.

    What only later schemas know is left out; the rows that their steps will bring along again, too.
    Raises DatabaseError and OSError.
    """
    with explained(source, writes=target):
        create_private(target)
        with closing(empty_file(target, version)) as file:
            file.execute("ATTACH ? AS newer", (str(source),))
            (newest,) = file.execute("SELECT max(version) FROM newer.schema_versions").fetchone()
            if not 0 < version <= newest:
                raise DatabaseError(f"the database has schema {newest}: give one from 1 to that")
            file.execute("BEGIN")
            for table, columns in tables_of(file).items():
                names = ", ".join(columns)
                file.execute(f"DELETE FROM main.{table}")  # noqa: S608 - names of the schema's own
                file.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")  # noqa: S608
            file.execute("DELETE FROM main.schema_versions WHERE version > ?", (version,))
            for table, column, value in _brought_later(version, newest):
                file.execute(f"DELETE FROM main.{table} WHERE {column} = ?", (value,))  # noqa: S608
            file.execute("COMMIT")


def _brought_later(version: int, newest: int) -> list[tuple[str, str, Any]]:
    """Rows that later steps write into tables which there are already, by table, first column and what stands there."""
    with closing(sqlite3.connect(":memory:")) as before, closing(sqlite3.connect(":memory:")) as after:
        _lay(before, version)
        _lay(after, newest)
        return [
            (table, columns[0], key)
            for table, columns in tables_of(before).items()
            for key in sorted(_keys(after, table, columns[0]) - _keys(before, table, columns[0]))
        ]


def _keys(file: sqlite3.Connection, table: str, column: str) -> set[Any]:
    return {row[0] for row in file.execute(f"SELECT {column} FROM {table}")}  # noqa: S608 - names of the schema's own


def _lay(file: sqlite3.Connection, version: int) -> None:
    for step in migrations_for("sqlite")[:version]:
        apply(file, step)
