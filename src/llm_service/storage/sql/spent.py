"""What was spent of a budget: from the rollups, and at the edges of a period from the records."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from llm_service.domain import LimitScope
from llm_service.storage.sql.base import WORK_S, Driver, Session
from llm_service.storage.sql.moments import DAY, HOUR
from llm_service.storage.sql.pieces import Source, pieces

_FROM: Final[Mapping[Source, str]] = {
    "records": "ledger WHERE at >= :since AND at < :until",
    "hours": f"rollups WHERE span = {HOUR} AND start >= :since AND start < :until",
    "days": f"rollups WHERE span = {DAY} AND start >= :since AND start < :until",
}
_OF: Final[Mapping[LimitScope, str]] = {
    "global": "",
    "model": " AND model = :subject",
    "key": " AND key_id = :subject",
    "user": " AND user_name = :subject",
    "provider": " AND provider = :subject",
}
_SPENT: Final[Mapping[tuple[Source, LimitScope], str]] = {
    (source, scope): f"SELECT CAST(COALESCE(SUM(nano_usd), 0) AS BIGINT) AS spent FROM {table}{condition}"  # noqa: S608
    for source, table in _FROM.items()
    for scope, condition in _OF.items()
}
_NEWEST: Final = "SELECT newest FROM marks WHERE name = 'ledger'"


async def spent(
    driver: Driver, scope: LimitScope, subject: str, *, since: datetime | None, until: datetime | None
) -> tuple[int, int]:
    """Nano-USD and the newest mark, both of one state of the database."""

    async def work(session: Session) -> tuple[int, int]:
        newest = int((await session.rows(_NEWEST))[0]["newest"])
        total = 0
        for source, start, end in pieces(since, until):
            values = {"since": start, "until": end} | ({} if scope == "global" else {"subject": subject})
            total += int((await session.rows(_SPENT[source, scope], values))[0]["spent"])
        return total, newest

    return await driver.read(work, timeout_s=WORK_S)
