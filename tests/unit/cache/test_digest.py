"""The same request has the same digest, and any other one another."""

import json
import unicodedata
from hashlib import sha256
from typing import Any

import orjson
import pytest

from llm_service.cache import digest_of
from llm_service.domain import Body, Operation

DEPLOYMENTS = (("deepseek", "https://api.deepseek.com", "deepseek-chat"),)
CHAT: Body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def digest(body: Body, operation: Operation = "chat", **parts: Any) -> bytes | None:
    return digest_of(operation, body, **{"scope": "key:a", "deployments": DEPLOYMENTS, **parts})


def of(text: str) -> bytes | None:
    return digest(orjson.loads(text))


def nested(levels: int) -> Body:
    value: Any = 1.0
    for _ in range(levels):
        value = [value]
    return {**CHAT, "deep": value}


def test_a_digest_is_the_same_in_every_process_and_release() -> None:
    """Answers outlive processes in a shared store: whoever changes the form counts its version up."""
    head = b'[1,"chat","key:a","",[["deepseek","https://api.deepseek.com","deepseek-chat"]]]'
    assert (
        digest({**CHAT, "stream": True})
        == sha256(head + b'{"messages":[{"content":"Hi","role":"user"}],"model":"m"}').digest()
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": {"c": 2, "d": 3}}', '{"b":{"d":3,"c":2},"a":1}'),
        ('{"a": 1.0}', '{"a": 1}'),
        ('{"a": [[1e3]]}', '{"a": [[1000]]}'),
        ('{"a": -0.0}', '{"a": 0}'),
        ('{"a": {"b": 9007199254740991.0}}', '{"a": {"b": 9007199254740991}}'),
        ('{"a": "\\u00fc"}', '{"a": "u\\u0308"}'),
        ('{"\\u00fc": [1.5]}', '{"u\\u0308": [1.50]}'),
        ('{"a": "v1.0, \\u00fc", "b": 2.0}', '{"a": "v1.0, u\\u0308", "b": 2}'),
        ('{"a": 1, "stream": true, "stream_options": {"include_usage": true}}', '{"a": 1}'),
        ('{"a": 1, "stream": false, "stream_options": {}}', '{"a": 1}'),
        ('{"stream_options": {"include_obfuscation": false, "new": 1}}', '{"stream_options": {"new": 1}}'),
    ],
)
def test_another_way_to_write_it_is_the_same_request(one: str, other: str) -> None:
    assert of(one) == of(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 0.0}', '{"a": false}'),
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": null}', "{}"),
        ('{"a": null}', '{"a": ""}'),
        ('{"a": []}', '{"a": {}}'),
        ('{"a": 1}', '{"a": 1.0000000000000002}'),
        ('{"a": 9007199254740993}', '{"a": 9007199254740992}'),
        ('{"a": "v1.0, x", "b": 1.0}', '{"a": "v1, x", "b": 1.0}'),
        ('{"a": "x"}', '{"a": "x "}'),
        ('{"a": "\\ufb01"}', '{"a": "fi"}'),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": {"stream": true}}', '{"a": {"stream": false}}'),
        ('{"include_usage": true}', '{"include_usage": false}'),
        ('{"stream_options": {"new": 1}}', '{"stream_options": {"new": 2}}'),
        ('{"temperature": 0}', "{}"),
        ('{"temperature": 0}', '{"temperature": null}'),
        ('{"Model": "m"}', '{"model": "m"}'),
    ],
)
def test_what_may_make_another_answer_is_another_request(one: str, other: str) -> None:
    assert of(one) != of(other)
    assert None not in (of(one), of(other))


@pytest.mark.parametrize(
    "parts",
    [
        {"operation": "completion"},
        {"scope": "key:b"},
        {"scope": "user:a"},
        {"scope": "global"},
        {"policy_version": "2"},
        {"deployments": ()},
        {"deployments": (("other", *DEPLOYMENTS[0][1:]),)},
        {"deployments": (("deepseek", "http://127.0.0.1:1", "deepseek-chat"),)},
        {"deployments": (("deepseek", "https://api.deepseek.com", "deepseek-reasoner"),)},
        {"deployments": (*DEPLOYMENTS, *DEPLOYMENTS)},
    ],
)
def test_everything_around_the_body_counts(parts: dict[str, Any]) -> None:
    assert digest(CHAT, **parts) != digest(CHAT)


def test_the_order_of_the_deployments_counts() -> None:
    further = ("plain", "http://127.0.0.1:1", "m")
    assert digest(CHAT, deployments=(*DEPLOYMENTS, further)) != digest(CHAT, deployments=(further, *DEPLOYMENTS))


@pytest.mark.parametrize(
    "body",
    [
        {"a": "\ud800"},
        {"\udfff": 1},
        {"a": [2**64]},
        {"\u00fc": 1, "u\u0308": 2},
        {"a": {"\u00fc": 1, "u\u0308": 2}},
        nested(300),
        nested(5_000),
    ],
)
def test_what_has_no_one_form_is_not_cached(body: Body) -> None:
    assert digest(body) is None


def test_a_tenant_that_cannot_be_written_is_not_cached() -> None:
    assert digest(CHAT, scope="user:\ud800") is None


def test_a_body_of_250_levels_is_normalised_to_its_bottom() -> None:
    assert digest(nested(250)) == of(json.dumps(nested(250)).replace("1.0", "1")) is not None


def test_a_long_body_keeps_its_sorted_names_and_plain_numbers() -> None:
    prompt = list(range(100_000))
    made = digest({"model": "m", "prompt": prompt, "temperature": 1.0, "top_p": 0.5})
    assert made == digest({"top_p": 0.5, "temperature": 1, "prompt": prompt, "model": "m"}) is not None
    assert made != digest({"model": "m", "prompt": [*prompt[:-1], 0], "temperature": 1.0, "top_p": 0.5})
    assert made != digest({"model": "m", "prompt": prompt, "temperature": True, "top_p": 0.5})


def test_a_long_body_is_not_normalised_at_everybodys_cost() -> None:
    text = "Gr\u00fc\u00dfe. " * 10_000
    assert digest({"prompt": text}) != digest({"prompt": unicodedata.normalize("NFD", text)})


def test_the_body_stays_as_it_was() -> None:
    body = {"stream": True, "stream_options": {"include_usage": True, "x": 1.0}, "a": ["u\u0308", 1.0]}
    before = repr(body)
    digest(body)
    assert repr(body) == before
