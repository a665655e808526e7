"""The configured database, opened beside whatever service is running."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from llm_service.config import Settings
from llm_service.runtime import DataDirError, prepare_data_dir
from llm_service.storage import SQLITE_NAME, Database, DatabaseError, open_database

Opener = Callable[[Settings, Path], AbstractAsyncContextManager[Database]]


class CannotOpen(Exception):
    """The database cannot be opened; the message says why."""


@asynccontextmanager
async def opened_database(settings: Settings, data_dir: Path) -> AsyncIterator[Database]:
    """The database, until the block ends. It and the data directory are made where they are missing.

    The lock of the data directory is left alone. Raises CannotOpen.
    """
    try:
        prepare_data_dir(data_dir)
        database = await open_database(settings.store.database_url, data_dir=data_dir)
    except (DataDirError, DatabaseError) as error:
        raise CannotOpen(str(error)) from error
    try:
        yield database
    finally:
        await database.aclose()


@asynccontextmanager
async def existing_database(settings: Settings, data_dir: Path) -> AsyncIterator[Database]:
    """The database, until the block ends. A new one would answer that there is nothing, so none is made.

    Raises CannotOpen.
    """
    refuse_missing(settings, data_dir)
    async with opened_database(settings, data_dir) as database:
        yield database


def refuse_missing(settings: Settings, data_dir: Path) -> None:
    """Raises CannotOpen where the database would be a SQLite file that is not there."""
    path = data_dir / SQLITE_NAME
    if settings.store.database_url is None and _missing(path):
        raise CannotOpen(
            f"there is no database at {path}: name the service's data directory by --data-dir or server.data_dir, "
            "and say --sandbox as it was started"
        )


def _missing(path: Path) -> bool:
    """What keeps one from looking is no proof: opening will tell it."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def place_of(settings: Settings, data_dir: Path) -> str:
    """Where the database is, for people: a file, or PostgreSQL, whose address holds a password."""
    return str(data_dir / SQLITE_NAME) if settings.store.database_url is None else "PostgreSQL"
