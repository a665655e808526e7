"""The table of errors covers the tree, and docs/errors.md says the same as the code."""

import re
from pathlib import Path

import pytest

from llm_service.api.errors import TABLE, error_headers, error_object, spoken
from llm_service.api.rest.openapi.codes import FAILURES, STREAM_FAILURES
from llm_service.domain import CallerError, LLMServiceError, UpstreamError, UpstreamRateLimited
from tests.unit.api.error_tree import classes, coded_errors, error_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "errors.md"
ROW = re.compile(r"^\| (\d{3}|in a stream) \| `(\w+)` \| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def rows() -> list[tuple[str, ...]]:
    return ROW.findall(DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", [*classes()], ids=lambda kind: kind.__name__)
def test_every_class_has_a_row_of_its_own_or_of_a_class_above_it(kind: type[LLMServiceError]) -> None:
    error = error_of(kind)
    assert spoken(error) == next(TABLE[ancestor] for ancestor in kind.__mro__ if ancestor in TABLE)
    assert kind is LLMServiceError or spoken(error) != TABLE[LLMServiceError] or error.code == "internal_error"


@pytest.mark.parametrize("kind", [*classes()], ids=lambda kind: kind.__name__)
def test_a_callers_error_is_a_4xx_and_no_other_is(kind: type[LLMServiceError]) -> None:
    status = spoken(error_of(kind)).status
    assert (400 <= status < 500) == (issubclass(kind, CallerError) or kind is UpstreamRateLimited)


@pytest.mark.parametrize("kind", [*classes(UpstreamError)], ids=lambda kind: kind.__name__)
def test_a_providers_refusal_of_our_credential_is_never_a_401(kind: type[LLMServiceError]) -> None:
    assert spoken(error_of(kind)).status not in {401, 402, 403}


def test_every_code_is_explained_once() -> None:
    explained = [failure.code for failure in (*FAILURES, *STREAM_FAILURES)]
    assert sorted(explained) == sorted({error.code for error in coded_errors()})


def test_what_is_explained_has_the_status_and_the_type_that_are_sent() -> None:
    for failure in (*FAILURES, *STREAM_FAILURES):
        assert failure.spoken == spoken(error_of(failure.error))


def test_the_document_has_the_row_of_every_code() -> None:
    told = [(str(failure.spoken.status), failure) for failure in FAILURES]
    told += [("in a stream", failure) for failure in STREAM_FAILURES]
    assert rows() == [(where, f.spoken.type, f.code, f.meaning, f.advice) for where, f in told]


def test_the_body_has_the_form_of_the_contract() -> None:
    error = UpstreamRateLimited("Too many.", provider="deepseek", param="model", retry_after_s=2)
    assert error_object(error, request_id="req_1") == {
        "error": {
            "message": "Too many.",
            "type": "rate_limit_error",
            "param": "model",
            "code": "upstream_rate_limited",
        },
        "request_id": "req_1",
        "provider": "deepseek",
        "retryable": True,
    }


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (UpstreamRateLimited("no"), {"x-should-retry": "true"}),
        (UpstreamRateLimited("no", retryable=False, retry_after_s=3), {"x-should-retry": "false"}),
        (
            UpstreamRateLimited("no", retry_after_s=1.2),
            {"x-should-retry": "true", "retry-after": "2", "retry-after-ms": "1200"},
        ),
        (
            UpstreamRateLimited("no", retry_after_s=0),
            {"x-should-retry": "true", "retry-after": "1", "retry-after-ms": "1"},
        ),
        (CallerError("no"), {}),
    ],
)
def test_headers_tell_whether_and_when_to_try_again(error: LLMServiceError, headers: dict[str, str]) -> None:
    assert {name.decode(): value.decode() for name, value in error_headers(error)} == headers
