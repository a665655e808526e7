"""Errors of upstreams: one normal form, one verdict, one clean message, and how long to wait."""

from typing import Any

import orjson
import pytest

from llm_service.domain import LLMServiceError, UpstreamNoBalance
from llm_service.providers import ProviderOptions, dialect_for
from llm_service.providers.complaints import Complaint, clean, complaint, complaint_of, inner_message
from llm_service.providers.failures import verdict
from llm_service.providers.hints import MAX_WAIT_S, retry_after_s
from tests.support.clock import ManualClock
from tests.support.transcripts import a_call

NOW_S = 1_795_393_000.0


def error(status: int, body: Any = None, server: str = "generic", **headers: str) -> LLMServiceError:
    raw = body if isinstance(body, bytes) else orjson.dumps({"error": {"message": "no"}} if body is None else body)
    return dialect_for(server, ProviderOptions(), ManualClock()).error(status, headers, raw)


STATUSES = """
204 upstream_invalid_response retry
301 upstream_invalid_response
308 upstream_invalid_response
400 invalid_value
401 upstream_auth_failed
402 upstream_no_balance
403 upstream_auth_failed
404 upstream_error
405 upstream_error
408 upstream_timeout retry
409 upstream_error retry
413 request_too_large
418 upstream_error
422 invalid_value
429 upstream_rate_limited retry
498 upstream_error retry
500 upstream_error retry
502 upstream_error retry
503 upstream_error retry
504 upstream_timeout retry
524 upstream_timeout retry
529 upstream_error retry
599 upstream_error retry
"""


@pytest.mark.parametrize("row", STATUSES.split("\n")[1:-1])
def test_status_decides_where_no_word_does(row: str) -> None:
    status, code, *retry = row.split()
    told = error(int(status))
    assert (told.code, told.retryable) == (code, bool(retry))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"error": {"message": "a"}}, "a"),
        ({"error": "a"}, "a"),
        ([{"error": {"message": "a"}}], "a"),
        ({"message": "a"}, "a"),
        ({"object": "error", "message": "a"}, "a"),
        ({"detail": "a"}, "a"),
        ({"detail": [{"loc": ["body", "x", 0], "msg": "a"}, "b"]}, "x.0: a; b"),
        ({"message": {"detail": [{"loc": ["body"], "msg": "a"}]}}, "a"),
        ({"error": {"message": {"message": "a"}}}, "a"),
        ("a", "a"),
        ({}, ""),
        (None, ""),
        ([], ""),
        ({"error": {"message": 5}}, ""),
    ],
)
def test_every_envelope_has_one_message_in_it(told: Any, message: str) -> None:
    assert complaint(told, 400).message == message


def test_body_is_parsed_by_what_it_is() -> None:
    assert complaint_of(400, b'\n {"error": "a"}').message == "a"
    assert complaint_of(400, b"plain \xff text").message == "plain \ufffd text"


@pytest.mark.parametrize("told", [{"code": 429}, {"http_status": 429}, {"status_code": 429}, {"raw_status_code": 429}])
def test_status_inside_an_answer_is_taken_from_the_error(told: dict[str, int]) -> None:
    assert complaint({"error": {"message": "a", **told}}).status == 429


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\x00\x1b[31m", "two lines [31m"),
        ("<html><body>Bad Gateway</body></html>", ""),
        ("a < b and b > c", "a < b and b > c"),
        ("key sk-or-v1-0123456789abcdef is bad", "key *** is bad"),
        ("Your api key: ****cd15 is invalid", "Your api key: *** is invalid"),
        ("sent Bearer abcdef0123456789", "sent ***"),
        ("half \ud83d", "half"),
        ("x" * 501, "x" * 497 + "..."),
    ],
)
def test_message_is_made_fit_to_be_shown(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize("raw", ["a", '{"error": {"message": "a"}}', {"message": "a"}, '{"detail": "a"}'])
def test_message_of_the_provider_behind_is_found_in_any_form(raw: Any) -> None:
    assert inner_message(raw) == "a"


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502])
def test_upstreams_own_words_stay_out_of_what_is_not_the_callers_fault(status: int) -> None:
    assert "secret words" not in error(status, {"error": {"message": "secret words"}}).message


