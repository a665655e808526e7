"""Every LedgerStore keeps its word, on both engines."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_service.domain import CACHE_HITS, Tried, Verdict
from llm_service.storage import Conflict, Database, LedgerRow, Seal, StoreUnavailable, UsageFilter
from llm_service.storage.sql.lists import PIECE_MARKS
from tests.conformance.storage.conftest import Place
from tests.support.records import NOON, record, row, rows

FULL = record(
    "req_full",
    stream_id="str_1",
    at=datetime(2026, 2, 3, 4, 5, 6, 789_012, UTC),
    user="Zoë 🙂",
    tags={"z": "1", "a": "'; --", "": ""},
    upstream_id="gen-1",
    input_tokens=2**40,
    nano_usd=2**46,
    cost_source="provider",
    status="interrupted",
    error_code="stream_interrupted",
    cache="hit",
    cache_key="0123456789abcdef" * 2,
    saved_nano_usd=2**46,
    attempts=3,
    tries=(
        Tried(provider="a", upstream_model="m 🙂", error_code="upstream_error", duration_ms=0.0, nano_usd=2**46),
        Tried(provider="b", upstream_model="'; --", error_code="lost", duration_ms=0.1 + 0.2),
        Tried(provider="c", upstream_model=""),
    ),
    wasted_nano_usd=2**46,
    verdicts=(
        Verdict(filter="own.pii", type="pii", on="input", action="mask", labels=("card", "email"), count=7),
        Verdict(filter="x", type="regex", on="output", action="block", failed=True),
    ),
    queue_ms=0.1 + 0.2,
    first_chunk_ms=1e-9,
    duration_ms=123456.789,
    overhead_ms=0.0,
    price_date="2026-11-01",
)
ADJUSTMENT = record(
    "adj_1", adjusts="req_full", input_tokens=-5, output_tokens=0, cached_input_tokens=0, reasoning_tokens=0,
    nano_usd=-2**46, saved_nano_usd=-1, wasted_nano_usd=-1, cost_source="provider", provider=None,
    upstream_model=None, user="",
)  # fmt: skip


@pytest.mark.parametrize("kept", [FULL, record(), ADJUSTMENT], ids=lambda kept: kept.request_id)
async def test_a_record_comes_back_as_it_was_appended(kept: Any, database: Database) -> None:
    given = replace(row(), record=kept)
    (mark,) = await database.ledger.append([given])
    (found,) = await database.ledger.find(kept.request_id)
    assert found == replace(given, mark=mark)
    assert list(found.record.tags) == list(kept.tags)


async def test_marks_count_on_in_the_order_of_what_is_appended(database: Database) -> None:
    first = await database.ledger.append(rows(3))
    second = await database.ledger.append(rows(2, writer="writer-b"))
    assert (list(first), list(second)) == ([1, 2, 3], [4, 5])


async def test_appending_nothing_does_nothing(database: Database) -> None:
    assert list(await database.ledger.append([])) == []


async def test_what_is_there_is_not_appended_again(database: Database) -> None:
    await database.ledger.append(rows(3))
    again = [*rows(1, writer="writer-b"), *rows(4), *rows(1, first=4)]
    assert list(await database.ledger.append(again)) == [4, 1, 2, 3, 5, 5]
    assert [kept.mark for kept in await database.ledger.page(UsageFilter(), after=None, count=9)] == [5, 4, 3, 2, 1]
    (total,) = await database.ledger.sums(UsageFilter(), by=[])
    assert (total.requests, total.nano_usd) == (5, 5_000)


async def test_the_first_record_of_a_request_stays(database: Database) -> None:
    await database.ledger.append([row(nano_usd=1)])
    await database.ledger.append([row(nano_usd=2, writer="writer-b")])
    assert [found.record.nano_usd for found in await database.ledger.find("req_1")] == [1]


async def test_a_place_in_a_chain_is_taken_once_and_nothing_of_the_rest_stays(database: Database) -> None:
    await database.ledger.append([row("a", seq=1)])
    with pytest.raises(Conflict):
        await database.ledger.append([row("b", seq=2), row("c", seq=1)])
    assert await database.ledger.known(["a", "b", "c"]) == {"a"}
    assert list(await database.ledger.append([row("b", seq=2)])) == [2]


async def test_of_a_batch_of_many_nothing_stays_when_one_is_refused(database: Database) -> None:
    await database.ledger.append(rows(1))
    for refused in (1, 150, 250):
        many = rows(250, writer="writer-b")
        many[refused - 1] = row("refused", seq=1)
        with pytest.raises(Conflict):
            await database.ledger.append(many)
    assert [one.mark for one in await database.ledger.page(UsageFilter(), after=None, count=9)] == [1]
    assert await database.ledger.spent("global", "", since=None, until=None) == (1_000, 1)
    assert list(await database.ledger.append(rows(250, writer="writer-b"))) == list(range(2, 252))


async def test_text_that_no_database_keeps_does_not_stop_the_ledger(database: Database) -> None:
    odd = record(
        user="nul\0 and \ud800", model="m" * 100_000, tags={"t\0": "v" * 5_000}, input_tokens=2**70, nano_usd=10**30
    )
    await database.ledger.append([replace(row(), record=odd)])
    (found,) = await database.ledger.find("req_1")
    assert found.record.user == "nul\ufffd and \ufffd"
    assert (found.record.model, found.record.tags) == ("m" * 512, {"t\ufffd": "v" * 128})
    assert (found.record.input_tokens, found.record.nano_usd) == (2**40, 2**46)


async def test_the_widest_text_that_is_kept_fits_the_indexes(database: Database) -> None:
    wide = "".join(chr(0x1F300 + number % 700) for number in range(512))
    tags = {wide[:128]: wide[100:228]}
    names = {"user": wide, "model": wide[::-1], "provider": wide, "upstream_id": wide, "tags": tags}
    await database.ledger.append([row(wide, **names)])
    assert len(await database.ledger.find(wide)) == 1


async def test_known_names_those_with_a_record(database: Database) -> None:
    await database.ledger.append(rows(2))
    asked = ["writer-a-1", "writer-a-2", "writer-a-3", "\"'", "writer-a"]
    assert await database.ledger.known(asked) == {"writer-a-1", "writer-a-2"}
    assert await database.ledger.known([]) == frozenset()


async def test_a_request_is_found_with_its_corrections_by_both_ids(database: Database) -> None:
    await database.ledger.append(
        [row("req_1", seq=1, upstream_id="gen-1"), row("req_2", seq=2, upstream_id="gen-2"),
         row("adj_1", seq=3, adjusts="req_1"), row("adj_2", seq=4, adjusts="req_1")]
    )  # fmt: skip
    for name in ("req_1", "gen-1"):
        found = await database.ledger.find(name)
        assert [kept.record.request_id for kept in found] == ["req_1", "adj_1", "adj_2"]
    assert await database.ledger.find("gen-3") == []
    assert list(await database.ledger.find("nul\0")) == []


async def test_pages_go_from_the_newest_to_the_oldest(database: Database) -> None:
    await database.ledger.append(rows(7))
    seen: list[int] = []
    while page := await database.ledger.page(UsageFilter(), after=seen[-1] if seen else None, count=3):
        seen += [kept.mark for kept in page]
    assert seen == [7, 6, 5, 4, 3, 2, 1]


FILTERS = [
    (UsageFilter(), {1, 2, 3}),
    (UsageFilter(key_id="key_2"), {2}),
    (UsageFilter(key_ids=("key_2", "nobody")), {2}),
    (UsageFilter(key_ids=()), set()),
    (UsageFilter(user="bob"), {2, 3}),
    (UsageFilter(model="fast"), {3}),
    (UsageFilter(provider="openrouter"), {2}),
    (UsageFilter(tag=("team", "search")), {1, 3}),
    (UsageFilter(tag=("team", "")), set()),
    (UsageFilter(status="error"), {3}),
    (UsageFilter(cache="hit"), {2}),
    (UsageFilter(cache="hit", user="bob", status="error"), set()),
    (UsageFilter(since=NOON + timedelta(seconds=1)), {2, 3}),
    (UsageFilter(until=NOON + timedelta(seconds=1)), {1}),
    (UsageFilter(since=NOON + timedelta(seconds=1), until=NOON + timedelta(seconds=2), user="bob"), {2}),
    (UsageFilter(user="'; DROP TABLE ledger; --"), set()),
]


@pytest.mark.parametrize(("which", "expected"), FILTERS)
async def test_a_filter_lets_through_what_it_names(which: UsageFilter, expected: set[int], database: Database) -> None:
    await database.ledger.append(
        [row("1", seq=1, tags={"team": "search", "x": "y"}),
         row("2", seq=2, at=NOON + timedelta(seconds=1), key_id="key_2", user="bob", provider="openrouter",
             cache="hit"),
         row("3", seq=3, at=NOON + timedelta(seconds=2), user="bob", model="fast", status="error",
             tags={"team": "search"})]
    )  # fmt: skip
    page = await database.ledger.page(which, after=None, count=10)
    assert {int(kept.record.request_id) for kept in page} == expected
    assert sum(total.requests for total in await database.ledger.sums(which, by=[])) == len(expected)


async def test_a_chain_is_read_in_its_order(database: Database) -> None:
    chain = rows(5)
    await database.ledger.append([chain[1], chain[0]])
    await database.ledger.append(rows(2, writer="writer-b"))
    await database.ledger.append(chain[2:])
    read = await database.ledger.chain("writer-a", after_seq=1, count=3)
    assert [kept.link for kept in read] == [kept.link for kept in chain[1:4]]
    assert await database.ledger.chain("nobody", after_seq=0, count=3) == []


async def test_writers_are_those_with_records_or_seals(database: Database) -> None:
    assert list(await database.ledger.writers()) == []
    for writer in ("writer-b", "writer-a"):
        await database.ledger.append(rows(2, writer=writer))
    await database.ledger.seal(seal("writer-c", 1, 2))
    await database.ledger.seal(seal("writer-a", 1, 2))
    assert list(await database.ledger.writers()) == ["writer-a", "writer-b", "writer-c"]


def seal(writer: str, first: int, last: int, *, hash: str = "hash") -> Seal:  # noqa: A002 - the word of the port
    return Seal(writer=writer, first_seq=first, last_seq=last, hash=hash, sealed_at=NOON)


async def test_the_same_seal_again_does_nothing(database: Database) -> None:
    for kept in (seal("writer-a", 4, 9), seal("writer-a", 1, 3), seal("writer-a", 1, 3), seal("writer-b", 1, 3)):
        await database.ledger.seal(kept)
    assert list(await database.ledger.seals("writer-a")) == [seal("writer-a", 1, 3), seal("writer-a", 4, 9)]


@pytest.mark.parametrize("other", [seal("w", 1, 3, hash="x"), seal("w", 2, 5), seal("w", 3, 3), seal("w", 0, 9)])
async def test_a_seal_over_another_is_refused(other: Seal, database: Database) -> None:
    await database.ledger.seal(seal("w", 1, 3))
    with pytest.raises(Conflict):
        await database.ledger.seal(other)
    assert list(await database.ledger.seals("w")) == [seal("w", 1, 3)]


async def test_whole_old_sealed_pieces_are_removed_and_sums_stay(database: Database) -> None:
    ledger = database.ledger
    await ledger.append([*rows(6, tags={"a": "b"}), *rows(2, writer="writer-b")])
    before = await ledger.sums(UsageFilter(), by=["key", "tag"])
    for first, last in ((1, 2), (3, 4)):
        await ledger.seal(seal("writer-a", first, last))
    cut = NOON + timedelta(seconds=4)  # record 4 is not older
    assert await ledger.remove_sealed(before=cut) == 2
    assert await ledger.remove_sealed(before=cut) == 0
    assert [kept.link.seq for kept in await ledger.chain("writer-a", after_seq=0, count=9)] == [3, 4, 5, 6]
    assert list(await ledger.seals("writer-a")) == [
        replace(seal("writer-a", 1, 2), removed=True), seal("writer-a", 3, 4)
    ]  # fmt: skip
    assert await ledger.sums(UsageFilter(), by=["key", "tag"]) == before
    assert await ledger.spent("global", "", since=None, until=None) == (8_000, 8)
    assert list(await ledger.append(rows(1, first=7))) == [9]
    assert await ledger.page(UsageFilter(tag=("a", "b")), after=3, count=9) == []


async def test_old_hours_are_removed_and_their_days_stay(database: Database) -> None:
    ledger = database.ledger
    at = [NOON + timedelta(hours=hour) for hour in (0, 3, 24, 30)]
    await ledger.append(
        [row(f"req_{seq}", seq=seq, at=moment, user="u", tags={"a": "b"}) for seq, moment in enumerate(at, 1)]
    )
    days = await ledger.sums(UsageFilter(), by=["day", "key", "tag"])
    hours = await ledger.sums(UsageFilter(), by=["hour"])
    assert await ledger.remove_hours(before=NOON + timedelta(hours=11)) == 0  # its day is not over
    removed = await ledger.remove_hours(before=NOON + timedelta(hours=20))
    assert removed == 2 + 2 + 2 * 5  # of the sums, of those by tag, and for everybody, key, user, model and provider
    assert await ledger.remove_hours(before=NOON + timedelta(hours=20)) == 0
    assert await ledger.sums(UsageFilter(), by=["day", "key", "tag"]) == days
    assert await ledger.sums(UsageFilter(), by=["hour"]) == hours[2:]
    midnight = NOON.replace(hour=0)
    for since in (None, midnight):
        assert await ledger.spent("key", "key_1", since=since, until=None) == (4_000, 4)
    assert await ledger.spent("user", "u", since=midnight, until=midnight + timedelta(days=1)) == (2_000, 4)


async def test_a_piece_whose_records_are_not_here_yet_is_not_removed(database: Database) -> None:
    await database.ledger.append(rows(2))
    await database.ledger.seal(seal("writer-a", 1, 3))
    assert await database.ledger.remove_sealed(before=NOON + timedelta(days=1)) == 0
    assert list(await database.ledger.seals("writer-a")) == [seal("writer-a", 1, 3)]


async def test_estimates_are_those_that_can_still_be_corrected(database: Database) -> None:
    guess: dict[str, Any] = {"cost_source": "estimate", "upstream_id": "gen", "provider": "openrouter"}
    later = {**guess, "at": NOON + timedelta(hours=1)}
    await database.ledger.append(
        [row("old", seq=1, **{**guess, "at": NOON - timedelta(hours=1)}), row("known", seq=2, **guess),
         row("b", seq=3, **later), row("a", seq=4, **guess), row("c", seq=5, **later),
         row("no-id", seq=6, **{**guess, "upstream_id": None}), row("elsewhere", seq=7, **guess | {"provider": "x"}),
         row("sure", seq=8, **guess | {"cost_source": "catalog"}),
         row("adj", seq=9, **guess | {"adjusts": "known"})]
    )  # fmt: skip
    found = await database.ledger.estimates("openrouter", since=NOON, count=2)
    assert [kept.record.request_id for kept in found] == ["b", "a"]
    everything = await database.ledger.estimates("openrouter", since=NOON, count=9)
    assert [kept.record.request_id for kept in everything] == ["b", "a", "c"]


async def test_tokens_that_nobody_could_price_can_be_corrected_as_well(database: Database) -> None:
    unpriced: dict[str, Any] = {"cost_source": "none", "upstream_id": "gen", "provider": "openrouter"}
    nothing = {"input_tokens": 0, "output_tokens": 0}
    await database.ledger.append(
        [row("unpriced", seq=1, **unpriced), row("unused", seq=2, **unpriced | nothing),
         row("no-id", seq=3, **unpriced | {"upstream_id": None}), row("known", seq=4, **unpriced),
         row("adj", seq=5, **unpriced | {"adjusts": "known"}),
         *(row(status, seq=seq, **unpriced | {"cache": status}) for seq, status in enumerate(CACHE_HITS, 6))]
    )  # fmt: skip
    found = await database.ledger.estimates("openrouter", since=NOON, count=9)
    assert [kept.record.request_id for kept in found] == ["unpriced"]


async def test_marks_are_in_the_order_of_commits_whoever_appends(place: Place) -> None:
    """A reader that has seen mark n has seen all below it, at every moment while four append at once."""
    stores = [await place.open() for _ in range(4)]
    reader = await place.open()
    done = asyncio.Event()

    async def append(number: int, store: Database) -> None:
        for first in range(1, 41, 4):
            given = [*rows(4, writer=f"w{number}", first=first), *rows(2, writer="all", first=first)]
            while not await appended(store, given):
                pass

    async def appended(store: Database, given: list[LedgerRow]) -> bool:
        """As who ships a journal does: again, where another held the lock for long."""
        try:
            await store.ledger.append(given)
        except StoreUnavailable:
            return False
        return True

    async def watch() -> int:
        looks = 0
        while not done.is_set():
            page: list[LedgerRow] = list(await reader.ledger.page(UsageFilter(), after=None, count=1_000))
            assert [kept.mark for kept in page] == list(range(len(page), 0, -1))
            looks += 1
        return looks

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(append(number, store) for number, store in enumerate(stores)))
    done.set()
    assert await watching > 0
    assert len(await reader.ledger.page(UsageFilter(), after=None, count=1_000)) == 4 * 40 + 20
    assert await reader.ledger.spent("global", "", since=None, until=None) == (180_000, 180)


async def test_records_of_a_key_and_of_an_upstreams_id_are_found_in_every_piece_of_the_ledger(
    database: Database,
) -> None:
    many = 2 * PIECE_MARKS + 50
    rare = {7, PIECE_MARKS - 1, PIECE_MARKS, many - 1}
    given = [
        row(
            f"r{mark}",
            seq=mark,
            key_id="rare" if mark in rare else f"key-{mark % 2}",
            user="seldom" if mark in rare else None,
            upstream_id=f"gen-{mark}",
        )
        for mark in range(1, many + 1)
    ]
    await database.ledger.append(given)

    async def marks(after: int | None = None, count: int = many, **which: Any) -> list[int]:
        found = await database.ledger.page(UsageFilter(**which), after=after, count=count)
        return [one.mark for one in found]

    assert await marks(key_id="rare") == sorted(rare, reverse=True)
    assert await marks(key_id="rare", count=2) == [many - 1, PIECE_MARKS]
    assert await marks(key_id="rare", after=PIECE_MARKS) == [PIECE_MARKS - 1, 7]
    assert await marks(key_id="rare", after=1) == []
    assert await marks(key_id="nobody") == await marks(user="nobody") == []
    assert await marks(user="seldom") == await marks(user="seldom", key_id="rare") == sorted(rare, reverse=True)
    odd = [mark for mark in range(many, 0, -1) if mark % 2 and mark not in rare]
    assert await marks(key_id="key-1") == odd
    assert await marks(key_ids=["rare", "key-1"]) == sorted({*odd, *rare}, reverse=True)
    assert await marks(key_ids=["key-1"], count=3, model=given[0].record.model) == odd[:3]
    for mark in (1, *rare, many):
        assert [one.mark for one in await database.ledger.find(f"gen-{mark}")] == [mark]


async def test_an_empty_ledger_has_no_records_of_any_key_or_id(database: Database) -> None:
    assert await database.ledger.page(UsageFilter(key_id="key"), after=None, count=9) == []
    assert await database.ledger.find("gen-1") == []
