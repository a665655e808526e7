"""``/v1/ws``: many generations over one socket, against simulated providers and with real clients."""

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import orjson
import pytest
from websockets.exceptions import InvalidStatus

from llm_service.api import ServerOptions, WebSocketOptions
from llm_service.api.resuming import Resuming
from llm_service.api.websocket import door as door_module
from llm_service.api.websocket import frame_sink as sink_module
from llm_service.api.websocket.protocol import SocketProtocol
from llm_service.api.websocket.socket import Socket
from llm_service.domain import Caller, Credentials, InvalidApiKey, LedgerUnavailable, LLMServiceError
from llm_service.sandbox import Sandbox
from llm_service.services import Authenticator
from llm_service.streams import Stream
from tests.support.raw_socket import frame, raw_socket
from tests.support.rest import ASKED, ask
from tests.support.service import Running, running
from tests.support.shared_answers import (
    ADMIN,
    TurnedClock,
    a_key,
    all_records,
    ask_chat,
    calls,
    events,
    facts,
    record_of,
    said,
    settings_for,
    shared_by,
)
from tests.support.sockets import Frame, SocketClient, chunks, opened, text_of
from tests.support.timed import within
from tests.support.waiting import until

pytestmark = pytest.mark.timed

MODELS = ("openrouter/openai/gpt-4o-mini", "deepseek/deepseek-flash", "plain/sandbox/chat")
PRICED = MODELS[0]
LONG = "tokens-400+pace-20ms"
USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox)) as service:
        yield service


@pytest.fixture
async def guarded(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox, guarded=True)) as service:
        yield service


def same(value: Any) -> bytes:
    """An answer with the ids replaced that are its own."""
    text = orjson.dumps(value)
    for pattern in (rb"str_[0-9a-f]{26}", rb"req_[0-9a-f]{26}", rb'"id":"[^"]*"', rb'"created":\d+'):
        text = re.sub(pattern, b"#", text)
    return text


# -- one generation


@pytest.mark.parametrize("options", [USAGE, {}], ids=["usage", "no usage"])
@pytest.mark.parametrize("model", MODELS)
async def test_the_same_request_gives_what_rest_gives(service: Running, model: str, options: dict[str, Any]) -> None:
    rest = await ask_chat(service, model, stream=True, sandbox="tokens-7+pace-1ms", **options)
    async with opened(service.address) as client:
        await client.create(model=model, sandbox="tokens-7+pace-1ms", **options)
        started, *middle, done = await client.all_of()
    assert same(chunks(middle)) == same(events(rest.body))
    last = facts(rest.body)
    for name in ("provider", "cost_usd", "cost_source", "cache", "attempts"):
        assert done[name] == last.get(name), name
    assert done["finish_reason"] == said(rest)[0].finish_reason
    assert (started["type"], done["type"]) == ("chat.started", "chat.done")
    assert (started["provider"], started["model"], started["cache"]) == (last["provider"], last["model"], "bypass")
    assert done["request_id"] == started["request_id"]
    assert [one["cursor"] for one in middle] == [f"{started['stream_id']}.{one['seq']}" for one in middle]


async def test_the_record_says_what_done_says(service: Running) -> None:
    async with opened(service.address) as client:
        await client.create(
            model=PRICED, sandbox="tokens-9", options={"user": "anna", "tags": {"team": "search"}, "timeout_s": 5}
        )
        done = (await client.all_of())[-1]
    (record,) = await all_records(service)
    assert (record["surface"], record["user"], record["tags"]) == ("websocket", "anna", {"team": "search"})
    assert record["cost_usd"] == done["cost_usd"]
    assert (record["input_tokens"], record["output_tokens"]) == (
        done["usage"]["prompt_tokens"],
        done["usage"]["completion_tokens"],
    )
    (line,) = service.log.of("request")
    assert (line["surface"], line["status"]) == ("websocket", "ok")


@pytest.mark.parametrize("stream", [True, False, None])
async def test_the_client_s_own_wish_for_a_stream_does_not_matter(service: Running, stream: bool | None) -> None:
    async with opened(service.address) as client:
        await client.create(stream=stream)
        assert (await client.all_of())[-1]["type"] == "chat.done"


async def test_many_generations_share_a_socket_and_each_is_in_order(service: Running) -> None:
    names = [f"g{number}" for number in range(40)]
    async with opened(service.address) as client:
        for number, name in enumerate(names):
            await client.create(name, sandbox=f"tokens-{number + 5}+pace-2ms")
        for name in names:
            frames = await client.all_of(name)
            numbers = [seq for seq, _ in chunks(frames)]
            assert numbers == list(range(1, len(numbers) + 1))
            assert frames[-1]["usage"]["completion_tokens"] == int(name[1:]) + 5
    kinds = [frame["id"] for frame in client.frames]
    assert kinds != sorted(kinds, key=names.index)  # they were not sent one after the other


