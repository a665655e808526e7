"""A connection that is cut between two steps of a statement: no defect, but a database that is away."""

from collections.abc import Sequence
from typing import Any

import pytest

from llm_service.storage import StoreUnavailable
from llm_service.storage.sql.base import Row
from llm_service.storage.sql.postgres import Connection, PostgresDriver


class Cut:
    """Fails as asyncpg does once its protocol is gone; ``closed``: whether it is."""

    def __init__(self, *, closed: bool) -> None:
        self.closed = closed

    async def execute(self, text: str, *values: object) -> str:
        return ""

    async def fetch(self, text: str, *values: object) -> Sequence[Row]:
        gone: Any = None
        return gone.bind_execute()  # type: ignore[no-any-return]

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True


class OnePool:
    def __init__(self, connection: Cut) -> None:
        self.connection = connection

    async def acquire(self, *, timeout: float) -> Connection:
        return self.connection

    async def release(self, connection: Connection) -> None: ...

    async def expire_connections(self) -> None: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


async def test_a_connection_that_was_cut_is_an_absent_database() -> None:
    with pytest.raises(StoreUnavailable):
        await PostgresDriver(OnePool(Cut(closed=True))).rows("SELECT 1")


async def test_the_same_failure_of_a_connection_that_stands_is_a_defect() -> None:
    with pytest.raises(AttributeError):
        await PostgresDriver(OnePool(Cut(closed=False))).rows("SELECT 1")
