"""Api keys in SQL. Every change gets the next mark, in the order of commits, so that others can ask what changed."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from llm_service.domain import Allowance, ApiKey, KeySecret
from llm_service.storage.sql.base import LOOK_UP_S, Driver, Row, Session, Value, Values
from llm_service.storage.sql.moments import micros, micros_or_none, moment, moment_or_none

_NEXT_MARK: Final = "UPDATE marks SET newest = newest + 1 WHERE name = 'keys' RETURNING newest"
_INSERT: Final = """
    INSERT INTO api_keys (id, name, scopes, created_at, user_name, models, requests_per_minute, tokens_per_minute,
        concurrent_requests, budget_nano_usd, budget_period, tags, on_disconnect, semantic_cache, expires_at,
        revoked_at, version, changed)
    VALUES (:id, :name, :scopes, :created_at, :user_name, :models, :requests_per_minute, :tokens_per_minute,
        :concurrent_requests, :budget_nano_usd, :budget_period, :tags, :on_disconnect, :semantic_cache, :expires_at,
        :revoked_at, :version, :changed)
"""
_UPDATE: Final = """
    UPDATE api_keys SET name = :name, scopes = :scopes, created_at = :created_at, user_name = :user_name,
        models = :models, requests_per_minute = :requests_per_minute, tokens_per_minute = :tokens_per_minute,
        concurrent_requests = :concurrent_requests, budget_nano_usd = :budget_nano_usd,
        budget_period = :budget_period, tags = :tags, on_disconnect = :on_disconnect,
        semantic_cache = :semantic_cache, expires_at = :expires_at, revoked_at = :revoked_at,
        version = :version, changed = :changed
    WHERE id = :id AND version = :version - 1
    RETURNING id
"""
_INSERT_HASH: Final = """
    INSERT INTO key_secrets (prefix, key_id, hash, hash_key, created_at, expires_at)
    VALUES (:prefix, :key_id, :hash, :hash_key, :created_at, :expires_at)
"""
_END_OTHERS: Final = """
    UPDATE key_secrets SET expires_at = :ends_at
    WHERE key_id = :key_id AND (expires_at IS NULL OR expires_at > :ends_at)
"""
_FIND: Final = """
    SELECT api_keys.*, prefix, hash, hash_key, key_secrets.created_at AS secret_created_at,
        key_secrets.expires_at AS secret_expires_at
    FROM key_secrets JOIN api_keys ON api_keys.id = key_secrets.key_id
    WHERE prefix = :prefix
"""
_GET: Final = "SELECT * FROM api_keys WHERE id = :id"
_SEVERAL: Final = "SELECT * FROM api_keys WHERE id = ANY(:ids)"
_PAGE: Final = "SELECT * FROM api_keys WHERE id > :after {found} ORDER BY id LIMIT :count"
_NEWEST_FIRST: Final = "SELECT * FROM api_keys WHERE id < :after {found} ORDER BY id DESC LIMIT :count"
_FOUND: Final = """
    AND (lower(name) LIKE lower(:like) ESCAPE '!' OR lower(user_name) LIKE lower(:like) ESCAPE '!'
        OR lower(id) LIKE lower(:like) ESCAPE '!')
"""
_WILD: Final = re.compile("([%_!])")
_ESCAPED: Final = r"!\1"
_LAST_ID: Final = "\U0010ffff"
"""Behind every id."""
_NEWEST: Final = "SELECT newest FROM marks WHERE name = 'keys'"
_CHANGED: Final = """
    SELECT newest, id FROM marks LEFT JOIN api_keys ON changed > :mark
    WHERE marks.name = 'keys' ORDER BY changed
