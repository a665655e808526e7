"""The figures of four workers as one: after a mixed load they agree with the ledger, also when one was killed."""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from tests.support.process import Serving, seen_place, serving
from tests.support.rest import ask, chat_body, connected
from tests.support.waiting import until_answered
from tests.support.workers import gone, said, workers_of

CHAT = "/v1/chat/completions"
PRICED = "openrouter/deepseek/deepseek-v4-pro"
WORKERS = 4
RUNNING = 8
SLOW = "openai/sandbox/tokens-2000+pace-50ms"


@dataclass(frozen=True)
class Figures:
    """All samples of one scrape."""

    samples: list[tuple[str, dict[str, str], float]]

    def total(self, name: str, **where: str) -> float:
        return sum(
            value
            for sample, labels, value in self.samples
            if sample == name and all(labels.get(label) == wanted for label, wanted in where.items())
        )

    def counters(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            (name, frozenset(labels.items())): value
            for name, labels, value in self.samples
            if name.endswith(("_total", "_bucket", "_count"))
        }


async def scraped(service: Serving) -> Figures:
    answer = await ask(service.address, "GET", "/metrics")
    assert answer.status == 200, answer.body
    found = [sample for family in families(answer.body.decode()) for sample in family.samples]
    return Figures([(sample.name, sample.labels, sample.value) for sample in found])


async def summed(service: Serving) -> list[dict[str, Any]]:
    """The ledger's sums by status, once no record is on its way any more."""

    async def shipped() -> bool:
        return (await scraped(service)).total("llm_ledger_backlog") == 0

    await asyncio.sleep(1.1)  # a gauge is a second old
    await until_answered(shipped, within_s=10)
    answer = await ask(service.address, "GET", "/admin/usage/summary?by=status")
    assert answer.status == 200, answer.body
    sums: list[dict[str, Any]] = answer.json()["data"]
    return sums


async def mixed_load(service: Serving, count: int) -> Counter[int]:
    """Whole and streamed, cached, priced and free, some that fail and some that nobody serves; their statuses."""
    kinds = [
        lambda seed: chat_body(PRICED),
        lambda seed: chat_body(PRICED, stream=True),
        lambda seed: chat_body(PRICED, seed=seed),
        lambda seed: chat_body(PRICED, seed=seed, stream=True),
        lambda seed: chat_body("openai/sandbox/chat", seed=seed),
        lambda seed: chat_body("openrouter/sandbox/error-503", seed=seed),
        lambda seed: chat_body(
            "deepseek/deepseek-flash", seed=seed, stream_options={"include_usage": True}, stream=True
        ),
        lambda seed: b"{",
    ]
    room = asyncio.Semaphore(16)

    async def one(number: int) -> int:
        async with room:
            return (await ask(service.address, "POST", CHAT, kinds[number % len(kinds)](number))).status

    return Counter(await asyncio.gather(*(one(number) for number in range(count))))


def cost_of(sums: list[dict[str, Any]]) -> float:
    return sum(float(one["cost_usd"]) for one in sums)


async def test_four_workers_count_what_the_ledger_records_and_a_killed_one_loses_no_more_than_ran(
    tmp_path: Path,
) -> None:
    with serving(seen_place(tmp_path, cached=True), "--workers", str(WORKERS)) as service:
        statuses = await mixed_load(service, 96)
        sums, found = await summed(service), await scraped(service)
        by_status = {one["status"]: one["requests"] for one in sums}
        assert statuses[200] > 60
        assert found.total("llm_cost_usd_total") == pytest.approx(cost_of(sums), abs=1e-6)
        assert found.total("llm_cost_usd_total") > 0
        assert found.total("llm_requests_total", status="ok") == by_status["ok"] == statuses[200]
        assert found.total("llm_requests_total") == statuses.total()
        assert found.total("llm_tokens_total", kind="output") == sum(one["output_tokens"] for one in sums)
        assert found.total("llm_cache_hits_total") == sum(one["hits"] for one in sums)
        assert found.total("llm_saved_usd_total") == pytest.approx(
            sum(float(one["saved_usd"]) for one in sums), abs=1e-6
        )
        assert found.total("llm_http_requests_total", route=CHAT) == statuses.total()
        assert (found.total("llm_workers"), found.total("llm_config_generation")) == (WORKERS, 1)
        assert 0 < found.total("llm_availability_ratio", window="1h") < 1
        await all_say_the_same(service)
        await one_is_killed(service, found)


async def all_say_the_same(service: Serving) -> None:
    """Whoever is asked answers for all."""
    answers = await asyncio.gather(*(scraped(service) for _ in range(12)))
    assert len({one.total("llm_requests_total") for one in answers}) == 1
    assert {one.total("llm_workers") for one in answers} == {WORKERS}


async def stream(service: Serving, begun: asyncio.Event) -> None:
    """A stream that goes on until its connection is closed."""
    async with connected(service.address) as connection:
        connection.send("POST", CHAT, chat_body(SLOW, stream=True))
        await connection.head()
        async for _ in connection.pieces():
            begun.set()


async def one_is_killed(service: Serving, before: Figures) -> None:
    """While streams run, in all workers."""
    begun = [asyncio.Event() for _ in range(RUNNING)]
    running = [asyncio.create_task(stream(service, one)) for one in begun]
    async with asyncio.timeout(10):
        await asyncio.gather(*(one.wait() for one in begun))
    victim = workers_of(service)[2]
    os.kill(victim, signal.SIGKILL)
    await gone([victim])

    async def replaced() -> bool:
        return (await scraped(service)).total("llm_workers") == WORKERS and len(workers_of(service)) == WORKERS

    await until_answered(replaced, within_s=10)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await mixed_load(service, 32)

    async def quiet() -> bool:
        return (await scraped(service)).total("llm_requests_in_flight") == 0

    await until_answered(quiet, within_s=10)
    sums, after = await summed(service), await scraped(service)
    earlier, later = before.counters(), after.counters()
    assert [key for key, value in earlier.items() if later.get(key, -1.0) < value] == []
    recorded = sum(one["requests"] for one in sums if one["status"] != "interrupted")
    interrupted = sum(one["requests"] for one in sums if one["status"] == "interrupted")
    assert interrupted <= RUNNING
    admitted = after.total("llm_requests_total") - after.total("llm_requests_total", status="refused")
    assert recorded - RUNNING <= admitted <= recorded + RUNNING
    lost = sum(float(one["cost_usd"]) for one in sums if one["status"] == "interrupted")
    assert after.total("llm_cost_usd_total") == pytest.approx(cost_of(sums) - lost, abs=1e-6)


async def test_neither_a_rolling_restart_nor_a_reload_takes_anything_back(tmp_path: Path) -> None:
    with serving(seen_place(tmp_path, cached=True), "--workers", "2") as service:
        await mixed_load(service, 32)
        before = (await scraped(service)).counters()
        service.child.signal(signal.SIGHUP)
        await said(service, "reloaded")
        service.child.signal(signal.SIGUSR2)
        await said(service, "renewed")
        after = await scraped(service)
        assert [key for key, value in before.items() if after.counters().get(key, -1.0) < value] == []
        statuses = await mixed_load(service, 16)
        again = await scraped(service)
        assert again.total("llm_requests_total") == after.total("llm_requests_total") + statuses.total()
        assert after.total("llm_requests_total") == 32