async def test_a_hit_and_a_follower_say_so(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox), cached=True) as service, opened(service.address) as client:
        for name in ("a", "b"):
            await client.create(name, model=PRICED, sandbox="tokens-9+pace-10ms")
        leading, following = await client.all_of("a"), await client.all_of("b")
        await client.create("c", model=PRICED, sandbox="tokens-9+pace-10ms", options={"cache_control": "max-age=60"})
        hit = await client.all_of("c")
        await client.create("d", model=PRICED, sandbox="tokens-9+pace-10ms", options={"cache_control": "no-cache"})
        anew = await client.all_of("d")
    told = [frames[-1]["cache"] for frames in (leading, following, hit, anew)]
    assert told == ["miss", "coalesced", "hit", "miss"]
    assert [frames[0]["cache"] for frames in (leading, following, hit)] == told[:3]
    assert text_of(leading) == text_of(following) == text_of(hit)
    assert {one[-1]["finish_reason"] for one in (leading, following, hit)} == {"stop"}
    assert hit[-1]["usage"] == following[-1]["usage"] == leading[-1]["usage"]
    assert hit[-1]["cost_usd"] == "0"
    assert len(calls(sandbox)) == 2


async def test_an_idempotency_key_gives_the_answer_of_the_first_time(service: Running, sandbox: Sandbox) -> None:
    async with opened(service.address) as client:
        for name in ("a", "b"):
            await client.create(name, options={"idempotency_key": "once"})
            await client.all_of(name)
    assert client.of("b")[-1]["cache"] == "replay"
    assert len(calls(sandbox)) == 1


# -- errors


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"request": None}, "missing_required_parameter", "request"),
        ({"request": []}, "invalid_value", "request"),
        ({"request": {"model": "plain/m"}}, "missing_required_parameter", "messages"),
        ({"request": {"stream": "yes"}}, "invalid_value", "stream"),
        ({"options": []}, "invalid_value", "options"),
        ({"options": {"temperature": 1}}, "invalid_value", None),
        ({"options": {"timeout_s": "soon"}}, "invalid_value", "options.timeout_s"),
        ({"options": {"timeout_s": True}}, "invalid_value", "options.timeout_s"),
        ({"options": {"user": 1}}, "invalid_value", "options.user"),
        ({"options": {"tags": {"team": 1}}}, "invalid_value", "options.tags"),
        ({"options": {"tags": {"a b": "c"}}}, "invalid_value", "options.tags"),
        ({"options": {"on_disconnect": "stay"}}, "invalid_value", "options.on_disconnect"),
        ({"options": {"cache_control": "max-age=x"}}, "invalid_value", "options.cache_control"),
        ({"options": {"idempotency_key": ""}}, "invalid_value", "options.idempotency_key"),
        ({"options": {"credit": 0}}, "invalid_value", "options.credit"),
        (
            {"request": {"model": "nobody-knows-it", "messages": [{"role": "user", "content": "x"}]}},
            "model_not_found",
            None,
        ),
    ],
)
async def test_what_cannot_be_served_is_an_error_of_that_id(
    service: Running, asked: dict[str, Any], code: str, param: str | None
) -> None:
    frame = {"id": "a1", "request": {"model": "plain/m", "messages": [{"role": "user", "content": "x"}]}, **asked}
    async with opened(service.address) as client:
        await client.send("chat.create", **frame)
        error = await client.next()
        await client.send("ping")
        assert (await client.next())["type"] == "pong"
    assert (error["type"], error["id"], error["error"]["code"], error["error"]["param"]) == ("error", "a1", code, param)
    assert error["request_id"].startswith("req_")
    (line,) = service.log.of("request")
    assert (line["surface"], line["request_id"]) == ("websocket", error["request_id"])


async def test_an_error_of_the_upstream_names_its_stream_once_that_has_begun(service: Running) -> None:
    async with opened(service.address) as client:
        await client.create("before", sandbox="error-503")
        await client.create("after", sandbox="cut-after-3")
        before, after = (await client.all_of("before"))[-1], await client.all_of("after")
    assert (before["error"]["code"], "stream_id" in before) == ("upstream_error", False)
    assert after[-1]["error"]["code"] == "stream_interrupted"
    assert after[-1]["stream_id"] == after[0]["stream_id"]
    assert after[-1]["cursor"] == after[-2]["cursor"]


async def test_an_id_is_in_use_until_its_last_frame(service: Running) -> None:
    async with opened(service.address) as client:
        await client.create("a", sandbox="tokens-20+pace-10ms")
        await client.create("a")
        refused = await client.until("error")
        done = await client.until("chat.done", "a")
        await client.create("a")
        await client.until("chat.done", "a")
    assert (refused["error"]["code"], refused["error"]["param"]) == ("invalid_value", "id")
    assert "'a'" in refused["error"]["message"]
    assert done["usage"]["completion_tokens"] == 20


async def test_an_error_with_an_id_is_the_last_frame_of_what_runs_under_it(service: Running) -> None:
    name = "n" * 128
    async with opened(service.address) as client:
        await client.create(name, sandbox="tokens-20+pace-10ms")
        await client.create(name)
        await client.send("chat.resume", id=name, stream_id="str_none")
        await client.send("chat.credit", id=name, chunks=0)
        await client.send("chat.delete", id=name)
        await client.send("chat.delete", id="m" * 128)
        errors = [await client.until("error") for _ in range(5)]
        await client.all_of(name)
    assert [error.get("id") for error in errors] == [None] * 4 + ["m" * 128]
    assert client.of(name)[-1]["type"] == "chat.done"


