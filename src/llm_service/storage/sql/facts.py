"""Small facts by name in SQL."""

from collections.abc import Mapping
from typing import Final

from llm_service.storage.sql.base import Driver, Session

_GET: Final = "SELECT value FROM facts WHERE name = :name"
_HAVING: Final = "SELECT name, value FROM facts WHERE substr(name, 1, :letters) = :prefix"
_KEEP: Final = """
    INSERT INTO facts (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = facts.value RETURNING value
"""
_PUT: Final = """
    INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_REMOVE: Final = "DELETE FROM facts WHERE name = :name"


class SqlFacts:
    """The port FactStore on either engine."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def get(self, name: str) -> str | None:
        rows = await self._driver.rows(_GET, {"name": name})
        return str(rows[0]["value"]) if rows else None

    async def having(self, prefix: str) -> Mapping[str, str]:
        rows = await self._driver.rows(_HAVING, {"letters": len(prefix), "prefix": prefix})
        return {str(row["name"]): str(row["value"]) for row in rows}

    async def put_if_absent(self, name: str, value: str) -> str:
        async def work(session: Session) -> str:
            return str((await session.rows(_KEEP, {"name": name, "value": value}))[0]["value"])

        return await self._driver.write(work)

    async def put(self, name: str, value: str | None) -> None:
        async def work(session: Session) -> None:
            if value is None:
                await session.rows(_REMOVE, {"name": name})
            else:
                await session.rows(_PUT, {"name": name, "value": value})

        await self._driver.write(work)
