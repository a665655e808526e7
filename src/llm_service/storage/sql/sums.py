"""Sums by groups: from the rollups where they can tell, at the edges of a period and for the rest from the records."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from llm_service.storage.ports import UsageFilter, UsageGroup, UsageSum
from llm_service.storage.sql.base import LONG_S, Driver, Row, Session, Value
from llm_service.storage.sql.conditions import HIT, conditions
from llm_service.storage.sql.moments import DAY, HOUR, moment
from llm_service.storage.sql.pieces import Piece, Source, pieces
from llm_service.storage.sql.rollups import SUMS

Group = tuple[str | None, ...]

_COLUMNS: Final[Mapping[UsageGroup, str]] = {
    "key": "key_id",
    "user": "user_name",
    "model": "model",
    "provider": "provider",
    "surface": "surface",
    "status": "status",
    "cache": "cache",
}
_STARTS: Final[Mapping[UsageGroup, int]] = {"hour": HOUR, "day": DAY}
_FORMATS: Final[Mapping[UsageGroup, str]] = {"hour": "%Y-%m-%dT%H:00:00Z", "day": "%Y-%m-%d"}
_FIGURES: Final = (*SUMS, "hits")
_OF_RECORDS: Final = f"""
    SUM(CASE WHEN adjusts IS NULL THEN 1 ELSE 0 END) AS requests, SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens, SUM(cached_input_tokens) AS cached_input_tokens,
    SUM(reasoning_tokens) AS reasoning_tokens, SUM(nano_usd) AS nano_usd, SUM(saved_nano_usd) AS saved_nano_usd,
    SUM(wasted_nano_usd) AS wasted_nano_usd,
    SUM(CASE WHEN adjusts IS NULL AND status = 'error' THEN 1 ELSE 0 END) AS errors,
    SUM(CASE WHEN adjusts IS NULL AND {HIT} THEN 1 ELSE 0 END) AS hits"""
# By moment, before any other condition lures the planner to an index over all of time.
_EDGE: Final = "WITH edge AS MATERIALIZED (SELECT * FROM ledger WHERE at >= :piece_since AND at < :piece_until) "
_OF_ROLLUPS: Final = (
    ", ".join(f"SUM({name}) AS {name}" for name in SUMS) + f", SUM(CASE WHEN {HIT} THEN requests ELSE 0 END) AS hits"
)


async def sums(driver: Driver, which: UsageFilter, *, by: Sequence[UsageGroup]) -> Sequence[UsageSum]:
    """Sums on one state of the database, in the order of their groups.

    Groups of ``tag`` are ``name=value``: a record counts once for each of its tags, one without tags for ``None``.
    Hours and days are named by their start (``2026-11-25T21:00:00Z``, ``2026-11-25``), UTC. Errors are requests whose
    status is ``error``; a correction is no request.
    """
    by = tuple(dict.fromkeys(by))

    async def work(session: Session) -> Mapping[Group, list[int]]:
        return await _collect(session, which, by)

    totals = await driver.read(work, timeout_s=LONG_S)
    if not by and not totals:
        totals = {(): [0] * len(_FIGURES)}
    ordered = sorted(totals.items(), key=lambda item: [(value is not None, value or "") for value in item[0]])
    return [
        UsageSum(group=dict(zip(by, group, strict=True)), **dict(zip(_FIGURES, found, strict=True)))
        for group, found in ordered
    ]


async def _collect(session: Session, which: UsageFilter, by: Sequence[UsageGroup]) -> Mapping[Group, list[int]]:
    totals: dict[Group, list[int]] = defaultdict(lambda: [0] * len(_FIGURES))
    for piece in pieces(which.since, which.until, coarsest=_coarsest(which, by)):
        for table in _tables(piece, which, by):
            for row in await session.rows(*_query(piece, table, which, by)):
                found = totals[_group(row, by)]
                for place, name in enumerate(_FIGURES):
                    found[place] += int(row[name])
    return totals


def _coarsest(which: UsageFilter, by: Sequence[UsageGroup]) -> Source:
    """A rollup of tags knows one tag of a record: not which others there were."""
    if which.tag is not None and "tag" in by:
        return "records"
    return "hours" if "hour" in by else "days"


def _tables(piece: Piece, which: UsageFilter, by: Sequence[UsageGroup]) -> Iterator[str]:
    if piece.source == "records":
        table = "edge" if _is_edge(piece) else "ledger"
        yield f"{table} LEFT JOIN ledger_tags USING (mark)" if "tag" in by else table
        return
    if "tag" in by:
        yield "tag_rollups"
        yield "rollups"
    else:
        yield "rollups" if which.tag is None else "tag_rollups"


def _query(piece: Piece, table: str, which: UsageFilter, by: Sequence[UsageGroup]) -> tuple[str, Mapping[str, Value]]:
    records = piece.source == "records"
    where, values = conditions(which, of_tag_rollups=table == "tag_rollups", of_period=False)
    at = "at" if records else "start"
    where = f"{at} >= :piece_since AND {at} < :piece_until AND {where}"
    if not records:
        where = f"span = {HOUR if piece.source == 'hours' else DAY} AND {where}"
    if "tag" in by and table == "rollups":
        where = f"tagged = 0 AND {where}"
    names = [name for group in by for name in _names(group, at=at, tags=table != "rollups")]
    chosen = "".join(f"{text} AS by_{name}, " for name, text in names)
    grouped = f" GROUP BY {', '.join(text for _, text in names)}" if names else ""
    summed = _OF_RECORDS if records else _OF_ROLLUPS
    head = _EDGE if _is_edge(piece) else ""
    statement = f"{head}SELECT {chosen}{summed} FROM {table} WHERE {where}{grouped} HAVING COUNT(*) > 0"  # noqa: S608
    return statement, {**values, "piece_since": piece.since, "piece_until": piece.until}


def _is_edge(piece: Piece) -> bool:
    return piece.source == "records" and piece.until - piece.since < 2 * HOUR


def _names(group: UsageGroup, *, at: str, tags: bool) -> Iterator[tuple[str, str]]:
    """Names and expressions of what a group is told by."""
    if group == "tag":
        if tags:
            yield "tag_name", "tag_name"
            yield "tag_value", "tag_value"
    elif group in _STARTS:
        yield group, f"{at} - {at} % {_STARTS[group]}"
    else:
        yield group, _COLUMNS[group]


def _group(row: Row, by: Sequence[UsageGroup]) -> Group:
    return tuple(_value(row, group) for group in by)


def _value(row: Row, group: UsageGroup) -> str | None:
    if group == "tag":
        name = row["by_tag_name"] if "by_tag_name" in row.keys() else None  # noqa: SIM118 - rows are no mappings
        return None if name is None else f"{name}={row['by_tag_value']}"
    value = row[f"by_{group}"]
    return moment(value).strftime(_FORMATS[group]) if group in _FORMATS else value
