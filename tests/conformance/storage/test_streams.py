"""Every clause of the port StreamStore, on the stores that processes share; and whether a holder lives, on all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from llm_service.storage import Flight, LogAsk, LogPart, LogRead, MemoryCache, MemoryLimits, ValkeyCache, ValkeyLimits
from llm_service.storage.scripts import ScriptRunner
from llm_service.storage.valkey_streams import (
    LEAST_AT_ONCE,
    LOG_BYTES,
    MOST_GONE,
    MOST_LOGS,
    READ_AT_ONCE,
    RUNNING_S,
    ValkeyStreams,
)
from tests.support.answers import GROUPS, digest_of, kept_answer
from tests.support.clock import ManualClock
from tests.support.direct_valkey import open_runner, valkey_socket
from tests.support.waiting import until_answered

__all__ = ["valkey_socket"]

AMPLE = 1_000_000
A, B = digest_of("a"), digest_of("b")


class Site:
    """One store, as several processes see it."""

    def __init__(self, runner: ScriptRunner, prefix: str) -> None:
        self.runner = runner
        self.prefix = prefix

    def process(
        self,
        holder: str = "one",
        *,
        retention_s: float = 300,
        max_bytes: int = AMPLE,
        total_bytes: int = AMPLE,
        running_s: float = RUNNING_S,
    ) -> ValkeyStreams:
        return ValkeyStreams(
            self.runner, prefix=self.prefix, holder=holder, retention_s=retention_s, max_bytes=max_bytes,
            total_bytes=total_bytes, running_s=running_s,
        )  # fmt: skip

    async def ask(self, command: str, key: str, *words: str | int) -> object:
        names = ", ".join(["KEYS[1]", *(f"ARGV[{number}]" for number, _ in enumerate(words, 1))])
        return await self.runner.run(
            f"return redis.call('{command}', {names})", (f"{self.prefix}{{adm}}:{key}",), words
        )

    async def kept_bytes(self) -> int:
        """The sum of all ended logs, by the store's own count."""
        found = await self.ask("HGET", "logs:sizes", "")
        return int(found) if isinstance(found, bytes | str | int) else 0


