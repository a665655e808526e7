"""WebSockets of the program as it is run: its end, its new settings, and several workers."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.process import Serving, place, serving
from tests.support.rest import ask
from tests.support.sockets import SocketClient, chunks, opened
from tests.support.timed import within
from tests.support.waiting import until_answered
from tests.support.workers import said

MODEL = "openai/sandbox/tokens-100+pace-20ms"
FOR_EVER = "openai/sandbox/tokens-100000+pace-20ms"
TWO = ("--workers", "2")


async def begun(client: SocketClient, name: str = "a", model: str = MODEL) -> str:
    """The id of a stream that has begun."""
    await client.create(name, model=model)
    await client.until("chat.chunk", name)
    return str(client.of(name)[0]["stream_id"])


async def end_of(service: Serving) -> tuple[int, float]:
    """The exit code, and the seconds until it was there."""
    begun_at = time.perf_counter()
    code = await asyncio.to_thread(service.child.ended)
    return code, time.perf_counter() - begun_at


async def test_streams_finish_while_new_ones_are_refused_and_then_the_sockets_close(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        async with AsyncExitStack() as held:
            clients = [await held.enter_async_context(opened(service.address)) for _ in range(10)]
            for client in clients:
                for name in ("a", "b"):
                    await begun(client, name)
            service.child.signal(signal.SIGTERM)

            async def draining() -> bool:
                return (await ask(service.address, "GET", "/health/ready")).status == 503

            await until_answered(draining)
            await clients[0].create("late", model=MODEL)
            refused = await clients[0].until("error", "late")
            codes = [await client.closed() for client in clients]
        code, _ = await end_of(service)
    assert refused["error"]["code"] == "draining"
    assert codes == [1012] * 10
    for client in clients:
        for name in ("a", "b"):
            frames = client.of(name)
            assert frames[-1]["type"] == "chat.done"
            assert [seq for seq, _ in chunks(frames)] == list(range(1, len(chunks(frames)) + 1))
            assert len(chunks(frames)) > 100
    assert code == 0
    assert [line for line in service.log() if line["level"] == "error"] == []


@pytest.mark.timed
async def test_what_outlives_the_grace_is_told_where_to_go_on(tmp_path: Path) -> None:
    with serving(place(tmp_path, LLM_SERVICE_SERVER__SHUTDOWN_GRACE_S="0.3")) as service:
        async with opened(service.address) as client:
            stream_id = await begun(client, model=FOR_EVER)
            service.child.signal(signal.SIGTERM)
            assert await client.closed() == 1012
        code, took_s = await end_of(service)
    last = client.of("a")[-1]
    assert (last["error"]["code"], last["stream_id"]) == ("draining", stream_id)
    assert code == 0
    within(took_s, 3)


@pytest.mark.timed
async def test_idle_sockets_hold_nothing_up(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        async with AsyncExitStack() as held:
            clients = [await held.enter_async_context(opened(service.address)) for _ in range(20)]
            for client in clients:
                await client.send("ping")
                await client.until("pong")
            service.child.signal(signal.SIGTERM)
            assert [await client.closed() for client in clients] == [1012] * 20
            code, took_s = await end_of(service)
    assert code == 0
    within(took_s, 3)


async def test_new_settings_answer_over_new_sockets_and_old_ones_end(tmp_path: Path) -> None:
    def write(name: str) -> None:
        model = f"{{{name}: {{deployments: [{{provider: openrouter, model: sandbox/tokens-60+pace-10ms}}]}}}}"
        (tmp_path / "llm-service.yaml").write_text(f"sandbox: on\nmodels: {model}\n")

    write("old")
    with serving(place(tmp_path)) as service:
        async with opened(service.address) as busy, opened(service.address) as idle:
            await begun(busy, model="old")
            await idle.send("ping")
            await idle.until("pong")
            write("new")
            service.child.signal(signal.SIGHUP)
            assert await idle.closed() == 1012
            assert await busy.closed() == 1012
        await said(service, "reloaded")
        async with opened(service.address) as client:
            await client.create(model="new")
            answered = await client.all_of()
    assert busy.of("a")[-1]["type"] == "chat.done"
    assert answered[-1]["type"] == "chat.done"


async def test_any_worker_goes_on_with_a_stream_of_any_other(tmp_path: Path) -> None:
    with serving(place(tmp_path), *TWO) as service:
        async with opened(service.address) as client, AsyncExitStack() as held:
            stream_id = await begun(client)
            for _ in range(7):
                await client.until("chat.chunk")
            others = [await held.enter_async_context(opened(service.address)) for _ in range(8)]
            for number, other in enumerate(others):
                await other.send("chat.resume", id="r", stream_id=stream_id, after=number)
            rests = [await other.all_of("r", within_s=20) for other in others]
            whole = chunks(await client.all_of("a"))
            late = [await held.enter_async_context(opened(service.address)) for _ in range(6)]
            for other in late:
                await other.send("chat.resume", id="r", stream_id=stream_id, after=whole[-2][0])
            ends = [await other.all_of("r") for other in late]
    for number, rest in enumerate(rests):
        assert rest[-1]["type"] == "chat.done"
        assert chunks(rest) == whole[number:]
    assert {rest[-1]["cost_usd"] for rest in rests} == {client.of("a")[-1]["cost_usd"]}
    assert [chunks(end) for end in ends] == [whole[-1:]] * 6


async def test_a_cancel_reaches_the_worker_in_which_the_stream_runs(tmp_path: Path) -> None:
    with serving(place(tmp_path), *TWO) as service:
        async with opened(service.address) as client, AsyncExitStack() as held:
            stream_id = await begun(client, model=FOR_EVER)
            others = [await held.enter_async_context(opened(service.address)) for _ in range(6)]
            for other in others:
                await other.send("chat.resume", id="r", stream_id=stream_id)
                await other.until("chat.chunk", "r")
            await others[0].send("chat.cancel", id="r")
            readers = [(client, "a"), *((other, "r") for other in others)]
            ended = [(await one.until("error", name, within_s=5))["error"]["code"] for one, name in readers]
    assert ended == ["stream_cancelled"] * 7
