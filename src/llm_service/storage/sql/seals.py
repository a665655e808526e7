"""Seals on pieces of the writers' chains, and removing the records of sealed pieces."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from llm_service.storage.ports import Seal
from llm_service.storage.sql.base import LONG_S, Conflict, Driver, Row, Session, Value
from llm_service.storage.sql.marks import LOCK_LEDGER
from llm_service.storage.sql.moments import micros, moment

_OF_WRITER: Final = "SELECT * FROM seals WHERE writer = :writer ORDER BY first_seq"
_COVERED: Final = "SELECT * FROM seals WHERE writer = :writer AND first_seq <= :last_seq AND last_seq >= :first_seq"
_INSERT: Final = """
    INSERT INTO seals (writer, first_seq, last_seq, hash, sealed_at, removed)
    VALUES (:writer, :first_seq, :last_seq, :hash, :sealed_at, :removed)
"""
_OLD: Final = """
    SELECT * FROM seals
    WHERE removed = 0
        AND EXISTS (SELECT 1 FROM ledger WHERE ledger.writer = seals.writer AND ledger.seq = seals.last_seq)
        AND NOT EXISTS (
            SELECT 1 FROM ledger
            WHERE ledger.writer = seals.writer AND ledger.seq BETWEEN seals.first_seq AND seals.last_seq
                AND ledger.at >= :before
        )
    ORDER BY writer, first_seq
"""
_MARK_REMOVED: Final = """
    UPDATE seals SET removed = 1 WHERE writer = :writer AND first_seq = :first_seq AND removed = 0
"""
_REMOVE_TAGS: Final = """
    DELETE FROM ledger_tags WHERE mark IN (
        SELECT mark FROM ledger WHERE writer = :writer AND seq BETWEEN :first_seq AND :last_seq
    )
"""
_REMOVE: Final = """
    DELETE FROM ledger WHERE writer = :writer AND seq BETWEEN :first_seq AND :last_seq RETURNING mark
"""


async def seals_of(driver: Driver, writer: str) -> Sequence[Seal]:
    """A writer's seals in order."""
    return [_seal(row) for row in await driver.rows(_OF_WRITER, {"writer": writer})]


async def keep_seal(driver: Driver, seal: Seal) -> None:
    """Keeps a seal. Raises Conflict when another one covers a part of the piece."""
    place = _place(seal)

    async def work(session: Session) -> None:
        await session.rows(LOCK_LEDGER)
        covered = [_seal(row) for row in await session.rows(_COVERED, place)]
        if not covered:
            moments: dict[str, Value] = {"sealed_at": micros(seal.sealed_at), "removed": int(seal.removed)}
            await session.rows(_INSERT, {**place, "hash": seal.hash, **moments})
        elif [replace(old, sealed_at=seal.sealed_at, removed=seal.removed) for old in covered] != [seal]:
            raise Conflict("another seal covers a part of that piece")

    await driver.write(work)


async def remove_sealed(driver: Driver, *, before: datetime) -> int:
    """Removes the records of pieces that are old as a whole, a transaction for each: others get their turn between."""
    old = await driver.rows(_OLD, {"before": micros(before)}, timeout_s=LONG_S)
    return sum([await _remove_piece(driver, _place(_seal(row))) for row in old])


async def _remove_piece(driver: Driver, place: dict[str, Value]) -> int:
    async def work(session: Session) -> int:
        await session.rows(_MARK_REMOVED, place)
        await session.rows(_REMOVE_TAGS, place)
        return len(await session.rows(_REMOVE, place))

    return await driver.write(work, timeout_s=LONG_S)


def _place(seal: Seal) -> dict[str, Value]:
    return {"writer": seal.writer, "first_seq": seal.first_seq, "last_seq": seal.last_seq}


def _seal(row: Row) -> Seal:
    return Seal(
        writer=row["writer"],
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        hash=row["hash"],
        sealed_at=moment(row["sealed_at"]),
        removed=bool(row["removed"]),
    )
