"""Every ReplayStore keeps its word, on both engines: one request holds a key, and one answer stands under it."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_service.storage import Database, Replay, ReplayStore
from tests.conformance.storage.conftest import Place
from tests.support.memory_replays import MemoryReplays

CHECKOUT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = NOON + DAY
MIB = 1 << 20

BEGIN = """
import asyncio, sys
from datetime import datetime
from pathlib import Path
from llm_service.domain import Secret
from llm_service.storage import open_database

async def main(url, folder, name, now, expires_at):
    database = await open_database(Secret(url) if url else None, data_dir=Path(folder))
    moments = {"now": datetime.fromisoformat(now), "expires_at": datetime.fromisoformat(expires_at)}
    for number in range(40):
        found = await database.replays.begin(
            "key:1", f"k{number}", fingerprint=b"f", request_id=f"{name}-{number}", holder=name, **moments
        )
        print(found.state, number, found.request_id, flush=True)
    await database.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def replays(database: Database) -> ReplayStore:
    return database.replays


async def begin(
    replays: ReplayStore,
    request_id: str,
    *,
    key: str = "k",
    tenant: str = "key:1",
    fingerprint: bytes = b"\0same\xff",
    now: datetime = NOON,
    expires_at: datetime = LATER,
) -> Replay:
    return await replays.begin(
        tenant,
        key,
        fingerprint=fingerprint,
        request_id=request_id,
        holder=f"host-{request_id}",
        now=now,
        expires_at=expires_at,
    )


async def keep(
    replays: ReplayStore, request_id: str, answer: bytes = b"answer", *, key: str = "k", expires_at: datetime = LATER
) -> bool:
    return await replays.keep("key:1", key, request_id=request_id, answer=answer, expires_at=expires_at)


async def give_up(replays: ReplayStore, request_id: str, *, key: str = "k") -> bool:
    return await replays.give_up("key:1", key, request_id=request_id)


async def take_over(
    replays: ReplayStore, dead: str, request_id: str, *, key: str = "k", expires_at: datetime = LATER
) -> bool:
    return await replays.take_over(
        "key:1",
        key,
        from_request_id=dead,
        request_id=request_id,
        holder=f"host-{request_id}",
        expires_at=expires_at,
    )


async def test_the_first_holds_the_key_and_the_next_is_told_who(replays: ReplayStore) -> None:
    assert await begin(replays, "a") == Replay(state="begun", request_id="a", holder="host-a")
    assert await begin(replays, "b") == Replay(state="running", request_id="a", holder="host-a")


async def test_who_holds_the_key_begins_it_again(replays: ReplayStore) -> None:
    await begin(replays, "a")
    assert (await begin(replays, "a")).state == "begun"


@pytest.mark.parametrize("answer", [b"", b'{"a":1}', bytes(range(256)), b"\0" * 3 * MIB], ids=len)
async def test_an_answer_is_told_as_it_was_kept(replays: ReplayStore, answer: bytes) -> None:
    await begin(replays, "a")
    assert await keep(replays, "a", answer)
    assert await begin(replays, "b") == Replay(state="kept", request_id="a", holder="host-a", answer=answer)
    assert (await begin(replays, "a")).state == "kept"


async def test_another_fingerprint_is_another_request_running_or_kept(replays: ReplayStore) -> None:
    await begin(replays, "a")
    other = Replay(state="other", request_id="a", holder="host-a")
    assert await begin(replays, "b", fingerprint=b"else") == other
    await keep(replays, "a")
    assert await begin(replays, "b", fingerprint=b"else") == other
    assert (await begin(replays, "c")).answer == b"answer"


async def test_only_who_holds_the_key_keeps_an_answer(replays: ReplayStore) -> None:
    assert not await keep(replays, "a")
    await begin(replays, "a")
    assert not await keep(replays, "b", b"wrong")
    assert await keep(replays, "a")
    assert not await keep(replays, "b", b"wrong")
    assert (await begin(replays, "c")).answer == b"answer"


async def test_to_keep_again_changes_no_answer(replays: ReplayStore) -> None:
    await begin(replays, "a")
    assert await keep(replays, "a", b"")
    assert await keep(replays, "a", b"second")
    assert (await begin(replays, "b")).answer == b""


