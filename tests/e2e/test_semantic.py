"""Answers to questions in other words, by a whole service with the real embedding model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from llm_service.api import AuthOptions
from llm_service.cache import CacheOptions, SemanticMode, SemanticOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from tests.support.embedding import with_packages
from tests.support.rest import Answer, ask, events_of
from tests.support.service import Running, running, simulated
from tests.support.waiting import until
from tests.unit.api.test_openapi import schema

pytestmark = with_packages
ADMIN_KEY = "sk-test-admin-of-the-cache-0123456789"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
MODEL = "openrouter/deepseek/deepseek-v4-pro"
ASKED, REWORDED = "How do I reset my password?", "How can I reset my password?"
SAFE, OPPOSITE = "Is it safe to take ibuprofen with alcohol?", "Is it NOT safe to take ibuprofen with alcohol?"


@asynccontextmanager
async def service_of(sandbox: Sandbox, mode: SemanticMode, **cache: Any) -> AsyncIterator[Running]:
    settings = Settings(
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY), required="always"),
        providers=simulated(sandbox.address, connect_s=1, first_chunk_s=2, idle_s=1.5, total_s=20),
        cache=CacheOptions(semantic=SemanticOptions(enabled=True, mode=mode), **cache),
    )
    async with running(settings, cached=True) as service:
        semantic = service.stores.semantic.cache
        assert semantic is not None
        assert await semantic.lane.loaded()
        yield service


@pytest.fixture
async def serving(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with service_of(sandbox, "serve") as service:
        yield service


@pytest.fixture
async def shadowed(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with service_of(sandbox, "shadow") as service:
        yield service


async def a_key(service: Running, **fields: Any) -> dict[str, str]:
    body = {"name": "of a test", "semantic_cache": True, **fields}
    answer = await ask(service.address, "POST", "/admin/keys", orjson.dumps(body), **ADMIN)
    assert answer.status == 200, answer.body
    return {"Authorization": f"Bearer {answer.json()['key']}"}


async def asked(service: Running, who: dict[str, str], text: str, **given: Any) -> Answer:
    headers = given.pop("headers", {})
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **given}
    answer = await ask(service.address, "POST", "/v1/chat/completions", orjson.dumps(body), **who, **headers)
    assert answer.status == 200, answer.body
    return answer


async def learned(service: Running, count: int = 1) -> None:
    """Wait until so many questions are remembered."""
    semantic = service.stores.semantic.cache
    assert semantic is not None
    await until(lambda: len(semantic) == count)


async def figures(service: Running) -> dict[str, Any]:
    answer = await ask(service.address, "GET", "/admin/cache", **ADMIN)
    schema("CacheStats").validate(answer.json())
    found: dict[str, Any] = answer.json()["semantic"]
    return found


def cache_of(answer: Answer) -> str:
    return answer.headers["x-llm-cache"]


async def test_a_reworded_question_gets_the_kept_answer_and_pays_nothing(serving: Running) -> None:
    who = await a_key(serving)
    first = await asked(serving, who, ASKED)
    await learned(serving)
    second = await asked(serving, who, REWORDED)
    assert (cache_of(first), cache_of(second)) == ("miss", "semantic")
    assert second.json()["choices"] == first.json()["choices"]
    assert int(second.headers["age"]) >= 0
    assert second.headers["cache-status"].startswith("llm-service; hit; ttl=")
    assert (second.headers["x-llm-attempts"], second.headers["x-llm-cost-usd"]) == ("0", "0")
    await serving.stores.ledger.flush()
    answer = await ask(serving.address, "GET", "/admin/cache", **ADMIN)
    total = answer.json()["total"]
    assert (total["by_status"]["semantic"], total["by_status"]["miss"], total["hits"]) == (1, 1, 1)
    assert float(total["saved_usd"]) == pytest.approx(float(first.headers["x-llm-cost-usd"]))


async def test_a_stream_is_answered_too(serving: Running) -> None:
    who = await a_key(serving)
    first = await asked(serving, who, ASKED)
    await learned(serving)
    streamed = await asked(serving, who, REWORDED, stream=True)
    assert cache_of(streamed) == "semantic"
    *chunks, _ = events_of(streamed.body)
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == first.json()["choices"][0]["message"]["content"]


async def test_the_opposite_question_is_asked_of_the_provider(serving: Running) -> None:
    who = await a_key(serving)
    await asked(serving, who, SAFE)
    await learned(serving)
    assert cache_of(await asked(serving, who, OPPOSITE)) == "miss"
    found = await figures(serving)
    assert (found["alike"], found["guarded"], found["would_be"]) == (1, 1, 0)


async def test_keys_that_do_not_ask_for_it_and_other_keys_never_get_one(serving: Running) -> None:
    who, other, without = await a_key(serving), await a_key(serving), await a_key(serving, semantic_cache=False)
    await asked(serving, who, ASKED)
    await learned(serving)
    answers = [await asked(serving, one, REWORDED) for one in (other, without, ADMIN)]
    assert [*map(cache_of, answers)] == ["miss", "miss", "miss"]


async def test_users_of_one_key_are_kept_apart(serving: Running) -> None:
    who = await a_key(serving)
    await asked(serving, who, ASKED, headers={"X_LLM_User": "ann"})
    await learned(serving)
    assert cache_of(await asked(serving, who, REWORDED, headers={"X_LLM_User": "bob"})) == "miss"
    assert cache_of(await asked(serving, who, "How could I reset my password?")) == "miss"
    assert cache_of(await asked(serving, who, "how to reset my password", headers={"X_LLM_User": "ann"})) == "semantic"


@pytest.mark.parametrize("directive", ["no-cache", "no-store", "max-age=0"])
async def test_the_client_decides_whether_a_kept_answer_will_do(serving: Running, directive: str) -> None:
    who = await a_key(serving)
    await asked(serving, who, ASKED)
    await learned(serving)
    before = (await figures(serving))["searched"]
    answer = await asked(serving, who, REWORDED, headers={"Cache_Control": directive})
    assert cache_of(answer) in ("miss", "bypass")
    assert (await figures(serving))["searched"] == before + (directive == "max-age=0")


async def test_an_answer_that_is_not_kept_is_not_learned(serving: Running) -> None:
    who = await a_key(serving)
    cut_off = await asked(serving, who, ASKED, max_tokens=1)
    assert cut_off.json()["choices"][0]["finish_reason"] == "length"
    await until(lambda: not len(serving.service.tasks))
    assert (await figures(serving))["entries"] == 0
    assert serving.log.of("background work failed") == []


async def test_a_purged_answer_is_not_found_by_likeness_either(serving: Running) -> None:
    who = await a_key(serving)
    await asked(serving, who, ASKED)
    await learned(serving)
    assert (await ask(serving.address, "DELETE", "/admin/cache?all=true", **ADMIN)).json() == {"purged": 1}
    assert cache_of(await asked(serving, who, REWORDED)) == "miss"


async def test_the_very_same_question_is_an_exact_hit(serving: Running) -> None:
    who = await a_key(serving)
    await asked(serving, who, ASKED)
    await learned(serving)
    assert cache_of(await asked(serving, who, ASKED)) == "hit"
    assert (await figures(serving))["would_be"] == 0


async def test_in_shadow_mode_nothing_is_given_and_what_would_have_been_is_judged(shadowed: Running) -> None:
    who = await a_key(shadowed)
    await asked(shadowed, who, ASKED)
    await learned(shadowed)
    assert cache_of(await asked(shadowed, who, REWORDED)) == "miss"
    semantic = shadowed.stores.semantic.cache
    assert semantic is not None
    await until(lambda: semantic.counts.judged == 1)
    found = await figures(shadowed)
    assert (found["mode"], found["would_be"], found["served"], found["judged"]) == ("shadow", 1, 0, 1)
    assert found["false_hit_ratio"] == found["false_hits"] / 1
    assert found["entries"] == 2


async def test_where_it_is_off_nothing_is_made(sandbox: Sandbox) -> None:
    settings = Settings(
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY), required="always"),
        providers=simulated(sandbox.address, connect_s=1, first_chunk_s=2, idle_s=1.5, total_s=20),
    )
    async with running(settings, cached=True) as service:
        who = await a_key(service)
        await asked(service, who, ASKED)
        assert cache_of(await asked(service, who, REWORDED)) == "miss"
        assert service.stores.semantic.cache is None
        assert await figures(service) is None