async def test_an_id_is_free_with_its_last_frame(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    request = {"model": MODELS[2], "messages": ASKED}
    again = [frame(orjson.dumps({"type": "chat.create", "id": "a1", "request": request})) for _ in range(3)]
    write = SocketProtocol.write

    def write_and_hear(protocol: SocketProtocol, frames: bytes) -> None:
        """As if the client's next frame were there as soon as the last one is written."""
        write(protocol, frames)
        if b'"chat.done"' in frames and again:
            protocol.data_received(again.pop())

    monkeypatch.setattr(SocketProtocol, "write", write_and_hear)
    async with opened(service.address) as client:
        await client.create(sandbox="tokens-3")
        ends = [await client.until("chat.done") for _ in range(4)]
    assert len({end["request_id"] for end in ends}) == 4
    assert "error" not in {one["type"] for one in client.frames}


async def test_a_full_socket_answers_an_error_for_that_id(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox, websocket=WebSocketOptions(max_generations_per_socket=2))
    async with running(settings) as service, opened(service.address) as client:
        for name in ("a", "b", "c"):
            await client.create(name, sandbox="tokens-10+pace-10ms")
        refused = await client.until("error", "c")
        await client.all_of("a")
        await client.create("c")
        await client.until("chat.done", "c")
    assert (refused["error"]["code"], refused["retryable"]) == ("concurrency_limit_exceeded", True)


# -- cancel, credit


@pytest.mark.parametrize("behaviour", [LONG, "slow-head-800ms"])
async def test_a_generation_is_cancelled_by_its_id(service: Running, sandbox: Sandbox, behaviour: str) -> None:
    async with opened(service.address) as client:
        await client.create("stays", sandbox="tokens-20+pace-5ms")
        await client.create("goes", sandbox=behaviour)
        await until(lambda: len(calls(sandbox)) == 2)
        if behaviour == LONG:
            await client.until("chat.chunk", "goes")
        await client.send("chat.cancel", id="goes")
        error = await client.until("error", "goes", within_s=1)
        await until(lambda: calls(sandbox, "cancelled"), within_s=1)
        stays = await client.all_of("stays")
        await client.create("goes")
        await client.until("chat.done", "goes")
    assert error["error"]["code"] == "stream_cancelled"
    assert stays[-1]["type"] == "chat.done"


async def test_what_goes_on_for_others_holds_neither_id_nor_room_of_who_cancelled_it(sandbox: Sandbox) -> None:
    asked = {"model": PRICED, "sandbox": "tokens-5+slow-head-1s"}
    settings = settings_for(sandbox, websocket=WebSocketOptions(max_generations_per_socket=1))
    async with (
        running(settings, cached=True) as service,
        opened(service.address) as leading,
        opened(service.address) as following,
    ):
        await leading.create("a", **asked)
        await until(lambda: calls(sandbox))
        await following.create("b", **asked)
        await shared_by(service, 2)
        await leading.send("chat.cancel", id="a")
        assert (await leading.until("error", "a"))["error"]["code"] == "stream_cancelled"
        await leading.create("a", sandbox="tokens-1")
        assert (await leading.next())["type"] == "chat.started"
        assert following.frames == []
        assert (await following.all_of("b"))[-1]["type"] == "chat.done"


async def test_to_cancel_what_has_ended_is_no_mistake(service: Running) -> None:
    async with opened(service.address) as client:
        await client.send("chat.cancel", id="never was")
        await client.send("chat.credit", id="never was", chunks=3)
        await client.send("ping")
        assert (await client.next())["type"] == "pong"


@pytest.mark.parametrize("kind", ["chat.cancel", "chat.credit"])
async def test_a_flood_for_a_generation_that_runs_ends_the_socket(
    service: Running, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    cancels: list[Stream] = []
    given_up = asyncio.Event()

    async def give_up(resuming: Resuming, stream: Stream) -> None:
        cancels.append(stream)
        await given_up.wait()

    monkeypatch.setattr(Resuming, "give_up", give_up)
    flood = frame(orjson.dumps({"type": kind, "id": "a1", "chunks": 1})) * 3000
    async with opened(service.address) as client, raw_socket(service.address) as hostile:
        await client.create(sandbox=LONG)
        await client.until("chat.started")
        request = {"model": MODELS[2], "messages": ASKED, "sandbox": LONG}
        await hostile.send(frame(orjson.dumps({"type": "chat.create", "id": "a1", "request": request})))
        await hostile.frame()
        await hostile.send(flood)
        assert await hostile.close_code() == 4429
        assert len(cancels) == (kind == "chat.cancel")
        given_up.set()
        await client.until("chat.chunk")


async def test_credit_for_each_chunk_is_no_flood(service: Running) -> None:
    async with opened(service.address) as client:
        await client.create(sandbox="tokens-3000+pace-0ms", options={"credit": 20})
        while (told := await client.next())["type"] != "chat.done":
            assert told["type"] != "error", told
            if told["type"] == "chat.chunk":
                await client.send("chat.credit", id="a1", chunks=1)
    assert len(chunks(client.frames)) >= 3000


async def test_with_credit_no_more_chunks_come_than_were_granted(service: Running, sandbox: Sandbox) -> None:
    async with opened(service.address) as client:
        await client.create("a", sandbox="tokens-30+pace-1ms", options={"credit": 3})
        await client.create("other", sandbox="tokens-30+pace-1ms")
        await client.all_of("other")
        assert len(chunks(client.of("a"))) == 3
        for granted in (1, 4, 2):
            before = len(chunks(client.of("a")))
            await client.send("chat.credit", id="a", chunks=granted)
            for _ in range(granted):
                await client.until("chat.chunk", "a")
            await client.send("ping")
            await client.until("pong")
            assert len(chunks(client.of("a"))) == before + granted
        await client.send("chat.credit", id="a", chunks=1000)
        frames = await client.all_of("a")
    assert [seq for seq, _ in chunks(frames)] == list(range(1, len(chunks(frames)) + 1))
    assert text_of(frames) == text_of(client.of("other"))


async def test_credit_may_come_before_the_answer(service: Running) -> None:
    async with opened(service.address) as client:
        await client.create("a", sandbox="tokens-30+slow-head-100ms")
        await client.send("chat.credit", id="a", chunks=2)
        for _ in range(2):
            await client.until("chat.chunk", "a")
        with pytest.raises(TimeoutError):
            await client.next(within_s=0.1)


async def test_who_never_gives_credit_is_given_up(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "CREDIT_S", 0.05)
    async with opened(service.address) as client:
        await client.create("a", sandbox="tokens-30+pace-1ms", options={"credit": 2})
        frames = await client.all_of("a")
    assert (frames[-1]["error"]["code"], frames[-1]["seq"]) == ("stream_interrupted", 2)


@pytest.mark.timed
async def test_a_slow_reader_holds_up_nobody_else_and_gets_everything(service: Running, sandbox: Sandbox) -> None:
    async with opened(service.address, max_queue=1) as slow, opened(service.address) as quick:
        await slow.create("a", sandbox="bulk-16mb")
        await slow.until("chat.started", "a")
        slow.socket.transport.pause_reading()
        begun_at = time.monotonic()
        await quick.create("b", sandbox="tokens-20+pace-1ms")
        assert (await quick.all_of("b"))[-1]["type"] == "chat.done"
        within(time.monotonic() - begun_at, 2)
        assert {entry["state"] for entry in calls(sandbox)} >= {"completed"}
        slow.socket.transport.resume_reading()
        frames = await slow.all_of("a", within_s=30)
    assert frames[-1]["type"] == "chat.done"
    assert [seq for seq, _ in chunks(frames)] == list(range(1, len(chunks(frames)) + 1))
    assert len(text_of(frames)) >= 16_000_000


# -- resume


async def resumed(client: SocketClient, name: str, stream_id: str, after: Any = None) -> list[Frame]:
    await client.send("chat.resume", id=name, stream_id=stream_id, after=after)
    return await client.all_of(name)


@pytest.mark.parametrize("model", MODELS)
async def test_from_every_event_on_exactly_the_missing_events_come(
    service: Running, sandbox: Sandbox, model: str
) -> None:
    asked = {"model": model, "sandbox": "tokens-8+pace-4ms", **USAGE}
    async with opened(service.address) as client:
        await client.create("uncut", **asked)
        uncut = await client.all_of("uncut")
    count = len(chunks(uncut))

    async def left_after(number: int) -> None:
        async with opened(service.address) as first:
            await first.create("a", options={"on_disconnect": "finish"}, **asked)
            started = await first.next()
            for _ in range(number):
                await first.next()
            first.socket.transport.abort()
        async with opened(service.address) as second:
            for after in (number, str(number), f"{started['stream_id']}.{number}"):
                rest = await resumed(second, f"b{after}", started["stream_id"], after)
                assert same(chunks(first.frames + rest)) == same(chunks(uncut)), number
                assert rest[-1]["type"] == "chat.done"
                assert rest[-1]["usage"] == uncut[-1]["usage"]

    await asyncio.gather(*(left_after(number) for number in range(count + 1)))
    assert {entry["state"] for entry in calls(sandbox)} == {"completed"}
    assert len(calls(sandbox)) == count + 2


async def test_what_began_by_rest_goes_on_over_a_socket_and_back(service: Running) -> None:
    rest = await ask_chat(service, PRICED, stream=True, **USAGE)
    async with opened(service.address) as client:
        frames = await resumed(client, "a", rest.headers["x-llm-stream-id"], 2)
        await client.create("b", model=PRICED, **USAGE)
        created = await client.all_of("b")
    back = await ask(service.address, "GET", f"/v1/streams/{created[0]['stream_id']}?after=2")
    assert chunks(frames) == events(rest.body)[2:]
    assert events(back.body) == chunks(created)[2:]


@pytest.mark.parametrize("asked", [{"stream_id": "str_none"}, {}, {"stream_id": 1}])
async def test_a_refused_resume_is_told_to_the_listeners(service: Running, asked: dict[str, Any]) -> None:
    async with opened(service.address) as client:
        await client.send("chat.resume", id="a1", **asked)
        error = await client.until("error", "a1")
    (line,) = service.log.of("request")
    assert (line["status"], line["request_id"], line["surface"]) == ("refused", error["request_id"], "websocket")


async def test_only_its_owner_goes_on_with_a_stream(guarded: Running) -> None:
    mine, other = await a_key(guarded), await a_key(guarded)
    async with opened(guarded.address, mine) as client:
        await client.create()
        stream_id = (await client.all_of())[0]["stream_id"]
    async with opened(guarded.address, other) as client:
        (refused,) = await resumed(client, "a", stream_id)
        (beyond,) = await resumed(client, "b", f"{stream_id}x")
    async with opened(guarded.address, mine) as client:
        (future,) = await resumed(client, "c", stream_id, 99)
        (nonsense,) = await resumed(client, "d", stream_id, [1])
    codes = [one["error"]["code"] for one in (refused, beyond, future, nonsense)]
    assert codes == ["not_found", "not_found", "invalid_value", "invalid_value"]


async def test_a_resumed_stream_may_be_paced_and_cancelled(service: Running, sandbox: Sandbox) -> None:
    async with opened(service.address) as client, opened(service.address) as second:
        await client.create("a", sandbox=LONG)
        stream_id = (await client.until("chat.started", "a"))["stream_id"]
        await second.send("chat.resume", id="b", stream_id=stream_id, options={"credit": 2})
        for _ in range(2):
            await second.until("chat.chunk", "b")
        await second.send("chat.cancel", id="b")
        codes = {(await one.until("error", name))["error"]["code"] for one, name in ((client, "a"), (second, "b"))}
        await until(lambda: calls(sandbox, "cancelled"), within_s=1)
    assert codes == {"stream_cancelled"}
    assert len(chunks(second.frames)) == 2


@pytest.mark.parametrize("ending", ["cancel", "leave", "drain"])
async def test_who_waits_for_a_resumed_stream_to_begin_may_cancel_or_leave_it(
    service: Running, sandbox: Sandbox, ending: str
) -> None:
    async with opened(service.address) as client, opened(service.address) as second:
        await client.create("a", sandbox="slow-head-3000ms")
        await until(lambda: calls(sandbox))
        (stream,) = service.stores.streams.running
        await second.send("chat.resume", id="b", stream_id=stream.id)
        await until(lambda: len(stream.sinks) > 2)
        if ending == "cancel":
            await second.send("chat.cancel", id="b")
        elif ending == "leave":
            second.socket.transport.abort()
            await until(lambda: len(stream.sinks) == 2, within_s=1)
            client.socket.transport.abort()
        else:
            await service.service.serving.drain(0.05, hurried=asyncio.Event())
        if ending != "leave":
            code = "stream_cancelled" if ending == "cancel" else "draining"
            assert (await second.until("error", "b"))["error"]["code"] == code
            assert (await client.until("error", "a"))["error"]["code"] == code
        await until(lambda: calls(sandbox, "cancelled"), within_s=1)


# -- a client that leaves


@pytest.mark.timed
@pytest.mark.parametrize("behaviour", [LONG, "slow-head-800ms"])
@pytest.mark.parametrize("manner", ["abort", "close"])
async def test_a_client_that_leaves_ends_the_upstreams_within_a_second(
    service: Running, sandbox: Sandbox, behaviour: str, manner: str
) -> None:
    async with opened(service.address) as client:
        for name in ("a", "b", "c"):
            await client.create(name, sandbox=behaviour)
        await until(lambda: len(calls(sandbox)) == 3)
        left_at = time.monotonic()
        if manner == "abort":
            client.socket.transport.abort()
        else:
            await client.socket.close()
        await until(lambda: len(calls(sandbox, "cancelled")) == 3, within_s=1)
    within(time.monotonic() - left_at, 1)
    assert {record["status"] for record in await all_records(service)} == {"aborted"}


@pytest.mark.timeout(120)
async def test_of_four_hundred_that_are_left_nothing_goes_on(service: Running, sandbox: Sandbox) -> None:
    async with AsyncExitStack() as held:
        clients = [await held.enter_async_context(opened(service.address)) for _ in range(20)]
        for client in clients:
            for number in range(20):
                await client.create(
                    f"g{number}", sandbox="tokens-2000+pace-100ms" if number % 2 else "slow-head-9000ms"
                )
        await until(lambda: len(calls(sandbox)) == 400, within_s=50)
        for client in clients:
            client.socket.transport.abort()
        await until(lambda: len(calls(sandbox, "cancelled")) == 400)
    await until(lambda: service.stores.ledger.state.open_requests == 0)
    assert service.stores.streams.running == ()


async def test_what_is_to_be_finished_goes_on_for_nobody(service: Running, sandbox: Sandbox) -> None:
    async with opened(service.address) as client:
        await client.create("a", sandbox="tokens-20+pace-5ms", options={"on_disconnect": "finish"})
        await client.create("b", sandbox="tokens-21+slow-head-100ms", options={"on_disconnect": "finish"})
        await client.until("chat.chunk", "a")
        await until(lambda: len(calls(sandbox)) == 2)
    await until(lambda: len(calls(sandbox, "completed")) == 2)
    assert {record["status"] for record in await all_records(service)} == {"ok"}


async def test_who_left_before_its_answer_began_is_no_reader_of_what_goes_on_for_others(sandbox: Sandbox) -> None:
    asked = {"model": PRICED, "sandbox": "tokens-400+pace-20ms+slow-head-200ms"}
    async with (
        running(settings_for(sandbox), cached=True) as service,
        opened(service.address) as leading,
        opened(service.address) as following,
    ):
        await leading.create(**asked)
        await until(lambda: calls(sandbox))
        await following.create(**asked)
        await until(lambda: len(service.stores.streams.running) == 1)
        await following.send("ping")
        await following.until("pong")
        leading.socket.transport.abort()
        await following.until("chat.chunk")
        following.socket.transport.abort()
        await until(lambda: calls(sandbox, "cancelled"), within_s=1.5)


# -- who may come in


async def test_a_wrong_key_closes_with_4401(guarded: Running) -> None:
    for by in ({"Authorization": "Bearer llms_nobody"}, {"x-api-key": "nonsense"}):
        async with opened(guarded.address, by) as client:
            assert await client.closed() == 4401
        assert client.frames[-1]["error"]["code"] == "invalid_api_key"


async def test_a_key_may_come_by_header_or_first_frame(guarded: Running) -> None:
    by = await a_key(guarded)
    key = by["Authorization"].removeprefix("Bearer ")
    for headers, shown in ((by, None), ({"x-api-key": key}, None), (None, key), (None, "sk")):
        async with opened(guarded.address, headers) as client:
            if shown is not None:
                await client.send("auth", key=shown)
            if shown == "sk":
                assert await client.closed() == 4401
                continue
            await client.create()
            done = (await client.all_of())[-1]
        assert (await record_of(guarded, done["request_id"], by))["key_id"].startswith("key_")


async def test_anything_before_the_key_closes_with_4401(guarded: Running) -> None:
    async with opened(guarded.address) as client:
        await client.create()
        assert await client.closed() == 4401
    assert client.frames[-1]["error"]["code"] == "invalid_api_key"


async def test_a_key_that_comes_too_late_closes_with_4408(guarded: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "AUTH_S", 0.05)
    async with opened(guarded.address) as client:
        assert await client.closed() == 4408


async def test_of_a_client_without_a_key_no_more_than_an_auth_frame_is_kept(guarded: Running) -> None:
    announced = b"\x81\xff" + (1_000_000).to_bytes(8, "big") + bytes(4)
    async with raw_socket(guarded.address) as client:
        await client.send(announced, bytes(2 * door_module.AUTH_BYTES))
        assert await client.close_code() == 1009


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_large_request_may_come_at_once_behind_the_key(guarded: Running, by_header: bool) -> None:
    by = await a_key(guarded)
    presented = by["Authorization"]
    request = {"model": MODELS[2], "messages": [{"role": "user", "content": "x" * 500_000}], "sandbox": "tokens-3"}
    create = frame(orjson.dumps({"type": "chat.create", "id": "a1", "request": request}))
    auth = frame(orjson.dumps({"type": "auth", "key": presented.removeprefix("Bearer ")}))
    fields = [f"Authorization: {presented}".encode()] if by_header else []
    async with raw_socket(guarded.address, *fields) as client:
        await client.send(create if by_header else auth + create)
        async with asyncio.timeout(5):
            kinds = [orjson.loads((await client.frame())[1])["type"] for _ in range(2)]
    assert kinds == ["chat.started", "chat.chunk"]


async def test_only_so_many_clients_are_asked_for_their_keys_at_once(
    guarded: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "UNKNOWN_SOCKETS", 2)
    by = await a_key(guarded)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(opened(guarded.address))
        refused = await held.enter_async_context(opened(guarded.address))
        assert await refused.closed() == 1013
        assert refused.frames[-1]["error"]["code"] == "concurrency_limit_exceeded"
        known = await held.enter_async_context(opened(guarded.address, by))
        await known.create()
        assert (await known.all_of())[-1]["type"] == "chat.done"
    async with opened(guarded.address) as client:
        await client.send("auth", key=by["Authorization"].removeprefix("Bearer "))
        await client.create()
        assert (await client.all_of())[-1]["type"] == "chat.done"


async def test_a_key_without_the_scope_is_told_so(guarded: Running) -> None:
    async with opened(guarded.address, await a_key(guarded, scopes=["read"])) as client:
        assert await client.closed() == 4401
    assert client.frames[-1]["error"]["code"] == "scope_missing"


async def test_on_its_own_machine_no_key_is_needed_but_one_may_be_shown(service: Running) -> None:
    created = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "k"}))
    async with opened(service.address) as client:
        await client.send("auth", key=created.json()["key"])
        await client.create()
        done = (await client.all_of())[-1]
    assert (await record_of(service, done["request_id"]))["key_id"] == created.json()["id"]
    async with opened(service.address) as client:
        await client.send("auth", key="local")
        await client.create()
        assert (await client.all_of())[-1]["type"] == "chat.done"
    async with opened(service.address) as client:
        await client.send("auth", key="llms_wrong")
        assert await client.closed() == 4401


