"""Opening the durable store: SQLite in the data directory, or the PostgreSQL that is configured."""

import asyncio
from pathlib import Path
from typing import Final

from llm_service import __version__
from llm_service.domain import Secret
from llm_service.storage.ports import Database
from llm_service.storage.sql.database import SqlDatabase
from llm_service.storage.sql.migrate import migrations_for
from llm_service.storage.sql.postgres_open import open_postgres
from llm_service.storage.sql.sqlite_file import begin_sqlite, held_by_another, open_sqlite

SQLITE_NAME: Final = "llm-service.db"
CONNECTIONS: Final = 8
SWITCH_S: Final = 15.0
"""For others who have a new file; one look may take ``BUSY_S``, SQLite's own wait, and is not to be the last."""
SWITCH_PAUSE_S: Final = 0.01


async def open_database(url: Secret | None, *, data_dir: Path, connections: int = CONNECTIONS) -> Database:
    """The database with its schema migrated. ``None``: SQLite in the data directory.

    ``connections``: the most that this process opens to PostgreSQL. Raises DatabaseError.
    """
    if url is not None:
        steps = migrations_for("postgres")
        return SqlDatabase(await open_postgres(url, connections=connections, migrations=steps, program=__version__))
    path, steps = data_dir / SQLITE_NAME, migrations_for("sqlite")
    await _begun(path)
    driver = await asyncio.to_thread(open_sqlite, path, migrations=steps, program=__version__)
    return SqlDatabase(driver)


async def _begun(path: Path) -> None:
    """Wait for others who open the same new file, as the workers of one service do."""
    try:
        async with asyncio.timeout(SWITCH_S):
            while not await asyncio.to_thread(begin_sqlite, path):  # noqa: ASYNC110 - the state is the file's
                await asyncio.sleep(SWITCH_PAUSE_S)
    except TimeoutError:
        raise held_by_another(path) from None
