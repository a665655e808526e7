"""Whatever happens in a process is told to those who listen there, and to those who listen at another one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from llm_service.bootstrap import Stores, build_service
from llm_service.bootstrap.live import tell_of_stores
from llm_service.config import Settings
from llm_service.domain import Candidate, Secret
from llm_service.runtime import SystemClock, Tasks
from llm_service.services import Listening, News, ProviderOverrides
from llm_service.services.follow import POLL_S
from llm_service.storage import StoreOptions
from tests.support.clock import ManualClock
from tests.support.memory_keys import MemoryFacts
from tests.support.service import LogLines, stores_in
from tests.support.valkey import Server
from tests.support.waiting import loop_turns, until

DEPLOYMENT = Candidate(provider="deepseek", upstream_model="deepseek-chat")


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    """Of a process that is alone."""
    async with AsyncExitStack() as held:
        yield await stores_in(held, Settings(), log=LogLines())


async def test_what_settings_keep_secret_is_masked_also_when_others_are_in_force(stores: Stores) -> None:
    listening = stores.live.events.listen(("store",), owner="k")
    for secret in ("former-password", "newer-credential"):
        settings = replace(Settings(), auth=replace(Settings().auth, admin_key=Secret(secret)))
        service = build_service(settings, stores, log=LogLines())
        stores.live.events.tell_here("store", {"cause": f"{secret} and former-password were not taken"})
        await service.aclose()
    assert [data["cause"] for _, data in told(listening)] == ["*** and *** were not taken"] * 2


def told(listening: Listening) -> list[Any]:
    return [(heard.event.kind, dict(heard.event.data)) for heard in listening.take()]


async def test_news_of_a_provider_are_told_when_it_stands_otherwise(stores: Stores) -> None:
    listening = stores.live.events.listen(("provider",), owner="k")
    poor = News(at=1, usable=False, balance="0")
    for news in (News(at=1), News(at=2), poor, poor, News(at=3)):
        await stores.news.tell("deepseek", "account", news)
    same = {"provider": "deepseek", "change": "account", "code": None, "cause": None}
    assert told(listening) == [("provider", {**same, "usable": False}), ("provider", {**same, "usable": True})]


async def test_a_failing_endpoint_is_told_with_its_cause(stores: Stores) -> None:
    listening = stores.live.events.listen(("provider",), owner="k")
    await stores.news.tell("deepseek", "catalogue", News(at=1, code="upstream_timeout", cause="It is slow."))
    ((_, data),) = told(listening)
    assert (data["usable"], data["code"], data["cause"]) == (False, "upstream_timeout", "It is slow.")


async def test_a_database_that_is_lost_and_back_is_told_once_each(stores: Stores) -> None:
    clock, facts, log = ManualClock(), MemoryFacts(), LogLines()
    tasks = Tasks(lambda _, failure: pytest.fail(str(failure)))
    overrides = ProviderOverrides(facts, bulletin=None, clock=clock, tasks=tasks, log=log)
    tell_of_stores(stores.live.events, None, overrides)
    listening = stores.live.events.listen(("store",), owner="k")
    overrides.start()
    for away in (False, True, True, False, False):
        facts.away = away
        await loop_turns(5)
        clock.advance(POLL_S)
        await loop_turns(5)
    await tasks.aclose()
    lost, back = told(listening)
    assert (lost[1]["store"], lost[1]["up"]) == ("database", False)
    assert lost[1]["cause"]
    assert back[1] == {"store": "database", "up": True, "cause": None}


async def test_a_shared_store_that_is_lost_and_back_is_told(valkey: Server) -> None:
    settings = replace(Settings(), store=StoreOptions(redis_url=Secret(valkey.url)))
    async with AsyncExitStack() as held:
        stores = await stores_in(held, settings, log=LogLines())
        listening = stores.live.events.listen(("store",), owner="k")
        valkey.kill()
        await until(lambda: listening._kept)
        ((_, data),) = told(listening)
        assert (data["store"], data["up"]) == ("limits", False)
        assert data["cause"]


async def test_a_breaker_of_one_process_is_told_at_another_once(valkey: Server) -> None:
    settings = replace(Settings(), store=StoreOptions(redis_url=Secret(valkey.url)))
    async with AsyncExitStack() as held:
        here, there = [await stores_in(held, settings, log=LogLines()) for _ in range(2)]
        listening = here.live.events.listen(("breaker",), owner="k")
        await until(lambda: there.live.events._there)
        breaker, now = there.breakers.of(DEPLOYMENT), SystemClock().monotonic()
        for _ in range(5):
            breaker.failed(now, breaker.permits(now), "it is down")
        await until(lambda: listening._kept)
        await until(lambda: here.breakers.of(DEPLOYMENT).broken)
        ((_, data),) = told(listening)
    assert (data["provider"], data["state"], data["cause"]) == ("deepseek", "open", "it is down")
    assert data["for_s"] > 0
