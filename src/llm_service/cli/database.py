"""The configured database, opened beside whatever service is running."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from llm_service.config import Settings
from llm_service.runtime import DataDirError, prepare_data_dir
from llm_service.storage import Database, DatabaseError, open_database

Opener = Callable[[Settings, Path], AbstractAsyncContextManager[Database]]


class CannotOpen(Exception):
    """The database cannot be opened; the message says why."""


@asynccontextmanager
async def opened_database(settings: Settings, data_dir: Path) -> AsyncIterator[Database]:
    """The database, until the block ends. The data directory is made where it is missing, and its lock left alone.

    Raises CannotOpen.
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