@pytest.fixture(params=["socket", "client", "cluster"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A server by the shortest way, and by the service's own client; a cluster."""
    if request.param == "socket":
        address = request.getfixturevalue("valkey_socket")
    else:
        address = request.getfixturevalue("valkey" if request.param == "client" else "valkey_cluster").url
    runner = await open_runner(address)
    yield Site(runner, "llm:" if request.param != "socket" else f"{uuid4().hex}:")
    await runner.aclose()


def part(
    log_id: str, first_seq: int = 1, events: Sequence[bytes] = (), *, head: bytes = b"", end: bytes = b""
) -> LogPart:
    return LogPart(log_id=log_id, first_seq=first_seq, events=events, head=head, end=end)


async def tell(store: ValkeyStreams, *parts: LogPart) -> None:
    await store.append(parts)


async def told(store: ValkeyStreams, log_id: str = "x", *, after: int = 0) -> LogRead:
    (read,) = await store.read([LogAsk(log_id=log_id, after=after, counts=False)])
    return read


# -- logs


async def test_log_grows_in_order_and_is_read_from_anywhere(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    await tell(one, part("x"))
    assert await told(other) == LogRead(holder="one", head=b"", end=b"", cut=False, events=[])
    await tell(one, part("x", 1, [b"a", b"b"], head=b"h"), part("y", 1, [b"other"]))
    await tell(one, part("x", 3, [b"c"]))
    await tell(one, part("x", 4, [], end=b"over"))
    assert await told(other) == LogRead(holder="one", head=b"h", end=b"over", cut=False, events=[b"a", b"b", b"c"])
    assert (await told(other, after=2)).events == [b"c"]
    assert (await told(other, after=9)).events == []
    assert (await told(other, "y")).events == [b"other"]


async def test_log_that_nobody_wrote_has_no_holder(site: Site) -> None:
    assert await told(site.process()) == LogRead(holder="", head=b"", end=b"", cut=False, events=[])


async def test_long_log_is_read_piece_by_piece(site: Site) -> None:
    store, events = site.process(), [b"%d" % number for number in range(READ_AT_ONCE + 5)]
    await tell(store, part("x", 1, events))
    first = (await told(store)).events
    assert [*first, *(await told(store, after=len(first))).events] == events
    assert len(first) == READ_AT_ONCE


async def test_logs_are_read_together_each_from_its_place(site: Site) -> None:
    store, count = site.process("one"), MOST_LOGS + 3
    await tell(store, *(part(f"{number}", 1, [b"a"] * 20, head=b"%d" % number) for number in range(count)))
    asks = [LogAsk(log_id=f"{number}", after=number % 25, counts=number % 2 == 0) for number in range(count)]
    reads = await store.read([*asks, LogAsk(log_id="none", after=0)])
    assert [read.head for read in reads] == [*(b"%d" % number for number in range(count)), b""]
    for number, read in enumerate(reads[:MOST_LOGS]):
        assert len(read.events) == min(LEAST_AT_ONCE, max(0, 20 - number % 25))
        assert read.more == (len(read.events) == LEAST_AT_ONCE)
    assert [len(read.events) for read in reads[MOST_LOGS:]] == [20 - number % 25 for number in range(64, 67)] + [0]
    assert [await store.is_read(f"{number}") for number in range(4)] == [True, False, True, False]


@pytest.mark.parametrize("first_seq", [4, 5])
async def test_events_that_are_not_the_next_ones_cut_the_log(site: Site, first_seq: int) -> None:
    store = site.process()
    await tell(store, part("x", 1, [b"a", b"b"]))
    await tell(store, part("x", first_seq, [b"c"]))
    await tell(store, part("x", 3, [b"d"], end=b"over"))
    found = await told(store)
    assert (found.cut, found.events, found.end) == (True, [b"a", b"b"], b"over")


@pytest.mark.parametrize("first_seq", [1, 2, 3])
async def test_events_that_are_said_again_are_there_once(site: Site, first_seq: int) -> None:
    store, events = site.process(), [b"a", b"b", b"c"]
    await tell(store, part("x", 1, events[:2]))
    await tell(store, part("x", first_seq, events[first_seq - 1 :]))
    await tell(store, part("x", 4, [b"d"], end=b"over"))
    found = await told(store)
    assert (found.cut, found.events, found.end) == (False, [*events, b"d"], b"over")


async def test_end_that_is_said_again_changes_nothing(site: Site) -> None:
    store = site.process()
    await tell(store, part("x", 1, [b"abc"], end=b"over"))
    await tell(store, part("x", 2, [], end=b"over once more"))
    await tell(store, part("x", 1, [b"abc"], end=b"over"))
    found = await told(store)
    assert (found.cut, found.events, found.end, await site.kept_bytes()) == (False, [b"abc"], b"over", 3 + LOG_BYTES)


async def test_log_has_no_more_than_its_bytes_and_says_what_is_missing(site: Site) -> None:
    store = site.process(max_bytes=5)
    await tell(store, part("x", 1, [b"abc", b"de"]))
    assert not (await told(store)).cut
    await tell(store, part("x", 3, [b"f"]))
    await tell(store, part("x", 4, [b""], end=b"over"))
    found = await told(store)
    assert (found.cut, found.events, found.end) == (True, [b"abc", b"de"], b"over")
    assert await site.kept_bytes() == 5 + LOG_BYTES


async def test_the_first_logs_to_end_go_when_all_ended_ones_have_too_much(site: Site) -> None:
    most = 2 * LOG_BYTES + 10
    store = site.process(total_bytes=most)
    await tell(store, part("runs", 1, [b"x" * 5000]))
    for name in "abcd":
        await tell(store, part(name, 1, [b"xxx", b"x"], end=b"over"))
        assert await site.kept_bytes() <= most
    assert [name for name in ("a", "b", "c", "d", "runs") if (await told(store, name)).holder] == ["c", "d", "runs"]


async def test_log_that_alone_has_more_than_all_may_is_there_until_the_next_one_ends(site: Site) -> None:
    store = site.process(total_bytes=2)
    await tell(store, part("a", 1, [b"xxx"], end=b"over"))
    assert (await told(store, "a")).end == b"over"
    await tell(store, part("b", 1, [b"x"], end=b"over"))
    assert not (await told(store, "a")).holder
    assert await site.kept_bytes() == 1 + LOG_BYTES


async def test_logs_without_events_are_bounded_too(site: Site) -> None:
    store = site.process(total_bytes=3 * LOG_BYTES)
    for number in range(6):
        await tell(store, part(f"{number}", end=b"over"))
    assert [number for number in range(6) if (await told(store, f"{number}")).holder] == [3, 4, 5]


@pytest.mark.parametrize("why", ["too old", "too many"])
async def test_one_call_takes_a_bounded_number_of_logs_away_and_the_next_ones_the_rest(site: Site, why: str) -> None:
    store = site.process(retention_s=0.02) if why == "too old" else site.process(total_bytes=LOG_BYTES)
    before = store if why == "too old" else site.process()
    many = 2 * MOST_GONE + 10
    await tell(before, *(part(f"{number}", end=b"over") for number in range(many)))

    async def is_over() -> bool:
        return why == "too many" or not (await told(store, f"{many - 1}")).holder

    await until_answered(is_over)
    lefts = []
    for number in range(3):
        await tell(store, part(f"x {number}", end=b"over"), part(f"y {number}", end=b"over"))
        lefts.append(await site.ask("ZCARD", "logs:ended"))
        assert await site.kept_bytes() == lefts[-1] * LOG_BYTES
    assert lefts[:2] == [many + 2 - MOST_GONE, many + 4 - 2 * MOST_GONE]
    assert lefts[2] <= 6


async def test_ended_log_is_kept_for_a_while_and_then_counts_no_more(site: Site) -> None:
    short = site.process(retention_s=0.02)
    await tell(short, part("a", 1, [b"xxx"], end=b"over"), part("runs", 1, [b"x"]))

    async def is_over() -> bool:
        return not (await told(short, "a")).holder

    await until_answered(is_over)
    assert (await told(short, "runs")).events == [b"x"]
    await tell(short, part("b", 1, [b"xx"], end=b"over"))
    assert await site.kept_bytes() == 2 + LOG_BYTES


async def test_reader_counts_for_a_moment(site: Site) -> None:
    store, other = site.process("one"), site.process("two")
    await told(store, "x")
    assert not await store.is_read("x")
    await other.read([LogAsk(log_id="x", after=2**31)])
    assert await store.is_read("x")
    assert not await store.is_read("y")

    async def is_gone() -> bool:
        return not await store.is_read("x")

    await until_answered(is_gone, within_s=2)


# -- flights


def flight(name: str, *, as_events: bool = True) -> Flight:
    return Flight(log_id=name, holder=f"holder of {name}", as_events=as_events)


async def test_one_of_many_that_claim_at_once_has_it_and_all_know_whose_it_is(site: Site) -> None:
    mine = [flight(f"log {number}") for number in range(15)]
    there = await asyncio.gather(*(site.process(f"{number}").claim(A, one) for number, one in enumerate(mine)))
    (leader,) = {*there}
    assert leader in mine
    assert await site.process().flight(A) == leader
    assert await site.process().claim(B, flight("b")) == flight("b")


async def test_who_is_told_of_a_flight_counts_as_its_reader(site: Site) -> None:
    one, other = site.process(), site.process("two")
    await one.claim(A, flight("x"))
    await other.claim(A, flight("y"))
    assert await one.is_read("x")
    assert not await one.is_read("y")


async def test_flight_whose_log_nobody_reads_any_more_is_anybodys(site: Site) -> None:
    one, other = site.process(), site.process("two")
    await one.claim(A, flight("x"))
    await tell(one, part("x", 1, [b"a"]))
    assert not await one.is_read("x")
    assert await other.claim(A, flight("y")) == flight("y")
    await one.land(A, flight("x"))
    assert await one.claim(A, flight("z")) == flight("y")
    assert await one.is_read("y")
    assert await one.claim(A, flight("z")) == flight("y")
    assert (await told(one)).events == [b"a"]


async def test_only_the_flight_that_is_named_is_replaced(site: Site) -> None:
    store = site.process()
    await store.claim(A, flight("dead"))
    assert await store.claim(A, flight("y"), instead_of=flight("other")) == flight("dead")
    assert await store.claim(A, flight("y"), instead_of=flight("dead", as_events=False)) == flight("dead")
    assert await store.claim(A, flight("y"), instead_of=flight("dead")) == flight("y")
    assert await store.claim(A, flight("z"), instead_of=flight("dead")) == flight("y")


async def test_one_of_many_replaces_a_dead_flight(site: Site) -> None:
    store, dead = site.process(), flight("dead")
    await store.claim(A, dead)
    there = await asyncio.gather(*(store.claim(A, flight(f"{n}"), instead_of=dead) for n in range(15)))
    assert len({*there}) == 1
    assert dead not in there


async def test_flight_is_read_as_it_was_written(site: Site) -> None:
    store, epochs = site.process(), (2**400, 0, 1_700_000_000_000_001)
    mine = Flight(log_id="x", holder="one", as_events=False, groups=("all", 'tag:a="\n'), epochs=epochs)
    assert await store.claim(A, mine) == mine
    assert await store.flight(A) == mine
    assert await store.claim(A, flight("y"), instead_of=mine) == flight("y")


async def test_only_its_owner_lands_a_flight(site: Site) -> None:
    store = site.process()
    await store.claim(A, flight("x"))
    await store.land(A, flight("y"))
    await store.land(B, flight("x"))
    assert await store.flight(A) == flight("x")
    await store.land(A, flight("x"))
    assert await store.flight(A) is None
    assert await store.claim(A, flight("y")) == flight("y")


async def test_nothing_is_claimed_when_another_answer_is_kept_than_the_claimant_saw(site: Site) -> None:
    store, clock = site.process(), ManualClock()
    here = MemoryCache(clock, max_bytes=AMPLE, max_entry_bytes=AMPLE)
    cache = ValkeyCache(
        site.runner, prefix=site.prefix, clock=clock, max_bytes=AMPLE, max_entry_bytes=AMPLE, here=here
    )  # fmt: skip

    async def keep() -> float:
        epochs = (await cache.look(A, GROUPS)).epochs
        assert await cache.put(kept_answer("a", at=clock.time()), GROUPS, epochs)
        return clock.time()

    stale = await keep()
    assert await store.claim(A, flight("x")) is None
    assert await store.claim(A, flight("x"), seen_at=stale - 1) is None
    assert await store.flight(A) is None
    assert await store.claim(A, flight("x"), seen_at=stale) == flight("x")
    assert await store.claim(A, flight("y")) == flight("x")
    await store.land(A, flight("x"))
    clock.advance(1)
    await keep()
    assert await store.claim(A, flight("y"), seen_at=stale) is None
    await cache.purge("all")
    assert await store.claim(A, flight("y")) == flight("y")


async def test_answer_that_is_over_by_the_claimants_clock_alone_is_no_obstacle(site: Site) -> None:
    store, clock = site.process(), ManualClock()
    here = MemoryCache(clock, max_bytes=AMPLE, max_entry_bytes=AMPLE)
    cache = ValkeyCache(
        site.runner, prefix=site.prefix, clock=clock, max_bytes=AMPLE, max_entry_bytes=AMPLE, here=here
    )  # fmt: skip
    epochs = (await cache.look(A, GROUPS)).epochs
    assert await cache.put(kept_answer("a", at=clock.time()), GROUPS, epochs)
    clock.advance(1_000_000)
    assert await store.claim(A, flight("x")) is None
    assert (await cache.look(A, GROUPS)).answer is None
    assert await store.claim(A, flight("x")) == flight("x")
    assert (await cache.look(A, GROUPS)).epochs == epochs


@pytest.mark.parametrize("poison", ["", "x", "[]", '["a"]', "{}", "5", "\x80\x04]"])
async def test_what_is_no_flight_is_replaced(site: Site, poison: str) -> None:
    store = site.process()
    await site.ask("SET", f"flight:{A.hex()}", poison)
    assert await store.flight(A) is None
    assert await store.claim(A, flight("x")) == flight("x")
    assert await store.flight(A) == flight("x")


# -- streams by their ids


async def test_facts_of_a_stream_are_found_again(site: Site) -> None:
    await site.process().put_stream("str_1", b"facts \x00\xff", ended=False)
    assert await site.process("two").get_stream("str_1") == b"facts \x00\xff"
    assert await site.process("two").get_stream("str_2") is None


async def test_facts_of_a_stream_are_kept_while_it_runs_and_a_while_after_its_end(site: Site) -> None:
    short = site.process(retention_s=0.02)
    await short.put_stream("str_1", b"facts", ended=False)
    left_ms = await site.ask("PTTL", "stream:str_1")
    assert left_ms > 3_000_000
    await short.put_stream("str_1", b"facts", ended=True)

    async def is_gone() -> bool:
        return await short.get_stream("str_1") is None

    await until_answered(is_gone)


async def test_cancelled_stream_is_told_to_its_process_until_that_has_ended_it(site: Site) -> None:
    one, two = site.process("one"), site.process("two")
    assert await one.cancelled([]) == []
    await two.cancel("one", "str_1")
    await two.cancel("one", "str_2")
    assert await two.cancelled([]) == []
    assert {*await one.cancelled([])} == {*await one.cancelled([])} == {"str_1", "str_2"}
    await one.cancel("one", "str_3")
    assert await one.cancelled(["str_1", "str_2"]) == ["str_3"]
    assert await one.cancelled(["str_3"]) == []
    await two.cancel("one", "str_1")
    assert await one.cancelled([]) == ["str_1"]
    assert 0 < int(str(await site.ask("PTTL", "cancels:one"))) <= RUNNING_S * 1000


async def test_a_log_and_a_flight_stand_for_as_long_as_a_request_may_last(site: Site) -> None:
    one = site.process("one", running_s=2 * RUNNING_S)
    await one.append([part("a", 1)])
    await one.claim(b"digest", flight("a"))
    for key in ("log:a:facts", f"flight:{b'digest'.hex()}"):
        assert RUNNING_S * 1000 < int(str(await site.ask("PTTL", key))) <= 2 * RUNNING_S * 1000


# -- who lives


@pytest.mark.parametrize("kind", ["memory", "valkey"])
async def test_holder_lives_as_long_as_it_says_so(kind: str, request: pytest.FixtureRequest) -> None:
    clock = ManualClock()
    if kind == "memory":
        alone = MemoryLimits(clock, life="me")
        assert (await alone.lives("me"), await alone.lives("other")) == (True, False)
        return
    runner = await open_runner(request.getfixturevalue("valkey_socket"))
    prefix = f"{uuid4().hex}:"
    one, other = (
        ValkeyLimits(runner, prefix=prefix, holder=holder, clock=clock, now=clock.time) for holder in ("one", "two")
    )
    assert not await one.lives("one")
    await one.beat()
    assert (await other.lives("one"), await other.lives("two")) == (True, False)
    clock.advance(2.5)
    await other.beat()
    assert await other.lives("one")
    clock.advance(1)
    assert (await other.lives("one"), await one.lives("two")) == (False, True)
    await one.beat()
    assert await other.lives("one")
    await runner.aclose()