def test_error_without_a_word_says_that_at_least() -> None:
    assert error(400, b"").message == "The provider refused the request (status 400)."


@pytest.mark.parametrize(
    ("headers", "detail", "wait_s"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, {}, 1.5),
        ({"retry-after": "9"}, {"availability": {"retry_after": 7}}, 9.0),
        ({"retry-after": "0.5"}, {}, 0.5),
        ({"retry-after": "Mon, 23 Nov 2026 00:17:00 GMT"}, {}, 20.0),
        ({"retry-after": "Mon, 23 Nov 2026 00:00:00 GMT"}, {}, 0.0),
        ({}, {"availability": {"retry_after": 7}}, 7.0),
        ({"x-ratelimit-reset": str(int(NOW_S * 1000) + 5_000)}, {}, 5.0),
        ({}, {"metadata": {"headers": {"X-RateLimit-Reset": str(int(NOW_S * 1000) + 5_000)}}}, 5.0),
        ({}, {"metadata": {"headers": {"Retry-After": "4"}}}, 4.0),
        ({}, {"details": [{"@type": "x"}, {"retryDelay": "17.5s"}]}, 17.5),
        ({"retry-after": "1e12"}, {}, MAX_WAIT_S),
        ({"x-ratelimit-reset": "60"}, {}, None),
        ({"x-ratelimit-reset": str(int(NOW_S * 1000) - 5_000)}, {}, None),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "-1"}, {"metadata": {"headers": "x"}, "details": [1]}, None),
        ({"retry-after-ms": "nan", "retry-after": "inf"}, {"details": [{"retryDelay": 5}]}, None),
    ],
)
def test_wait_is_taken_from_the_exactest_hint(
    headers: dict[str, str], detail: dict[str, Any], wait_s: float | None
) -> None:
    assert retry_after_s(Complaint(status=429, detail=detail), headers, NOW_S) == wait_s


def test_wait_of_more_than_an_hour_is_not_worth_a_retry() -> None:
    assert error(429, **{"retry-after": "3600"}).retryable
    assert not error(429, **{"retry-after": "3601"}).retryable


def test_word_says_more_than_the_status() -> None:
    quota = error(429, {"error": {"message": "no", "type": "insufficient_quota"}})
    assert (quota.code, quota.retryable) == ("upstream_no_balance", False)
    assert error(400, {"error": {"code": "context_length_exceeded"}}).code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("authentication_error", "upstream_auth_failed"),
        ("rate_limit_error", "upstream_rate_limited"),
        ("invalid_request_error", "invalid_value"),
        ("unheard_of", "invalid_value"),
    ],
)
def test_exact_word_goes_before_the_common_one_where_no_status_tells(kind: str, code: str) -> None:
    told = complaint({"error": {"message": "no", "type": kind, "code": "invalid_request_error"}})
    assert verdict(told).error.code == code


def test_prompt_too_long_for_together_is_a_403_with_a_text() -> None:
    told = {"error": {"message": "Input and max_new_tokens must not exceed 8193 tokens."}}
    assert error(403, told).code == "context_length_exceeded"


def test_deepseeks_empty_account_is_known_by_its_text_where_no_status_tells() -> None:
    told = b'{"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}'
    dialect = dialect_for("deepseek", ProviderOptions(kind="deepseek"), ManualClock())
    with pytest.raises(UpstreamNoBalance):
        dialect.answer(told, a_call())


@pytest.mark.parametrize("text", ["The model `x` does not exist", "model 'x' not found", "No endpoints found for x"])
def test_404_is_the_models_where_it_speaks_of_one_and_the_addresss_elsewhere(text: str) -> None:
    assert error(404, {"error": {"message": text}}).code == "model_not_found"
    assert "base_url" in error(404, {"detail": "Not Found"}).message
