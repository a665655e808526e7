"""The REST surface on the wire: heads, errors, streams, hang-ups, slow readers."""

import asyncio
import re
import time
from typing import Any

import psutil
import pytest

from llm_service.sandbox import Sandbox
from tests.support.rest import Answer, ask, chat_body, connected, events_of
from tests.support.service import CREDENTIAL, Running
from tests.support.timed import within
from tests.support.waiting import until, until_answered

PATH = "/v1/chat/completions"
SSE_BLOCK = re.compile(rb"(: keep-alive\n)*id: (str_[0-9a-f]{26})\.(\d+)\ndata: [^\n]+\n\n")


async def stats(sandbox: Sandbox) -> dict[str, Any]:
    return (await ask(sandbox.address, "GET", "/_stats")).json()


async def ask_chat(gateway: Running, model: str, **other: Any) -> Answer:
    return await ask(gateway.address, "POST", PATH, chat_body(model, **other))


# -- heads


async def test_a_whole_answer_names_request_provider_model_and_timing(gateway: Running) -> None:
    answer = await ask_chat(gateway, "openrouter/openai/gpt-4o-mini")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"req_[0-9a-f]{26}", answer.headers["x-request-id"])
    assert (answer.headers["x-llm-provider"], answer.headers["x-llm-model"]) == ("openrouter", "openai/gpt-4o-mini")
    assert re.fullmatch(r"parse;dur=[\d.]+, observe;.*resolve;.*provider;dur=[\d.]+", answer.headers["server-timing"])
    assert answer.headers["x-llm-cost-source"] == "provider"
    assert float(answer.headers["x-llm-cost-usd"]) > 0


@pytest.mark.parametrize("path", [PATH, PATH + "/", "/chat/completions", "/chat/completions/"])
async def test_the_path_is_found_under_every_spelling(gateway: Running, path: str) -> None:
    answer = await ask(gateway.address, "POST", path, chat_body("plain/sandbox/chat"))
    assert answer.status == 200


async def test_connections_serve_many_requests(gateway: Running) -> None:
    async with connected(gateway.address) as connection:
        for stream in (False, True, False):
            answer = await connection.ask("POST", PATH, chat_body("plain/sandbox/chat", stream=stream))
            assert answer.status == 200


# -- streams


async def test_every_event_has_the_stream_id_and_the_next_number(gateway: Running) -> None:
    answer = await ask_chat(gateway, "plain/sandbox/chat", stream=True)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    blocks = list(SSE_BLOCK.finditer(answer.body))
    assert b"".join(block[0] for block in blocks) + b"data: [DONE]\n\n" == answer.body
    assert {block[2].decode() for block in blocks} == {answer.headers["x-llm-stream-id"]}
    numbers = [int(block[3]) for block in blocks]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


async def test_the_last_chunk_tells_what_only_the_end_knows(gateway: Running) -> None:
    answer = await ask_chat(gateway, "openrouter/openai/gpt-4o-mini", stream=True)
    last = events_of(answer.body)[-2]
    assert last["llm"]["request_id"] == answer.headers["x-request-id"]
    assert (last["llm"]["provider"], last["llm"]["cost_source"]) == ("openrouter", "provider")
    assert float(last["llm"]["cost_usd"]) > 0
    assert "usage" not in last


async def test_a_silent_upstream_makes_comments_without_blank_lines(gateway: Running) -> None:
    answer = await ask_chat(gateway, "plain/sandbox/slow-first-byte-1s", stream=True)
    assert answer.body.startswith(b": keep-alive\n")
    assert b": keep-alive\n\n" not in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert "x-llm-provider" not in answer.headers  # the head went out before it was known
    assert events_of(answer.body)[-2]["llm"]["provider"] == "plain"


async def test_silence_between_chunks_makes_comments_too(gateway: Running) -> None:
    answer = await ask_chat(gateway, "plain/sandbox/stall-after-2+stall-for-1s", stream=True)
    assert answer.body.count(b": keep-alive\n") >= 2
    assert b": keep-alive\n\n" not in answer.body
    assert events_of(answer.body)[-1] == "[DONE]"