async def test_a_failure_does_not_burn_the_key(replays: ReplayStore) -> None:
    await begin(replays, "a")
    assert await give_up(replays, "a")
    assert (await begin(replays, "b", fingerprint=b"else")).state == "begun"
    assert not await keep(replays, "a")


async def test_only_who_holds_the_key_gives_it_up_and_never_an_answer(replays: ReplayStore) -> None:
    assert not await give_up(replays, "a")
    await begin(replays, "a")
    assert not await give_up(replays, "b")
    assert (await begin(replays, "b")).state == "running"
    await keep(replays, "a")
    assert not await give_up(replays, "a")
    assert (await begin(replays, "b")).state == "kept"


async def test_one_of_all_takes_a_dead_requests_place(replays: ReplayStore) -> None:
    await begin(replays, "dead")
    took = await asyncio.gather(*(take_over(replays, "dead", f"heir-{number}") for number in range(10)))
    assert took.count(True) == 1
    heir = f"heir-{took.index(True)}"
    assert await begin(replays, "b") == Replay(state="running", request_id=heir, holder=f"host-{heir}")
    assert not await keep(replays, "dead", b"too late")
    assert not await give_up(replays, "dead")
    assert await keep(replays, heir)


async def test_nobody_takes_over_an_answer_or_what_is_not_there(replays: ReplayStore) -> None:
    assert not await take_over(replays, "dead", "b")
    await begin(replays, "dead")
    await keep(replays, "dead")
    assert not await take_over(replays, "dead", "b")
    assert (await begin(replays, "c")).request_id == "dead"


async def test_who_takes_over_has_the_time_it_asks_for(replays: ReplayStore) -> None:
    await begin(replays, "dead")
    await take_over(replays, "dead", "heir", expires_at=LATER + DAY)
    assert (await begin(replays, "b", now=LATER)).state == "running"


async def test_a_key_is_free_from_the_moment_on_when_it_expires(replays: ReplayStore) -> None:
    a_moment = timedelta(microseconds=1)
    await begin(replays, "a", expires_at=LATER)
    await keep(replays, "a", expires_at=LATER + DAY)
    again = LATER + DAY
    assert (await begin(replays, "b", now=again - a_moment)).state == "kept"
    assert (await begin(replays, "c", fingerprint=b"else", now=again, expires_at=again + DAY)).state == "begun"
    assert not await keep(replays, "a", b"of before")
    running = Replay(state="running", request_id="c", holder="host-c")
    assert await begin(replays, "d", fingerprint=b"else", now=again) == running


async def test_keys_of_other_tenants_and_other_keys_are_others(replays: ReplayStore) -> None:
    places = [("key:1", "k"), ("key:2", "k"), ("key:1", "K"), ("key:1 k", ""), ("key:1", "k "), ("", "key:1 k"),
        ("key:1", "\ud800"), ("key:1", "\0"), ("key:1", "\u00fc" * 255), ("key:1", "\U0001f680" * 255)]  # fmt: skip
    for number, (tenant, key) in enumerate(places):
        assert (await begin(replays, str(number), tenant=tenant, key=key)).state == "begun"
    for number, (tenant, key) in enumerate(places):
        assert (await begin(replays, "x", tenant=tenant, key=key)).request_id == str(number)


async def test_expired_rows_are_removed_the_oldest_first_a_few_at_a_time(replays: ReplayStore) -> None:
    for number in (3, 1, 4, 0, 2):
        await begin(replays, "a", key=f"k{number}", expires_at=NOON + timedelta(hours=number))
    await keep(replays, "a", key="k1", expires_at=NOON + timedelta(hours=1))
    now = NOON + timedelta(hours=3)
    assert await replays.remove_expired(now, 3) == 3
    assert [await keep(replays, "a", key=f"k{number}") for number in range(5)] == [False, False, False, True, True]
    assert await replays.remove_expired(now, 3) == 0
    assert await replays.remove_expired(LATER, 3) == 2


async def test_of_fifty_who_begin_at_once_one_does(place: Place) -> None:
    stores = [(await place.open()).replays for _ in range(5)]
    found = await asyncio.gather(*(begin(stores[number % 5], str(number)) for number in range(50)))
    (first,) = [one for one in found if one.state == "begun"]
    assert {one.state for one in found if one is not first} == {"running"}
    assert {one.request_id for one in found} == {first.request_id}


