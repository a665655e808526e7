"""Databases on both engines: SQLite in a new folder, PostgreSQL in a new database of a real server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_service.domain import Secret
from llm_service.storage import Database, open_database

ENGINES = ("sqlite", "postgres")


@dataclass(slots=True)
class Place:
    """Where a database is, to open it as often as a test likes."""

    url: str | None
    folder: Path
    opened: list[Database] = field(default_factory=list)

    async def open(self) -> Database:
        database = await open_database(Secret(self.url) if self.url else None, data_dir=self.folder)
        self.opened.append(database)
        return database


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def place(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Of an empty database."""
    url = None
    if engine == "postgres":
        url = await request.getfixturevalue("postgres_server").new_database()
    place = Place(url, tmp_path)
    yield place
    for database in place.opened:
        await database.aclose()


@pytest.fixture
async def database(place: Place) -> Database:
    return await place.open()
