"""Opening a PostgreSQL database: its schema up to date, with words for what can be wrong."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from llm_service.domain import Secret
from llm_service.storage.sql.base import WORK_S, DatabaseError
from llm_service.storage.sql.migrate import Migration, migrate_postgres
from llm_service.storage.sql.postgres import Connection, PostgresDriver

MIGRATING_S: Final = 600.0
"""How long one process waits for another that migrates, and for the server with one statement of it."""
_IDLE_S: Final = 300.0
APPLICATION: Final = "llm-service"
"""How the service's sessions are named in the server."""


async def open_postgres(
    url: Secret, *, connections: int, migrations: Sequence[Migration], program: str
) -> PostgresDriver:
    """Connects, brings the schema up to date and makes the pool. Raises DatabaseError."""
    import asyncpg

    with explained():
        connection = await asyncpg.connect(url.reveal(), timeout=WORK_S, command_timeout=MIGRATING_S)
        try:
            await migrate_postgres(connection, migrations=migrations, program=program)
        finally:
            await connection.close(timeout=WORK_S)
        pool = await asyncpg.create_pool(
            url.reveal(),
            min_size=0,
            max_size=connections,
            timeout=WORK_S,
            max_inactive_connection_lifetime=_IDLE_S,
            reset=_keep,
            server_settings={"application_name": APPLICATION},
        )
    return PostgresDriver(pool)


@contextmanager
def explained() -> Iterator[None]:
    """Failures as DatabaseError, with words for what to do."""
    import asyncpg

    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
        raise DatabaseError(_words(error)) from error


async def _keep(connection: Connection) -> None:
    """No statement of ours leaves anything behind in a session, so there is no round trip to put it back."""


def _words(error: Exception) -> str:
    """What is wrong and what to do. Messages of the server are not repeated: they may quote the address."""
    import asyncpg

    head = "the PostgreSQL database of store.database_url cannot be opened"
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"{head} (its user or password is wrong): correct them in store.database_url"
        case asyncpg.InvalidCatalogNameError():
            return f"{head} (there is no database of that name): create it, or correct store.database_url"
        case asyncpg.InsufficientPrivilegeError():
            return f"{head} (its user may not create tables): grant it CREATE on the schema"
        case asyncpg.LockNotAvailableError():
            return f"{head} (somebody else holds its tables): end what works on it, consoles and backups among it"
        case asyncpg.DiskFullError():
            return f"{head} (its server's disk is full): make room there"
        case asyncpg.PostgresError():
            return f"{head} (SQLSTATE {error.sqlstate}, {type(error).__name__}): see the server's log"
        case TimeoutError():
            return f"{head} (no answer in time): is the host reachable from here, and is the server up?"
        case OSError():
            return (
                f"{head} (the host cannot be reached: {type(error).__name__}): correct the address, or start the server"
            )
        case _:
            return f"{head} (its address is wrong): it must look like postgresql://user:password@host:5432/name"