async def test_of_all_who_begin_an_expired_key_at_once_one_does(place: Place) -> None:
    stores = [(await place.open()).replays for _ in range(5)]
    await begin(stores[0], "old")
    again = {"now": LATER, "expires_at": LATER + DAY}
    tried = [begin(stores[number % 5], str(number), **again) for number in range(50)]
    removed = [stores[number].remove_expired(LATER, 10) for number in range(5)]
    found, _ = await asyncio.gather(asyncio.gather(*tried), asyncio.gather(*removed))
    assert [one.state for one in found].count("begun") == 1
    (holder,) = {one.request_id for one in found}
    assert await keep(stores[0], holder)


async def test_each_who_gives_up_makes_room_for_one(place: Place) -> None:
    """Everyone begins until all have; at no moment do two hold the key."""
    stores = [(await place.open()).replays for _ in range(4)]
    holding, most, done = 0, 0, 0

    async def hold(store: ReplayStore, request_id: str) -> None:
        nonlocal holding, most, done
        while (await begin(store, request_id)).state != "begun":
            pass
        holding += 1
        most = max(most, holding)
        await asyncio.sleep(0)
        holding -= 1
        assert await give_up(store, request_id)
        done += 1

    async with asyncio.timeout(30):
        await asyncio.gather(*(hold(stores[number % 4], str(number)) for number in range(12)))
    assert (most, done) == (1, 12)


async def test_of_several_processes_one_begins_each_key(place: Place, tmp_path: Path) -> None:
    await place.open()
    script = tmp_path / "begin.py"
    script.write_text(BEGIN)
    environment = {"PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
    moments = (NOON.isoformat(), LATER.isoformat())
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            place.url or "",
            str(place.folder),
            name,
            *moments,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in ("one", "two", "three")
    ]
    told = [(await child.communicate())[0].decode() for child in children]
    lines = [line.split() for text in told for line in text.splitlines()]
    begun = {number: request_id for state, number, request_id in lines if state == "begun"}
    assert sum(state == "begun" for state, *_ in lines) == len(begun) == 40
    assert [begun[number] for _, number, _ in lines] == [request_id for *_, request_id in lines]
    assert len(lines) == 120


ids = st.sampled_from(["a", "b", "c"])
keys = st.sampled_from(["k", "l"])
hours = st.integers(0, 5).map(lambda number: NOON + timedelta(hours=number))
Step = Callable[[ReplayStore], Any]


def step(work: Callable[..., Any], **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(values).map(lambda given: lambda store: work(store, **given))


steps = st.one_of(
    step(begin, request_id=ids, key=keys, fingerprint=st.sampled_from([b"f", b"g"]), now=hours, expires_at=hours),
    step(keep, request_id=ids, key=keys, answer=st.sampled_from([b"", b"1", b"2"]), expires_at=hours),
    step(give_up, request_id=ids, key=keys),
    step(take_over, dead=ids, request_id=ids, key=keys, expires_at=hours),
    step(lambda store, now, count: store.remove_expired(now, count), now=hours, count=st.just(10)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(steps, max_size=25))
async def test_whatever_happens_each_answer_is_that_of_a_plain_table(database: Database, wanted: list[Step]) -> None:
    model = MemoryReplays()
    await database.replays.remove_expired(datetime(9999, 1, 1, tzinfo=UTC), 1000)
    for do in wanted:
        assert await do(database.replays) == await do(model)


async def test_to_look_at_a_key_takes_it_from_nobody(replays: ReplayStore) -> None:
    async def found(fingerprint: bytes = b"\0same\xff", now: datetime = NOON) -> Replay | None:
        return await replays.find("key:1", "k", fingerprint=fingerprint, now=now)

    assert await found() is None
    assert (await begin(replays, "a")).state == "begun"
    assert await found() == Replay(state="running", request_id="a", holder="host-a")
    assert await found(b"else") == Replay(state="other", request_id="a", holder="host-a")
    assert await found(now=LATER) is None
    assert await keep(replays, "a")
    assert await found() == Replay(state="kept", request_id="a", holder="host-a", answer=b"answer")