"""


class SqlKeys:
    """The port KeyStore on either engine."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def insert(self, key: ApiKey, secret: KeySecret) -> None:
        """Raises Conflict when there is a key of this id, or a secret of this prefix."""

        async def work(session: Session) -> None:
            await session.rows(_INSERT, {**_columns(key), "changed": await _next_mark(session)})
            await session.rows(_INSERT_HASH, _secret_columns(secret))

        await self._driver.write(work)

    async def find(self, prefix: str) -> tuple[ApiKey, KeySecret] | None:
        if "\0" in prefix:  # no text for PostgreSQL, and nothing that we have issued
            return None
        rows = await self._driver.rows(_FIND, {"prefix": prefix}, timeout_s=LOOK_UP_S)
        return (_key(rows[0]), _secret(rows[0])) if rows else None

    async def get(self, key_id: str) -> ApiKey | None:
        if "\0" in key_id:
            return None
        rows = await self._driver.rows(_GET, {"id": key_id}, timeout_s=LOOK_UP_S)
        return _key(rows[0]) if rows else None

    async def several(self, key_ids: Sequence[str]) -> Sequence[ApiKey]:
        ids = [key_id for key_id in key_ids if "\0" not in key_id]
        return [_key(row) for row in await self._driver.rows(_SEVERAL, {"ids": ids})] if ids else ()

    async def page(
        self, *, after: str | None, count: int, newest_first: bool = False, find: str | None = None
    ) -> Sequence[ApiKey]:
        if find is not None and "\0" in find:
            return ()
        values: dict[str, Value] = {"after": after or (_LAST_ID if newest_first else ""), "count": count}
        if find is not None:
            values["like"] = f"%{_WILD.sub(_ESCAPED, find)}%"
        statement = (_NEWEST_FIRST if newest_first else _PAGE).format(found="" if find is None else _FOUND)
        return [_key(row) for row in await self._driver.rows(statement, values)]

    async def update(self, key: ApiKey) -> bool:
        async def work(session: Session) -> bool:
            return await _replace(session, key)

        return await self._driver.write(work)

    async def add_secret(self, key: ApiKey, secret: KeySecret, *, others_end_at: datetime) -> bool:
        """Raises Conflict when there is a secret of this prefix."""

        async def work(session: Session) -> bool:
            if not await _replace(session, key):
                return False
            await session.rows(_END_OTHERS, {"key_id": key.id, "ends_at": micros(others_end_at)})
            await session.rows(_INSERT_HASH, _secret_columns(secret))
            return True

        return await self._driver.write(work)

    async def changed_since(self, mark: int) -> tuple[Sequence[str], int]:
        """After a database of the past has been put in place, every key has changed for whom marks were later."""
        if mark == 0:
            return (), int((await self._driver.rows(_NEWEST, timeout_s=LOOK_UP_S))[0]["newest"])
        rows = await self._driver.rows(_CHANGED, {"mark": mark})
        if mark > rows[0]["newest"]:
            rows = await self._driver.rows(_CHANGED, {"mark": 0})
        return [row["id"] for row in rows if row["id"] is not None], int(rows[0]["newest"])


async def _next_mark(session: Session) -> int:
    return int((await session.rows(_NEXT_MARK))[0]["newest"])


async def _replace(session: Session, key: ApiKey) -> bool:
    return bool(await session.rows(_UPDATE, {**_columns(key), "changed": await _next_mark(session)}))


def _columns(key: ApiKey) -> Values:
    allowance = key.allowance
    return {
        "id": key.id,
        "name": key.name,
        "scopes": " ".join(sorted(key.scopes)),
        "created_at": micros(key.created_at),
        "user_name": key.user,
        "models": None if key.models is None else json.dumps(key.models),
        "requests_per_minute": allowance.requests_per_minute,
        "tokens_per_minute": allowance.tokens_per_minute,
        "concurrent_requests": allowance.concurrent_requests,
        "budget_nano_usd": allowance.budget_nano_usd,
        "budget_period": allowance.budget_period,
        "tags": json.dumps(dict(key.tags)),
        "on_disconnect": key.on_disconnect,
        "semantic_cache": int(key.semantic_cache),
        "expires_at": micros_or_none(key.expires_at),
        "revoked_at": micros_or_none(key.revoked_at),
        "version": key.version,
    }


def _secret_columns(secret: KeySecret) -> Values:
    return {
        "prefix": secret.prefix,
        "key_id": secret.key_id,
        "hash": secret.hash,
        "hash_key": secret.hash_key,
        "created_at": micros(secret.created_at),
        "expires_at": micros_or_none(secret.expires_at),
    }


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        name=row["name"],
        scopes=frozenset(row["scopes"].split()),
        created_at=moment(row["created_at"]),
        user=row["user_name"],
        models=None if row["models"] is None else tuple(json.loads(row["models"])),
        allowance=Allowance(
            requests_per_minute=row["requests_per_minute"],
            tokens_per_minute=row["tokens_per_minute"],
            concurrent_requests=row["concurrent_requests"],
            budget_nano_usd=row["budget_nano_usd"],
            budget_period=row["budget_period"],
        ),
        tags=json.loads(row["tags"]),
        on_disconnect=row["on_disconnect"],
        semantic_cache=bool(row["semantic_cache"]),
        expires_at=moment_or_none(row["expires_at"]),
        revoked_at=moment_or_none(row["revoked_at"]),
        version=row["version"],
    )


def _secret(row: Row) -> KeySecret:
    return KeySecret(
        key_id=row["id"],
        prefix=row["prefix"],
        hash=row["hash"],
        hash_key=row["hash_key"],
        created_at=moment(row["secret_created_at"]),
        expires_at=moment_or_none(row["secret_expires_at"]),
    )