async def test_an_error_after_the_head_is_the_last_event(gateway: Running) -> None:
    answer = await ask_chat(gateway, "plain/sandbox/slow-head-1s+error-429", stream=True)
    events = events_of(answer.body)
    assert answer.status == 200
    assert [event["error"]["code"] for event in events] == ["upstream_rate_limited"]
    assert events[0]["request_id"] == answer.headers["x-request-id"]


async def test_a_stream_that_breaks_ends_in_an_error_event(gateway: Running) -> None:
    events = events_of((await ask_chat(gateway, "plain/sandbox/reset-after-3", stream=True)).body)
    assert events[-1]["error"]["code"] == "stream_interrupted"
    assert all("error" not in event for event in events[:-1])
    assert len(events) > 1


async def test_a_stream_that_falls_silent_ends_in_an_error_event(gateway: Running) -> None:
    events = events_of((await ask_chat(gateway, "plain/sandbox/stall-after-3", stream=True)).body)
    assert events[-1]["error"]["code"] == "upstream_timeout"
    assert "idle_s" in events[-1]["error"]["message"]


async def test_a_stream_that_never_begins_is_a_timeout(gateway: Running) -> None:
    events = events_of((await ask_chat(gateway, "plain/sandbox/keep-alive-10s", stream=True)).body)
    assert [event["error"]["code"] for event in events] == ["upstream_timeout"]
    assert "first_chunk_s" in events[0]["error"]["message"]


async def test_a_whole_answer_where_a_stream_was_asked_for_is_streamed(gateway: Running) -> None:
    answer = await ask_chat(gateway, "openrouter/sandbox/error-in-200", stream=True)
    assert answer.status == 502
    assert answer.json()["error"]["code"] == "upstream_error"


# -- hang-ups and slow readers


@pytest.mark.timed
@pytest.mark.parametrize(
    ("model", "stream"),
    [
        ("plain/sandbox/stall-after-3", True),
        ("plain/sandbox/stall-head", True),
        ("plain/sandbox/stall-head", False),
        ("plain/sandbox/stall-after-1", False),
    ],
)
async def test_a_client_that_leaves_ends_the_upstream_within_a_second(
    gateway: Running, sandbox: Sandbox, model: str, stream: bool
) -> None:
    async with connected(gateway.address) as connection:
        connection.send("POST", PATH, chat_body(model, stream=stream))

        async def asked() -> bool:
            return (await stats(sandbox))["open"] == 1

        await until_answered(asked)
        if model.endswith("after-3"):
            await connection.head()
    left_at = time.monotonic()

    async def cancelled() -> bool:
        return (await stats(sandbox))["open"] == 0

    await until_answered(cancelled)
    within(time.monotonic() - left_at, 1.0)
    await until(lambda: gateway.log.of("request"))
    assert [line["status"] for line in gateway.log.of("request")] == ["aborted"]


async def test_a_reader_that_stalls_costs_little_memory(gateway: Running, sandbox: Sandbox) -> None:
    process = psutil.Process()
    await ask_chat(gateway, "plain/sandbox/chat", stream=True)
    async with connected(gateway.address) as connection:
        connection.reader._transport.pause_reading()  # type: ignore[attr-defined]
        before = process.memory_info().rss
        connection.send("POST", PATH, chat_body("plain/sandbox/bulk-64mb", stream=True))
        for _ in range(100):
            await asyncio.sleep(0.01)  # time in which it could take memory
        assert process.memory_info().rss - before < 16_000_000
        assert (await stats(sandbox))["open"] == 1


async def test_many_streams_at_once_stay_apart_and_in_order(gateway: Running) -> None:
    async def one(number: int) -> bool:
        body = chat_body("plain/sandbox/tokens-40", stream=True, user=str(number))
        answer = await ask(gateway.address, "POST", PATH, body)
        numbers = [int(block[3]) for block in SSE_BLOCK.finditer(answer.body)]
        streams = {block[2].decode() for block in SSE_BLOCK.finditer(answer.body)}
        return numbers == list(range(1, len(numbers) + 1)) and streams == {answer.headers["x-llm-stream-id"]}

    assert all(await asyncio.gather(*(one(number) for number in range(50))))


