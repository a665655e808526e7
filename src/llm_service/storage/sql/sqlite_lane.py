"""One connection to a SQLite file in a thread of its own, so that no statement blocks the event loop."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from llm_service.storage.ports import StoreUnavailable
from llm_service.storage.sql.base import NAMED, NO_VALUES, WORK_S, Conflict, Row, Value, Values

T = TypeVar("T")

BUSY_S: Final = WORK_S - 0.5
"""How long SQLite waits for another process's lock: less than we wait for SQLite, so that it is SQLite who says so."""

AT_ONCE: Final = 25
"""Rows in one statement where there are so many: with 37 columns, fewer than the 999 values that every SQLite takes."""

_ANY: Final = re.compile(r"= ANY\(:(\w+)\)")
_ROW: Final = re.compile(r"VALUES (\([^()]*\))")
_WAL_BYTES: Final = 64 * 1024 * 1024
_CHECKPOINT_PAGES: Final = 4_000
_CACHE_KIB: Final = 8 * 1024
_REASONS: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_BUSY: "another process holds its lock",
    sqlite3.SQLITE_LOCKED: "another process holds its lock",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it may not be written to",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no database",
    sqlite3.SQLITE_INTERRUPT: "it took too long",
}


class SqliteTexts:
    """Statements in SQLite's style, each translated once."""

    __slots__ = ("_bulk", "_known")

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._bulk: dict[str, tuple[str, str]] = {}

    def of(self, statement: str) -> str:
        """The text; its values go by their names."""
        text = self._known.get(statement)
        if text is None:
            text = self._known[statement] = _ANY.sub(r"IN (SELECT value FROM json_each(:\1))", statement)
        return text

    def bulk(self, statement: str) -> tuple[str, str]:
        """An INSERT of one row, and the same of so many at once; values go by their places.

        To look 32 names up costs 5 µs a row. To begin a statement anew for each row, and to be ready to undo it alone,
        costs a quarter of what a row takes: whoever inserts many gives up all of the transaction when one is refused.
        """
        bulk = self._bulk.get(statement)
        if bulk is None:
            one = NAMED.sub("?", statement)
            if "ON CONFLICT" not in statement:
                one = one.replace("INSERT INTO", "INSERT OR ROLLBACK INTO", 1)
            several = _ROW.sub(lambda row: f"VALUES {', '.join([row[1]] * AT_ONCE)}", one, count=1)
            bulk = self._bulk[statement] = one, several
        return bulk


class SqliteSession:
    """Statements on a connection, run at once: the awaits of its callers never wait."""

    __slots__ = ("_connection", "_texts")

    def __init__(self, connection: sqlite3.Connection, texts: SqliteTexts) -> None:
        self._connection = connection
        self._texts = texts

    async def rows(self, statement: str, values: Values = NO_VALUES) -> Sequence[Row]:
        plain = {name: _plain(value) for name, value in values.items()}
        return self._connection.execute(self._texts.of(statement), plain).fetchall()

    async def many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        one, several = self._texts.bulk(statement)
        rows = list(rows)
        at_once = len(rows) - len(rows) % AT_ONCE
        for begin in range(0, at_once, AT_ONCE):
            self._connection.execute(several, list(chain.from_iterable(rows[begin : begin + AT_ONCE])))
        self._connection.executemany(one, rows[at_once:])


class Lane:
    """A thread and its connection. Jobs run one after the other; who waits too long is told so, and its job ends."""

    def __init__(self, connection: sqlite3.Connection, *, name: str) -> None:
        self._connection = connection
        self._texts = SqliteTexts()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._running: object = None
        self._closed = False

    async def run(self, work: Callable[[SqliteSession], Awaitable[T]], *, begin: str | None, timeout_s: float) -> T:
        """The work, inside a transaction that ``begin`` opens, or statement by statement."""
        return await self.call(lambda connection: self._transact(connection, work, begin), timeout_s=timeout_s)

    async def call(self, job: Callable[[sqlite3.Connection], T], *, timeout_s: float) -> T:
        """A job on the connection. Raises StoreUnavailable and Conflict."""
        if self._closed:
            raise StoreUnavailable("the database is closed")
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._do, job)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            if self._running is job:
                self._connection.interrupt()
            raise StoreUnavailable("the database did not answer in time") from None
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be used now: {reason_of(error)}") from error

    async def aclose(self) -> None:
        """Closes the connection after what is running, and ends the thread; idempotent."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._thread.shutdown(wait=False)

    def _do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        self._running = job
        try:
            return job(self._connection)
        finally:
            self._running = None

    def _transact(
        self, connection: sqlite3.Connection, work: Callable[[SqliteSession], Awaitable[T]], begin: str | None
    ) -> T:
        session = SqliteSession(connection, self._texts)
        if begin is None:
            return _finish(work(session))
        connection.execute(begin)
        try:
            result = _finish(work(session))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # some failures (a full disk, say) have rolled back already
                connection.execute("ROLLBACK")
            raise
        return result


def connect(path: Path, *, writes: bool) -> sqlite3.Connection:
    """A connection in the mode that all of ours have: every commit is on the disk before it returns.

    For that is when the journal lets go of what was written (``synchronous = NORMAL`` would keep it in the
    write-ahead log, not synced, until the next checkpoint: sqlite.org/pragma.html).
    """
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise sqlite3.OperationalError("the file system has no shared memory for SQLite's write-ahead log")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    except BaseException:
        connection.close()
        raise
    return connection


def code_of(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code (sqlite.org/rescode.html); errors of the Python module itself have none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def reason_of(error: sqlite3.Error) -> str:
    """Why SQLite failed, in words for an operator; nothing of what was stored."""
    code = code_of(error)
    return str(error) if code is None else _REASONS.get(code, str(error))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it is the file itself that is wrong."""
    return code_of(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _finish(work: Awaitable[T]) -> T:
    """The result of work that awaits nothing but a session."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("work in a transaction may await its session only")


def _plain(value: Value) -> str | int | float | bytes | None:
    return value if value is None or isinstance(value, (str, int, float, bytes)) else json.dumps(list(value))
