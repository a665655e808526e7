"""A database of its own for each test of watches."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llm_service.storage import open_database
from tests.support.alerting import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    database = await open_database(None, data_dir=tmp_path)
    site = Site(database)
    yield site
    await site.aclose()
    await database.aclose()
