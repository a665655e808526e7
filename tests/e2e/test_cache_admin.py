"""The response cache of a whole service as its administrators see it: figures, purges, and trials of other settings."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.api import AuthOptions, ServerOptions
from llm_service.api.server import EVERY_RESPONSE
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from tests.support.process import place, run, seen_place, serving
from tests.support.rest import Answer, ask, chat_body, events_of
from tests.support.service import Running, running, simulated
from tests.support.workers import healths
from tests.unit.api.test_openapi import document, schema

ADMIN_KEY = "sk-test-admin-of-the-cache-0123456789"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
PRICED = "openrouter/deepseek/deepseek-v4-pro"
CHAT = "/v1/chat/completions"


@pytest.fixture
async def guarded(sandbox: Sandbox) -> AsyncIterator[Running]:
    """A service with a cache that wants keys."""
    settings = Settings(
        server=ServerOptions(allowed_origins=("https://app.example",)),
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY), required="always"),
        providers=simulated(sandbox.address, connect_s=1, first_chunk_s=2, idle_s=1.5, total_s=20),
    )
    async with running(settings, cached=True) as service:
        yield service


async def a_key(service: Running) -> tuple[str, dict[str, str]]:
    """An issued key's id, and how it is presented."""
    answer = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "of a test"}), **ADMIN)
    return answer.json()["id"], {"Authorization": f"Bearer {answer.json()['key']}"}


async def asked(service: Running, who: dict[str, str], *, model: str = PRICED, **headers: str) -> Answer:
    answer = await ask(service.address, "POST", CHAT, chat_body(model), **who, **headers)
    assert answer.status == 200, answer.body
    return answer


async def stats(service: Running, query: str = "") -> dict[str, Any]:
    await service.stores.ledger.flush()
    answer = await ask(service.address, "GET", f"/admin/cache{query}", **ADMIN)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    schema("CacheStats").validate(found)
    return found


async def purged(service: Running, query: str) -> int:
    answer = await ask(service.address, "DELETE", f"/admin/cache?{query}", **ADMIN)
    assert answer.status == 200, answer.body
    return int(answer.json()["purged"])


async def test_hits_and_what_they_saved_are_counted(guarded: Running) -> None:
    key_id, who = await a_key(guarded)
    first = await asked(guarded, who)
    again = [await asked(guarded, who) for _ in range(3)]
    await asked(guarded, who, Cache_Control="no-store")
    assert [answer.headers["x-llm-cache"] for answer in (first, *again)] == ["miss", "hit", "hit", "hit"]
    found = await stats(guarded, "?by=key,model")
    (row,) = found["data"]
    assert (row["key"], row["model"], row["requests"], row["hits"], row["hit_ratio"]) == (key_id, PRICED, 5, 3, 0.75)
    assert (row["by_status"]["miss"], row["by_status"]["bypass"]) == (1, 1)
    cost = float(first.headers["x-llm-cost-usd"])
    assert float(row["saved_usd"]) == pytest.approx(3 * cost)
    assert (found["store"]["entries"], found["reach"]) == (1, "process")


async def test_a_purge_by_key_leaves_the_answers_of_others(guarded: Running) -> None:
    (one, mine), (_, theirs) = await a_key(guarded), await a_key(guarded)
    for who in (mine, theirs):
        await asked(guarded, who)
    assert await purged(guarded, f"key_id={one}") == 1
    assert [(await asked(guarded, who)).headers["x-llm-cache"] for who in (mine, theirs)] == ["miss", "hit"]


@pytest.mark.parametrize("query", [f"model={PRICED}", "tag=team%3Dtides", "all=true"])
async def test_after_a_purge_the_next_request_is_answered_anew(guarded: Running, query: str) -> None:
    _, who = await a_key(guarded)
    tags = {"X_LLM_Tags": "team=tides"}
    await asked(guarded, who, **tags)
    assert (await asked(guarded, who, **tags)).headers["x-llm-cache"] == "hit"
    assert await purged(guarded, query) == 1
    assert (await asked(guarded, who, **tags)).headers["x-llm-cache"] == "miss"
    assert (await stats(guarded))["store"]["entries"] == 1


