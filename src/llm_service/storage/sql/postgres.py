"""PostgreSQL behind a bounded pool of connections, each call within its time."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

import orjson

from llm_service.storage.base import Reach, StoreUnavailable
from llm_service.storage.sql.base import LOOK_UP_S, NAMED, NO_VALUES, WORK_S, Conflict, Row, Values, Work

T = TypeVar("T")

_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_VALUES: Final = re.compile(r"INSERT INTO (\w+) \(([^()]*)\)\s+VALUES \([^()]*\)")
_FROM_JSON: Final = r"INSERT INTO \1 (\2) SELECT \2 FROM json_populate_recordset(NULL::\1, $1::json)"
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")


class Connection(Protocol):
    """What we use of asyncpg's connections (its package tells type checkers nothing)."""

    async def execute(self, text: str, *values: object) -> str:
        """A statement, or a script when there are no values."""

    async def fetch(self, text: str, *values: object) -> Sequence[Row]:
        """The rows of a statement."""

    def is_closed(self) -> bool:
        """Whether it was cut, by either end."""

    def terminate(self) -> None:
        """Cut it, now."""


class Pool(Protocol):
    """What we use of asyncpg's pool."""

    async def acquire(self, *, timeout: float) -> Connection:
        """A connection that lives, a new one if need be."""

    async def release(self, connection: Connection) -> None:
        """Take it back."""

    async def close(self) -> None:
        """Wait for all, and close them."""

    def terminate(self) -> None:
        """Cut all."""


class PostgresTexts:
    """Statements in PostgreSQL's style, each translated once: ``:name`` is ``$1``."""

    __slots__ = ("_bulk", "_known")

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._bulk: dict[str, str] = {}

    def of(self, statement: str) -> tuple[str, tuple[str, ...]]:
        """The text, and which value stands at each place."""
        known = self._known.get(statement)
        if known is None:
            names = tuple(dict.fromkeys(NAMED.findall(statement)))
            places = {name: f"${number}" for number, name in enumerate(names, 1)}
            known = NAMED.sub(lambda found: places[found[1]], statement), names
            self._known[statement] = known
        return known

    def bulk(self, statement: str) -> str:
        """An INSERT of one row as one of many, given as JSON: some ten times faster than row by row."""
        text = self._bulk.get(statement)
        if text is None:
            text, found = _VALUES.subn(_FROM_JSON, statement)
            if found != 1:
                raise ValueError("only a plain INSERT ... VALUES takes many rows")
            self._bulk[statement] = text
        return text


class PostgresSession:
    """Statements on one connection of the pool."""

    __slots__ = ("_connection", "_texts")

    def __init__(self, connection: Connection, texts: PostgresTexts) -> None:
        self._connection = connection
        self._texts = texts

    async def rows(self, statement: str, values: Values = NO_VALUES) -> Sequence[Row]:
        text, names = self._texts.of(statement)
        return await self._connection.fetch(text, *(values[name] for name in names))

    async def many(self, statement: str, rows: Sequence[Values]) -> None:
        await self._connection.execute(self._texts.bulk(statement), orjson.dumps(rows).decode())


class PostgresDriver:
    """A PostgreSQL database for all processes that have its address."""

    reach: Reach = "cluster"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._texts = PostgresTexts()

    async def rows(self, statement: str, values: Values = NO_VALUES, *, timeout_s: float = WORK_S) -> Sequence[Row]:
        async with self._session(timeout_s) as (session, _):
            return await session.rows(statement, values)

    async def read(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        return await self._transact(_READ, work, timeout_s)

    async def write(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        return await self._transact(_WRITE, work, timeout_s)

    async def ping(self) -> None:
        await self.rows("SELECT 1", timeout_s=LOOK_UP_S)

    async def check(self) -> Sequence[str]:
        """Nothing: PostgreSQL checks its pages itself whenever it reads them."""
        await self.ping()
        return ()

    async def backup(self, path: str) -> None:
        raise StoreUnavailable("a copy of a PostgreSQL database is made with its own tools: pg_dump, pg_basebackup")

    async def aclose(self) -> None:
        """Waits a moment for running work, then drops the connections."""
        try:
            async with asyncio.timeout(LOOK_UP_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _transact(self, begin: str, work: Work[T], timeout_s: float) -> T:
        async with self._session(timeout_s) as (session, connection):
            await connection.execute(begin)
            try:
                result = await work(session)
            except Exception:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")
            return result

    @asynccontextmanager
    async def _session(self, timeout_s: float) -> AsyncIterator[tuple[PostgresSession, Connection]]:
        """A connection for so long. When the time is over it is cut, which ends whatever waits for it at once:
        to cancel would be to ask a server that does not answer."""
        import asyncpg

        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout_s
        try:
            connection = await self._pool.acquire(timeout=timeout_s)
            timer = loop.call_at(ends_at, connection.terminate)
            try:
                yield PostgresSession(connection, self._texts), connection
            except asyncio.CancelledError:
                connection.terminate()  # in the midst of something: of no use to the next
                raise
            finally:
                timer.cancel()
                await self._pool.release(connection)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise Conflict(type(error).__name__) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StoreUnavailable(_reason(error, late=loop.time() >= ends_at)) from error


def _reason(error: Exception, *, late: bool) -> str:
    """Why it failed, without an address and without anything that was stored (PostgreSQL's own messages may quote)."""
    if late or isinstance(error, TimeoutError):
        return "the database did not answer in time"
    state: Any = getattr(error, "sqlstate", None)
    if isinstance(state, str) and _SQLSTATE.fullmatch(state):
        return f"the database cannot be used now: {type(error).__name__}, SQLSTATE {state}"
    return f"the database cannot be reached: {type(error).__name__}"
