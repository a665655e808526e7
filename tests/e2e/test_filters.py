"""Filters behind every door: what is refused, what the upstream hears, and what is said of it afterwards."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from llm_service.filters import FilterOptions
from llm_service.sandbox import Sandbox
from tests.support.doors import DOORS, Door, chat
from tests.support.rest import Answer, ask
from tests.support.service import Running, running
from tests.support.shared_answers import ADMIN, ADMIN_KEY, a_key, calls, record_of, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODEL = "plain/sandbox/chat"
WORD, SECRET = "vermilion", "ABC-12345"
DISGUISED = "V\u0435rm\u200bi\u00adli\uff4fn"
FILTERS = (
    FilterOptions(type="keywords", name="no-colours", words=(WORD,), on=("input",)),
    FilterOptions(type="regex", name="tickets", patterns=(r"[A-Z]{3}-\d{5}",), action="mask", on=("input",)),
    FilterOptions(type="keywords", name="greetings", words=("hello",), action="report", on=("input",)),
    FilterOptions(type="allowed_models", name="plain-only", allowed=("plain/*",), except_keys=("free",)),
    FilterOptions(
        type="moderation", url="http://127.0.0.1:9/", headers={"Authorization": "Bearer canary"}, keys=("x",)
    ),
)
EXPLAIN = """query ($input: ChatInput!) { explain(input: $input) { result { action error { code } }
    filters { name type on action asked verdicts { filter labels count failed } score } } }"""
GENERATION = "query ($id: ID!) { generation(id: $id) { verdicts { filter type on action labels count failed } } }"
MASKED = {
    "filter": "tickets", "type": "regex", "on": "input", "action": "mask", "labels": ["pattern"], "count": 2,
    "failed": False,
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(seed=0, pace_s=0.0)
    await sandbox.start()
    yield sandbox
    await sandbox.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox, guarded=True, filters=FILTERS), cached=True) as service:
        yield service


async def post(service: Running, path: str, body: dict[str, Any], by: dict[str, str] = ADMIN) -> Answer:
    return await ask(service.address, "POST", path, orjson.dumps(body), **by)


async def graphql(service: Running, query: str, **variables: Any) -> dict[str, Any]:
    answer = await post(service, "/graphql", {"query": query, "variables": variables})
    data: dict[str, Any] = answer.json()["data"]
    return data


async def counted(service: Running, name: str) -> float:
    text = (await ask(service.address, "GET", "/metrics", **ADMIN)).body.decode()
    lines = [
        line for line in text.splitlines() if line.startswith("llm_filter_verdicts_total{") and f'"{name}"' in line
    ]
    return sum(float(line.split()[-1]) for line in lines)


def asked(text: str, **fields: Any) -> dict[str, Any]:
    return chat(MODEL, messages=[{"role": "user", "content": text}], **fields)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: type(door).__name__)
@pytest.mark.parametrize("text", [f"my {WORD} car", f"my {DISGUISED} car"], ids=["plain", "disguised"])
async def test_a_blocked_prompt_is_refused_through_every_door_before_any_call(
    service: Running, sandbox: Sandbox, door: Door, text: str
) -> None:
    before = len(calls(sandbox))
    told = await door.ask(service.address, asked(text), key=ADMIN_KEY)
    assert told.failure is not None
    assert (told.failure.code, told.failure.type) == ("content_filtered", "invalid_request_error")
    assert told.failure.param == "messages[0]"
    assert "`no-colours` (keywords)" in told.failure.message
    assert WORD not in told.failure.message
    assert len(calls(sandbox)) == before


async def test_every_operation_meets_the_filters(service: Running, sandbox: Sandbox) -> None:
    before, counts = len(calls(sandbox)), await counted(service, "no-colours")
    for path, fields in (
        ("/v1/completions", {"prompt": f"a {WORD}"}),
        ("/v1/embeddings", {"input": ["a", f"a {WORD}"]}),
        ("/v1/embeddings", {"input": [1, 2, 3]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": WORD}]}]}),
    ):
        answer = await post(service, path, {"model": MODEL, **fields})
        assert (answer.status, answer.json()["error"]["code"]) == (400, "content_filtered")
    assert len(calls(sandbox)) == before
    assert await counted(service, "no-colours") == counts + 4


async def test_what_is_masked_never_reaches_the_upstream_and_is_recorded(service: Running, sandbox: Sandbox) -> None:
    answer = await post(service, "/v1/chat/completions", asked(f"hello, {SECRET} and {SECRET}"))
    assert answer.status == 200
    heard = orjson.dumps(calls(sandbox)[-1]).decode()
    assert SECRET not in heard
    assert "hello, [PATTERN] and [PATTERN]" in heard
    record = await record_of(service, answer.headers["x-request-id"], ADMIN)
    greeted = {**MASKED, "filter": "greetings", "type": "keywords", "action": "report", "labels": ["word"], "count": 1}
    assert record["verdicts"] == [MASKED, greeted]
    assert (await graphql(service, GENERATION, id=record["request_id"]))["generation"]["verdicts"] == [
        {**one, "on": one["on"].upper(), "action": one["action"].upper()} for one in (MASKED, greeted)
    ]
    (line,) = [one for one in service.log.of("request") if one["request_id"] == record["request_id"]]
    assert line["filters"] == ["tickets input mask pattern", "greetings input report word"]
    again = await post(service, "/v1/chat/completions", asked(f"hello, {SECRET} and {SECRET}"))
    assert again.headers["x-llm-cache"] == "hit"
    assert SECRET not in str(service.log.lines)


async def test_an_explanation_tells_what_the_filters_would_say(service: Running, sandbox: Sandbox) -> None:
    before = len(calls(sandbox))
    text = f"hello {WORD} {SECRET} {SECRET}"
    answer = await post(service, "/v1/explain", asked(text))
    told = answer.json()
    assert (told["result"]["action"], told["result"]["error"]["error"]["code"]) == ("refuse", "content_filtered")
    shown = {one["name"]: one for one in told["filters"]}
    assert list(shown) == ["no-colours", "tickets", "greetings", "plain-only"]
    assert shown["tickets"]["verdicts"] == [MASKED]
    assert [one["labels"] for one in shown["no-colours"]["verdicts"]] == [["word"]]
    assert (shown["plain-only"]["verdicts"], shown["plain-only"]["asked"]) == ([], False)
    assert WORD not in answer.body.decode()
    assert SECRET not in answer.body.decode()
    given = {"model": MODEL, "messages": [{"role": "USER", "content": text}]}
    seen = (await graphql(service, EXPLAIN, input=given))["explain"]
    assert seen["result"]["error"]["code"] == "content_filtered"
    assert [one["name"] for one in seen["filters"]] == list(shown)
    assert len(calls(sandbox)) == before


async def test_models_are_held_to_a_list_but_for_keys_that_are_excepted(service: Running) -> None:
    other = {**asked("Hi"), "model": "openrouter/openai/gpt-4o-mini"}
    refused = await post(service, "/v1/chat/completions", other)
    assert (refused.status, refused.json()["error"]["code"]) == (400, "content_filtered")
    assert "`plain-only` (allowed_models)" in refused.json()["error"]["message"]
    free = {**await a_key(service, name="free"), "Cache-Control": "no-cache"}
    assert (await post(service, "/v1/chat/completions", other, free)).status == 200


async def test_the_settings_are_shown_without_what_is_secret(service: Running) -> None:
    shown = (await ask(service.address, "GET", "/admin/config", **ADMIN)).body.decode()
    assert "no-colours" in shown
    assert "canary" not in shown
