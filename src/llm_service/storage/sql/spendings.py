"""What was spent of a budget: sums per hour and day of each subject, and at the edges of a period the records."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from llm_service.domain import LimitScope
from llm_service.storage.sql.base import WORK_S, Driver, Session, Value
from llm_service.storage.sql.moments import DAY, HOUR
from llm_service.storage.sql.pieces import pieces
from llm_service.storage.sql.rollups import Sums

_GROW: Final = """
    INSERT INTO spendings (span, start, scope, subject, nano_usd) VALUES (:span, :start, :scope, :subject, :nano_usd)
    ON CONFLICT (span, start, scope, subject) DO UPDATE SET nano_usd = spendings.nano_usd + excluded.nano_usd
"""
# A look-up for each hour or day there may be something of: however many other subjects there are.
_SPENT: Final = """
    WITH RECURSIVE starts (start) AS (
        SELECT MIN(start) FROM spendings WHERE span = :span AND start >= :since AND start < :until
        UNION ALL
        SELECT start + :span FROM starts
        WHERE start + :span < :until AND start < (SELECT MAX(start) FROM spendings WHERE span = :span)
    )
    SELECT CAST(COALESCE(SUM(nano_usd), 0) AS BIGINT) AS spent
    FROM starts JOIN spendings ON spendings.start = starts.start
    WHERE spendings.span = :span AND scope = :scope AND subject = :subject
"""
_AT_AN_EDGE: Final = """
    WITH edge AS MATERIALIZED (SELECT * FROM ledger WHERE at >= :since AND at < :until)
    SELECT CAST(COALESCE(SUM(nano_usd), 0) AS BIGINT) AS spent FROM edge WHERE """
_OF: Final[Mapping[LimitScope, str]] = {
    "global": "1 = 1",
    "model": "model = :subject",
    "key": "key_id = :subject",
    "user": "user_name = :subject",
    "provider": "provider = :subject",
}
_NEWEST: Final = "SELECT newest FROM marks WHERE name = 'ledger'"


async def grow_spendings(session: Session, batch: Sums) -> None:
    """Adds what a batch of records cost, in the transaction that appends them."""
    sums: dict[tuple[int, int, LimitScope, str], int] = defaultdict(int)
    for hour, key_id, user, model, provider, nano_usd in batch.spent():
        for scope, subject in _subjects(model, key_id, user, provider):
            for span in (HOUR, DAY):
                sums[span, hour - hour % span, scope, subject] += nano_usd
    await session.many(_GROW, [(*of, nano_usd) for of, nano_usd in sums.items()])


async def spent(
    driver: Driver, scope: LimitScope, subject: str, *, since: datetime | None, until: datetime | None
) -> tuple[int, int]:
    """Nano-USD and the newest mark, both of one state of the database."""
    subject = "" if scope == "global" else subject

    async def work(session: Session) -> tuple[int, int]:
        newest = int((await session.rows(_NEWEST))[0]["newest"])
        total = 0
        for source, start, end in pieces(since, until):
            values: dict[str, Value] = {"since": start, "until": end, "scope": scope, "subject": subject}
            values["span"] = HOUR if source == "hours" else DAY
            statement = _AT_AN_EDGE + _OF[scope] if source == "records" else _SPENT
            total += int((await session.rows(statement, values))[0]["spent"])
        return total, newest

    return await driver.read(work, timeout_s=WORK_S)


def _subjects(model: str, key_id: str, user: str | None, provider: str | None) -> Iterator[tuple[LimitScope, str]]:
    yield "global", ""
    yield "model", model
    yield "key", key_id
    if user is not None:
        yield "user", user
    if provider is not None:
        yield "provider", provider
