"""GraphQL over HTTP and by events, against a whole service."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from llm_service.alerts import Event
from llm_service.alerts.entry import entry_of
from llm_service.api import AuthOptions, GraphqlOptions, ServerOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from llm_service.storage import AlertEntry
from tests.support.graphql import (
    ADDRESS,
    CHAT,
    EVENTS,
    JSON,
    PLAIN,
    PRICED,
    QUESTION,
    STREAM,
    chat_input,
    chunks_of,
    data_of,
    error_of,
    first_chunks,
    post,
    results_in,
    said_in,
)
from tests.support.rest import ask, chat_body, connected
from tests.support.service import Running, running, simulated
from tests.support.waiting import until, until_answered

ADMIN_KEY = "admin-key-1234567890"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
ME = "{ me { keyId } }"
RESPONSE = "application/graphql-response+json"
TOOL = {
    "function": {"name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}
}
CREATE = "mutation ($input: KeyInput!) { createKey(input: $input) { secret key { id name scopes budget } } }"
HISTORY = """query ($rule: String, $first: Int) { alertHistory(rule: $rule, first: $first) { edges { cursor node {
    id at happened rule labels { name value } severity summary value notifier rules error } } } }"""


@pytest.fixture
async def guarded(sandbox: Sandbox) -> AsyncIterator[Running]:
    settings = Settings(
        server=ServerOptions(keep_alive_s=0.2),
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY), required="always"),
        graphql=GraphqlOptions(introspection=False, playground=False),
        providers=simulated(sandbox.address),
    )
    async with running(settings) as service:
        yield service


async def a_key(service: Running, **fields: Any) -> dict[str, str]:
    made = await data_of(service.address, CREATE, {"input": {"name": "of a test", **fields}}, **ADMIN)
    return {"Authorization": f"Bearer {made['createKey']['secret']}"}


async def flushed(service: Running) -> None:
    await until(lambda: service.stores.ledger.state.open_requests == 0)
    await service.stores.ledger.flush()


# -- models


async def test_a_chat_gives_what_rest_gives(gateway: Running) -> None:
    told = (await data_of(gateway.address, CHAT, {"input": chat_input(PRICED)}))["chat"]
    rest = await ask(gateway.address, "POST", "/v1/chat/completions", chat_body(PRICED))
    same = rest.json()
    choice = same["choices"][0]
    assert told["content"] == told["choices"][0]["content"] == choice["message"]["content"] != ""
    assert told["finishReason"] == choice["finish_reason"]
    assert told["usage"]["inputTokens"] == same["usage"]["prompt_tokens"]
    assert told["cost"] == rest.headers["x-llm-cost-usd"]
    assert told["costSource"] == "PROVIDER"
    assert (told["provider"], told["model"], told["cache"]) == ("openrouter", "openai/gpt-4o-mini", "BYPASS")
    assert told["raw"].keys() == same.keys()
    assert (told["streamId"], told["attempts"]) == (None, 1)


async def test_models_show_what_is_charged_as_rest_does(gateway: Running) -> None:
    price = "{ models { id contextTokens price { input output cachedInput origin date } } }"
    listed = (await ask(gateway.address, "GET", "/v1/models")).json()["data"]
    told = {model["id"]: model for model in (await data_of(gateway.address, price))["models"]}
    rest = {model["id"]: model for model in listed}
    for name, origin in ((PRICED, "provider"), ("deepseek/deepseek-flash", "table")):
        shown, same = told[name]["price"], rest[name]
        assert [shown["input"], shown["output"]] == [same["pricing_usd_per_million"][n] for n in ("input", "output")]
        assert (shown["origin"], shown["date"]) == (origin, same["pricing_source"].get("date"))
        assert told[name]["contextTokens"] == same["context_length"] > 0
        assert same["pricing_source"]["origin"] == origin


async def test_tools_are_asked_for_in_types(gateway: Running) -> None:
    asked = chat_input(tools=[TOOL], toolChoice={"function": "weather"}, temperature=0.5, maxTokens=50)
    told = (await data_of(gateway.address, CHAT, {"input": asked}))["chat"]
    assert [call["function"]["name"] for call in told["toolCalls"]] == ["weather"]
    assert told["finishReason"] == "tool_calls"
    assert told["toolCalls"][0]["id"]


async def test_vectors_are_those_of_rest(gateway: Running) -> None:
    query = "mutation ($i: EmbedInput!) { embed(input: $i) { data { index embedding } usage { inputTokens } model } }"
    model = "plain/text-embedding-3-small"
    told = (await data_of(gateway.address, query, {"i": {"model": model, "input": ["a", "b"]}}))["embed"]
    body = orjson.dumps({"model": model, "input": ["a", "b"], "encoding_format": "float"})
    same = (await ask(gateway.address, "POST", "/v1/embeddings", body)).json()
    assert [row["embedding"] for row in told["data"]] == [row["embedding"] for row in same["data"]]
    assert told["usage"]["inputTokens"] == same["usage"]["prompt_tokens"]


async def test_a_refusal_has_the_code_of_rest_and_an_id_that_the_log_has(gateway: Running) -> None:
    error = await error_of(gateway.address, CHAT, {"input": chat_input("nobody/sandbox/chat")})
    rest = await ask(gateway.address, "POST", "/v1/chat/completions", chat_body("nobody/sandbox/chat"))
    same = rest.json()["error"]
    extensions = error["extensions"]
    assert (error["message"], extensions["code"], extensions["type"]) == (same["message"], same["code"], same["type"])
    assert error["path"] == ["chat"]
    lines = gateway.log.of("request")
    assert [line["request_id"] for line in lines] == [extensions["requestId"], rest.headers["x-request-id"]]
    assert {line["surface"] for line in lines} == {"graphql", "rest"}


@pytest.mark.parametrize(
    ("model", "code", "provider"),
    [
        ("plain/sandbox/error-429", "upstream_rate_limited", "plain"),
        ("deepseek/sandbox-error-401", "upstream_auth_failed", "deepseek"),
        ("plain/sandbox/error-400-context", "context_length_exceeded", "plain"),
    ],
)
async def test_a_providers_failure_is_told_like_rests(gateway: Running, model: str, code: str, provider: str) -> None:
    extensions = (await error_of(gateway.address, CHAT, {"input": chat_input(model)}))["extensions"]
    assert (extensions["code"], extensions["provider"]) == (code, provider)


@pytest.mark.parametrize(
    ("input_", "param"),
    [
        (chat_input(extra={"stream": True}), "extra.stream"),
        (chat_input(extra={"temperature": 1}, temperature=0.5), "extra.temperature"),
        (chat_input(extra=[1]), "extra"),
        (chat_input(maxTokens=0), "max_tokens"),
        (chat_input(options={"timeoutS": -1}), "options.timeoutS"),
        (chat_input(options={"tags": [{"name": "a b", "value": ""}]}), "options.tags"),
        ({"model": PLAIN, "messages": []}, "messages"),
        ({"model": PLAIN, "messages": [{"role": "USER", "content": "a", "parts": []}]}, "messages[0].parts"),
    ],
)
async def test_what_is_wrong_with_an_input_is_named(gateway: Running, input_: Any, param: str) -> None:
    extensions = (await error_of(gateway.address, CHAT, {"input": input_}))["extensions"]
    assert (extensions["code"], extensions["param"]) == ("invalid_value", param)


async def test_each_request_to_a_model_has_a_record_of_its_own(gateway: Running) -> None:
    query = "mutation ($i: ChatInput!) { a: chat(input: $i) { requestId cost } b: chat(input: $i) { requestId cost } }"
    told = await data_of(gateway.address, query, {"i": chat_input(PRICED, options={"user": "eve"})})
    await flushed(gateway)
    records = '{ generations(filter: {user: "eve"}) { edges { node { requestId cost surface } } } }'
    found = [edge["node"] for edge in (await data_of(gateway.address, records))["generations"]["edges"]]
    assert {one["requestId"]: one["cost"] for one in found} == {one["requestId"]: one["cost"] for one in told.values()}
    assert {one["surface"] for one in found} == {"graphql"}


@pytest.mark.parametrize("batch", [True, False])
async def test_the_time_of_a_request_begins_when_its_turn_comes(gateway: Running, batch: bool) -> None:
    slow, quick = chat_input(extra={"sandbox": "slow-head-500ms"}), chat_input()
    if batch:
        query = "mutation ($i: ChatInput!) { chat(input: $i) { requestId } }"
        asked: Any = [{"query": query, "variables": {"i": given}} for given in (slow, quick)]
    else:
        fields = "a: chat(input: $a) { requestId } b: chat(input: $b) { requestId }"
        query = f"mutation ($a: ChatInput!, $b: ChatInput!) {{ {fields} }}"
        asked = {"query": query, "variables": {"a": slow, "b": quick}}
    answer = await ask(gateway.address, "POST", ADDRESS, orjson.dumps(asked))
    assert b'"errors"' not in answer.body
    first, second = (line["duration_ms"] for line in gateway.log.of("request"))
    assert first > 500 > second


# -- limits and keys


async def test_aliases_and_batches_pass_no_limit(guarded: Running) -> None:
    key = await a_key(guarded, requestsPerMinute=5)
    fields = " ".join(f"c{number}: chat(input: $i) {{ content }}" for number in range(8))
    answer = await post(guarded.address, f"mutation ($i: ChatInput!) {{ {fields} }}", {"i": chat_input()}, **key)
    codes = [error["extensions"]["code"] for error in answer.json()["errors"]]
    assert codes[0] == "rate_limit_exceeded"
    limit = answer.json()["errors"][0]["extensions"]["limit"]
    assert (limit["scope"], limit["kind"], limit["limit"]) == ("key", "requests", 5)
    other = await a_key(guarded, requestsPerMinute=5)
    query = "mutation ($i: ChatInput!) { chat(input: $i) { content } }"
    batch = orjson.dumps([{"query": query, "variables": {"i": chat_input()}}] * 8)
    results = (await ask(guarded.address, "POST", ADDRESS, batch, **other)).json()
    assert ["errors" in result for result in results] == [False] * 5 + [True] * 3


async def test_a_field_asks_for_its_scope(guarded: Running) -> None:
    inference, read = await a_key(guarded), await a_key(guarded, scopes=["READ"])
    asked = "{ me { keyId } models { id } usage { total { requests } } keys { edges { node { id } } } }"
    fields = (
        "me { keyId }", "models { id }", "usage { total { requests } }", "keys { edges { cursor } }", "alerts { rule }",
        "alertHistory { edges { cursor } }",
    )  # fmt: skip
    for key, allowed in ((inference, {"me", "models"}), (read, {"me", "usage", "alerts", "alertHistory"})):
        for field in fields:
            answer = (await post(guarded.address, f"{{ {field} }}", **key)).json()
            name = field.partition(" ")[0]
            codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
            assert codes == ([] if name in allowed else ["scope_missing"])
    assert "errors" not in (await post(guarded.address, asked, **ADMIN)).json()
    nested = "{ generations { edges { node { key { name } } } } }"
    await data_of(guarded.address, CHAT, {"input": chat_input()}, **inference)
    await flushed(guarded)
    answer = (await post(guarded.address, nested, **read)).json()
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"scope_missing"}
    assert answer["data"]["generations"]["edges"] == [{"node": {"key": None}}]


async def test_keys_are_made_changed_rotated_and_revoked(guarded: Running) -> None:
    made = await data_of(guarded.address, CREATE, {"input": {"name": "one", "budget": "12.50"}}, **ADMIN)
    key = made["createKey"]["key"]
    assert (key["scopes"], key["budget"]) == (["INFERENCE"], "12.5")
    update = "mutation ($id: ID!, $p: KeyPatch!) { updateKey(id: $id, input: $p) { name budget user version } }"
    patch = {"budget": None, "user": "eve"}
    changed = (await data_of(guarded.address, update, {"id": key["id"], "p": patch}, **ADMIN))["updateKey"]
    assert changed == {"name": "one", "budget": None, "user": "eve", "version": 2}
    rotate = "mutation ($id: ID!) { rotateKey(id: $id, overlapS: 0) { secret key { version } } }"
    rotated = (await data_of(guarded.address, rotate, {"id": key["id"]}, **ADMIN))["rotateKey"]
    assert rotated["secret"] != made["createKey"]["secret"]
    revoke = "mutation ($id: ID!) { revokeKey(id: $id) { status revokedAt } }"
    revoked = (await data_of(guarded.address, revoke, {"id": key["id"]}, **ADMIN))["revokeKey"]
    assert revoked["status"] == "REVOKED"
    error = await error_of(guarded.address, revoke, {"id": "key_of_nobody"}, **ADMIN)
    assert error["extensions"]["code"] == "not_found"


async def test_lists_go_on_page_by_page(guarded: Running) -> None:
    for number in range(5):
        key = await a_key(guarded, user=f"user-{number}")
        await data_of(guarded.address, CHAT, {"input": chat_input()}, **key)
    await flushed(guarded)
    now = datetime.now(UTC)
    await guarded.stores.database.alerts.append([event_at(now, rule=f"rule-{number}") for number in range(5)])
    for field, asked in (
        ("keys", "keys(first: 2, after: $after)"),
        ("generations", "generations(first: 2, after: $after)"),
        ("usage", "usage(groupBy: [USER], first: 2, after: $after)"),
        ("alertHistory", "alertHistory(first: 2, after: $after)"),
        ("auditLog", "auditLog(first: 2, after: $after)"),
    ):
        query = f"query ($after: String) {{ {asked} {{ edges {{ cursor }} pageInfo {{ hasNextPage endCursor }} }} }}"
        seen: list[str] = []
        after, more = None, True
        while more:
            page = (await data_of(guarded.address, query, {"after": after}, **ADMIN))[field]
            seen += [edge["cursor"] for edge in page["edges"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert len(seen) == len(set(seen)) == 5
        wrong = await error_of(guarded.address, query, {"after": "nowhere!"}, **ADMIN)
        assert wrong["extensions"]["code"] == "invalid_value"


async def test_the_history_of_alerts_is_that_of_rest(guarded: Running) -> None:
    now = datetime.now(UTC)
    failed = {"happened": "failed", "labels": {"status": "firing", "group": "critical"}, "summary": None, "value": None}
    notice = event_at(now, rule="*", **failed, notifier="ops", alerts=("down", "slow"), error="it answered 404")
    await guarded.stores.database.alerts.append([event_at(now, rule="down"), notice, event_at(now, rule="slow")])
    reader = await a_key(guarded, scopes=["READ"])
    told = await data_of(guarded.address, HISTORY, **reader)
    rest = (await ask(guarded.address, "GET", "/admin/alerts/history", **reader)).json()["data"]
    nodes = [edge["node"] for edge in told["alertHistory"]["edges"]]
    assert [edge["cursor"] for edge in told["alertHistory"]["edges"]] == [one["id"] for one in rest]
    assert [as_rest_has_it(node) for node in nodes] == rest
    assert [(one["happened"], one["rule"]) for one in nodes] == [
        ("FIRING", "slow"),
        ("FAILED", "*"),
        ("FIRING", "down"),
    ]
    of_one = await data_of(guarded.address, HISTORY, {"rule": "down"}, **reader)
    assert [edge["node"]["id"] for edge in of_one["alertHistory"]["edges"]] == [rest[-1]["id"]]
    for wrong in ({"first": 0}, {"first": 1001}, {"rule": "\0"}):
        refused = (await error_of(guarded.address, HISTORY, wrong, **reader))["extensions"]
        assert (refused["code"], refused["param"]) == ("invalid_value", *wrong)


def event_at(at: datetime, **fields: Any) -> AlertEntry:
    """An alert that began to fire, but for what is given."""
    fires: dict[str, Any] = {
        "happened": "firing",
        "severity": "critical",
        "labels": {"provider": "a"},
        "summary": "Down.",
        "value": 2.5,
    }
    return entry_of(Event(**(fires | fields), at=at))


def as_rest_has_it(node: Any) -> Any:
    labels = {one["name"]: one["value"] for one in node["labels"]}
    return node | {name: node[name].lower() for name in ("happened", "severity")} | {"labels": labels}


# -- streams by events


async def test_a_stream_by_events_tells_the_cost_in_its_last_chunk(gateway: Running) -> None:
    chunks = await chunks_of(gateway.address, {"input": chat_input(PRICED)})
    whole = (await data_of(gateway.address, CHAT, {"input": chat_input(PRICED)}))["chat"]
    assert said_in(chunks) == whole["content"]
    assert (chunks[-1]["cost"], chunks[-1]["costSource"]) == (whole["cost"], "PROVIDER")
    assert {chunk["cost"] for chunk in chunks[:-1]} == {None}
    assert chunks[-1]["usage"] == {name: whole["usage"][name] for name in ("inputTokens", "outputTokens")}
    assert {chunk["cursor"] for chunk in chunks} == {f"{one['streamId']}.{one['seq']}" for one in chunks}


async def test_a_resumed_stream_has_exactly_the_missing_events(gateway: Running) -> None:
    asked = {"input": chat_input(PRICED, options={"onDisconnect": "FINISH"}, extra={"sandbox": "tokens-60+pace-10ms"})}
    had = await first_chunks(gateway.address, 7, asked)
    rest = await chunks_of(gateway.address, {"after": had[-1]["cursor"]})
    assert [chunk["seq"] for chunk in had + rest] == list(range(1, len(had + rest) + 1))
    assert await chunks_of(gateway.address, {"after": f"{had[0]['streamId']}.0"}) == had + rest
    assert await chunks_of(gateway.address, {"after": rest[-1]["cursor"]}) == []


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, "invalid_value"),
        ({"input": chat_input(), "after": "str_1.1"}, "invalid_value"),
        ({"after": "nonsense"}, "invalid_value"),
        ({"after": "str_00000000000000000000000000.1"}, "not_found"),
        ({"input": chat_input("plain/sandbox/cut-after-3")}, "stream_interrupted"),
    ],
)
async def test_what_ends_a_stream_is_its_last_result(gateway: Running, variables: Any, code: str) -> None:
    answer = await post(gateway.address, STREAM, variables, Accept=EVENTS)
    assert answer.status == 200
    assert results_in(answer.body)[-1]["errors"][0]["extensions"]["code"] == code
    assert not gateway.log.of("defect")


async def test_a_cursor_that_is_none_is_told_by_the_name_that_it_has_here(gateway: Running) -> None:
    for cursor in ("none", "str_1.x"):
        (result,) = results_in((await post(gateway.address, STREAM, {"after": cursor}, Accept=EVENTS)).body)
        (error,) = result["errors"]
        assert (error["extensions"]["code"], error["extensions"]["param"]) == ("invalid_value", "after")
        assert error["message"].startswith("'after' must be")


async def test_silence_is_filled_with_comments(guarded: Running) -> None:
    body = orjson.dumps({"query": STREAM, "variables": {"input": chat_input("plain/sandbox/stall-head")}})
    async with connected(guarded.address) as connection:
        connection.send("POST", ADDRESS, body, Accept=EVENTS, **ADMIN)
        assert (await connection.head())[0] == 200
        pieces = connection.pieces()
        assert [await anext(pieces), await anext(pieces)] == [b":\n\n", b":\n\n"]


async def test_a_stream_of_another_key_is_not_there(guarded: Running) -> None:
    mine, other = await a_key(guarded), await a_key(guarded)
    asked = {"input": chat_input(options={"onDisconnect": "FINISH"})}
    had = await first_chunks(guarded.address, 2, asked, **mine)
    answer = await post(guarded.address, STREAM, {"after": had[0]["cursor"]}, Accept=EVENTS, **other)
    assert results_in(answer.body)[0]["errors"][0]["extensions"]["code"] == "not_found"
    cancel = "mutation ($id: ID!) { cancel(streamId: $id) }"
    error = await error_of(guarded.address, cancel, {"id": had[0]["streamId"]}, **other)
    assert error["extensions"]["code"] == "not_found"


async def test_a_stream_can_be_cancelled(gateway: Running) -> None:
    async with connected(gateway.address) as connection:
        asked = {"input": chat_input(extra={"sandbox": "tokens-400+pace-20ms"})}
        connection.send("POST", ADDRESS, orjson.dumps({"query": STREAM, "variables": asked}), Accept=EVENTS)
        await connection.head()
        pieces = connection.pieces()
        first = (await anext(pieces)).decode()
        stream_id = orjson.loads(first.partition("data: ")[2].partition("\n")[0])["data"]["chatStream"]["streamId"]
        cancel = "mutation ($id: ID!) { cancel(streamId: $id) }"
        assert await data_of(gateway.address, cancel, {"id": stream_id}) == {"cancel": True}
        rest = b"".join([piece async for piece in pieces])
        assert results_in(first.encode() + rest)[-1]["errors"][0]["extensions"]["code"] == "stream_cancelled"
        assert await data_of(gateway.address, cancel, {"id": stream_id}) == {"cancel": False}


@pytest.mark.parametrize("accept", [JSON, EVENTS])
@pytest.mark.parametrize("model", ["plain/sandbox/stall-head", "plain/sandbox/stall-after-3"])
async def test_who_leaves_ends_the_upstream_within_a_second(
    gateway: Running, sandbox: Sandbox, accept: str, model: str
) -> None:
    async def open_now() -> int:
        return int((await ask(sandbox.address, "GET", "/_stats")).json()["open"])

    async def some() -> bool:
        return await open_now() == 1

    async def none() -> bool:
        return await open_now() == 0

    query = CHAT if accept == JSON else STREAM
    body = orjson.dumps({"query": query, "variables": {"input": chat_input(model)}})
    async with connected(gateway.address) as connection:
        connection.send("POST", ADDRESS, body, Accept=accept)
        await until_answered(some)
    await until_answered(none, within_s=1.0)
    await until(lambda: gateway.log.of("request"))
    assert [line["status"] for line in gateway.log.of("request")] == ["aborted"]
    assert not gateway.log.of("defect")


async def test_a_revoked_key_ends_its_stream_of_events(guarded: Running) -> None:
    key = await a_key(guarded)
    asked = {"input": chat_input(extra={"sandbox": "tokens-400+pace-20ms"})}
    async with connected(guarded.address) as connection:
        body = orjson.dumps({"query": STREAM, "variables": asked})
        connection.send("POST", ADDRESS, body, Accept=EVENTS, **key)
        await connection.head()
        pieces = connection.pieces()
        seen = await anext(pieces)
        found = (await data_of(guarded.address, "{ keys { edges { node { id } } } }", **ADMIN))["keys"]["edges"]
        await guarded.stores.keys.revoke(found[0]["node"]["id"])
        seen += b"".join([piece async for piece in pieces])
    assert results_in(seen)[-1]["errors"][0]["extensions"]["code"] == "key_revoked"


async def test_a_shutdown_cuts_what_still_runs(gateway: Running) -> None:
    slow = {"input": chat_input(extra={"sandbox": "tokens-400+pace-20ms"})}
    whole = {"input": chat_input("plain/sandbox/stall-head")}
    running_ = asyncio.gather(
        post(gateway.address, STREAM, slow, Accept=EVENTS), post(gateway.address, CHAT, whole), return_exceptions=False
    )
    await until(lambda: len(gateway.service.serving._answering) == 2)
    await gateway.service.serving.drain(0.1, hurried=asyncio.Event())
    stream, chat = await running_
    assert results_in(stream.body)[-1]["errors"][0]["extensions"]["code"] == "draining"
    assert chat.json()["errors"][0]["extensions"]["code"] == "draining"
    late = await post(gateway.address, ME)
    assert (late.status, late.json()["errors"][0]["extensions"]["code"]) == (503, "draining")


@pytest.mark.parametrize("batch", [True, False])
async def test_a_shutdown_begins_nothing_more_of_a_batch_or_a_document(
    gateway: Running, sandbox: Sandbox, batch: bool
) -> None:
    fields = "a: chat(input: $i) { content }" if batch else "a: chat(input: $i) { id } b: chat(input: $i) { id }"
    query = f"mutation ($i: ChatInput!) {{ {fields} }}"
    operation = {"query": query, "variables": {"i": chat_input("plain/sandbox/stall-head")}}
    asked = [operation, operation] if batch else operation
    answering = asyncio.create_task(ask(gateway.address, "POST", ADDRESS, orjson.dumps(asked)))

    async def requests() -> int:
        return int((await ask(sandbox.address, "GET", "/_stats")).json()["requests"])

    async def one_came() -> bool:
        return await requests() == 1

    await until_answered(one_came)
    await gateway.service.serving.drain(0.0, hurried=asyncio.Event())
    told = (await answering).json()
    errors = [error for result in (told if batch else [told]) for error in result["errors"]]
    assert {error["extensions"]["code"] for error in errors} == {"draining"}
    assert await requests() == 1


# -- HTTP


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        ("*/*", 400, RESPONSE),
        (RESPONSE, 400, RESPONSE),
        (JSON, 200, JSON),
        (f"{JSON}, {RESPONSE};q=0.5", 200, JSON),
        ("application/*", 400, RESPONSE),
        ("text/html", 406, RESPONSE),
        (f"{EVENTS};q=0", 406, RESPONSE),
    ],
)
async def test_the_status_goes_by_the_media_type(gateway: Running, accept: str, status: int, media_type: str) -> None:
    answer = await post(gateway.address, "{ nothing }", Accept=accept)
    assert answer.status == status
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.json()["errors"]
    good = await post(gateway.address, ME, Accept=accept)
    assert good.status == (406 if status == 406 else 200)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'"x"', "invalid_json"),
        (b"{}", "invalid_value"),
        (b'{"query": 1}', "invalid_value"),
        (b'{"query": "{me{keyId}}", "variables": []}', "invalid_value"),
        (b'{"query": "{me{keyId}}", "operationName": "no"}', "invalid_document"),
        (b'{"query": "{me{keyId"}', "invalid_document"),
        (b'{"query": "query ($a: ID!) { model(id: $a) { id } }"}', "invalid_value"),
        (b'{"query": "subscription { chatStream(after: \\"a.1\\") { seq } }"}', "invalid_value"),
        (b"[]", "document_too_complex"),
    ],
)
async def test_a_request_that_is_none_is_answered_with_400(gateway: Running, body: bytes, code: str) -> None:
    answer = await ask(gateway.address, "POST", ADDRESS, body)
    assert answer.status == 400
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
    assert "data" not in answer.json()
    assert not gateway.log.of("defect")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
)
async def test_what_a_form_of_a_foreign_page_can_send_is_refused(gateway: Running, content_type: str) -> None:
    answer = await ask(gateway.address, "POST", ADDRESS, orjson.dumps({"query": ME}), Content_Type=content_type)
    assert answer.status == 415


async def test_a_foreign_page_is_refused_without_a_key(gateway: Running) -> None:
    answer = await post(gateway.address, ME, Origin="https://evil.example.com")
    assert (answer.status, answer.json()["errors"][0]["extensions"]["code"]) == (403, "not_local")


async def test_queries_may_be_asked_by_get_and_nothing_else(gateway: Running) -> None:
    def address(query: str, **other: Any) -> str:
        pairs = {"query": query, **{name: orjson.dumps(value).decode() for name, value in other.items()}}
        return f"{ADDRESS}?" + "&".join(f"{name}={quote(value)}" for name, value in pairs.items())

    query = "query ($id: ID!) { model(id: $id) { id } }"
    told = await ask(gateway.address, "GET", address(query, variables={"id": "nothing"}))
    assert (told.status, told.json()) == (200, {"data": {"model": None}})
    for wrong in ('mutation { cancel(streamId: "a") }', "mutation { purgeCache(input: {all: true}) }"):
        answer = await ask(gateway.address, "GET", address(wrong))
        assert (answer.status, answer.headers["allow"]) == (405, "post")
    stream = await ask(
        gateway.address, "GET", address('subscription { chatStream(after: "a.1") { seq } }'), Accept=EVENTS
    )
    assert stream.status == 405
    assert (await ask(gateway.address, "DELETE", ADDRESS)).status == 405
    assert (await ask(gateway.address, "GET", f"{ADDRESS}?query=%ff")).status == 400
    assert (await ask(gateway.address, "GET", f"{ADDRESS}?query=a&query=b")).status == 400


async def test_without_a_key_nothing_is_told(guarded: Running) -> None:
    answer = await post(guarded.address, ME)
    assert (answer.status, answer.json()["errors"][0]["extensions"]["code"]) == (401, "invalid_api_key")


async def test_a_batch_gets_its_results_in_order(gateway: Running) -> None:
    batch = [{"query": ME}, {"query": "{ nothing }"}, {"query": "{ health { status } }"}]
    answer = await ask(gateway.address, "POST", ADDRESS, orjson.dumps(batch))
    first, second, third = answer.json()
    assert answer.status == 200
    assert (first["data"]["me"]["keyId"], third["data"]["health"]["status"]) == ("local", "ok")
    assert second["errors"][0]["extensions"]["code"] == "invalid_document"


async def test_introspection_can_be_off_and_then_nothing_is_suggested(guarded: Running) -> None:
    for query in ("{ __schema { types { name } } }", '{ __type(name: "Query") { name } }', "{ mee { keyId } }"):
        for error in (await post(guarded.address, query, **ADMIN)).json()["errors"]:
            assert error["extensions"]["code"] == "invalid_document"
            assert "mean" not in error["message"]
    assert (await data_of(guarded.address, "{ __typename }", **ADMIN)) == {"__typename": "Query"}
    assert (await ask(guarded.address, "GET", ADDRESS, Accept="text/html", **ADMIN)).status == 406


async def test_with_introspection_a_near_name_is_suggested(gateway: Running) -> None:
    assert "Did you mean 'me'" in (await error_of(gateway.address, "{ mee { keyId } }"))["message"]


async def test_where_it_is_off_there_is_nothing(sandbox: Sandbox) -> None:
    settings = Settings(graphql=GraphqlOptions(enabled=False), providers=simulated(sandbox.address))
    async with running(settings) as service:
        assert (await post(service.address, ME)).status == 404
        assert (await post(service.address, QUESTION, path="/graphql/")).status == 404


async def test_a_defect_is_told_once_to_the_log_and_not_to_the_client(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret of the house")

    monkeypatch.setattr("llm_service.services.health.Health.report", broken)
    answer = await post(gateway.address, "{ health { status } }")
    error = answer.json()["errors"][0]
    assert error["extensions"]["code"] == "internal_error"
    assert b"secret" not in answer.body
    (line,) = gateway.log.of("defect")
    assert line["request_id"] == error["extensions"]["requestId"]


async def test_the_page_is_open_and_its_files_are_all_there_is_below(gateway: Running, guarded: Running) -> None:
    page = await ask(gateway.address, "GET", ADDRESS, Accept="text/html")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-request-id"].startswith("req_")
    script = await ask(gateway.address, "GET", "/graphql/page.js")
    again = await ask(gateway.address, "GET", "/graphql/page.js", If_None_Match=script.headers["etag"])
    assert (script.status, again.status, again.body) == (200, 304, b"")
    for path in ("/graphql/manifest.json", "/graphql/../door.py", "/graphql/graphiql/LICENSE"):
        assert (await ask(gateway.address, "GET", path)).status == 404
    assert (await post(gateway.address, ME, path="/graphql/page.js")).status == 405
    assert (await ask(guarded.address, "GET", "/graphql/page.js", **ADMIN)).status == 404
    assert (await post(gateway.address, ME, path="/graphql/")).json()["data"]


async def test_only_trusted_documents_may_be_taken(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "me.graphql").write_text(ME)
    (tmp_path / "listen.graphql").write_text(STREAM)
    options = GraphqlOptions(trusted_documents=tmp_path, trusted_only=True)
    async with running(Settings(graphql=options, providers=simulated(sandbox.address))) as service:

        async def asked(**members: Any) -> Any:
            return (await ask(service.address, "POST", ADDRESS, orjson.dumps(members))).json()

        digest = sha256(ME.encode()).hexdigest()
        persisted = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
        for members in (
            {"documentId": "me"},
            {"documentId": f"sha256:{digest}"},
            {"query": ME},
            {"extensions": persisted},
        ):
            assert await asked(**members) == {"data": {"me": {"keyId": "local"}}}
        for members in ({"query": "{ health { status } }"}, {"documentId": "nothing"}):
            (error,) = (await asked(**members))["errors"]
            assert error["extensions"]["code"] == "invalid_document"
        assert said_in(await chunks_of(service.address, {"input": chat_input()}))


async def test_trusted_documents_that_cannot_be_read_stop_the_start(sandbox: Sandbox, tmp_path: Path) -> None:
    options = GraphqlOptions(trusted_documents=tmp_path / "nowhere.json")
    with pytest.raises(FileNotFoundError):
        async with running(Settings(graphql=options, providers=simulated(sandbox.address))):
            pass
