"""The examples of the OpenAPI description work as they stand, and the answers are as it describes them."""

from functools import cache
from typing import Any

import jsonschema
import orjson
import pytest

from llm_service.api.rest.docs import FILES
from llm_service.api.rest.openapi import openapi_document
from llm_service.api.server import EVERY_RESPONSE
from tests.support.rest import Answer, ask, events_of
from tests.support.service import Running

# Of HTTP itself, and of every stream.
OF_BROWSERS = {name.decode() for name, _ in EVERY_RESPONSE}
OF_HTTP = {
    "date",
    "content-type",
    "content-length",
    "transfer-encoding",
    "cache-control",
    "x-accel-buffering",
} | OF_BROWSERS
CHUNKS = {"/v1/chat/completions": "ChatCompletionChunk", "/v1/completions": "Completion"}


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(orjson.dumps(openapi_document("1.2.3", page_files=tuple(FILES))))
    return loaded


def validate(value: object, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**document(), **schema}).validate(value)


def examples(*, streaming: bool = False) -> list[Any]:
    posts = [(path, item["post"]) for path, item in document()["paths"].items() if "post" in item]
    posts = [(path, post) for path, post in posts if post["tags"] == ["Generate"]]
    return [
        pytest.param(path, example["value"], id=f"{path}-{name}")
        for path, post in posts
        if path in CHUNKS or not streaming
        for name, example in post["requestBody"]["content"]["application/json"]["examples"].items()
    ]


async def ask_example(gateway: Running, path: str, body: dict[str, Any]) -> tuple[Answer, dict[str, Any]]:
    answer = await ask(gateway.address, "POST", path, orjson.dumps(body))
    assert answer.status == 200, answer.body
    return answer, document()["paths"][path]["post"]["responses"]["200"]


@pytest.mark.parametrize(("path", "body"), examples())
async def test_an_example_is_answered_as_described(gateway: Running, path: str, body: dict[str, Any]) -> None:
    answer, described = await ask_example(gateway, path, body)
    assert answer.headers.keys() - OF_HTTP <= described["headers"].keys()
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in described["content"]
    if media_type == "application/json":
        validate(answer.json(), described["content"][media_type]["schema"])


@pytest.mark.parametrize(("path", "body"), examples(streaming=True))
async def test_an_example_as_a_stream_comes_in_chunks_as_described(
    gateway: Running, path: str, body: dict[str, Any]
) -> None:
    answer, _ = await ask_example(gateway, path, {**body, "stream": True})
    *chunks, done = events_of(answer.body)
    assert done == "[DONE]"
    assert chunks[-1]["llm"]["stream_id"] == answer.headers["x-llm-stream-id"]
    for chunk in chunks:
        validate(chunk, {"$ref": f"#/components/schemas/{CHUNKS[path]}"})


@pytest.mark.parametrize("path", ["/", "/v1/models", "/models", "/health", "/health/live", "/readyz", "/openapi.json"])
async def test_what_is_read_is_as_described(gateway: Running, path: str) -> None:
    answer = await ask(gateway.address, "GET", path)
    described = document()["paths"][path]["get"]["responses"]["200"]
    assert answer.headers.keys() - OF_HTTP <= described["headers"].keys()
    validate(answer.json(), described["content"]["application/json"]["schema"])


async def test_the_models_of_the_examples_are_in_the_list(gateway: Running) -> None:
    listed = (await ask(gateway.address, "GET", "/v1/models")).json()["data"]
    asked = {body["model"] for path, body in (example.values for example in examples(streaming=True))}
    assert asked <= {model["id"] for model in listed}


async def test_an_error_in_a_stream_is_as_described(gateway: Running) -> None:
    body = {"model": "plain/sandbox/cut-after-3", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    answer = await ask(gateway.address, "POST", "/v1/chat/completions", orjson.dumps(body))
    *_, last = events_of(answer.body)
    assert last["error"]["code"] == "stream_interrupted"
    validate(last, {"$ref": "#/components/schemas/StreamError"})