@pytest.mark.parametrize(
    ("origin", "code"),
    [("http://evil.example", 4403), ("null", 4403), ("https://chat.example", None), ("own", None)],
)
async def test_pages_of_other_origins_are_refused_also_with_a_key(
    sandbox: Sandbox, origin: str, code: int | None
) -> None:
    settings = settings_for(sandbox, server=ServerOptions(allowed_origins=("https://chat.example",)))
    async with running(settings) as service:
        given = service.address if origin == "own" else origin
        created = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "k"}))
        for by in (None, {"x-api-key": created.json()["key"]}):
            async with opened(service.address, by, origin=given) as client:
                if code is not None:
                    assert await client.closed() == code
                    continue
                await client.create()
                assert (await client.all_of())[-1]["type"] == "chat.done"


async def test_only_so_many_sockets_of_one_key_are_open(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox, guarded=True, websocket=WebSocketOptions(max_sockets_per_key=3))
    async with running(settings) as service:
        one, other = await a_key(service), await a_key(service)
        async with AsyncExitStack() as held:
            for _ in range(3):
                client = await held.enter_async_context(opened(service.address, one))
                await client.send("ping")
                await client.until("pong")
            refused = await held.enter_async_context(opened(service.address, one))
            assert await refused.closed() == 4429
            assert refused.frames[-1]["error"]["code"] == "concurrency_limit_exceeded"
            another = await held.enter_async_context(opened(service.address, other))
            await another.send("ping")
            await another.until("pong")
        async with opened(service.address, one) as again:
            await again.send("ping")
            await again.until("pong")


