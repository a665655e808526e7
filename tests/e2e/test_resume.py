"""Streams that their client leaves, over HTTP: continued as if nobody had left, finished for nobody, or cancelled."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llm_service.api import ServerOptions
from llm_service.sandbox import Sandbox
from llm_service.streams import StreamOptions
from tests.support.process import Serving, place, serving
from tests.support.rest import Answer, ask, connected
from tests.support.service import Running, running, simulated
from tests.support.shared_answers import (
    ADMIN,
    BLOCK,
    CHAT,
    a_key,
    all_records,
    ask_chat,
    body_of,
    calls,
    error_in,
    events,
    first_events,
    record_of,
    said,
    same_ids,
    settings_for,
)
from tests.support.timed import within
from tests.support.waiting import until

MODELS = ("openrouter/openai/gpt-4o-mini", "deepseek/deepseek-flash", "plain/sandbox/chat")
PRICED = MODELS[0]
FINISH = {"X-LLM-On-Disconnect": "finish"}
CANCEL = {"X-LLM-On-Disconnect": "cancel"}
USAGE = {"stream_options": {"include_usage": True}}
LONG = {"sandbox": "tokens-400+pace-20ms"}


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox, keep_alive_s=0.3)) as service:
        yield service


async def cut(
    service: Running | Serving, after: int, *, by: Any = None, model: str = PRICED, **asked: Any
) -> tuple[str, bytes]:
    """The id of a stream whose client left after so many events, and what it has of them."""
    async with connected(service.address) as connection:
        connection.send("POST", CHAT, body_of(model, stream=True, **asked), **(by or {}))
        status, head = await connection.head()
        assert status == 200
        return head["x-llm-stream-id"], await first_events(connection.pieces(), after)


async def resumed(service: Running, stream_id: str, after: object = 0, by: Any = None) -> Answer:
    return await ask(service.address, "GET", f"/v1/streams/{stream_id}?after={after}", **(by or {}))


async def every_way(service: Running, stream_id: str, after: int, by: Any = None) -> list[Answer]:
    """The rest of a stream in each way in which one can ask for it, all at once."""
    cursor = f"{stream_id}.{after}"
    by, path = by or {}, f"/v1/streams/{stream_id}"
    return await asyncio.gather(
        ask(service.address, "GET", f"{path}?after={after}", **by),
        ask(service.address, "GET", f"{path}?after={cursor}", **by),
        ask(service.address, "GET", path, Last_Event_ID=cursor, **by),
        ask(service.address, "POST", CHAT, Last_Event_ID=cursor, **by),
    )


def bare(body: bytes) -> bytes:
    """A stream without its comments, which come when it is silent."""
    return body.replace(b": keep-alive\n", b"")


# -- the rest of a stream


@pytest.mark.parametrize("options", [USAGE, {}], ids=["usage", "no usage"])
@pytest.mark.parametrize("model", MODELS)
async def test_from_every_event_on_the_rest_is_as_if_nobody_had_left(
    service: Running, sandbox: Sandbox, model: str, options: dict[str, Any]
) -> None:
    asked = {"sandbox": "tokens-8+pace-4ms", **options}
    uncut = bare((await ask_chat(service, model, stream=True, **asked)).body)
    count = len(BLOCK.findall(uncut))
    assert count >= 8

    async def left_after(number: int) -> None:
        stream_id, begun = await cut(service, number, by=FINISH, model=model, **asked)
        for rest in await every_way(service, stream_id, number):
            assert rest.status == 200, rest.body
            assert rest.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert rest.headers["x-llm-stream-id"] == stream_id
            assert same_ids(bare(begun + rest.body)) == same_ids(uncut), number

    await asyncio.gather(*(left_after(number) for number in range(count + 1)))
    assert {entry["state"] for entry in calls(sandbox)} == {"completed"}
    assert len(calls(sandbox)) == count + 2


async def test_a_stream_that_has_ended_is_there_byte_for_byte(service: Running) -> None:
    for model in MODELS:
        whole = await ask_chat(service, model, stream=True, **USAGE)
        stream_id = whole.headers["x-llm-stream-id"]
        last = len(events(whole.body))
        assert {one.body for one in await every_way(service, stream_id, 0)} == {bare(whole.body)}
        for number in range(1, last + 1):
            rest = await resumed(service, stream_id, number)
            assert bare(whole.body).endswith(rest.body)
            assert events(rest.body) == events(whole.body)[number:]


async def test_hits_and_followers_have_streams_of_their_own(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox), cached=True) as service:
        asked = {"sandbox": "tokens-9+pace-10ms"}
        answers = await asyncio.gather(*(ask_chat(service, stream=True, **asked) for _ in range(3)))
        answers = [*answers, await ask_chat(service, stream=True, **asked)]
        told = [one.headers["x-llm-cache"] for one in answers]
        assert sorted(told) == ["coalesced", "coalesced", "hit", "miss"]
        for one in answers:
            again = await resumed(service, one.headers["x-llm-stream-id"])
            assert (again.body, again.headers["x-llm-cache"]) == (bare(one.body), one.headers["x-llm-cache"])


async def test_what_a_follower_left_goes_on_with_the_others(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox), cached=True) as service:
        asked = {"sandbox": "tokens-20+pace-10ms"}
        leading = asyncio.ensure_future(ask_chat(service, PRICED, stream=True, **asked))
        await until(lambda: calls(sandbox))
        stream_id, begun = await cut(service, 3, **asked)
        rest = await resumed(service, stream_id, 3)
        assert events(begun + rest.body) == events((await leading).body)
    assert len(calls(sandbox)) == 1


async def test_two_may_read_on_at_different_places(service: Running, sandbox: Sandbox) -> None:
    stream_id, begun = await cut(service, 6, by=FINISH, sandbox="tokens-30+pace-10ms")
    places = [0, 2, 2, 6]
    rests = await asyncio.gather(*(resumed(service, stream_id, place) for place in places))
    whole = events(rests[0].body)
    assert whole[:6] == events(begun)
    for number, rest in zip(places, rests, strict=True):
        assert events(rest.body) == whole[number:]
        assert error_in(rest) is None
    assert len(calls(sandbox)) == 1


async def test_who_reads_on_may_leave_and_come_again(service: Running, sandbox: Sandbox) -> None:
    asked = {"sandbox": "tokens-40+pace-10ms"}
    stream_id, read = await cut(service, 4, by=FINISH, **asked)
    for number in (4, 9, 15):
        async with connected(service.address) as connection:
            connection.send("GET", f"/v1/streams/{stream_id}", Last_Event_ID=f"{stream_id}.{number}")
            await connection.head()
            read += await first_events(connection.pieces(), 5 if number == 4 else 6)
    read += (await resumed(service, stream_id, 21)).body
    assert events(read) == events((await resumed(service, stream_id)).body)
    assert [seq for seq, _ in events(read)] == list(range(1, len(events(read)) + 1))
    assert len(calls(sandbox)) == 1


async def test_who_reads_on_keeps_the_stream_alive(service: Running, sandbox: Sandbox) -> None:
    asked = {"sandbox": "tokens-30+pace-10ms"}
    async with connected(service.address) as first, connected(service.address) as second:
        first.send("POST", CHAT, body_of(PRICED, stream=True, **asked), **CANCEL)
        _, head = await first.head()
        stream_id = head["x-llm-stream-id"]
        second.send("GET", f"/v1/streams/{stream_id}")
        await second.head()
        await first_events(first.pieces(), 3)
        first.writer.close()
        rest = b"".join([piece async for piece in second.pieces()])
    assert rest.endswith(b"data: [DONE]\n\n")
    assert [entry["state"] for entry in calls(sandbox)] == ["completed"]
    assert (await record_of(service, head["x-request-id"]))["status"] == "ok"


async def test_who_waits_for_the_beginning_is_kept_in_touch_and_counts_until_it_leaves(sandbox: Sandbox) -> None:
    patient = simulated(sandbox.address, connect_s=1, first_chunk_s=9, idle_s=9, total_s=20)
    async with running(settings_for(sandbox, providers=patient, server=ServerOptions(keep_alive_s=0.3))) as service:
        async with connected(service.address) as first, connected(service.address) as second:
            first.send("POST", CHAT, body_of(PRICED, stream=True, sandbox="tokens-9+slow-head-8s"), **CANCEL)
            _, head = await first.head()
            second.send("GET", f"/v1/streams/{head['x-llm-stream-id']}")
            await second.head()
            assert (await anext(second.pieces())).startswith(b": keep-alive")
            first.writer.close()
            await asyncio.sleep(0.3)  # until that is noticed: nothing that could be seen from outside tells
            assert calls(sandbox, "open")
            second.writer.close()
            await until(lambda: calls(sandbox, "cancelled"), within_s=1.5)
        (record,) = await all_records(service)
    assert record["status"] == "aborted"


# -- the pace of who reads on


async def test_who_reads_on_slowly_gets_all_that_is_kept(service: Running, sandbox: Sandbox) -> None:
    stream_id, _ = await cut(service, 1, by=FINISH, sandbox="bulk-4mb")
    async with connected(service.address) as slow:
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        slow.send("GET", f"/v1/streams/{stream_id}")
        quick = await resumed(service, stream_id)  # the upstream is read at the pace of the fastest
        (done,) = await all_records(service)
        slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
        await slow.head()
        late = b"".join([piece async for piece in slow.pieces()])
    assert (done["status"], error_in(quick)) == ("ok", None)
    assert bare(late) == bare(quick.body)
    assert len(late) > 4_000_000


async def test_who_reads_on_too_slowly_is_told_what_is_lost(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox, streams=StreamOptions(max_bytes=262_144))) as service:
        stream_id, _ = await cut(service, 1, by=FINISH, sandbox="bulk-16mb")
        async with connected(service.address) as slow:
            slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
            slow.send("GET", f"/v1/streams/{stream_id}")
            (done,) = await all_records(service)
            slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
            answer = await slow.answer()
        gone = await resumed(service, stream_id)
    assert done["status"] == "ok"
    assert answer.status == 404 or error_in(answer) == "stream_interrupted"
    assert (gone.status, error_in(gone)) == (404, "not_found")


# -- what a hang-up means


@pytest.mark.timed
@pytest.mark.parametrize("after", [0, 1, 5])
async def test_a_cancelled_stream_replays_what_was_sent_and_says_so(
    service: Running, sandbox: Sandbox, after: int
) -> None:
    left_at = time.monotonic()
    stream_id, begun = await cut(service, after, by=CANCEL, **LONG)
    await until(lambda: calls(sandbox, "cancelled"))
    within(time.monotonic() - left_at, 2)
    for rest in await every_way(service, stream_id, after):
        assert (rest.status, error_in(rest)) == (200, "stream_cancelled")
        assert b"[DONE]" not in rest.body
        numbers = [seq for seq, _ in events(begun + rest.body)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) < 100
    (aborted,) = await all_records(service)
    assert (aborted["status"], aborted["stream_id"]) == ("aborted", stream_id)


async def test_a_stream_that_was_cancelled_before_it_began_says_so(service: Running, sandbox: Sandbox) -> None:
    async with connected(service.address) as connection:
        connection.send("POST", CHAT, body_of(stream=True, sandbox="stall-head"))
        _, head = await connection.head()  # it is silent for long enough
    await until(lambda: calls(sandbox, "cancelled"))
    for rest in await every_way(service, head["x-llm-stream-id"], 0):
        assert error_in(rest) == "stream_cancelled"


WISHES = [
    (None, "cancel", {}, "cancelled"),
    (None, "cancel", FINISH, "completed"),
    (None, "finish", {}, "completed"),
    (None, "finish", CANCEL, "cancelled"),
    ("finish", "cancel", {}, "completed"),
    ("cancel", "finish", {}, "cancelled"),
    ("finish", "cancel", CANCEL, "cancelled"),
    ("cancel", "cancel", FINISH, "completed"),
]


@pytest.mark.parametrize(("key", "setting", "header", "state"), WISHES)
async def test_the_request_decides_then_its_key_then_the_settings(
    sandbox: Sandbox, key: str | None, setting: Any, header: dict[str, str], state: str
) -> None:
    settings = settings_for(sandbox, guarded=True, streams=StreamOptions(on_disconnect=setting))
    async with running(settings) as service:
        by = await a_key(service, **({"on_disconnect": key} if key else {}))
        for stream in (True, False):
            behaviour = f"tokens-{30 if stream else 31}+pace-10ms+slow-head-{1 if stream else 300}ms"
            async with connected(service.address) as connection:
                connection.send("POST", CHAT, body_of(stream=stream, sandbox=behaviour), **by, **header)
                await until(lambda: len(calls(sandbox)) == (1 if stream else 2))  # noqa: B023 - called here
                if stream:
                    await connection.head()
        await until(lambda: len(calls(sandbox, state)) == 2)
        records = await all_records(service, ADMIN)
    assert {one["status"] for one in records} == {"ok" if state == "completed" else "aborted"}


async def test_a_wish_that_is_none_is_refused(service: Running, sandbox: Sandbox) -> None:
    refused = await ask_chat(service, by={"X-LLM-On-Disconnect": "perhaps"})
    assert (refused.status, refused.json()["error"]["param"]) == (400, "X-LLM-On-Disconnect")
    assert calls(sandbox) == []


async def test_a_follower_may_wish_that_it_goes_on(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox), cached=True) as service:
        asked = {"sandbox": "tokens-30+pace-20ms"}
        async with connected(service.address) as leading:
            leading.send("POST", CHAT, body_of(PRICED, stream=True, **asked), **CANCEL)
            await leading.head()
            stream_id, begun = await cut(service, 2, by=FINISH, **asked)
        rest = await resumed(service, stream_id, 2)
        assert error_in(rest) is None
        assert len(events(begun + rest.body)) >= 31
    assert [entry["state"] for entry in calls(sandbox)] == ["completed"]


async def test_what_was_finished_for_nobody_is_recorded_in_full(service: Running) -> None:
    uncut = await ask_chat(service, PRICED, stream=True, sandbox="tokens-50+pace-2ms", **USAGE)
    stream_id, _ = await cut(service, 1, by=FINISH, sandbox="tokens-50+pace-2ms", **USAGE)
    left, full = await all_records(service)
    for name in ("input_tokens", "output_tokens", "cost_usd", "cost_source", "status"):
        assert left[name] == full[name], name
    assert (left["stream_id"], left["output_tokens"], left["status"]) == (stream_id, 50, "ok")
    assert said(await resumed(service, stream_id)) == said(uncut)


async def test_what_was_finished_for_nobody_is_a_hit_for_the_next(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox), cached=True) as service:
        asked = {"sandbox": "tokens-20+pace-2ms"}
        stream_id, _ = await cut(service, 2, by=FINISH, **asked)
        await all_records(service)
        hit = await ask_chat(service, PRICED, stream=True, **asked)
        assert hit.headers["x-llm-cache"] == "hit"
        assert events(hit.body) == events((await resumed(service, stream_id)).body)


# -- DELETE


async def the_rest(pieces: AsyncIterator[bytes]) -> Answer:
    """What comes of a stream until it ends."""
    return Answer(200, {"content-type": "text/event-stream"}, b"".join([piece async for piece in pieces]))


async def deleted(service: Running, stream_id: str, by: Any = None) -> Answer:
    return await ask(service.address, "DELETE", f"/v1/streams/{stream_id}", **(by or {}))


@pytest.mark.parametrize("by", [CANCEL, FINISH])
async def test_its_owner_cancels_a_stream(service: Running, sandbox: Sandbox, by: dict[str, str]) -> None:
    async with connected(service.address) as connection:
        connection.send("POST", CHAT, body_of(stream=True, **LONG), **by)
        _, head = await connection.head()
        stream_id = head["x-llm-stream-id"]
        pieces = connection.pieces()
        await first_events(pieces, 2)
        answer = await deleted(service, stream_id)
        rest = await the_rest(pieces)
    assert (answer.status, answer.json()) == (200, {"id": stream_id, "cancelled": True})
    assert error_in(rest) == "stream_cancelled"
    await until(lambda: calls(sandbox, "cancelled"))
    assert error_in(await resumed(service, stream_id)) == "stream_cancelled"
    assert (await deleted(service, stream_id)).json()["cancelled"] is False
    (aborted,) = await all_records(service)
    assert aborted["status"] == "aborted"


async def test_a_stream_that_nobody_reads_is_cancelled_too(service: Running, sandbox: Sandbox) -> None:
    stream_id, _ = await cut(service, 2, by=FINISH, **LONG)
    reading = asyncio.ensure_future(resumed(service, stream_id))
    assert (await deleted(service, stream_id)).json()["cancelled"] is True
    await until(lambda: calls(sandbox, "cancelled"))
    assert error_in(await reading) == "stream_cancelled"


@pytest.mark.parametrize("by", [CANCEL, FINISH])
async def test_a_stream_that_has_not_begun_is_cancelled_too(
    service: Running, sandbox: Sandbox, by: dict[str, str]
) -> None:
    async with connected(service.address) as connection:
        connection.send("POST", CHAT, body_of(stream=True, sandbox="stall-head"), **by)
        _, head = await connection.head()
        answer = await deleted(service, head["x-llm-stream-id"])
        rest = await the_rest(connection.pieces())
        assert answer.json()["cancelled"] is True
        assert error_in(rest) == "stream_cancelled"
        await until(lambda: calls(sandbox, "cancelled"))
    (aborted,) = await all_records(service)
    assert aborted["status"] == "aborted"


async def test_who_cancels_a_shared_stream_ends_it_for_itself_alone(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox), cached=True) as service:
        asked = {"sandbox": "tokens-30+pace-10ms"}
        async with connected(service.address) as connection:
            connection.send("POST", CHAT, body_of(PRICED, stream=True, **asked))
            _, head = await connection.head()
            other = asyncio.ensure_future(ask_chat(service, PRICED, stream=True, **asked))
            whole = asyncio.ensure_future(ask_chat(service, PRICED, **asked))
            pieces = connection.pieces()
            await first_events(pieces, 3)
            await deleted(service, head["x-llm-stream-id"])
            rest = await the_rest(pieces)
        assert error_in(rest) == "stream_cancelled"
        assert said(await other) == said(await whole)
    assert [entry["state"] for entry in calls(sandbox)] == ["completed"]


# -- who may, and what is no cursor


async def test_to_all_but_its_owner_a_stream_is_not_there(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox, guarded=True)) as service:
        ours, theirs = await a_key(service, user="ann"), await a_key(service, user="ann")
        stream_id, _ = await cut(service, 2, by={**ours, **FINISH}, **LONG)
        unknown = f"str_{'0' * 26}"
        for by, which in ((theirs, stream_id), (ADMIN, stream_id), (ours, unknown)):
            answers = [*await every_way(service, which, 1, by), await deleted(service, which, by)]
            assert {(one.status, error_in(one)) for one in answers} == {(404, "not_found")}
        assert {one.status for one in await every_way(service, stream_id, 1)} == {401}
        assert calls(sandbox, "open")
        assert (await deleted(service, stream_id, ours)).json()["cancelled"] is True


async def test_a_stream_is_kept_for_its_time(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox, streams=StreamOptions(retention_s=0.3))) as service:
        stream_id = (await ask_chat(service, stream=True)).headers["x-llm-stream-id"]
        assert (await resumed(service, stream_id)).status == 200
        await until(lambda: service.stores.streams.find(stream_id) is None)
        assert {one.status for one in await every_way(service, stream_id, 0)} == {404}
        assert len(calls(sandbox)) == 1


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "", "99999999999999999999", "str_none.1", "%31%00", "1000"])
async def test_what_is_no_place_in_the_stream_is_refused(service: Running, after: str) -> None:
    for ended in (False, True):
        if ended:
            stream_id = (await ask_chat(service, stream=True)).headers["x-llm-stream-id"]
        else:
            stream_id, _ = await cut(service, 1, by=FINISH, **LONG)
        refused = await resumed(service, stream_id, after)
        assert (refused.status, error_in(refused)) == (400, "invalid_value"), refused.body
        await deleted(service, stream_id)


@pytest.mark.parametrize("cursor", ["x", "12", "str_.x", ".1", "a.b.c", "1000"])
async def test_what_is_no_event_of_a_stream_is_refused(service: Running, sandbox: Sandbox, cursor: str) -> None:
    stream_id = (await ask_chat(service, stream=True)).headers["x-llm-stream-id"]
    cursor = f"{stream_id}.1000" if cursor == "1000" else cursor
    refused = await ask(service.address, "POST", CHAT, Last_Event_ID=cursor)
    assert (refused.status, error_in(refused)) == (400, "invalid_value"), refused.body
    assert len(calls(sandbox)) == 1


async def test_a_cursor_beside_a_body_begins_a_new_call(service: Running, sandbox: Sandbox) -> None:
    first = await ask_chat(service, stream=True)
    cursor = f"{first.headers['x-llm-stream-id']}.2"
    second = await ask_chat(service, by={"Last-Event-ID": cursor}, stream=True)
    assert second.headers["x-llm-stream-id"] != first.headers["x-llm-stream-id"]
    assert len(calls(sandbox)) == 2


async def test_a_whole_answer_is_no_stream(service: Running) -> None:
    whole = await ask_chat(service)
    answer = await resumed(service, whole.headers["x-request-id"].replace("req_", "str_"))
    assert (whole.status, answer.status) == (200, 404)


# -- the end of the process


async def test_a_shutdown_waits_for_a_stream_that_finishes_for_nobody(tmp_path: Path) -> None:
    home = place(tmp_path)
    with serving(home) as service:
        asked = {"model": "openai/sandbox/tokens-40+pace-25ms", "by": FINISH}
        stream_id, _ = await cut(service, 2, **asked)
        service.child.signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.child.ended) == 0
    with serving(home) as service:
        left = (await ask(service.address, "GET", f"/v1/generations/{stream_id.replace('str_', 'req_')}")).json()
    assert (left["status"], left["output_tokens"], left["stream_id"]) == ("ok", 40, stream_id)


@pytest.mark.timed
async def test_a_shutdown_waits_no_longer_than_its_grace(tmp_path: Path) -> None:
    home = place(tmp_path, LLM_SERVICE_SERVER__SHUTDOWN_GRACE_S="0.3")
    with serving(home) as service:
        stream_id, _ = await cut(service, 2, model="openai/sandbox/tokens-100000+pace-25ms", by=FINISH)
        service.child.signal(signal.SIGTERM)
        begun_at = time.monotonic()
        assert await asyncio.to_thread(service.child.ended) == 0
        within(time.monotonic() - begun_at, 5)
    with serving(home) as service:
        left = (await ask(service.address, "GET", f"/v1/generations/{stream_id.replace('str_', 'req_')}")).json()
    assert left["status"] in ("aborted", "interrupted", "error")
    assert 2 <= left["output_tokens"] < 1000
