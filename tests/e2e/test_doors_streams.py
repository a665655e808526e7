"""One suite, six doors: clients that leave, and streams that are begun through one door and read on through another."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from llm_service.sandbox import Sandbox
from tests.support.doors import STREAMING, Door, Options, StreamingDoor, Told, chat
from tests.support.doors.asks import OPENROUTER, each_door, each_streaming
from tests.support.rest import ask
from tests.support.service import Running, running
from tests.support.shared_answers import ADMIN, CHAT, all_records, called, calls, events, settings_for
from tests.support.waiting import until

pytestmark = pytest.mark.timed

LONG = chat("plain/sandbox/chat", sandbox="tokens-400+pace-20ms")
SHORT = chat(OPENROUTER, sandbox="tokens-7+thinking")
PACED = chat(OPENROUTER, sandbox="tokens-9+pace-5ms")
FINISH = Options(on_disconnect="finish")


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox)) as service:
        yield service


async def upstream_left(sandbox: Sandbox) -> None:
    await until(lambda: sandbox.stats()["open"] == 0, within_s=1)


# -- hang-up


@each_streaming
async def test_leaving_after_the_first_piece_cancels_the_upstream(
    service: Running, sandbox: Sandbox, streaming: StreamingDoor
) -> None:
    async with streaming.stream(service.address, LONG) as reading:
        await reading.take(1)
    await upstream_left(sandbox)
    (record,) = await all_records(service)
    assert (record["status"], record["surface"]) == ("aborted", streaming.surface)
    assert record["input_tokens"] > 0
    assert record["output_tokens"] > 0


@each_door
async def test_leaving_before_the_answer_begins_cancels_the_upstream(
    service: Running, sandbox: Sandbox, door: Door
) -> None:
    asking = asyncio.ensure_future(door.ask(service.address, {**LONG, "sandbox": "stall-head"}))
    await called(sandbox)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await upstream_left(sandbox)
    (record,) = await all_records(service)
    assert (record["status"], record["surface"]) == ("aborted", door.surface)


@each_streaming
async def test_a_stream_that_is_to_finish_does_so_for_nobody(
    service: Running, sandbox: Sandbox, streaming: StreamingDoor
) -> None:
    async with streaming.stream(service.address, PACED, options=FINISH) as reading:
        (first,) = await reading.take(1)
    (record,) = await all_records(service)
    assert (record["status"], record["surface"], record["output_tokens"]) == ("ok", streaming.surface, 9)
    for other in STREAMING:
        told = await rest_of(service, other, first.cursor)
        assert told.failure is None
        assert told.cost_usd == record["cost_usd"]
    assert len(calls(sandbox)) == 1


# -- cancel


async def by_rest(service: Running, stream_id: str) -> None:
    answer = await ask(service.address, "DELETE", f"/v1/streams/{stream_id}")
    assert answer.status == 200, answer.body


async def by_graphql(service: Running, stream_id: str) -> None:
    asked = {"query": "mutation ($id: ID!) { cancel(streamId: $id) }", "variables": {"id": stream_id}}
    answer = await ask(service.address, "POST", "/graphql", orjson.dumps(asked))
    assert answer.json() == {"data": {"cancel": True}}


@each_streaming
@pytest.mark.parametrize("cancel", [by_rest, by_graphql])
async def test_a_stream_can_be_cancelled_through_another_door(
    service: Running, sandbox: Sandbox, streaming: StreamingDoor, cancel: Any
) -> None:
    async with streaming.stream(service.address, LONG) as reading:
        (first,) = await reading.take(1)
        await cancel(service, first.cursor.partition(".")[0])
        told = await reading.told()
    assert told.code == "stream_cancelled"
    await upstream_left(sandbox)
    (record,) = await all_records(service)
    assert record["status"] == "aborted"
    for other in STREAMING:
        again = await rest_of(service, other, f"{first.cursor.partition('.')[0]}.0")
        assert again.code == "stream_cancelled", other.name
        assert raws(again)[: len(raws(told))] == raws(told), other.name


# -- resume


async def rest_of(service: Running, door: StreamingDoor, cursor: str, *, key: str | None = None) -> Told:
    async with door.resume(service.address, cursor, key=key) as reading:
        return await reading.told()


def raws(told: Told) -> list[Any]:
    return [(piece.seq, piece.cursor, piece.raw) for piece in told.pieces or ()]


def closing(told: Told) -> tuple[Any, ...]:
    """What the end of a stream says."""
    facts = told.usage, told.cost_usd, told.cost_source, told.provider, told.model
    return *facts, told.attempts, told.cache, told.request_id, told.stream_id


@each_streaming
async def test_from_every_event_on_every_door_has_exactly_the_rest(
    service: Running, sandbox: Sandbox, streaming: StreamingDoor
) -> None:
    async with streaming.stream(service.address, SHORT) as reading:
        whole = await reading.told()
    stream_id, events = whole.stream_id, raws(whole)
    assert len(events) > 8
    for other in STREAMING:
        for seq in range(len(events)):
            rest = await rest_of(service, other, f"{stream_id}.{seq}")
            assert raws(rest) == events[seq:], (other.name, seq)
            assert closing(rest) == closing(whole), (other.name, seq)
    assert len(calls(sandbox)) == 1


@each_streaming
async def test_a_stream_that_breaks_off_anywhere_goes_on_through_every_door(
    service: Running, sandbox: Sandbox, streaming: StreamingDoor
) -> None:
    """While it is made: a client leaves after so many pieces, and others read on at once."""

    async def left_after(count: int) -> None:
        async with streaming.stream(service.address, PACED, options=FINISH) as reading:
            begun = await reading.take(count)
        rests = await asyncio.gather(*(rest_of(service, other, begun[-1].cursor) for other in STREAMING))
        whole = await rest_of(service, STREAMING[0], f"{rests[0].stream_id}.0")
        assert [(piece.seq, piece.cursor, piece.raw) for piece in begun] == raws(whole)[:count]
        for other, rest in zip(STREAMING, rests, strict=True):
            assert raws(rest) == raws(whole)[count:], (other.name, count)
            assert closing(rest) == closing(whole), (other.name, count)

    counts = range(1, 9)
    await asyncio.gather(*map(left_after, counts))
    assert len(calls(sandbox)) == len(counts)


@each_streaming
async def test_an_error_in_the_middle_is_told_again_through_every_door(
    service: Running, streaming: StreamingDoor
) -> None:
    body = chat("plain/sandbox/chat", sandbox="cut-after-4")
    async with streaming.stream(service.address, body) as reading:
        broken = await reading.told()
    assert broken.code == "stream_interrupted"
    stream_id, behind_the_error = reading.pieces[0].cursor.partition(".")[0], len(reading.pieces) + 1
    for other in STREAMING:
        for seq in range(1, behind_the_error + 1):
            rest = await rest_of(service, other, f"{stream_id}.{seq}")
            assert raws(rest) == raws(broken)[seq:], (other.name, seq)
            assert rest.failure == broken.failure, (other.name, seq)


@each_streaming
async def test_a_stream_is_its_owner_s_through_every_door(sandbox: Sandbox, streaming: StreamingDoor) -> None:
    async with running(settings_for(sandbox, guarded=True)) as service:
        owner, stranger = [await a_secret(service) for _ in range(2)]
        async with streaming.stream(service.address, SHORT, key=owner) as reading:
            told = await reading.told()
        for other in STREAMING:
            cursor = f"{told.stream_id}.3"
            assert (await rest_of(service, other, cursor, key=stranger)).code == "not_found", other.name
            assert raws(await rest_of(service, other, cursor, key=owner)) == raws(told)[3:], other.name
            assert (await rest_of(service, other, f"{told.stream_id}.9999", key=owner)).code == "invalid_value"


async def a_secret(service: Running) -> str:
    made = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "of a test"}), **ADMIN)
    return str(made.json()["key"])


async def test_who_wants_no_chunk_of_usage_gets_none_but_through_graphql(service: Running) -> None:
    """GraphQL's own field of the usage is asked for by name, so there it is always told."""
    answer = await ask(service.address, "POST", CHAT, orjson.dumps({**SHORT, "stream": True}))
    whole = events(answer.body)
    for other in STREAMING:
        rest = await rest_of(service, other, f"{answer.headers['x-llm-stream-id']}.0")
        told = [(seq, raw) for seq, _, raw in raws(rest)]
        assert told[: len(whole)] == whole, other.name
        assert [raw["choices"] for _, raw in told[len(whole) :]] == ([[]] if other.surface == "graphql" else []), (
            other.name
        )
