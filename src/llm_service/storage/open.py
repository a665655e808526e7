"""Opening the durable store: SQLite in the data directory, or the PostgreSQL that is configured."""

import asyncio
from pathlib import Path
from typing import Final

from llm_service import __version__
from llm_service.domain import Secret
from llm_service.storage.base import Database
from llm_service.storage.sql.database import SqlDatabase
from llm_service.storage.sql.migrate import migrations_for
from llm_service.storage.sql.postgres_open import open_postgres
from llm_service.storage.sql.sqlite_file import open_sqlite

SQLITE_NAME: Final = "llm-service.db"
CONNECTIONS: Final = 8


async def open_database(
    url: Secret | None, *, data_dir: Path, durable: bool = False, connections: int = CONNECTIONS
) -> Database:
    """The database with its schema migrated. ``None``: SQLite in the data directory.

    ``durable``: SQLite writes each commit through to the disk (PostgreSQL does so unless it is told otherwise).
    ``connections``: the most that this process opens to PostgreSQL. Raises DatabaseError.
    """
    if url is not None:
        steps = migrations_for("postgres")
        return SqlDatabase(await open_postgres(url, connections=connections, migrations=steps, program=__version__))
    path, steps = data_dir / SQLITE_NAME, migrations_for("sqlite")
    driver = await asyncio.to_thread(open_sqlite, path, durable=durable, migrations=steps, program=__version__)
    return SqlDatabase(driver)
