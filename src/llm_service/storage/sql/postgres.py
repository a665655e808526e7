"""PostgreSQL behind a bounded pool of connections, each call within its time."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

import orjson

from llm_service.storage.ports import Reach, StoreUnavailable
from llm_service.storage.sql.base import LOOK_UP_S, NAMED, NO_VALUES, WORK_S, Conflict, Row, Value, Values, Work

T = TypeVar("T")

# A process whose machine died must not keep its locks until the kernel notices; set here and not for the session, which
# may be a pooler's.
_BOUNDS: Final = f"""
    SET LOCAL lock_timeout = '{WORK_S}s';
    SET LOCAL idle_in_transaction_session_timeout = '{WORK_S}s'
"""
_READ: Final = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_BOUNDS}"
_WRITE: Final = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_BOUNDS}"
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

    async def expire_connections(self) -> None:
        """Use none of the present ones again."""

    async def close(self) -> None:
        """Wait for all, and close them."""

    def terminate(self) -> None:
        """Cut all."""


Job = Callable[[Connection], Awaitable[T]]


class PostgresTexts:
    """Statements in PostgreSQL's style, each translated once: ``:name`` is ``$1``."""

    __slots__ = ("_bulk", "_known")

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._bulk: dict[str, tuple[str, tuple[str, ...]]] = {}

    def of(self, statement: str) -> tuple[str, tuple[str, ...]]:
        """The text, and which value stands at each place."""
        known = self._known.get(statement)
        if known is None:
            names = tuple(dict.fromkeys(NAMED.findall(statement)))
            places = {name: f"${number}" for number, name in enumerate(names, 1)}
            known = NAMED.sub(lambda found: places[found[1]], statement), names
            self._known[statement] = known
        return known

    def bulk(self, statement: str) -> tuple[str, tuple[str, ...]]:
        """An INSERT of one row as one of many, given as JSON, and the names of its values in their order.

        Some ten times faster than row by row.
        """
        bulk = self._bulk.get(statement)
        if bulk is None:
            text, found = _VALUES.subn(_FROM_JSON, statement)
            if found != 1:
                raise ValueError("only a plain INSERT ... VALUES takes many rows")
            bulk = self._bulk[statement] = text, tuple(NAMED.findall(statement))
        return bulk


class PostgresSession:
    """Statements on one connection of the pool."""

    __slots__ = ("_connection", "_texts")

    def __init__(self, connection: Connection, texts: PostgresTexts) -> None:
        self._connection = connection
        self._texts = texts

    async def rows(self, statement: str, values: Values = NO_VALUES) -> Sequence[Row]:
        text, names = self._texts.of(statement)
        return await self._connection.fetch(text, *(values[name] for name in names))

    async def many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        text, names = self._texts.bulk(statement)
        named = [dict(zip(names, row, strict=True)) for row in rows]
        await self._connection.execute(text, orjson.dumps(named).decode())


class PostgresDriver:
    """A PostgreSQL database for all processes that have its address."""

    reach: Reach = "cluster"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._texts = PostgresTexts()

    async def rows(self, statement: str, values: Values = NO_VALUES, *, timeout_s: float = WORK_S) -> Sequence[Row]:
        async def ask(connection: Connection) -> Sequence[Row]:
            return await PostgresSession(connection, self._texts).rows(statement, values)

        return await self._call(ask, timeout_s=timeout_s, may_repeat=lambda: True)

    async def read(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        return await self._transact(_READ, work, timeout_s=timeout_s)

    async def write(self, work: Work[T], *, timeout_s: float = WORK_S) -> T:
        return await self._transact(_WRITE, work, timeout_s=timeout_s)

    async def ping(self) -> None:
        await self.rows("SELECT 1", timeout_s=LOOK_UP_S)

    async def check(self) -> Sequence[str]:
        """Nothing: PostgreSQL checks its pages itself whenever it reads them."""
        await self.ping()
        return ()

    async def aclose(self) -> None:
        """Waits a moment for running work, then drops the connections."""
        try:
            async with asyncio.timeout(LOOK_UP_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _transact(self, begin: str, work: Work[T], *, timeout_s: float) -> T:
        written = False

        async def run(connection: Connection) -> T:
            nonlocal written
            await connection.execute(begin)
            written = begin == _WRITE
            try:
                result = await work(PostgresSession(connection, self._texts))
            except Exception:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")
            return result

        return await self._call(run, timeout_s=timeout_s, may_repeat=lambda: not written)

    async def _call(self, job: Job[T], *, timeout_s: float, may_repeat: Callable[[], bool]) -> T:
        """The job, once more on a new connection when an old one turned out to be dead before it did anything."""
        import asyncpg

        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout_s
        dead = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.InterfaceError)
        try:
            try:
                return await self._within(job, ends_at)
            except (*dead, asyncpg.InternalClientError, ConnectionError):
                if not may_repeat() or loop.time() >= ends_at:
                    raise
                await self._pool.expire_connections()
                return await self._within(job, ends_at)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise Conflict(type(error).__name__) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise StoreUnavailable(_reason(error, late=loop.time() >= ends_at)) from error

    async def _within(self, job: Job[T], ends_at: float) -> T:
        """The job on a connection that is cut when the time is over, which ends whatever waits for it at once.

        To cancel would be to ask a server that does not answer.
        """
        import asyncpg

        loop = asyncio.get_running_loop()
        connection = await self._pool.acquire(timeout=ends_at - loop.time())
        timer = loop.call_at(ends_at, _cut, connection)
        try:
            return await job(connection)
        except AttributeError as error:
            if not connection.is_closed():
                raise
            # asyncpg was between two steps of a statement, and has lost its protocol with the connection that was cut
            raise ConnectionResetError("the connection was cut") from error
        except (asyncio.CancelledError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            _cut(connection)  # in the midst of something: of no use to the next
            raise
        finally:
            timer.cancel()
            await self._pool.release(connection)


def _cut(connection: Connection) -> None:
    import asyncpg

    with suppress(asyncpg.InterfaceError):  # the pool has taken it back already, for the server has cut it
        connection.terminate()


def _reason(error: Exception, *, late: bool) -> str:
    """Why it failed, without an address and without anything that was stored (PostgreSQL's own messages may quote)."""
    if late or isinstance(error, TimeoutError):
        return "the database did not answer in time"
    state: Any = getattr(error, "sqlstate", None)
    if isinstance(state, str) and _SQLSTATE.fullmatch(state):
        return f"the database cannot be used now: {type(error).__name__}, SQLSTATE {state}"
    return f"the database cannot be reached: {type(error).__name__}"
