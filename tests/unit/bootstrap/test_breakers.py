"""Every process has breakers, and those of processes that share a store are one."""

from contextlib import AsyncExitStack
from dataclasses import replace

from llm_service.bootstrap import Stores
from llm_service.config import Settings
from llm_service.domain import Candidate, Secret
from llm_service.runtime import SystemClock
from llm_service.storage import StoreOptions
from tests.support.service import LogLines, stores_in
from tests.support.valkey import Server
from tests.support.waiting import until

DEPLOYMENT = Candidate(provider="deepseek", upstream_model="deepseek-chat")


def fail(stores: Stores) -> None:
    breaker, now = stores.breakers.of(DEPLOYMENT), SystemClock().monotonic()
    for _ in range(5):
        breaker.failed(now, breaker.permits(now), "it is down")


async def test_processes_with_a_common_store_have_common_breakers(valkey: Server) -> None:
    settings = replace(Settings(), store=StoreOptions(redis_url=Secret(valkey.url)))
    async with AsyncExitStack() as held:
        log = LogLines()
        one, other = [await stores_in(held, settings, log=log) for _ in range(2)]
        fail(one)
        await until(lambda: other.breakers.of(DEPLOYMENT).broken)
    assert [line for line in log.lines if line["level"] == "error"] == []


async def test_process_alone_has_its_own() -> None:
    async with AsyncExitStack() as held:
        one, other = [await stores_in(held, Settings(), log=LogLines()) for _ in range(2)]
        fail(one)
        breaker = one.breakers.of(DEPLOYMENT)
        assert breaker.broken
        assert await one.breakers.claim(breaker, 7) == 7
        assert not other.breakers.of(DEPLOYMENT).broken