# -- deadlines


async def test_the_callers_own_deadline_ends_a_request(gateway: Running) -> None:
    body = chat_body("plain/sandbox/stall-head")
    answer = await ask(gateway.address, "POST", PATH, body, X_LLM_Timeout_S="0.2")
    assert (answer.status, answer.json()["error"]["code"]) == (504, "deadline_exceeded")


# -- errors


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", PATH, b"{", 400, "invalid_json"),
        ("POST", PATH, b"[]", 400, "invalid_json"),
        ("POST", PATH, b'{"model": 1, "messages": []}', 400, "invalid_value"),
        ("POST", PATH, b'{"messages": [{"role": "user"}]}', 400, "missing_required_parameter"),
        ("POST", PATH, chat_body("nowhere-to-be-found", models=7), 400, "invalid_value"),
        ("GET", PATH, b"", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", b"", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", b"", 404, "not_found"),
        ("POST", "/v1/responses", b"{}", 404, "not_found"),
        ("POST", "/v1/messages/count_tokens", b"{}", 404, "not_found"),
        ("GET", "/v1/models/plain/nothing", b"", 404, "model_not_found"),
        ("POST", PATH, chat_body("deepseek/"), 404, "model_not_found"),
    ],
)
async def test_everything_wrong_gets_the_error_body(
    gateway: Running, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    answer = await ask(gateway.address, method, path, body)
    error = answer.json()
    assert (answer.status, error["error"]["code"]) == (status, code)
    assert error["request_id"] == answer.headers["x-request-id"]
    assert set(error["error"]) == {"message", "type", "param", "code"}
    assert {"provider", "retryable"} <= set(error)


async def test_a_body_beyond_the_bound_is_refused_before_it_is_read(gateway: Running) -> None:
    async with connected(gateway.address) as connection:
        connection.send("POST", PATH, b"", Content_Length="50000000")
        answer = await connection.answer()
    assert (answer.status, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close"


async def test_a_client_that_sends_all_of_a_body_that_is_too_large_is_told_so(gateway: Running) -> None:
    async with connected(gateway.address) as connection:
        connection.send("POST", PATH, b" " * 30_000_000)
        await connection.writer.drain()
        answer = await connection.answer()
        assert (answer.status, answer.json()["error"]["code"]) == (413, "request_too_large")
        assert await connection.reader.read() == b""


async def test_bytes_that_are_no_http_get_the_error_body(gateway: Running) -> None:
    async with connected(gateway.address) as connection:
        connection.writer.write(b"NONSENSE\r\n\r\n")
        answer = await connection.answer()
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_value")


async def test_a_foreign_page_may_not_ask_without_a_key(gateway: Running) -> None:
    body = chat_body("plain/sandbox/chat")
    answer = await ask(gateway.address, "POST", PATH, body, Origin="https://evil.example")
    assert (answer.status, answer.json()["error"]["code"]) == (403, "not_local")


async def test_the_log_has_one_line_for_each_request_and_no_content(gateway: Running) -> None:
    await ask_chat(gateway, "plain/sandbox/chat")
    await ask_chat(gateway, "plain/sandbox/chat", stream=True)
    await ask_chat(gateway, "plain/sandbox/error-500")
    lines = gateway.log.of("request")
    assert [line["status"] for line in lines] == ["ok", "ok", "error"]
    assert len({line["request_id"] for line in lines}) == 3
    assert "France" not in repr(gateway.log.lines)
    assert CREDENTIAL not in repr(gateway.log.lines)


@pytest.mark.parametrize("name", ["deepseek-chat", "deepseek-reasoner", "deepseek/deepseek-chat"])
async def test_a_retired_name_that_chat_takes_is_among_the_models(gateway: Running, name: str) -> None:
    found = await ask(gateway.address, "GET", f"/v1/models/{name}")
    assert (found.status, found.json()["id"], found.json()["provider"]) == (200, name, "deepseek")
    assert (await ask(gateway.address, "POST", PATH, chat_body(name))).status == 200
