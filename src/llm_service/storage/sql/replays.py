"""Answers under their idempotency keys in SQL."""

from datetime import datetime
from hashlib import sha256
from typing import Final

from llm_service.storage.ports import Replay
from llm_service.storage.sql.base import Driver, Row, Session, Value
from llm_service.storage.sql.moments import micros

# A row in conflict is locked whether or not it is updated, so that what is read next still stands there
# (postgresql.org/docs/current/sql-insert.html, ON CONFLICT); SQLite has one writer.
_BEGIN: Final = """
    INSERT INTO replays (id, fingerprint, request_id, holder, expires_at)
    VALUES (:id, :fingerprint, :request_id, :holder, :expires_at)
    ON CONFLICT (id) DO UPDATE SET
        fingerprint = excluded.fingerprint, request_id = excluded.request_id, holder = excluded.holder,
        expires_at = excluded.expires_at, answer = NULL
    WHERE replays.expires_at <= :now
    RETURNING id
"""
_FIND: Final = "SELECT * FROM replays WHERE id = :id"
_FIND_HELD: Final = "SELECT * FROM replays WHERE id = :id AND expires_at > :now"
_KEEP: Final = """
    UPDATE replays SET answer = COALESCE(answer, :answer), expires_at = :expires_at
    WHERE id = :id AND request_id = :request_id RETURNING id
"""
_GIVE_UP: Final = "DELETE FROM replays WHERE id = :id AND request_id = :request_id AND answer IS NULL RETURNING id"
_TAKE_OVER: Final = """
    UPDATE replays SET request_id = :request_id, holder = :holder, expires_at = :expires_at
    WHERE id = :id AND request_id = :from_request_id AND answer IS NULL RETURNING id
"""
# The moment is compared twice: PostgreSQL looks at a row again that someone else has begun anew meanwhile, and at the
# outer condition alone.
_REMOVE: Final = """
    DELETE FROM replays
    WHERE expires_at <= :now AND id IN (
        SELECT id FROM replays WHERE expires_at <= :now ORDER BY expires_at LIMIT :count
    )
    RETURNING id
"""


class SqlReplays:
    """The port ReplayStore on either engine."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def begin(
        self,
        tenant: str,
        idempotency_key: str,
        *,
        fingerprint: bytes,
        request_id: str,
        holder: str,
        now: datetime,
        expires_at: datetime,
    ) -> Replay:
        row_id = _id(tenant, idempotency_key)
        begun: dict[str, Value] = {
            "id": row_id,
            "fingerprint": fingerprint,
            "request_id": request_id,
            "holder": holder,
            "expires_at": micros(expires_at),
            "now": micros(now),
        }

        async def work(session: Session) -> Replay:
            if await session.rows(_BEGIN, begun):
                return Replay(state="begun", request_id=request_id, holder=holder)
            (row,) = await session.rows(_FIND, {"id": row_id})
            return _found(row, fingerprint=fingerprint, request_id=request_id)

        return await self._driver.write(work)

    async def find(self, tenant: str, idempotency_key: str, *, fingerprint: bytes, now: datetime) -> Replay | None:
        rows = await self._driver.rows(_FIND_HELD, {"id": _id(tenant, idempotency_key), "now": micros(now)})
        return _found(rows[0], fingerprint=fingerprint, request_id=None) if rows else None

    async def keep(
        self, tenant: str, idempotency_key: str, *, request_id: str, answer: bytes, expires_at: datetime
    ) -> bool:
        place: dict[str, Value] = {"id": _id(tenant, idempotency_key), "request_id": request_id}
        return await self._changed(_KEEP, {**place, "answer": answer, "expires_at": micros(expires_at)}) > 0

    async def give_up(self, tenant: str, idempotency_key: str, *, request_id: str) -> bool:
        return await self._changed(_GIVE_UP, {"id": _id(tenant, idempotency_key), "request_id": request_id}) > 0

    async def take_over(
        self,
        tenant: str,
        idempotency_key: str,
        *,
        from_request_id: str,
        request_id: str,
        holder: str,
        expires_at: datetime,
    ) -> bool:
        values: dict[str, Value] = {
            "id": _id(tenant, idempotency_key),
            "from_request_id": from_request_id,
            "request_id": request_id,
            "holder": holder,
            "expires_at": micros(expires_at),
        }
        return await self._changed(_TAKE_OVER, values) > 0

    async def remove_expired(self, now: datetime, count: int) -> int:
        return await self._changed(_REMOVE, {"now": micros(now), "count": count})

    async def _changed(self, statement: str, values: dict[str, Value]) -> int:
        async def work(session: Session) -> int:
            return len(await session.rows(statement, values))

        return await self._driver.write(work)


def _id(tenant: str, idempotency_key: str) -> bytes:
    """Whose key and which, in a length that every index takes; no two pairs have the same text."""
    text = f"{len(tenant)} {tenant} {idempotency_key}"
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _found(row: Row, *, fingerprint: bytes, request_id: str | None) -> Replay:
    held_by = {"request_id": row["request_id"], "holder": row["holder"]}
    if row["fingerprint"] != fingerprint:
        return Replay(state="other", **held_by)
    if row["answer"] is not None:
        return Replay(state="kept", answer=row["answer"], **held_by)
    return Replay(state="begun" if row["request_id"] == request_id else "running", **held_by)