async def test_who_shows_a_key_counts_under_it(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox, websocket=WebSocketOptions(max_sockets_per_key=1))) as service:
        created = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "k"}))
        async with opened(service.address) as first, opened(service.address) as second:
            await first.send("auth", key=created.json()["key"])
            await first.create()
            await first.all_of()
            async with opened(service.address) as third:
                await third.send("ping")
                await third.until("pong")
            await ask(service.address, "DELETE", f"/admin/keys/{created.json()['id']}")
            assert await first.closed() == 4401
            assert await second.closed() == 4429  # it came before the first had shown its key


@pytest.mark.timed
async def test_a_revoked_key_ends_what_runs_and_its_sockets(guarded: Running, sandbox: Sandbox) -> None:
    mine, other = await a_key(guarded), await a_key(guarded)
    async with (
        opened(guarded.address, mine) as client,
        opened(guarded.address, mine) as idle,
        opened(guarded.address, other) as stranger,
    ):
        for one in (client, stranger):
            await one.create("a", sandbox=LONG)
            await one.until("chat.chunk", "a")
        await client.create("b", sandbox="slow-head-5000ms")
        await until(lambda: len(calls(sandbox)) == 3)
        revoked = await key_of(guarded, client)
        revoked_at = time.monotonic()
        await ask(guarded.address, "DELETE", f"/admin/keys/{revoked}", **ADMIN)
        assert await client.closed() == 4401
        assert await idle.closed() == 4401
        within(time.monotonic() - revoked_at, 1)
        for name in ("a", "b"):
            assert client.of(name)[-1]["error"]["code"] == "key_revoked"
        await until(lambda: len(calls(sandbox, "cancelled")) == 2, within_s=1)
        await stranger.until("chat.chunk", "a")


