"""Every error of the tables goes out with its status and body, in every place where an error can stand."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from llm_service.sandbox import Sandbox
from llm_service.sandbox.dialects.deepseek_errors import ERRORS as DEEPSEEK_ERRORS
from llm_service.sandbox.dialects.errors import ErrorCase
from llm_service.sandbox.dialects.openrouter_errors import ERRORS as OPENROUTER_ERRORS
from llm_service.sandbox.dialects.plain_errors import ERRORS as PLAIN_ERRORS
from tests.support.clock import ManualClock
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import CHATS, DEEPSEEK, OPENROUTER, PLAIN, chat, exchange, get, post

TABLES = {OPENROUTER: OPENROUTER_ERRORS, DEEPSEEK: DEEPSEEK_ERRORS, PLAIN: PLAIN_ERRORS}


def rows() -> Iterator[Any]:
    for path, table in TABLES.items():
        for name, case in table.items():
            yield pytest.param(path, name, case, id=f"{path.split('/')[1]}-{name}")


@pytest.mark.parametrize(("path", "name", "case"), tuple(rows()))
async def test_error_of_the_table(ask: Ask, path: str, name: str, case: ErrorCase) -> None:
    received = await ask(post(path, chat(f"sandbox/error-{name}", stream=True)))
    assert (received.status, received.headers["content-type"]) == (case.status, case.content_type)
    for header, _ in case.headers:
        assert received.headers[header]
    if not isinstance(case.body, str):
        assert received.json() is not None
        assert not re.search(rb"\{\w+\}|'None'", received.body)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (OPENROUTER, "400-model 400-context 401 401-missing 402-credits 402-max-tokens 403-key-limit 403-moderation "
         "403-region 404 404-privacy 404-filtered 408 413 422 429 429-2026 429-raw-json 429-free-daily 429-free-minute "
         "429-rpm 429-capacity 500 502 502-html 503 503-plain 524 529"),
        (DEEPSEEK, "400-model 400-reasoning-content 400-content-type 400-empty-assistant 400-octet-stream 401 "
         "401-format 401-no-user 402 422 429 429-tpm 429-rpm 500 503"),
        (PLAIN, "400 400-context 401 404 429 429-quota 500 503 400-vllm 400-gemini 400-mistral 422-mistral 400-groq "
         "400-azure-filter 400-llamacpp 503-llamacpp 404-ollama 500-string 422-fastapi"),
    ],
)  # fmt: skip
def test_documented_errors_are_there(path: str, names: str) -> None:
    assert set(names.split()) <= set(TABLES[path])


@pytest.mark.parametrize("name", [name for name in OPENROUTER_ERRORS if name not in ("502-html", "429-capacity")])
async def test_openrouter_repeats_the_status_as_code(ask: Ask, name: str) -> None:
    received = await ask(post(OPENROUTER, chat(f"sandbox/error-{name}")))
    assert received.json()["error"]["code"] == received.status


async def test_openrouter_capacity_error_has_another_number(ask: Ask) -> None:
    error = (await ask(post(OPENROUTER, chat("sandbox/error-429-capacity")))).json()["error"]
    assert "code" not in error
    assert (error["http_status"], error["availability"]["retry_after"]) == (429, 40)
    assert error["availability"]["requested_models"] == ["sandbox/error-429-capacity"]


async def test_openrouter_reset_is_in_epoch_milliseconds(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    received = await exchange(slow_sandbox.address, post(OPENROUTER, chat("sandbox/error-429-free-daily")))
    reset_ms = int(received.headers["x-ratelimit-reset"])
    assert 0 < reset_ms - clock.now().timestamp() * 1000 <= 24 * 3600 * 1000
    assert received.json()["error"]["metadata"]["headers"]["X-RateLimit-Reset"] == str(reset_ms)


async def test_deepseek_says_invalid_request_for_almost_everything(ask: Ask) -> None:
    codes = {
        (await ask(post(DEEPSEEK, chat(f"sandbox/error-{status}")))).json()["error"]["code"]
        for status in ("400", "401", "402", "422", "429")
    }
    assert codes == {"invalid_request_error"}


@pytest.mark.parametrize("path", CHATS)
@pytest.mark.parametrize("hint", ["7", "0.5", "Wed, 25 Nov 2026 12:00:00 GMT"])
async def test_retry_after_as_asked_for(ask: Ask, path: str, hint: str) -> None:
    received = await ask(post(path, chat("sandbox/chat", sandbox={"error": "503", "retry-after": hint})))
    assert received.headers["retry-after"] == hint
    assert received.head.lower().count(b"retry-after:") == 1


# Errors under status 200.


@pytest.mark.parametrize("path", CHATS)
@pytest.mark.parametrize("stream", [True, False])
async def test_error_in_a_200(ask: Ask, path: str, stream: bool) -> None:
    received = await ask(post(path, chat("sandbox/error-in-200", stream=stream)))
    assert (received.status, received.headers["content-type"]) == (200, "application/json")
    assert received.json()["error"]["message"]


@pytest.mark.parametrize("path", CHATS)
async def test_first_event_is_an_error(ask: Ask, path: str) -> None:
    received = await ask(post(path, chat("sandbox/error-first-429", stream=True)))
    (event,) = received.objects
    assert received.status == 200
    assert event["error"]["message"]
    assert received.body.startswith(b": ")
    assert b"[DONE]" not in received.body


async def test_openrouter_puts_the_error_beside_the_choices(ask: Ask) -> None:
    (event,) = (await ask(post(OPENROUTER, chat("sandbox/error-first-429", stream=True)))).objects
    assert event["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert (event["object"], event["error"]["code"]) == ("chat.completion.chunk", 429)


# Errors in mid-stream.


async def events(ask: Ask, form: str, path: str = OPENROUTER) -> list[Any]:
    return (await ask(post(path, chat(f"sandbox/{form}", "count to 20", stream=True)))).objects


async def test_documented_error_ends_the_stream(ask: Ask) -> None:
    *chunks, last = await events(ask, "error-mid+at-5")
    assert len(chunks) == 5
    assert last["error"] == {
        "message": "Provider disconnected unexpectedly",
        "code": 502,
        "metadata": {"error_type": "provider_unavailable"},
    }
    assert last["choices"][0]["finish_reason"] == "error"


async def test_code_may_be_a_string(ask: Ask) -> None:
    assert (await events(ask, "error-mid-string-code"))[-1]["error"]["code"] == "server_error"


async def test_error_after_two_finishes_takes_the_reason_back(ask: Ask) -> None:
    *_, first, second, last = await events(ask, "error-mid-after-finish")
    assert [chunk["choices"][0]["finish_reason"] for chunk in (first, second, last)] == ["length", "length", None]
    assert last["error"] == {"code": 400, "message": "Token limit reached"}
    assert last["usage"]["completion_tokens"] == 3


async def test_bare_finish_has_no_error_object(ask: Ask) -> None:
    *_, first, last = await events(ask, "error-mid-bare-finish")
    assert first["choices"][0]["native_finish_reason"] == "MALFORMED_FUNCTION_CALL"
    assert last["choices"][0]["finish_reason"] == "error"
    assert "error" not in last
    assert last["usage"]


async def test_groq_names_the_event(ask: Ask) -> None:
    body = (await ask(post(PLAIN, chat("sandbox/error-mid-groq", stream=True)))).body
    assert b'event: error\ndata: {"error":{' in body
    assert b"[DONE]" not in body


async def test_vllm_goes_on_to_done(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/error-mid-vllm", stream=True)))
    assert received.objects[-1]["error"]["code"] == 500
    assert received.events[-1] == b"[DONE]"


@pytest.mark.parametrize(("path", "name", "case"), tuple(rows()))
async def test_any_error_of_the_table_can_come_in_a_stream(ask: Ask, path: str, name: str, case: ErrorCase) -> None:
    first, mid = [
        (await ask(post(path, chat("sandbox/chat", "count to 9", stream=True, sandbox=form)))).objects[-1]["error"]
        for form in (f"error-first-{name}", f"error-mid-{name}+at-1")
    ]
    assert first == mid
    assert "message" in first or "detail" in first


async def test_error_in_a_choice_of_a_whole_answer(ask: Ask) -> None:
    received = await ask(post(OPENROUTER, chat("sandbox/error-mid-in-choice")))
    (choice,) = received.json()["choices"]
    assert (received.status, choice["finish_reason"]) == (200, "error")
    assert choice["error"]["code"] == 502
    assert choice["message"]["content"]


async def test_whole_answers_fail_before_they_begin(ask: Ask) -> None:
    assert (await ask(post(OPENROUTER, chat("sandbox/error-mid")))).status == 502


async def test_unknown_style_is_explained(ask: Ask) -> None:
    received = await ask(post(OPENROUTER, chat("sandbox/error-mid-quietly", stream=True)))
    assert received.status == 400
    assert "bare-finish" in received.json()["error"]["message"]


# Keys.


@pytest.mark.parametrize(
    ("path", "key", "status", "message"),
    [
        (OPENROUTER, None, 401, "Missing Authentication header"),
        (OPENROUTER, "sk-bad", 401, "User not found."),
        (OPENROUTER, "hello", 401, "User not found."),
        (OPENROUTER, "sk-broke", 402, "Insufficient credits"),
        (OPENROUTER, "sk-capped", 403, "Key limit exceeded"),
        (OPENROUTER, "sk-poor", 402, "can only afford 3395"),
        (DEEPSEEK, None, 401, "auth header format should be Bearer sk-..."),
        (DEEPSEEK, "sk-bad-0123", 401, "Your api key: ****0123 is invalid"),
        (DEEPSEEK, "sk-gone", 401, "no such user"),
        (DEEPSEEK, "sk-broke", 402, "Insufficient Balance"),
        (PLAIN, None, 401, "You didn't provide an API key"),
        (PLAIN, "sk-bad-0123456789", 401, "sk-bad-***6789"),
        (PLAIN, "sk-broke", 429, "exceeded your current quota"),
    ],
)
async def test_keys_in_trouble(ask: Ask, path: str, key: str | None, status: int, message: str) -> None:
    received = await ask(post(path, chat("sandbox/chat"), key=key))
    assert received.status == status
    assert message in received.json()["error"]["message"]


async def test_header_that_is_no_bearer(ask: Ask) -> None:
    received = await ask(post(OPENROUTER, chat("sandbox/chat"), key=None, headers={"authorization": "Basic abc"}))
    assert received.json()["error"]["message"] == "No auth credentials found"


async def test_local_server_wants_no_key(ask: Ask) -> None:
    assert (await ask(post("/local/v1/chat/completions", chat("sandbox/chat"), key=None))).status == 200
    assert (await ask(get("/openai/v1/health", key=None))).status == 200


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (OPENROUTER, 400, "no/such-model is not a valid model ID"),
        (
            DEEPSEEK,
            400,
            "The supported API model names are deepseek-flash, deepseek-v4-pro, but you passed no/such-model.",
        ),
        (PLAIN, 404, "The model `no/such-model` does not exist or you do not have access to it."),
    ],
)
async def test_unknown_models(ask: Ask, path: str, status: int, message: str) -> None:
    received = await ask(post(path, chat("no/such-model")))
    assert (received.status, received.json()["error"]["message"]) == (status, message)


@pytest.mark.parametrize("path", CHATS)
async def test_unknown_paths(ask: Ask, path: str) -> None:
    assert (await ask(get(path + "/nothing"))).status == 404
    assert (await ask(get(path))).status == 404
