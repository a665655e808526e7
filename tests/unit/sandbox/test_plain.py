"""What the plain dialect does as OpenAI does, and where it plays one of the imitators."""

import base64
import struct
from typing import Any

import pytest

from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import PLAIN, Received, chat, get, post

EMBEDDINGS = "/openai/v1/embeddings"
CHUNK_KEYS = {"id", "object", "created", "model", "service_tier", "system_fingerprint", "choices"}


async def sent(ask: Ask, model: str = "gpt-4o-mini", prompt: str = "Tell me about rivers.", **fields: Any) -> Received:
    return await ask(post(PLAIN, chat(model, prompt, **fields)))


async def test_whole_answer_has_openais_keys(ask: Ask) -> None:
    received = await sent(ask)
    body = received.json()
    assert set(body) == CHUNK_KEYS | {"usage"}
    assert set(body["choices"][0]) == {"index", "message", "logprobs", "finish_reason"}
    assert set(body["choices"][0]["message"]) == {"role", "content", "refusal", "annotations"}
    assert body["id"].startswith("chatcmpl-")
    assert received.headers["x-request-id"].startswith("req_")


async def test_stream_has_openais_order(ask: Ask) -> None:
    chunks = (await sent(ask, prompt="count to 3", stream=True)).objects
    assert all(set(chunk) == CHUNK_KEYS for chunk in chunks)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in chunks[1:-1])
    assert (chunks[-1]["choices"][0]["delta"], chunks[-1]["choices"][0]["finish_reason"]) == ({}, "stop")


async def test_reasoning_models_think_in_silence(ask: Ask) -> None:
    body = (await sent(ask, "o4-mini")).json()
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert set(body["choices"][0]["message"]) == {"role", "content", "refusal", "annotations"}
    assert b"reasoning_content" not in (await sent(ask, "o4-mini", stream=True)).body


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_thoughts_in_either_field(ask: Ask, field: str) -> None:
    model = f"sandbox/reasoning-field-{field}"
    thought = (await sent(ask, model)).json()["choices"][0]["message"][field]
    deltas = [chunk["choices"][0]["delta"] for chunk in (await sent(ask, model, stream=True)).objects]
    assert "".join(delta.get(field, "") for delta in deltas) == thought != ""


async def test_thoughts_in_tags(ask: Ask) -> None:
    body = (await sent(ask, "sandbox/reasoning-field-think-tags")).json()
    assert body["choices"][0]["message"]["content"].startswith("<think>")
    assert "</think>" in body["choices"][0]["message"]["content"]


async def test_thoughts_as_mistrals_list_content(ask: Ask) -> None:
    model = "sandbox/reasoning-field-mistral"
    content = (await sent(ask, model)).json()["choices"][0]["message"]["content"]
    deltas = [chunk["choices"][0]["delta"] for chunk in (await sent(ask, model, stream=True)).objects]
    kinds = [type(delta["content"]) for delta in deltas[1:-1]]
    assert [part["type"] for part in content] == ["thinking", "text"]
    assert kinds == sorted(kinds, key=lambda kind: kind is str)
    assert set(kinds) == {list, str}


async def test_reasoning_only(ask: Ask) -> None:
    message = (await sent(ask, "sandbox/reasoning-only")).json()["choices"][0]["message"]
    assert (message["content"], bool(message["reasoning_content"])) == ("", True)


async def test_azure_begins_with_an_event_without_choices(ask: Ask) -> None:
    first, second, *_ = (await sent(ask, "sandbox/azure-start", stream=True)).objects
    assert (first["choices"], first["id"], first["created"]) == ([], "", 0)
    assert second["choices"][0]["delta"]["role"] == "assistant"


async def test_padding_against_traffic_analysis(ask: Ask) -> None:
    chunks = (await sent(ask, "sandbox/obfuscation", stream=True)).objects
    assert all(isinstance(chunk["obfuscation"], str) for chunk in chunks)


async def test_empty_answer(ask: Ask) -> None:
    assert (await sent(ask, "sandbox/no-content")).json()["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 1000}, "n"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": 7}, "stop"),
        ({"temperature": 3}, "temperature"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"response_format": {"type": "json_object"}}, "messages"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 3}}]}, "tools[0].function.parameters"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"stream": "yes"}, "stream"),
    ],
)
async def test_refusals_name_the_field(ask: Ask, fields: Any, param: str) -> None:
    received = await sent(ask, **fields)
    assert (received.status, received.json()["error"]["param"]) == (400, param)


async def test_strict_refuses_what_openai_does_not_know(ask: Ask) -> None:
    error = (await sent(ask, "sandbox/strict", colour="red")).json()["error"]
    assert (error["code"], error["param"]) == ("unknown_parameter", "colour")
    assert (await sent(ask, "sandbox/strict", seed=1)).status == 200


