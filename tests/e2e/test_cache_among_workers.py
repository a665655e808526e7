"""Answers and streams are one for all workers and machines: one call for the same requests, whoever leaves or dies."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.deployment import ADMIN, CHAT, Deployment, Load, body, lasting, machines, one_service, percentile
from tests.support.evidence import Evidence
from tests.support.postgres import PostgresServer
from tests.support.rest import Answer, ask, connected
from tests.support.sharing import Client, Stream, all_at_once, asked, at_worker, charged, error_of, text_of, words_of
from tests.support.timed import within
from tests.support.valkey import Server
from tests.support.waiting import until, until_answered
from tests.support.workers import workers_of

WORKERS = 4
CLIENTS = 500
CACHE = {"cache": {"enabled": True}}
A_SECOND = "tokens-40+pace-25ms"
FIVE_SECONDS = "tokens-200+pace-25ms"
FINISH = {"X_LLM_On_Disconnect": "finish"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with one_service(tmp_path_factory.mktemp("workers"), workers=WORKERS, **CACHE) as deployment:
        yield deployment


@pytest.fixture
async def service(running: Deployment) -> Deployment:
    """Several workers, all of them there."""
    await until(lambda: len(workers_of(running.services[0])) == WORKERS, within_s=20)
    return running


@pytest.fixture
async def client(service: Deployment) -> Client:
    return await Client.new(service)


@pytest.fixture
async def held() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def called(client: Client, times: int = 1) -> None:
    """Wait until the upstream was asked so often."""

    async def is_so() -> bool:
        return len(await client.upstream()) == times

    await until_answered(is_so, within_s=20)


async def state(client: Client, wanted: str, *, within_s: float = 10) -> float:
    """Wait until the one call has ended so. How long that took, seconds."""
    begun_at = time.monotonic()

    async def is_so() -> bool:
        return [entry["state"] for entry in await client.upstream()] == [wanted]

    await until_answered(is_so, within_s=within_s)
    return time.monotonic() - begun_at


def kill(service: Deployment, worker: int) -> None:
    os.kill(workers_of(service.services[0])[worker], signal.SIGKILL)


def one_text(answers: Sequence[Answer]) -> str:
    """The words that all have, none of them empty."""
    assert Counter(answer.status for answer in answers) == {200: len(answers)}, answers
    (text,) = {text_of(answer) for answer in answers}
    assert text
    return text


# -- the same requests at once


async def test_many_identical_requests_at_once_are_one_call_and_one_charge(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    connections = await asyncio.gather(*(held.enter_async_context(connected(address)) for _ in range(CLIENTS)))
    answers = await all_at_once(client, "tokens-30+pace-20ms+slow-head-500ms", connections)
    one_text(answers)
    assert {error_of(answer.body) for answer in answers[::2]} == {"complete"}
    assert len(await client.upstream()) == 1
    records = await client.records(CLIENTS)
    assert Counter(record.status for record in records) == {"ok": CLIENTS}
    assert len(charged(records)) == 1
    assert sum(record.attempts for record in records) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_client_of_the_one_that_leads_leaves_and_fails_nobody(
    client: Client, held: AsyncExitStack, seed: int
) -> None:
    dice, address = random.Random(seed), client.deployment.addresses[0]
    leading = client.send(await held.enter_async_context(at_worker(address, 1)), A_SECOND)
    await (await leading.begin()).first()
    connections = await asyncio.gather(*(held.enter_async_context(connected(address)) for _ in range(60)))
    following = asyncio.ensure_future(all_at_once(client, A_SECOND, connections))
    await leading.first(dice.randrange(1, 38))
    leading.leave()
    answers = await following
    one_text(answers)
    assert {error_of(answer.body) for answer in answers[::2]} == {"complete"}
    assert len(await client.upstream()) == 1
    assert len(charged(await client.records(61))) == 1


async def test_leader_that_is_killed_before_its_first_chunk_is_replaced_by_one(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    client.send(await held.enter_async_context(at_worker(address, 1)), f"{A_SECOND}+slow-head-1500ms")
    await called(client)
    others = [await held.enter_async_context(at_worker(address, number)) for number in (2, 3) * 4]
    following = asyncio.ensure_future(all_at_once(client, f"{A_SECOND}+slow-head-1500ms", others))
    await asyncio.sleep(0.3)  # until they wait: nothing that could be seen from outside tells
    kill(client.deployment, 1)
    one_text(await following)
    assert len(await client.upstream()) == 2
    records = await client.records(9)
    assert Counter(record.status for record in records) == {"ok": 8, "interrupted": 1}
    assert len(charged([record for record in records if record.status == "ok"])) == 1


@pytest.mark.timed
async def test_leader_that_is_killed_after_its_first_chunk_leaves_what_it_logged_and_the_error(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    leading = client.send(await held.enter_async_context(at_worker(address, 1)), FIVE_SECONDS)
    await (await leading.begin()).first()
    others = [await held.enter_async_context(at_worker(address, number)) for number in (2, 3) * 3]
    readers = [await client.send(other, FIVE_SECONDS).begin() for other in others]
    await asyncio.gather(*(reader.first(20) for reader in readers))
    kill(client.deployment, 1)
    killed_at = time.monotonic()
    bodies = await asyncio.gather(*(reader.rest() for reader in readers))
    within(time.monotonic() - killed_at, 9)  # 3 s of a beat, 3 s of silence, looks in between
    assert {error_of(one) for one in bodies} == {"stream_interrupted"}
    assert len({words_of(one) for one in bodies}) == 1
    assert len(await client.upstream()) == 1
    records = await client.records(7)
    assert Counter(record.status for record in records) == {"error": 6, "interrupted": 1}
    assert charged([record for record in records if record.status != "interrupted"]) == []


@pytest.mark.timed
async def test_answer_that_is_not_kept_is_asked_for_by_each_worker_and_nobody_waits_for_more(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    connections = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2, 3) * 3]
    begun_at = time.monotonic()
    for connection in connections:
        client.send(connection, "finish-content_filter+slow-head-300ms", stream=False)
    one_text(await asyncio.gather(*(connection.answer() for connection in connections)))
    assert 1 <= len(await client.upstream()) <= WORKERS
    within(time.monotonic() - begun_at, 5)


@pytest.mark.timed
async def test_who_wants_a_newer_answer_than_the_kept_one_gets_it_at_once(client: Client, held: AsyncExitStack) -> None:
    one, two = [await held.enter_async_context(at_worker(client.deployment.addresses[0], n)) for n in (1, 2)]
    met = []
    begun_at = time.monotonic()
    for connection, headers in ((one, {}), (two, {}), (two, {"Cache_Control": "max-age=0"}), (one, {})):
        answer = await client.send(connection, "chat", stream=False, **headers).begin()
        await answer.rest()
        met.append(answer.headers["x-llm-cache"])
    assert met == ["miss", "hit", "miss", "hit"]
    within(time.monotonic() - begun_at, 1)
    assert len(await client.upstream()) == 2


async def test_who_comes_after_a_purge_shares_nothing_that_began_before_it(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    one, two, three, again = [await held.enter_async_context(at_worker(address, n)) for n in (1, 2, 3, 1)]
    before = [client.send(one, A_SECOND), client.send(two, A_SECOND)]
    await (await before[0].begin()).first(2)
    await (await before[1].begin()).first(2)
    assert (await three.ask("DELETE", "/admin/cache?all=true", authorization=ADMIN)).status == 200
    after = [client.send(three, A_SECOND)]
    await called(client, 2)
    after.append(client.send(again, A_SECOND))
    for stream in after:
        await stream.begin()
    assert {error_of(await stream.rest()) for stream in (*before, *after)} == {"complete"}
    assert len(await client.upstream()) == 2
    assert len(charged(await client.records(4))) == 2


async def test_what_a_follower_on_another_worker_wants_finished_is_finished_for_nobody(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    one, two = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2)]
    leading = await (await client.send(one, A_SECOND).begin()).first(2)
    following = await (await client.send(two, A_SECOND, **FINISH).begin()).first(2)
    following.leave()
    leading.leave()
    await state(client, "completed")
    (paid,) = [record for record in await client.records(2) if record.nano_usd]
    assert paid.status == "ok"


async def asked_at_random(client: Client, dice: random.Random, *, count: int) -> Counter[str]:
    """So many requests over all workers, a few kinds, of which a third leaves at some moment. How the others ended."""
    address = client.deployment.addresses[0]
    kinds = [f"tokens-{10 + number}+pace-10ms+slow-head-{number * 30}ms" for number in range(6)]
    right: dict[str, set[str]] = {kind: set() for kind in kinds}

    async def one() -> str:
        await asyncio.sleep(dice.uniform(0, 0.8))  # clients come when they like
        kind, stream, leaves = dice.choice(kinds), dice.random() < 0.6, dice.random() < 0.34
        async with connected(address) as connection:
            answer = client.send(connection, kind, stream=stream)
            try:
                async with asyncio.timeout(dice.uniform(0, 0.3) if leaves else 20):
                    body_ = await (await answer.begin()).rest()
            except TimeoutError:
                answer.leave()
                return "left" if leaves else "endless"
        if answer.status != 200:
            return f"{answer.status}"
        end = error_of(body_) if stream else "complete"
        if end == "complete":
            right[kind].add(text_of(Answer(answer.status, answer.headers, body_)))
        return end

    ends = Counter(await asyncio.gather(*(one() for _ in range(count))))
    assert {kind: len(texts) for kind, texts in right.items()} == dict.fromkeys(kinds, 1)
    return ends


@pytest.mark.parametrize("seed", range(2))
async def test_requests_whose_clients_leave_at_random_spoil_nothing_for_others(client: Client, seed: int) -> None:
    ends = await asked_at_random(client, random.Random(seed), count=150)
    assert {*ends} == {"complete", "left"}, ends


# -- streams by their ids


async def test_stream_is_continued_by_other_workers_as_if_it_had_never_been_cut(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    leading = client.send(await held.enter_async_context(at_worker(address, 1)), A_SECOND, **FINISH)
    await (await leading.begin()).first(5)
    leading.leave()

    async def continued(number: int, after: int) -> bytes:
        async with at_worker(address, number) as connection:
            return await (await client.resume(connection, leading.id, after).begin()).rest()

    cuts = [(number, after) for after in (0, 1, 3, 5) for number in (1, 2, 3)]
    found = [*zip(cuts, await asyncio.gather(*(continued(*cut) for cut in cuts)), strict=True)]
    uncut = found[0][1]
    cuts += [(number, after) for after in (6, 20, 39) for number in (1, 2, 3)]
    found += zip(cuts, await asyncio.gather(*(continued(*cut) for cut in cuts)), strict=True)
    assert error_of(uncut) == "complete"
    for (_, after), rest in found:
        assert rest == b"\n\n".join(uncut.split(b"\n\n")[after:])
    assert len(await client.upstream()) == 1
    assert len(await client.records(1)) == 1


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "running"])
async def test_stream_of_a_killed_worker_is_continued_with_all_that_was_logged(
    client: Client, held: AsyncExitStack, *, ended: bool
) -> None:
    address = client.deployment.addresses[0]
    leading = client.send(await held.enter_async_context(at_worker(address, 1)), A_SECOND if ended else FIVE_SECONDS)
    await (await leading.begin()).first(20)
    whole = await leading.rest() if ended else b""
    other = await held.enter_async_context(at_worker(address, 2))
    kill(client.deployment, 1)
    found = await (await client.resume(other, leading.id, 0).begin()).rest()
    if ended:
        assert found == whole
    else:
        assert found.count(b"\ndata: ") >= 20
        assert error_of(found) == "stream_interrupted"


@pytest.mark.timed
async def test_stream_is_cancelled_from_another_worker(client: Client, held: AsyncExitStack) -> None:
    address = client.deployment.addresses[0]
    leading = client.send(await held.enter_async_context(at_worker(address, 1)), FIVE_SECONDS, **FINISH)
    await (await leading.begin()).first()
    two, three = [await held.enter_async_context(at_worker(address, number)) for number in (2, 3)]
    resumed = await (await client.resume(three, leading.id, 0).begin()).first()
    assert await client.cancel(two, leading.id) == {"id": leading.id, "cancelled": True}
    assert error_of(await leading.rest()) == "stream_cancelled"
    assert error_of(await resumed.rest()) == "stream_cancelled"
    within(await state(client, "cancelled"), 1.5)

    async def is_over() -> bool:
        return not (await client.cancel(two, leading.id))["cancelled"]

    await until_answered(is_over)


async def test_who_cancels_a_stream_ends_it_for_nobody_else(client: Client, held: AsyncExitStack) -> None:
    address = client.deployment.addresses[0]
    one, two = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2)]
    leading = await (await client.send(one, A_SECOND).begin()).first()
    following = await (await client.send(two, A_SECOND).begin()).first()
    async with at_worker(address, 3) as three:
        assert (await client.cancel(three, leading.id))["cancelled"]
    assert error_of(await leading.rest()) == "stream_cancelled"
    assert error_of(await following.rest()) == "complete"
    assert len(await client.upstream()) == 1


@pytest.mark.timed
async def test_upstream_is_left_when_the_last_reader_on_another_worker_leaves(
    client: Client, held: AsyncExitStack
) -> None:
    address = client.deployment.addresses[0]
    one, two = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2)]
    leading = await (await client.send(one, FIVE_SECONDS).begin()).first()
    following = await (await client.send(two, FIVE_SECONDS).begin()).first()
    leading.leave()
    await following.first(60)
    following.leave()
    within(await state(client, "cancelled"), 1.5)
    records = await client.records(2)
    assert Counter(record.status for record in records) == {"aborted": 2}


async def test_stream_of_nobody_is_not_found_on_another_worker(client: Client, held: AsyncExitStack) -> None:
    address = client.deployment.addresses[0]
    one, two = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2)]
    leading = client.send(one, A_SECOND)
    await (await leading.begin()).rest()
    other = await Client.new(client.deployment)
    for who, stream_id in ((other, leading.id), (client, "str_unknown")):
        found = await who.resume(two, stream_id, 0).begin()
        await found.rest()
        assert found.status == 404


# -- Idempotency-Key


async def test_idempotency_key_of_many_workers_is_one_call_and_one_charge(client: Client, held: AsyncExitStack) -> None:
    address = client.deployment.addresses[0]
    connections = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2) * 10]
    for number, connection in enumerate(connections):
        client.send(connection, A_SECOND, stream=number % 4 == 0, Idempotency_Key="once")
    answers = await asyncio.gather(*(connection.answer() for connection in connections))
    one_text(answers)
    assert len(await client.upstream()) == 1
    assert len(charged(await client.records(1))) == 1


async def test_idempotency_key_of_a_killed_worker_is_taken_over(client: Client, held: AsyncExitStack) -> None:
    address = client.deployment.addresses[0]
    one, two = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2)]
    client.send(one, f"{A_SECOND}+slow-head-1s", stream=False, Idempotency_Key="once")
    await called(client)
    client.send(two, f"{A_SECOND}+slow-head-1s", stream=False, Idempotency_Key="once")
    kill(client.deployment, 1)
    answer = await two.answer()
    again = await client.send(two, f"{A_SECOND}+slow-head-1s", stream=False, Idempotency_Key="once").begin()
    assert (answer.status, again.status, again.headers["x-llm-cache"]) == (200, 200, "replay")
    assert await again.rest() == answer.body
    assert len(await client.upstream()) == 2


# -- machines


@pytest.fixture
async def two_machines(tmp_path: Path, valkey: Server, postgres_server: PostgresServer) -> AsyncIterator[Deployment]:
    """Each with a data directory of its own; one store, one database."""
    url = await postgres_server.new_database()
    with machines(tmp_path, store_url=valkey.url, database_url=url, **CACHE) as deployment:
        yield deployment


async def test_stream_is_continued_on_another_machine(two_machines: Deployment, held: AsyncExitStack) -> None:
    client = await Client.new(two_machines)
    one, other = [await held.enter_async_context(connected(address)) for address in two_machines.addresses]
    leading = client.send(one, A_SECOND, **FINISH)
    await (await leading.begin()).first(5)
    leading.leave()
    live = await (await client.resume(other, leading.id, 2).begin()).rest()
    uncut = await ask(
        two_machines.addresses[0], "GET", f"/v1/streams/{leading.id}", authorization=client.authorization
    )  # fmt: skip
    assert error_of(live) == "complete"
    assert live == b"\n\n".join(uncut.body.split(b"\n\n")[2:])
    two_machines.services[0].child.signal(signal.SIGKILL)
    late = await (await client.resume(other, leading.id, 7).begin()).rest()
    assert late == b"\n\n".join(uncut.body.split(b"\n\n")[7:])


async def test_same_requests_on_two_machines_are_one_call(two_machines: Deployment, held: AsyncExitStack) -> None:
    client = await Client.new(two_machines)
    opened = [held.enter_async_context(connected(address)) for address in two_machines.addresses * 20]
    answers = await all_at_once(client, f"{A_SECOND}+slow-head-300ms", await asyncio.gather(*opened))
    one_text(answers)
    assert len(await client.upstream()) == 1
    assert len(charged(await client.records(40))) == 1


async def test_idempotency_key_on_two_machines_is_one_call_and_one_charge(
    two_machines: Deployment, held: AsyncExitStack
) -> None:
    client = await Client.new(two_machines)
    connections = [await held.enter_async_context(connected(address)) for address in two_machines.addresses * 10]
    for connection in connections:
        client.send(connection, A_SECOND, stream=False, Idempotency_Key="once", Cache_Control="no-store")
    answers = await asyncio.gather(*(connection.answer() for connection in connections))
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert Counter(answer.status for answer in answers) == {200: 20}
    assert len(await client.upstream()) == 1
    assert len(charged(await client.records(1))) == 1


async def test_purge_on_one_machine_is_seen_by_the_next_request_on_the_other(two_machines: Deployment) -> None:
    client = await Client.new(two_machines)
    here, there = two_machines.addresses

    async def met(address: str) -> str:
        content = asked("chat", stream=False, words=client.words)
        return (await ask(address, "POST", CHAT, content, authorization=client.authorization)).headers["x-llm-cache"]

    assert [await met(here), await met(there), await met(there)] == ["miss", "hit", "hit"]
    for _ in range(10):
        purged = await ask(here, "DELETE", "/admin/cache?all=true", authorization=ADMIN)
        assert (purged.status, purged.json()) == (200, {"purged": 1})
        assert [await met(there), await met(here)] == ["miss", "hit"]


@pytest.mark.timed
async def test_no_request_fails_while_the_store_is_killed_and_the_cache_is_used_again(
    two_machines: Deployment, valkey: Server
) -> None:
    kept = body("plain/sandbox/tokens-5", temperature=0)
    async with Load(two_machines.addresses, kept, clients=8) as load:
        await lasting(0.5)
        valkey.kill()
        await lasting(1.0)
        valkey.restart()
        back_at = time.monotonic()
        await lasting(0.5)

    async def is_shared() -> bool:
        content = asked("chat", stream=False, words=f"{time.monotonic()}")
        met = [await ask(address, "POST", CHAT, content, authorization=ADMIN) for address in two_machines.addresses]
        return [answer.headers["x-llm-cache"] for answer in met] == ["miss", "hit"]

    await until_answered(is_shared, within_s=10)
    within(time.monotonic() - back_at, 5)
    assert load.statuses() == {200: len(load.answers)}
    assert len(load.answers) > 100


# -- every seed, and what it costs


async def delays_of_copies(client: Client, held: AsyncExitStack) -> list[float]:
    """By how much later each event comes to a reader at another worker than to the one that leads, seconds."""
    address = client.deployment.addresses[0]
    one, two = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2)]
    leading = await (await client.send(one, FIVE_SECONDS).begin()).first()
    following = await client.send(two, FIVE_SECONDS).begin()

    async def moments(reader: Stream) -> list[float]:
        found = []
        for number in range(1, 150):
            await reader.first(number)
            found.append(time.monotonic())
        return found

    there, here = await asyncio.gather(moments(leading), moments(following))
    leading.leave()
    following.leave()
    return [late - early for early, late in zip(there[50:], here[50:], strict=True)]


async def end_of_killed(client: Client, held: AsyncExitStack, *, begun: bool) -> float:
    """How long after the leading worker was killed its followers are told, or get their answer's first event."""
    address = client.deployment.addresses[0]
    await until(lambda: len(workers_of(client.deployment.services[0])) == WORKERS, within_s=60)
    one, two = [await held.enter_async_context(at_worker(address, number)) for number in (1, 2)]
    behaviour = FIVE_SECONDS if begun else f"{FIVE_SECONDS}+slow-head-1s"
    leading = client.send(one, behaviour)
    if begun:
        await (await leading.begin()).first()
    else:
        await called(client)
    following = client.send(two, behaviour)
    if begun:
        await (await following.begin()).first(10)
    else:
        await asyncio.sleep(0.2)  # until it waits
    kill(client.deployment, 1)
    killed_at = time.monotonic()
    if begun:
        assert error_of(await following.rest()) == "stream_interrupted"
    else:
        await (await following.begin()).first()
        following.leave()
    return time.monotonic() - killed_at


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_nor_by_many_at_random(service: Deployment, held: AsyncExitStack, evidence: Evidence) -> None:
    ends = Counter[str]()
    for seed in range(12):
        ends += await asked_at_random(await Client.new(service), random.Random(seed), count=150)
    before = [await end_of_killed(await Client.new(service), held, begun=False) for _ in range(3)]
    after = [await end_of_killed(await Client.new(service), held, begun=True) for _ in range(3)]
    figures = {
        "workers": WORKERS,
        "requests, of which some clients leave": ends.total(),
        "of them left": ends["left"],
        "of them complete and right": ends["complete"],
        "first event after the leader was killed before its own (which takes 1 s) max_s": f"{max(before):.2f}",
        "error after the leader was killed after its first event max_s": f"{max(after):.2f}",
    }
    evidence.record("coalescing", title="One call for the same requests of several workers", figures=figures)
    print(figures)


@pytest.mark.timed
@pytest.mark.full
@pytest.mark.timeout(300)
async def test_copied_event_is_late_by_milliseconds(
    service: Deployment, held: AsyncExitStack, evidence: Evidence
) -> None:
    late = await delays_of_copies(await Client.new(service), held)
    figures = {
        "events": len(late),
        "later at another worker p50_ms": f"{percentile(late, 0.5) * 1000:.1f}",
        "later at another worker p99_ms": f"{percentile(late, 0.99) * 1000:.1f}",
    }
    evidence.record("resume", title="A stream that is read at another worker", figures=figures)
    print(figures)
    within(percentile(late, 0.5), 0.05)
