"""One error of an upstream is the same error with us, whether it comes as a status, in a 200 or inside a stream."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest

from llm_service.domain import LLMServiceError
from llm_service.providers import Dialect, ProviderOptions, dialect_for
from llm_service.sandbox.dialects.errors import ErrorCase, error_in, filled
from tests.support.behaviours import ERRORS
from tests.support.clock import ManualClock
from tests.support.transcripts import a_call

KINDS = {"openrouter": "openrouter", "deepseek": "deepseek", "plain": "openai_compatible"}
NAMED = {
    "model": "gpt-x",
    "message": "temperature must be at most 2",
    "param": "temperature",
    "detail": "x",
    "tail": "cd15",
    "hint": "sk-1",
    "method": "POST",
    "path": "/v1/x",
    "call_id": "call-a",
    "id": "gen-1",
    "minute_ms": "1795393020000",
    "day_ms": "1795500000000",
    **dict.fromkeys(("context", "asked", "input", "output", "index"), 7),
}
NO_JSON = "a body of status 200 that is no JSON is no answer, and the gateway looks for no error in it"
EMPTY = "an empty body says nothing at all"
UNTOLD: Mapping[tuple[str, str], str] = {
    ("openrouter", "502-html in a 200"): NO_JSON,
    ("deepseek", "413 in a 200"): NO_JSON,
    ("deepseek", "502 in a 200"): NO_JSON,
    ("deepseek", "504 in a 200"): NO_JSON,
    ("plain", "502 in a 200"): NO_JSON,
    ("plain", "504 in a 200"): NO_JSON,
    ("plain", "500-text in a 200"): NO_JSON,
    **{
        ("deepseek", f"{name} {form}"): EMPTY
        for name in ("404", "path")
        for form in ("in a 200", "first", "mid", "in a choice")
    },
}
"""Where the body alone cannot tell what the status does."""


@pytest.mark.parametrize("provider", KINDS)
def test_an_error_is_the_same_in_every_form_of_the_sandbox(provider: str) -> None:
    dialect = dialect_for(provider, ProviderOptions(kind=KINDS[provider]), ManualClock())  # type: ignore[arg-type]
    differing = {
        (provider, f"{name} {form}"): (meant, told)
        for name, case in ERRORS[provider].items()
        for form, meant, told in compared(dialect, case)
        if told != meant
    }
    untold = {place for place in UNTOLD if place[0] == provider}
    assert {place: differing[place] for place in differing.keys() - untold} == {}
    assert untold <= differing.keys()


Meaning = tuple[str, bool]


def compared(dialect: Dialect, case: ErrorCase) -> Iterator[tuple[str, Meaning, Meaning]]:
    """Each form's name, what the error is as a status, and what it is in that form."""
    body = filled(case.body, NAMED)
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    meant = meaning(dialect.error(case.status, dict(case.headers), raw))
    error = error_in(body)
    yield "in a 200", meant, raised(lambda: dialect.answer(raw, a_call()))
    yield "first", meant, raised(lambda: read(dialect, {"error": error}))
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    yield "mid", meant, raised(lambda: read(dialect, {"id": "a", "error": error, "choices": [choice]}))
    yield "in a choice", meant, raised(lambda: read(dialect, {"id": "a", "choices": [{**choice, "error": error}]}))


def read(dialect: Dialect, event: dict[str, Any]) -> None:
    dialect.reader(a_call(stream=True)).read(orjson.dumps(event))


def raised(act: Callable[[], object]) -> Meaning:
    with pytest.raises(LLMServiceError) as caught:
        act()
    return meaning(caught.value)


def meaning(error: LLMServiceError) -> Meaning:
    return error.code, error.retryable


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"error": {"message": "no", "code": "429"}}, "upstream_rate_limited"),
        ({"error": {"message": "no"}, "status_code": 401}, "upstream_auth_failed"),
        ({"error": "<html><title>413 Request Entity Too Large</title></html>"}, "request_too_large"),
        ({"message": "Requests rate limit exceeded"}, "upstream_rate_limited"),
        ({"detail": "Not Found"}, "upstream_error"),
        ({"error": {"message": "no", "type": "permission_error"}}, "upstream_auth_failed"),
        ({"error": {"message": "model: x", "type": "not_found_error"}}, "model_not_found"),
    ],
)
def test_an_event_without_choices_that_names_an_error_is_one(event: dict[str, Any], code: str) -> None:
    dialect = dialect_for("plain", ProviderOptions(), ManualClock())
    assert raised(lambda: read(dialect, event))[0] == code


def test_the_gateways_credential_is_never_called_a_fault_of_the_caller() -> None:
    dialect = dialect_for("plain", ProviderOptions(), ManualClock())
    told = {"error": {"message": "You didn't provide an API key. secret", "type": "invalid_request_error"}}
    with pytest.raises(LLMServiceError) as caught:
        read(dialect, told)
    assert (caught.value.code, "secret" in caught.value.message) == ("upstream_auth_failed", False)


@pytest.mark.parametrize("body", [{"choices": [], "message": "a"}, {"data": [], "detail": "a"}, {"message": {}}])
def test_a_message_beside_an_answer_is_no_error(body: dict[str, Any]) -> None:
    dialect = dialect_for("plain", ProviderOptions(), ManualClock())
    dialect.reader(a_call(stream=True)).read(orjson.dumps(body))