async def test_structured_answers_fit_their_schema(ask: Ask) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 30, "maximum": 31}},
        "required": ["age"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    content = (await sent(ask, response_format=wanted)).json()["choices"][0]["message"]["content"]
    assert content in ('{"age":30}', '{"age":31}')


async def test_models_and_health(ask: Ask) -> None:
    body = (await ask(get("/openai/v1/models"))).json()
    assert body["object"] == "list"
    assert {"id", "object", "created", "owned_by"} == set(body["data"][0])
    assert (await ask(get("/local/v1/health", key=None))).json() == {"status": "ok"}


# Legacy completions.


async def test_each_prompt_has_its_choices(ask: Ask) -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": ["echo: one", "echo: two"], "n": 2}
    choices = (await ask(post("/openai/v1/completions", body))).json()["choices"]
    assert [(choice["index"], choice["text"]) for choice in choices] == [(0, "one"), (1, "one"), (2, "two"), (3, "two")]


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]], "text"])
async def test_prompts_may_be_token_ids(ask: Ask, prompt: Any) -> None:
    assert (await ask(post("/openai/v1/completions", {"model": "sandbox/chat", "prompt": prompt}))).status == 200


async def test_echo_and_logprobs(ask: Ask) -> None:
    body = {"model": "sandbox/chat", "prompt": "echo: a b", "echo": True, "logprobs": 1}
    choice = (await ask(post("/openai/v1/completions", body))).json()["choices"][0]
    streamed = (await ask(post("/openai/v1/completions", {**body, "stream": True}))).objects
    assert choice["text"] == "echo: a ba b"
    assert "".join(chunk["choices"][0]["text"] for chunk in streamed) == choice["text"]
    assert choice["logprobs"]["tokens"] == ["a", " b"]
    assert choice["logprobs"]["text_offset"] == [0, 1]


async def test_each_prompt_is_echoed_in_its_own_choices(ask: Ask) -> None:
    body = {"model": "sandbox/no-content", "prompt": ["one", "two"], "echo": True, "n": 2}
    choices = (await ask(post("/openai/v1/completions", body))).json()["choices"]
    assert [choice["text"] for choice in choices] == ["one", "one", "two", "two"]


@pytest.mark.parametrize("prompt", [None, [], [None], {"a": 1}])
async def test_prompts_that_are_none(ask: Ask, prompt: Any) -> None:
    received = await ask(post("/openai/v1/completions", {"model": "sandbox/chat", "prompt": prompt}))
    assert (received.status, received.json()["error"]["param"]) == (400, "prompt")


# Embeddings.


async def embedded(ask: Ask, given: Any, **fields: Any) -> Any:
    return (await ask(post(EMBEDDINGS, {"model": "text-embedding-3-small", "input": given, **fields}))).json()


async def test_vectors_have_the_models_length_and_are_normalised(ask: Ask) -> None:
    body = await embedded(ask, "hello")
    vector = body["data"][0]["embedding"]
    assert (body["object"], len(vector)) == ("list", 1536)
    assert sum(value * value for value in vector) == pytest.approx(1, abs=1e-4)


async def test_base64_holds_the_same_floats(ask: Ask) -> None:
    floats = (await embedded(ask, "hello", dimensions=64))["data"][0]["embedding"]
    encoded = (await embedded(ask, "hello", dimensions=64, encoding_format="base64"))["data"][0]["embedding"]
    assert struct.unpack("<64f", base64.b64decode(encoded)) == pytest.approx(floats)


async def test_texts_with_common_words_are_close(ask: Ask) -> None:
    texts = ["the red house on the hill", "the red house by the hill", "quarterly tax statements"]
    near, same, far = (item["embedding"] for item in (await embedded(ask, texts))["data"])
    assert _cosine(near, same) > 0.6 > 0.4 > _cosine(near, far)


async def test_token_ids_are_counted_one_by_one(ask: Ask) -> None:
    body = await embedded(ask, [[1, 2, 3], [4]])
    assert (len(body["data"]), body["usage"]) == (2, {"prompt_tokens": 4, "total_tokens": 4})


@pytest.mark.parametrize(
    "fields", [{"input": ""}, {"input": []}, {"input": [""]}, {"input": 3}, {"input": "x", "dimensions": 0},
               {"input": "x", "dimensions": 2**31},
               {"input": "x", "encoding_format": "hex"}, {"input": [[]]}],
)  # fmt: skip
async def test_embedding_refusals(ask: Ask, fields: Any) -> None:
    assert (await ask(post(EMBEDDINGS, {"model": "text-embedding-3-small", **fields}))).status == 400


async def test_embeddings_meet_behaviours_too(ask: Ask) -> None:
    received = await ask(post(EMBEDDINGS, {"model": "sandbox/error-429", "input": "x"}))
    assert received.status == 429


def _cosine(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
