"""Sums and spendings equal plain sums over the records, by every group, filter and period."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_service.domain import CacheStatus, LimitScope, UsageRecord
from llm_service.storage import ChainLink, Database, LedgerRow, UsageFilter, UsageGroup, UsageSum
from llm_service.storage.sql.base import Session
from llm_service.storage.sql.database import SqlDatabase
from llm_service.storage.sql.moments import micros
from llm_service.storage.sql.pieces import Source, pieces
from tests.support.records import record

HITS = ("hit", "semantic", "coalesced", "stale")
START = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
HOURS = 52  # over two midnights
SUMMED = (
    "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "nano_usd", "saved_nano_usd",
    "wasted_nano_usd",
)  # fmt: skip
FIGURES = len(SUMMED) + 3
GROUPS: tuple[UsageGroup, ...] = get_args(UsageGroup)

SUBJECTS: tuple[tuple[LimitScope, str, UsageFilter], ...] = (
    ("global", "", UsageFilter()),
    ("key", "key_1", UsageFilter(key_id="key_1")),
    ("user", "bob", UsageFilter(user="bob")),
    ("model", "fast", UsageFilter(model="fast")),
    ("provider", "openrouter", UsageFilter(provider="openrouter")),
    ("provider", "nobody", UsageFilter(provider="nobody")),
)

whole_hours = st.integers(0, HOURS).map(lambda hours: START + timedelta(hours=hours))
odd_moments = st.integers(0, HOURS * 3_600_000_000).map(lambda micros: START + timedelta(microseconds=micros))
moments = whole_hours | odd_moments
tokens = st.integers(-1_000, 2**40)
records = st.builds(
    record,
    at=moments,
    key_id=st.sampled_from(["key_1", "key_2"]),
    user=st.sampled_from([None, "", "bob"]),
    tags=st.dictionaries(st.sampled_from(["team", "x"]), st.sampled_from(["", "a", "b"])),
    surface=st.sampled_from(["rest", "graphql"]),
    model=st.sampled_from(["fast", "deepseek/chat"]),
    provider=st.sampled_from([None, "deepseek", "openrouter"]),
    status=st.sampled_from(["ok", "error", "aborted"]),
    cache=st.sampled_from(get_args(CacheStatus)),
    adjusts=st.none() | st.just("req_other"),
    **dict.fromkeys(SUMMED, tokens),
)
some_or_none = st.none() | moments
filters = st.builds(
    UsageFilter,
    since=some_or_none,
    until=some_or_none,
    key_id=st.sampled_from([None, None, "key_1"]),
    user=st.sampled_from([None, None, "", "bob"]),
    model=st.sampled_from([None, None, "fast"]),
    provider=st.sampled_from([None, None, "openrouter"]),
    tag=st.sampled_from([None, None, ("team", "a"), ("x", "")]),
    status=st.sampled_from([None, None, "error"]),
    cache=st.sampled_from([None, None, "hit", "miss"]),
)


async def holding(database: Database, wanted: Sequence[UsageRecord]) -> Sequence[UsageRecord]:
    """Empties the ledger, and appends these under names of their own, in two batches."""

    async def empty(session: Session) -> None:
        for table in ("ledger", "ledger_tags", "rollups", "tag_rollups", "spendings"):
            await session.rows(f"DELETE FROM {table}")

    assert isinstance(database, SqlDatabase)
    await database._driver.write(empty)
    named = [replace(one, request_id=f"req_{number}") for number, one in enumerate(wanted)]
    rows = [
        LedgerRow(record=one, link=ChainLink(writer="w", seq=seq, previous="", hash=""))
        for seq, one in enumerate(named)
    ]
    await database.ledger.append(rows[::2])
    await database.ledger.append(rows[1::2])
    return named


def passes(one: UsageRecord, which: UsageFilter) -> bool:
    wanted = (which.key_id, which.user, which.model, which.provider, which.status, which.cache)
    has = (one.key_id, one.user, one.model, one.provider, one.status, one.cache)
    return (
        all(want is None or want == value for want, value in zip(wanted, has, strict=True))
        and (which.tag is None or which.tag in one.tags.items())
        and (which.since is None or one.at >= which.since)
        and (which.until is None or one.at < which.until)
    )


def groups_of(one: UsageRecord, by: Sequence[UsageGroup]) -> Iterator[tuple[str | None, ...]]:
    names: dict[str, list[str | None]] = {
        "key": [one.key_id], "user": [one.user], "model": [one.model], "provider": [one.provider],
        "tag": [f"{name}={value}" for name, value in one.tags.items()] or [None],
        "hour": [f"{one.at:%Y-%m-%dT%H}:00:00Z"], "day": [f"{one.at:%Y-%m-%d}"],
        "surface": [one.surface], "status": [one.status], "cache": [one.cache],
    }  # fmt: skip
    return product(*(names[group] for group in by))


def plain_sums(all_records: Sequence[UsageRecord], which: UsageFilter, by: Sequence[UsageGroup]) -> dict[Any, Any]:
    totals: dict[Any, list[int]] = defaultdict(lambda: [0] * FIGURES)
    for one in all_records:
        if passes(one, which):
            for group in groups_of(one, by):
                own = int(one.adjusts is None)
                counts = own, own * (one.status == "error"), own * (one.cache in HITS)
                added = (*counts, *(getattr(one, name) for name in SUMMED))
                totals[group] = [total + value for total, value in zip(totals[group], added, strict=True)]
    return {group: tuple(total) for group, total in totals.items()} or ({} if by else {(): (0,) * FIGURES})


def told(sums: Sequence[UsageSum], by: Sequence[UsageGroup]) -> dict[Any, Any]:
    result = {
        tuple(one.group[name] for name in by): (
            one.requests, one.errors, one.hits, *(getattr(one, name) for name in SUMMED),
        ) for one in sums
    }  # fmt: skip
    assert len(result) == len(sums)
    return result


groupings = st.lists(st.sampled_from(GROUPS), max_size=3, unique=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(records, max_size=12), st.lists(st.tuples(filters, groupings), min_size=1, max_size=4))
async def test_sums_are_plain_sums(
    database: Database, wanted: list[UsageRecord], asked: list[tuple[UsageFilter, list[UsageGroup]]]
) -> None:
    kept = await holding(database, wanted)
    for which, by in asked:
        assert told(await database.ledger.sums(which, by=by), by) == plain_sums(kept, which, by)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(records, max_size=12), st.lists(st.tuples(some_or_none, some_or_none), min_size=1, max_size=4))
async def test_what_was_spent_is_a_plain_sum(
    database: Database, wanted: list[UsageRecord], asked: list[tuple[datetime | None, datetime | None]]
) -> None:
    kept = await holding(database, wanted)
    newest = max([row.mark for row in await database.ledger.page(UsageFilter(), after=None, count=1)], default=None)
    for since, until in asked:
        for scope, subject, which in SUBJECTS:
            inside = [one for one in kept if passes(one, replace(which, since=since, until=until))]
            spent, mark = await database.ledger.spent(scope, subject, since=since, until=until)
            assert spent == sum(one.nano_usd for one in inside)
            assert newest in {mark, None}


@pytest.mark.parametrize("group", GROUPS)
async def test_every_group_by_itself(group: UsageGroup, database: Database) -> None:
    wanted = [
        record(tags={"team": "a", "x": "b"}, user="bob", status="error"),
        record(provider=None, user="", at=START),
        record(adjusts="req_1", nano_usd=-1),
        record(key_id="key_2", surface="graphql", model="fast", tags={"team": "a"}),
        record(cache="hit", nano_usd=0, saved_nano_usd=1_000),
    ]
    kept = await holding(database, wanted)
    assert told(await database.ledger.sums(UsageFilter(), by=[group]), [group]) == plain_sums(
        kept, UsageFilter(), [group]
    )


async def test_hits_and_what_they_saved_outlive_their_records(database: Database) -> None:
    await holding(
        database,
        [
            record(cache="hit", nano_usd=0, saved_nano_usd=700, tags={"team": "a"}),
            record(cache="stale", nano_usd=0, saved_nano_usd=30),
            record(cache="replay", nano_usd=0, saved_nano_usd=5),
            record(cache="miss", nano_usd=700),
            record(cache="miss", nano_usd=-1, adjusts="req_3"),
        ],
    )

    async def remove(session: Session) -> None:
        await session.rows("DELETE FROM ledger")

    await database._driver.write(remove)  # type: ignore[attr-defined]
    (whole,) = await database.ledger.sums(UsageFilter(), by=["model"])
    assert (whole.requests, whole.hits, whole.nano_usd, whole.saved_nano_usd) == (4, 2, 699, 735)
    by_status = await database.ledger.sums(UsageFilter(), by=["cache"])
    assert [(one.group["cache"], one.requests, one.hits, one.saved_nano_usd) for one in by_status] == [
        ("hit", 1, 1, 700), ("miss", 1, 0, 0), ("replay", 1, 0, 5), ("stale", 1, 1, 30)
    ]  # fmt: skip
    (tagged,) = await database.ledger.sums(UsageFilter(cache="hit", tag=("team", "a")), by=["day"])
    assert (tagged.hits, tagged.saved_nano_usd) == (1, 700)


async def test_what_was_wasted_outlives_its_records_and_is_not_spent(database: Database) -> None:
    await holding(database, [record(nano_usd=5, wasted_nano_usd=700, tags={"team": "a"}), record(wasted_nano_usd=30)])
    assert await database.ledger.spent("key", "key_1", since=None, until=None) == (1_005, 2)
    (of_records,) = await database.ledger.sums(UsageFilter(tag=("team", "a")), by=["tag"])
    assert of_records.wasted_nano_usd == 700

    async def remove(session: Session) -> None:
        await session.rows("DELETE FROM ledger")

    await database._driver.write(remove)  # type: ignore[attr-defined]
    (whole,) = await database.ledger.sums(UsageFilter(), by=[])
    assert (whole.nano_usd, whole.wasted_nano_usd) == (1_005, 730)
    (tagged,) = await database.ledger.sums(UsageFilter(tag=("team", "a")), by=["day"])
    assert tagged.wasted_nano_usd == 700


async def test_sums_of_nothing_are_zero(database: Database) -> None:
    assert told(await database.ledger.sums(UsageFilter(), by=[]), []) == {(): (0,) * FIGURES}
    assert await database.ledger.sums(UsageFilter(), by=["key"]) == []
    assert await database.ledger.spent("key", "key_1", since=None, until=None) == (0, 0)


async def test_groups_come_in_order(database: Database) -> None:
    await holding(database, [record(user=user) for user in ("b", None, "a", "")])
    users = [one.group["user"] for one in await database.ledger.sums(UsageFilter(), by=["user"])]
    assert users == [None, "", "a", "b"]


@given(some_or_none, some_or_none, odd_moments, st.sampled_from(["records", "hours", "days"]))
def test_pieces_cover_each_moment_of_a_period_once(
    since: datetime | None, until: datetime | None, at: datetime, coarsest: Source
) -> None:
    inside = (since is None or since <= at) and (until is None or at < until)
    covering = [piece for piece in pieces(since, until, coarsest=coarsest) if piece.since <= micros(at) < piece.until]
    assert len(covering) == int(inside)


@given(whole_hours, whole_hours)
def test_whole_hours_need_no_record(since: datetime, until: datetime) -> None:
    assert {piece.source for piece in pieces(since, until)} <= {"hours", "days"}
