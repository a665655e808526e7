"""The OpenAPI description says what the code does: addresses, fields, errors, headers."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema
import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from llm_service.api.errors import error_headers, error_object, spoken
from llm_service.api.rest.docs import FILES
from llm_service.api.rest.openapi import openapi_document
from llm_service.api.rest.routes import HOT_ROUTES
from llm_service.domain import (
    Body,
    LLMServiceError,
    ModelRequest,
    chat,
    chat_request,
    completion_request,
    embedding_request,
    messages,
)
from tests.support.control import client_of, parts_of
from tests.support.rest import events_of
from tests.unit.api.error_tree import coded_errors

HELLO = [{"role": "user", "content": "hello"}]
BODIES: dict[str, tuple[Callable[[Body], ModelRequest], dict[str, Any]]] = {
    "ChatRequest": (chat_request, {"model": "m", "messages": HELLO}),
    "CompletionRequest": (completion_request, {"model": "m", "prompt": "p"}),
    "EmbeddingRequest": (embedding_request, {"model": "m", "input": "i"}),
}
CHECKED = {
    name: {field for field, check in fields.items() if check is not None}
    for name, fields in {
        "ChatRequest": chat._CHAT_FIELDS,
        "CompletionRequest": chat._COMPLETION_FIELDS,
        "EmbeddingRequest": chat._EMBEDDING_FIELDS,
    }.items()
}
VALUES = [None, "text", "", " ", 3, 0, -1, 0.5, True, False, [], ["a"], [{}], [" "], {}, {"include_usage": True}]


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(orjson.dumps(openapi_document("1.2.3", page_files=tuple(FILES))))
    return loaded


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def schema(name: str) -> jsonschema.Draft202012Validator:
    """A validator for one of the document's schemas."""
    whole = {**document(), "$ref": f"#/components/schemas/{name}"}
    return jsonschema.Draft202012Validator(whole)


# -- the whole


def test_the_document_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(document()).validate()


async def test_it_is_served_as_json_with_the_version_of_the_service() -> None:
    response = await client_of(parts_of()).get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == document()


# -- addresses


def test_every_route_is_described_and_nothing_else() -> None:
    served = {(path, "post") for path in HOT_ROUTES}
    served |= {(route.path.replace(":path}", "}"), route.method.lower()) for route in parts_of().routes}
    assert {(path, method) for path, method, _ in operations()} == served


def test_exactly_the_open_routes_are_described_as_open() -> None:
    served = {route.path for route in parts_of().routes if route.access == "open"}
    assert {path for path, _, operation in operations() if operation.get("security") == []} == served


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for *_, operation in operations()]
    assert len(set(names)) == len(names)


def test_the_files_of_the_page_are_named() -> None:
    (name,) = document()["paths"]["/docs/{name}"]["parameters"]
    assert name["schema"]["enum"] == [*FILES]


# -- requests


@pytest.mark.parametrize("name", BODIES)
def test_every_field_that_is_looked_at_is_described_and_no_other(name: str) -> None:
    assert document()["components"]["schemas"][name]["properties"].keys() == CHECKED[name]


def accepted(parse: Callable[[Body], ModelRequest], body: Body) -> bool:
    try:
        parse(body)
    except LLMServiceError:
        return False
    return True


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_field_is_described_as_it_is_checked(name: str, value: object) -> None:
    parse, body = BODIES[name]
    fields = CHECKED[name] - {"model"}
    bodies = {field: {**body, field: value} for field in fields}
    described = {field: schema(name).is_valid(bodies[field]) for field in fields}
    assert described == {field: accepted(parse, bodies[field]) for field in fields}


@pytest.mark.parametrize("value", [value for value in VALUES if value is not None], ids=repr)
def test_the_model_is_described_as_it_is_checked(value: object) -> None:
    body = {"model": value, "messages": HELLO}
    assert schema("ChatRequest").is_valid(body) == accepted(chat_request, body)


@pytest.mark.parametrize("value", [*VALUES, *messages.ROLES], ids=repr)
@pytest.mark.parametrize("field", ["role", "content", "tool_calls"])
def test_a_message_is_described_as_it_is_checked(field: str, value: object) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello", field: value}]}
    assert schema("ChatRequest").is_valid(body) == accepted(chat_request, body)


@pytest.mark.parametrize("path", HOT_ROUTES)
def test_the_examples_are_requests_as_described(path: str) -> None:
    body = document()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    name = body["schema"]["$ref"].rpartition("/")[2]
    for example in body["examples"].values():
        schema(name).validate(example["value"])
        HOT_ROUTES[path](example["value"])


# -- answers


@pytest.mark.parametrize(
    ("path", "name"), [("/v1/chat/completions", "ChatCompletionChunk"), ("/v1/completions", "Completion")]
)
def test_the_streams_shown_are_made_of_chunks_as_described(path: str, name: str) -> None:
    content = document()["paths"][path]["post"]["responses"]["200"]["content"]
    *chunks, done = events_of(content["text/event-stream"]["example"].encode())
    assert done == "[DONE]"
    for chunk in chunks:
        schema(name).validate(chunk)


# -- errors


@pytest.mark.parametrize("error", coded_errors(), ids=lambda error: error.code)
def test_every_error_has_the_form_that_is_described(error: LLMServiceError) -> None:
    body = error_object(error, request_id="req_1")
    schema("StreamError").validate({**body, "stream_id": "str_1"})


@pytest.mark.parametrize("error", coded_errors(in_streams_only=False), ids=lambda error: error.code)
def test_every_code_is_described_under_its_status(error: LLMServiceError) -> None:
    body = error_object(error, request_id="req_1")
    under = [status for status in statuses() if response_schema(status).is_valid(body)]
    assert under == [status_of(error)]


@pytest.mark.parametrize("error", coded_errors(in_streams_only=True), ids=lambda error: error.code)
def test_what_only_a_stream_can_say_is_described_nowhere_else(error: LLMServiceError) -> None:
    body = error_object(error, request_id="req_1")
    assert not schema("Error").is_valid(body)
    assert f"`{error.code}`" in document()["info"]["description"].partition("in streams also")[2]


@pytest.mark.parametrize("error", coded_errors(in_streams_only=False), ids=lambda error: error.code)
def test_the_headers_of_an_error_are_described(error: LLMServiceError) -> None:
    error.retry_after_s = 1.5
    sent = {name.decode() for name, _ in error_headers(error)}
    described = document()["components"]["responses"][f"Error{status_of(error)}"]["headers"].keys()
    assert sent <= described


@pytest.mark.parametrize("path", HOT_ROUTES)
def test_a_hot_route_can_fail_in_every_way_but_a_wrong_method(path: str) -> None:
    responses = document()["paths"][path]["post"]["responses"]
    assert {int(status) for status in responses} == {200, *statuses()} - {405}


def statuses() -> list[int]:
    return [int(name.removeprefix("Error")) for name in document()["components"]["responses"]]


def status_of(error: LLMServiceError) -> int:
    return spoken(error).status


def response_schema(status: int) -> jsonschema.Draft202012Validator:
    response = document()["components"]["responses"][f"Error{status}"]
    return jsonschema.Draft202012Validator({**document(), **response["content"]["application/json"]["schema"]})