async def test_a_socket_that_fails_to_be_revoked_keeps_no_other_open(
    guarded: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoke, failed = Socket.revoke, list[Socket]()

    def fail_first(socket: Socket) -> None:
        if not failed:
            failed.append(socket)
            raise RuntimeError("a defect")
        revoke(socket)

    monkeypatch.setattr(Socket, "revoke", fail_first)
    mine = await a_key(guarded)
    async with opened(guarded.address, mine) as one, opened(guarded.address, mine) as other:
        for client in (one, other):
            await client.create(sandbox="tokens-1")
            await client.all_of()
        await ask(guarded.address, "DELETE", f"/admin/keys/{await key_of(guarded, one)}", **ADMIN)
        ends = {asyncio.create_task(client.closed()) for client in (one, other)}
        done, still_open = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        assert {end.result() for end in done} == {4401}
        for end in still_open:
            end.cancel()
    assert guarded.log.of("a socket was not revoked")


async def key_of(service: Running, client: SocketClient) -> str:
    """The id of the key under which a generation of this client runs."""
    stream_id = next(frame["stream_id"] for frame in client.frames if "stream_id" in frame)
    stream = service.stores.streams.find(stream_id)
    assert stream is not None
    return stream.owner


async def test_an_expired_key_asks_for_nothing_more(sandbox: Sandbox) -> None:
    clock = TurnedClock()
    async with running(settings_for(sandbox, guarded=True), clock=clock) as service:
        by = await a_key(service, expires_at=(clock.now() + timedelta(hours=1)).isoformat())
        async with opened(service.address, by) as client:
            await client.create("a")
            await client.all_of("a")
            clock.ahead_s = 3601
            await client.create("b")
            assert await client.closed() == 4401
    assert client.of("b")[-1]["error"]["code"] == "invalid_api_key"


async def test_a_key_that_cannot_be_looked_up_now_closes_with_1013_however_it_is_shown(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up(monkeypatch, LedgerUnavailable("away", retry_after_s=1.0))
    async with opened(service.address, {"x-api-key": "k"}) as client:
        assert await client.closed() == 1013
    async with opened(service.address) as client:
        await client.send("auth", key="k")
        assert await client.closed() == 1013


async def test_a_key_that_is_found_to_be_invalid_later_closes_its_socket(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(service.address) as client:
        await client.send("ping")
        await client.until("pong")
        looked_up(monkeypatch, InvalidApiKey("gone"), key=None)
        await client.create()
        error = await client.until("error", "a1")
        assert await client.closed() == 4401
    assert error["error"]["code"] == "invalid_api_key"


async def test_a_look_up_is_begun_by_what_awaits_it(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_socket(service.address) as client:
        await client.send(frame(b'{"type":"ping"}'))
        await client.frame()
        looked_up(monkeypatch, LedgerUnavailable("away", retry_after_s=1.0), key=None)
        create = orjson.dumps({"type": "chat.create", "id": "a1", "request": {"model": MODELS[2], "messages": ASKED}})
        await client.send(frame(create) + frame(b"{}"))  # the second one closes before the first one's task runs
        assert await client.close_code() == 4409
    gc.collect()  # a coroutine that nobody awaits warns here, which is an error


def looked_up(monkeypatch: pytest.MonkeyPatch, found: LLMServiceError, *, key: str | None = "k") -> None:
    """From now on this key is one that has to be looked up, with this end."""
    authenticate = Authenticator.authenticate

    async def look_up() -> Caller:
        raise found.again()

    def instead(authenticator: Authenticator, credentials: Credentials) -> Caller | Awaitable[Caller]:
        return look_up() if credentials.key == key else authenticate(authenticator, credentials)

    monkeypatch.setattr(Authenticator, "authenticate", instead)


async def test_what_a_key_may_is_asked_with_each_request(guarded: Running) -> None:
    by = await a_key(guarded)
    async with opened(guarded.address, by) as client:
        await client.create("a")
        await client.all_of("a")
        path = f"/admin/keys/{await key_of(guarded, client)}"
        assert (await ask(guarded.address, "PATCH", path, b'{"models": ["none/*"]}', **ADMIN)).status == 200
        await client.create("b")
        assert (await client.all_of("b"))[-1]["error"]["code"] == "model_not_allowed"


async def test_limits_hold_over_sockets_and_rest_together(guarded: Running, sandbox: Sandbox) -> None:
    by = await a_key(guarded, requests_per_minute=10)
    async with opened(guarded.address, by) as one, opened(guarded.address, by) as two:
        for number in range(20):
            await (one, two)[number % 2].create(f"g{number}")
        rest = await asyncio.gather(*(ask_chat(guarded, by=by) for _ in range(10)))
        ended = [(await (one, two)[number % 2].all_of(f"g{number}"))[-1] for number in range(20)]
    done = [frame for frame in ended if frame["type"] == "chat.done"]
    refused = [frame for frame in ended if frame["type"] == "error"]
    assert len(done) + [answer.status for answer in rest].count(200) == 10
    assert {frame["error"]["code"] for frame in refused} == {"rate_limit_exceeded"}
    assert all(frame["retry_after_s"] > 0 and frame["limit"]["limit"] == 10 for frame in refused)
    assert len(calls(sandbox)) == 10


# -- the handshake


async def test_the_subprotocol_is_optional(service: Running) -> None:
    async with opened(service.address, subprotocols=["other", "llm-service.v1"]) as client:
        assert client.socket.subprotocol == "llm-service.v1"
    async with opened(service.address) as client:
        assert client.socket.subprotocol is None


async def test_another_address_refuses_the_handshake_as_rest_would(service: Running) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with opened(f"{service.address}/elsewhere"):
            pass
    response = refusal.value.response
    body = orjson.loads(response.body or b"")
    assert (response.status_code, body["error"]["code"]) == (404, "not_found")
    assert response.headers["x-request-id"] == body["request_id"]


async def test_without_an_upgrade_the_address_says_what_it_is(service: Running) -> None:
    answer = await ask(service.address, "GET", "/v1/ws")
    assert (answer.status, "WebSocket" in answer.json()["error"]["message"]) == (404, True)


# -- the end of the service, and new settings


async def test_what_runs_finishes_and_then_the_socket_closes(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox)) as service:
        async with opened(service.address) as busy, opened(service.address) as idle:
            await busy.create("a", sandbox="tokens-20+pace-10ms")
            await busy.until("chat.chunk", "a")
            await idle.send("ping")
            await idle.until("pong")
            draining = asyncio.create_task(service.service.serving.drain(5, hurried=asyncio.Event()))
            assert await idle.closed(within_s=1) == 1012
            await busy.create("b")
            refused = await busy.until("error", "b")
            assert await busy.closed() == 1012
            await draining
        async with opened(service.address) as late:
            assert await late.closed() == 1012
    assert (refused["error"]["code"], refused["retryable"]) == ("draining", True)
    assert busy.of("a")[-1]["type"] == "chat.done"


async def test_what_outlives_the_grace_ends_with_where_to_go_on(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox)) as service, opened(service.address) as client:
        await client.create("a", sandbox=LONG)
        await client.create("b", sandbox="slow-head-5000ms")
        await client.until("chat.chunk", "a")
        await service.service.serving.drain(0.1, hurried=asyncio.Event())
        assert await client.closed() == 1012
    last, never_began = client.of("a")[-1], client.of("b")[-1]
    assert last["error"]["code"] == never_began["error"]["code"] == "draining"
    assert last["cursor"] == client.of("a")[-2]["cursor"]
    assert last["stream_id"] == client.of("a")[0]["stream_id"]


async def test_new_settings_let_old_sockets_end_when_nothing_runs(service: Running) -> None:
    async with opened(service.address) as client:
        await client.create("a", sandbox="tokens-20+pace-10ms")
        await client.until("chat.chunk", "a")
        service.service.serving.retire()
        await client.create("b")
        refused = await client.until("error", "b")
        assert await client.closed() == 1012
    assert refused["error"]["code"] == "draining"
    assert client.of("a")[-1]["type"] == "chat.done"


async def test_new_settings_end_a_socket_that_was_being_asked_for_its_key(guarded: Running) -> None:
    key = (await a_key(guarded))["Authorization"].removeprefix("Bearer ")
    async with opened(guarded.address) as client:
        guarded.service.serving.retire()
        await client.send("auth", key=key)
        assert await client.closed() == 1012


async def test_a_defect_is_told_and_spares_the_other_generations(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken on purpose")

    async with opened(service.address) as client:
        await client.create("a", sandbox="tokens-20+pace-5ms")
        await client.until("chat.chunk", "a")
        monkeypatch.setattr("llm_service.api.websocket.answering.options_in", broken)
        await client.create("b")
        error = await client.until("error", "b")
        assert (await client.all_of("a"))[-1]["type"] == "chat.done"
    assert error["error"]["code"] == "internal_error"
    (defect,) = service.log.of("defect")
    assert defect["request_id"] == error["request_id"]
