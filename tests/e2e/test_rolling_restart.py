"""Workers are replaced one after the other under load, and no client notices."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil
import pytest
from openai import AsyncOpenAI

from tests.support.chaos.house import House, house
from tests.support.chaos.load import endings, examples
from tests.support.deployment import ADMIN_KEY
from tests.support.evidence import Evidence
from tests.support.process import place, serving
from tests.support.sockets import opened
from tests.support.waiting import until
from tests.support.workers import gone, log_of, said, workers_of

RATE_PER_S = 60
SLOW_WORDS = 60
SLOW = f"first/sandbox/tokens-{SLOW_WORDS}+pace-50ms"
PATIENT = {"total_s": 60.0}
ASKED: list[Any] = [{"role": "user", "content": "echo: here we are"}]


async def renewed(made: House) -> dict[int, int]:
    """All workers are replaced: who they are now."""
    made.service.child.signal(signal.SIGUSR2)
    await said(made.service, "renewed")
    return workers_of(made.service)


async def one_left(made: House) -> dict[int, int]:
    """One worker is replaced, since a signal has asked it to end."""
    os.kill(workers_of(made.service)[2], signal.SIGTERM)
    await said(made.service, "worker left")
    await said(made.service, "worker ready", times=3)
    return workers_of(made.service)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [renewed, one_left])
async def test_no_request_fails_and_no_stream_is_cut(
    tmp_path: Path, how: Callable[[House], Awaitable[dict[int, int]]], evidence: Evidence
) -> None:
    async with house(tmp_path, workers=2, timeouts=PATIENT) as made, made.load(RATE_PER_S) as load:
        before = workers_of(made.service)
        slow = [asyncio.create_task(slow_stream(made)) for _ in range(12)]
        await until(lambda: len(load.all) > RATE_PER_S)
        begun_at = time.monotonic()
        after = await how(made)
        took_s = time.monotonic() - begun_at
        count = len(load.all)
        await until(lambda: len(load.all) > count + RATE_PER_S // 2)
        await load.stop()
        words = await asyncio.gather(*slow)
    replaced = {number for number in before if after[number] != before[number]}
    figures = {
        "requests_per_s": RATE_PER_S,
        "requests": len(load.all),
        "failed_requests": sum(one.ending != "ok" for one in load.all),
        "streams_open_when_it_began": len(words),
        "cut_streams": sum(count != SLOW_WORDS for count in words),
        "took_s": round(took_s, 1),
        "longest_request_s": round(max(one.took_s for one in load.all), 3),
    }
    print(figures)
    if how is renewed:
        evidence.record("rolling-restart", title="Rolling restart of two workers under load", figures=figures)
    assert endings(load.all) == {"ok": len(load.all)}, examples(load.all, lambda one: one.ending != "ok")
    assert words == [SLOW_WORDS] * 12
    assert replaced == ({1, 2} if how is renewed else {2})
    assert [line for line in log_of(made.service) if line["event"] in ("worker ended", "worker failed")] == []


async def slow_stream(made: House) -> int:
    """How many pieces of content a stream of three seconds had; -1 without its end."""
    url, body = f"{made.service.address}/v1/chat/completions", {"model": SLOW, "messages": ASKED, "stream": True}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {ADMIN_KEY}"}) as http,
        http.post(url, json=body) as answer,
    ):
        said = await answer.text()
    return len(re.findall('"content":"[^"]', said)) if said.endswith("data: [DONE]\n\n") else -1


# -- clients of all sorts, that keep their connections and know nothing of this


async def by_aiohttp(address: str, held: AsyncExitStack) -> Callable[[bool], Awaitable[str]]:
    http = await held.enter_async_context(aiohttp.ClientSession(headers={"Authorization": f"Bearer {ADMIN_KEY}"}))

    async def ask(stream: bool) -> str:
        body = {"model": "main", "messages": ASKED, "stream": stream}
        async with http.post(f"{address}/v1/chat/completions", json=body) as answer:
            return await answer.text()

    return ask


async def by_httpx(address: str, held: AsyncExitStack) -> Callable[[bool], Awaitable[str]]:
    http = await held.enter_async_context(httpx.AsyncClient(headers={"Authorization": f"Bearer {ADMIN_KEY}"}))

    async def ask(stream: bool) -> str:
        body = {"model": "main", "messages": ASKED, "stream": stream}
        return (await http.post(f"{address}/v1/chat/completions", json=body)).text

    return ask


async def by_openai(address: str, held: AsyncExitStack) -> Callable[[bool], Awaitable[str]]:
    client = AsyncOpenAI(base_url=f"{address}/v1", api_key=ADMIN_KEY, max_retries=0)
    await held.enter_async_context(client)

    async def ask(stream: bool) -> str:
        if not stream:
            whole = await client.chat.completions.create(model="main", messages=ASKED)
            return whole.choices[0].message.content or ""
        chunks = await client.chat.completions.create(model="main", messages=ASKED, stream=True)
        return "".join([one.choices[0].delta.content or "" async for one in chunks if one.choices])

    return ask


@pytest.mark.timeout(120)
async def test_clients_that_keep_their_connections_see_no_failure(tmp_path: Path) -> None:
    """None of them asks again by itself after a failure here."""
    answers: list[str] = []
    over = asyncio.Event()

    async def go_on(ask: Callable[[bool], Awaitable[str]]) -> None:
        stream = False
        while not over.is_set():
            stream = not stream
            answers.append(await ask(stream))

    async with house(tmp_path, workers=2, timeouts=PATIENT) as made, AsyncExitStack() as held:
        kinds = [await by(made.service.address, held) for by in (by_aiohttp, by_httpx, by_openai)]
        going = [asyncio.create_task(go_on(ask)) for ask in kinds for _ in range(3)]
        await until(lambda: len(answers) > 50)
        await renewed(made)
        count = len(answers)
        await until(lambda: len(answers) > count + 20)
        over.set()
        await asyncio.gather(*going)
    assert len(answers) > 70
    assert [one for one in answers if "here" not in one] == []


async def test_sockets_finish_what_runs_and_are_told_to_connect_again(tmp_path: Path) -> None:
    async with house(tmp_path, workers=2, timeouts=PATIENT) as made, AsyncExitStack() as held:
        key = {"Authorization": f"Bearer {ADMIN_KEY}"}
        clients = [await held.enter_async_context(opened(made.service.address, key)) for _ in range(6)]
        for client in clients:
            await client.create("a", model="first/sandbox/tokens-20+pace-50ms")
            await client.until("chat.chunk", "a")
        await renewed(made)
        codes = [await client.closed() for client in clients]
    assert codes == [1012] * 6
    assert {client.of("a")[-1]["type"] for client in clients} == {"chat.done"}


# -- the signal elsewhere


async def test_alone_nobody_could_take_over_and_the_log_says_so(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        service.child.signal(signal.SIGUSR2)
        line = await said(service, "not renewed")
        assert service.child.stop() == 0
    assert line["reason"] == "this process serves alone: restart the service"


async def test_workers_do_not_mind_the_signal(tmp_path: Path) -> None:
    """As when it is sent to all processes of a service."""
    with serving(place(tmp_path), "--workers", "2") as service:
        before = workers_of(service)
        for pid in before.values():
            os.kill(pid, signal.SIGUSR2)
        service.child.signal(signal.SIGUSR2)
        await said(service, "renewed")
        after = workers_of(service)
    assert not set(before.values()) & set(after.values())


async def test_the_end_of_all_comes_in_the_middle_of_it(tmp_path: Path) -> None:
    async with house(tmp_path, workers=2, timeouts=PATIENT) as made:
        slow = asyncio.create_task(slow_stream(made))
        await until(lambda: len(psutil.Process(made.service.pid).children()) >= 2)
        made.service.child.signal(signal.SIGUSR2)
        await said(made.service, "worker leaving")
        everybody = [one.pid for one in psutil.Process(made.service.pid).children()]
        made.service.child.signal(signal.SIGTERM)
        words = await slow
        assert await asyncio.to_thread(made.service.child.ended) == 0
        await gone(everybody)
    assert words == SLOW_WORDS
