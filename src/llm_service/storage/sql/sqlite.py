"""SQLite in one file: one lane that writes and one that reads, so that a look-up never waits for another's lock."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from llm_service.storage.ports import Reach, StoreUnavailable
from llm_service.storage.sql.base import LONG_S, LOOK_UP_S, NO_VALUES, WORK_S, Row, Session, Values, Work
from llm_service.storage.sql.sqlite_lane import Lane, connect, is_damage, reason_of

T = TypeVar("T")

_PRIVATE_FILE: Final = 0o600


class SqliteDriver:
    """A SQLite file for all processes of this machine."""

    reach: Reach = "machine"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = Lane(connect(path, writes=True), name="sqlite-writer")
        self._reader = Lane(connect(path, writes=False), name="sqlite-reader")

    async def rows(self, statement: str, values: Values = NO_VALUES, *, timeout_s: float = WORK_S) -> Sequence[Row]:
        async def work(session: Session) -> Sequence[Row]:
            return await session.rows(statement, values)

        return await self._reader.run(work, begin=None, timeout_s=timeout_s)

    async def read(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        return await self._reader.run(work, begin="BEGIN", timeout_s=timeout_s)

    async def write(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        return await self._writer.run(work, begin="BEGIN IMMEDIATE", timeout_s=timeout_s)

    async def ping(self) -> None:
        await self.rows("SELECT 1", timeout_s=LOOK_UP_S)

    async def check(self) -> Sequence[str]:
        """What ``PRAGMA quick_check`` finds: torn pages, rows out of order, broken constraints."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(_quick_check, self._path), LONG_S)
        except (sqlite3.Error, TimeoutError) as error:
            raise StoreUnavailable(f"the database cannot be checked: {_why(error)}") from error

    async def aclose(self) -> None:
        await self._reader.aclose()
        await self._writer.aclose()


def create_private(path: Path) -> None:
    """An empty file that its owner alone may read. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _PRIVATE_FILE))


def copy(source: Path, target: Path) -> None:
    """A consistent copy of a database, one snapshot of it whatever is written meanwhile; half of one is never left.

    Raises FileExistsError, OSError and sqlite3.Error.
    """
    create_private(target)
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)  # in one step: between several, every write of others would begin it anew
            new.execute("PRAGMA journal_mode = DELETE")
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _quick_check(path: Path) -> Sequence[str]:
    found: list[str] = []
    try:
        with closing(connect(path, writes=False)) as connection:
            found.extend(str(row[0]) for row in connection.execute("PRAGMA quick_check"))
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        found.append(reason_of(error))
    return () if found == ["ok"] else found


def _why(error: Exception) -> str:
    return reason_of(error) if isinstance(error, sqlite3.Error) else "it took too long"