async def test_what_an_answer_says_of_the_cache_is_described(guarded: Running) -> None:
    _, who = await a_key(guarded)
    described = document()["paths"][CHAT]["post"]["responses"]["200"]["headers"].keys()
    for _ in range(2):
        answer = await asked(guarded, who)
        assert {"x-llm-cache", "cache-status", "cache-control"} <= answer.headers.keys() & described
    assert (answer.headers["age"], "age" in described) == ("0", True)
    streamed = await ask(guarded.address, "POST", CHAT, chat_body(PRICED, stream=True), **who)
    *chunks, _ = events_of(streamed.body)
    schema("ChatCompletionChunk").validate(chunks[-1])
    assert (chunks[-1]["llm"]["cache"], chunks[-1]["llm"]["attempts"]) == ("hit", 0)


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_a_stream_is_continued_and_cancelled_as_described(guarded: Running, prefix: str) -> None:
    _, who = await a_key(guarded)
    streamed = await ask(guarded.address, "POST", CHAT, chat_body(PRICED, stream=True), **who)
    path = f"{prefix}/streams/{streamed.headers['x-llm-stream-id']}"
    resumed = await ask(guarded.address, "GET", f"{path}?after=1", **who)
    operation = document()["paths"][f"{prefix}/streams/{{id}}"]
    ours = (
        {name for name in resumed.headers if name.startswith("x-")}
        - {"x-accel-buffering"}
        - {name.decode() for name, _ in EVERY_RESPONSE}
    )
    assert ours <= operation["get"]["responses"]["200"]["headers"].keys()
    assert resumed.body == streamed.body.partition(b"\n\n")[2]
    ended = await ask(guarded.address, "DELETE", path, **who)
    schema("CancelledStream").validate(ended.json())
    assert ended.json()["cancelled"] is False


async def test_pages_of_allowed_origins_may_send_and_read_what_concerns_the_cache(guarded: Running) -> None:
    _, who = await a_key(guarded)
    wanted = "cache-control,idempotency-key,x-llm-on-disconnect,last-event-id"
    asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = await ask(guarded.address, "OPTIONS", CHAT, Access_Control_Request_Headers=wanted, **asking)
    assert preflight.status == 200, preflight.body
    answer = await asked(guarded, who, Origin="https://app.example")
    exposed = answer.headers["access-control-expose-headers"]
    assert {"x-llm-cache", "age", "cache-status"} <= {name.strip() for name in exposed.split(",")}


async def test_the_commands_show_purge_and_try(guarded: Running, tmp_path: Path) -> None:
    _, who = await a_key(guarded)
    for _ in range(2):
        await asked(guarded, who)
    await guarded.stores.ledger.flush()
    export = await ask(guarded.address, "GET", "/admin/usage/export", **ADMIN)
    (tmp_path / "usage.csv").write_bytes(export.body)
    here = place(tmp_path)
    served = ("--url", guarded.address, "--key", ADMIN_KEY)
    shown = await asyncio.to_thread(run, here, "cache", "stats", "--by", "model", "--json", *served)
    assert (shown.code, shown.json()["data"][0]["hits"]) == (0, 1)
    gone = await asyncio.to_thread(run, here, "cache", "purge", "--all", *served)
    assert (gone.code, gone.out) == (0, "1 answer purged.\n")
    tried = await asyncio.to_thread(run, here, "cache", "simulate", "--log", str(tmp_path / "usage.csv"), "--json")
    assert (tried.code, tried.json()["log"]["lookups"]) == (0, 2)
    assert {trial["hit_ratio"] for trial in tried.json()["trials"]} == {0.5}


async def test_a_purge_asked_of_one_worker_holds_for_all(tmp_path: Path) -> None:
    with serving(seen_place(tmp_path, cached=True), "--workers", "2") as service:
        await healths(service, workers=2)
        before = [await ask(service.address, "POST", CHAT, chat_body(PRICED)) for _ in range(12)]
        found = (await ask(service.address, "GET", "/admin/cache")).json()
        gone = await ask(service.address, "DELETE", f"/admin/cache?model={PRICED}")
        after = [await ask(service.address, "POST", CHAT, chat_body(PRICED)) for _ in range(12)]
    assert [answer.headers["x-llm-cache"] for answer in before] == ["miss", *["hit"] * 11]
    assert (found["reach"], found["store"]["entries"]) == ("machine", 1)
    assert gone.json() == {"purged": 1}
    assert [answer.headers["x-llm-cache"] for answer in after] == ["miss", *["hit"] * 11]
