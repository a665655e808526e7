"""Reading what was recorded: of one request, in pages, summed up, and for whom."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llm_service.domain import Caller, InvalidValue, LedgerUnavailable, NotFound, UsageRecord, usd_text
from llm_service.services import GROUPS, Usage, generation_object, read_filter, read_groups, record_object, sum_object
from llm_service.storage import LedgerRow, UsageFilter, open_database
from tests.support.clock import ManualClock
from tests.support.ledger_entries import a_retried_record
from tests.support.memory_ledger import MemoryLedger
from tests.support.records import NOON, record, row
from tests.support.waiting import until

OWNER = Caller(key_id="key_1", scopes=frozenset({"inference"}))
OTHER = Caller(key_id="key_2", scopes=frozenset({"inference"}))
FIELDS = (
    "request_id stream_id at key_id user tags surface model provider upstream_model upstream_id input_tokens "
    "output_tokens cached_input_tokens reasoning_tokens cost_usd cost_source price_date status error_code cache "
    "cache_key saved_usd attempts tries wasted_usd queue_ms first_chunk_ms duration_ms overhead_ms adjusts verdicts"
).split()


class Waiting:
    """Records that are not in the database yet."""

    def __init__(self, *records: UsageRecord) -> None:
        self._records = {one.request_id: one for one in records}

    def recent(self, request_id: str) -> UsageRecord | None:
        return self._records.get(request_id)


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def usage(ledger: MemoryLedger) -> Usage:
    return Usage(ledger)


# -- one request


def test_a_record_has_the_fields_of_the_contract_and_the_day_of_its_price() -> None:
    shown = record_object(record(nano_usd=-4_276_200, saved_nano_usd=1_500, tags={"a": "b"}))
    assert list(shown) == FIELDS
    assert (shown["at"], shown["cost_usd"], shown["tags"]) == ("2026-11-25T12:00:00Z", "-0.0042762", {"a": "b"})
    assert (shown["cache_key"], shown["saved_usd"]) == (None, "0.0000015")
    assert (shown["tries"], shown["wasted_usd"]) == ([], "0")


def test_attempts_are_shown_with_what_they_wasted() -> None:
    shown = record_object(a_retried_record(1_500))
    assert (shown["attempts"], shown["wasted_usd"]) == (2, "0.0000015")
    assert shown["tries"] == [
        {
            "provider": "openrouter", "upstream_model": "deepseek/deepseek-flash", "error_code": "upstream_error",
            "duration_ms": 0.0, "wasted_usd": "0.0000015",
        },
        {
            "provider": "deepseek", "upstream_model": "deepseek-flash", "error_code": None,
            "duration_ms": 12.25, "wasted_usd": "0",
        },
    ]  # fmt: skip


async def test_corrections_are_added_up_and_listed(ledger: MemoryLedger, usage: Usage) -> None:
    await ledger.append(
        [row("req_1", seq=1, nano_usd=5_000, output_tokens=20, cost_source="estimate", price_date="2026-11-01",
             status="aborted"),
         row("req_1.billed", seq=2, nano_usd=-1_500, output_tokens=7, input_tokens=0, cached_input_tokens=0,
             reasoning_tokens=0, adjusts="req_1", cost_source="provider", status="aborted")]
    )  # fmt: skip
    shown = generation_object(await usage.generation("req_1", OWNER))
    assert (shown["cost_usd"], shown["output_tokens"], shown["input_tokens"]) == ("0.0000035", 27, 100)
    assert (shown["cost_source"], shown["price_date"], shown["adjusts"]) == ("provider", None, None)
    assert [(one["cost_usd"], one["adjusts"]) for one in shown["corrections"]] == [("-0.0000015", "req_1")]


async def test_what_is_not_shipped_yet_is_found_even_while_the_database_is_away(ledger: MemoryLedger) -> None:
    ledger.away = True
    usage = Usage(ledger, unshipped=Waiting(record("req_1")))
    assert (await usage.generation("req_1", OWNER)).first == record("req_1")
    with pytest.raises(NotFound):
        await usage.generation("req_1", OTHER)
    with pytest.raises(LedgerUnavailable):
        await usage.generation("req_2", OWNER)


ID = f"req_{5:026x}"


@pytest.mark.parametrize("asked", [ID, "gen-1732500000-abc", "chatcmpl-123"])
async def test_a_record_that_another_process_ships_meanwhile_is_waited_for(asked: str, ledger: MemoryLedger) -> None:
    clock = ManualClock()
    asking = asyncio.ensure_future(Usage(ledger, clock=clock).generation(asked, OWNER))
    await until(lambda: clock.timers == 1)
    await ledger.append([row(ID, upstream_id=asked)])
    clock.advance(0.25)
    assert (await asking).first.request_id == ID


@pytest.mark.parametrize("kept", [[], [row(ID, key_id="key_9")]], ids=["nobody's", "another's"])
async def test_what_does_not_come_or_may_not_be_seen_is_not_found_after_the_same_time(
    kept: list[LedgerRow], ledger: MemoryLedger
) -> None:
    clock = ManualClock()
    began = clock.monotonic()
    await ledger.append(kept)
    asking = asyncio.ensure_future(Usage(ledger, clock=clock).generation(ID, OWNER))
    while not asking.done():
        await asyncio.sleep(0)
        if clock.timers:
            clock.advance(0.1)
    with pytest.raises(NotFound):
        await asking
    assert clock.monotonic() - began == pytest.approx(0.6)


@pytest.mark.parametrize("asked", ["req_9", "x" * 600, "a\0b", "\ud800", "what is this", "../../../etc"])
async def test_what_is_no_id_is_not_waited_for(asked: str, ledger: MemoryLedger) -> None:
    clock = ManualClock()
    with pytest.raises(NotFound):
        await Usage(ledger, clock=clock).generation(asked, OWNER)
    assert clock.timers == 0


@pytest.mark.parametrize("scopes", [("inference",), ("read",), ("inference", "admin")], ids=",".join)
async def test_another_keys_record_is_found_by_readers_alone(
    scopes: tuple[Any, ...], ledger: MemoryLedger, usage: Usage
) -> None:
    await ledger.append([row("req_1")])
    caller = Caller(key_id="key_2", scopes=frozenset(scopes))
    if scopes == ("inference",):
        with pytest.raises(NotFound):
            await usage.generation("req_1", caller)
    else:
        assert (await usage.generation("req_1", caller)).first.request_id == "req_1"


async def test_an_upstream_id_that_two_keys_have_gives_each_its_own(ledger: MemoryLedger, usage: Usage) -> None:
    await ledger.append(
        [
            row("req_1", seq=1, upstream_id="chatcmpl-1", key_id="key_1"),
            row("req_2", seq=2, upstream_id="chatcmpl-1", key_id="key_2"),
        ]
    )
    found = [(await usage.generation("chatcmpl-1", caller)).first.request_id for caller in (OWNER, OTHER)]
    assert found == ["req_1", "req_2"]


@pytest.mark.parametrize("request_id", ["req_9", "x" * 600, "a\0b", "\ud800", "req_1.billed"])
async def test_an_id_without_a_request_is_not_found(request_id: str, ledger: MemoryLedger, usage: Usage) -> None:
    await ledger.append([row("req_1", seq=1), row("req_1.billed", seq=2, adjusts="req_1")])
    with pytest.raises(NotFound):
        await usage.generation(request_id, OWNER)


# -- pages


async def test_pages_follow_one_another_newest_first(ledger: MemoryLedger, usage: Usage) -> None:
    await ledger.append([row(f"req_{number}", seq=number) for number in range(1, 6)])
    cursor, seen = None, []
    for _ in range(3):
        page = await usage.page(UsageFilter(), cursor=cursor, count=2)
        seen += [one.request_id for one in page.records]
        cursor = page.next_cursor
    assert (seen, cursor) == ([f"req_{number}" for number in (5, 4, 3, 2, 1)], None)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1" * 19, "\uff11"])
async def test_another_cursor_is_refused(cursor: str, usage: Usage) -> None:
    with pytest.raises(InvalidValue) as refused:
        await usage.page(UsageFilter(), cursor=cursor, count=2)
    assert refused.value.param == "cursor"


async def test_all_rows_come_in_pages_and_once(
    ledger: MemoryLedger, usage: Usage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_service.services.usage.PAGE_ROWS", 2)
    await ledger.append([row(f"req_{number}", seq=number) for number in range(1, 5)])
    pages = [[one.record.request_id for one in page] async for page in usage.rows(UsageFilter())]
    assert pages == [["req_4", "req_3"], ["req_2", "req_1"]]


async def test_a_database_that_is_away_is_told_as_such(ledger: MemoryLedger, usage: Usage) -> None:
    ledger.away = True
    with pytest.raises(LedgerUnavailable):
        await usage.page(UsageFilter(), count=1)
    with pytest.raises(LedgerUnavailable):
        await usage.summary(UsageFilter())
    with pytest.raises(LedgerUnavailable):
        await anext(usage.rows(UsageFilter()))


# -- what is asked for


def test_a_filter_is_read_from_texts() -> None:
    which = read_filter(
        {
            "since": "2026-11-01",
            "until": "2026-11-25T12:00:00+02:00",
            "tag": "team=a=b",
            "status": "ok",
            "cache": "stale",
        }
    )
    assert (which.since, which.until) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 25, 10, tzinfo=UTC))
    assert (which.tag, which.status, which.cache, which.key_id) == (("team", "a=b"), "ok", "stale", None)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("since", "yesterday", "RFC 3339"),
        ("until", "2026-02-30", "a day that there is not"),
        ("tag", "team", "name=value"),
        ("tag", "=x", "name=value"),
        ("status", "fine", "one of ok, error"),
        ("cache", "cold", "one of hit, semantic, coalesced, replay, stale, miss, bypass"),
        ("model", "", "printable"),
        ("user", "a\0", "printable"),
        ("kye_id", "key_1", "did you mean 'key_id'?"),
    ],
)
def test_a_filter_that_cannot_be_used_is_named(name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_filter({name: text})
    assert refused.value.param == name
    assert said in refused.value.message


def test_a_period_ends_after_its_beginning() -> None:
    with pytest.raises(InvalidValue) as refused:
        read_filter({"since": "2026-11-02", "until": "2026-11-02"})
    assert refused.value.param == "until"


def test_groups_are_names_with_commas() -> None:
    assert read_groups("key, model,key,cache") == ("key", "model", "cache")
    assert read_groups("") == ()
    with pytest.raises(InvalidValue) as refused:
        read_groups("key,colour")
    assert "'colour' is none of them" in refused.value.message


# -- sums

records_of_chance = st.builds(
    dict,
    key_id=st.sampled_from(["key_1", "key_2"]),
    user=st.sampled_from([None, "ann", "bob"]),
    model=st.sampled_from(["a", "b"]),
    provider=st.sampled_from([None, "p"]),
    status=st.sampled_from(["ok", "error", "aborted"]),
    cache=st.sampled_from(["hit", "coalesced", "miss", "bypass"]),
    saved_nano_usd=st.integers(0, 10**12),
    at=st.integers(0, 3 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    input_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
    nano_usd=st.integers(-(10**9), 10**12),
    adjusts=st.sampled_from([None, None, "req_0"]),
)
PLAIN = {
    "key": lambda one: one.key_id, "user": lambda one: one.user, "model": lambda one: one.model,
    "provider": lambda one: one.provider, "status": lambda one: one.status, "cache": lambda one: one.cache,
    "day": lambda one: one.at.strftime("%Y-%m-%d"), "hour": lambda one: one.at.strftime("%Y-%m-%dT%H:00:00Z"),
}  # fmt: skip


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example makes a database: shrinking takes minutes
)
@given(
    rows_of=st.lists(records_of_chance, max_size=20),
    by=st.lists(st.sampled_from([group for group in GROUPS if group in PLAIN]), max_size=3, unique=True),
    since=st.none() | st.integers(0, 3 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds)),
)
async def test_a_summary_is_a_plain_sum(
    rows_of: list[dict[str, Any]], by: list[Any], since: datetime | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder: Path = tmp_path_factory.mktemp("sums")
    database = await open_database(None, data_dir=folder)
    kept = [row(f"req_{number}", seq=number + 1, **fields) for number, fields in enumerate(rows_of)]
    await database.ledger.append(kept)
    found = [sum_object(one) for one in await Usage(database.ledger).summary(UsageFilter(since=since), by=by)]
    await database.aclose()
    expected: dict[Any, list[UsageRecord]] = {} if by else {(): []}
    for one in (one.record for one in kept if since is None or one.record.at >= since):
        expected.setdefault(tuple(PLAIN[group](one) for group in by), []).append(one)
    assert {tuple(one[group] for group in by): sums_of(one) for one in found} == {
        group: (
            sum(one.adjusts is None for one in records),
            sum(one.adjusts is None and one.cache in ("hit", "coalesced") for one in records),
            sum(one.input_tokens for one in records),
            sum(one.output_tokens for one in records),
            usd_text(sum(one.nano_usd for one in records)),
            usd_text(sum(one.saved_nano_usd for one in records)),
            usd_text(sum(one.wasted_nano_usd for one in records)),
        )
        for group, records in expected.items()
    }


def sums_of(shown: dict[str, Any]) -> tuple[Any, ...]:
    names = ("requests", "hits", "input_tokens", "output_tokens", "cost_usd", "saved_usd", "wasted_usd")
    return tuple(shown[name] for name in names)
