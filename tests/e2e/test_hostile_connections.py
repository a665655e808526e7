"""Hostile connections beside normal load: everybody else is served as before, and all of them are let go."""

import asyncio
import time
from pathlib import Path

import psutil

from tests.support.hostile import crowd
from tests.support.process import executed_place, serving
from tests.support.rest import Connection, chat_body, connected
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
HOSTILE = 600
MOST_BYTES = 24 * 2**20


async def asked(connection: Connection, count: int) -> float:
    """Requests one after the other; the seconds that the slowest took but one."""
    took_s = []
    for _ in range(count):
        begun = time.perf_counter()
        answer = await connection.ask("POST", CHAT, chat_body("openai/sandbox/chat"))
        took_s.append(time.perf_counter() - begun)
        assert answer.status == 200
    return sorted(took_s)[-2]


async def test_hundreds_who_never_finish_slow_nobody_down_and_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "llm-service.yaml").write_text("sandbox: on\nserver: {max_connections: 500}\n")
    with serving(executed_place(tmp_path)) as service:
        process = psutil.Process(service.pid)
        host, _, port = service.address.removeprefix("http://").rpartition(":")
        async with connected(service.address) as connection:
            alone_s = await asked(connection, 50)
            before = (process.num_fds(), process.memory_info().rss)
            async with crowd(host, int(port), HOSTILE, drip_s=0.1) as made:
                beside_s, other_s = await asyncio.gather(asked(connection, 50), newcomers(service.address))
                held = made.held()
                grown = process.memory_info().rss - before[1]
            await until(lambda: process.num_fds() <= before[0] + 4)
            assert (await connection.ask("GET", "/health/live")).status == 200
    assert 0 < sum(held.values()) <= 500
    assert grown < MOST_BYTES
    assert max(beside_s, other_s) < 1.5 * alone_s + 0.25


async def newcomers(address: str) -> float:
    """Clients who come while everything is full; the seconds that the slowest waited."""
    took_s = []
    for _ in range(20):
        begun = time.perf_counter()
        async with connected(address) as connection:
            assert (await connection.ask("GET", "/health/live")).status == 200
        took_s.append(time.perf_counter() - begun)
    return max(took_s)
