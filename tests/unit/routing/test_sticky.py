"""What requests that begin alike have in common, and where they go."""

from dataclasses import replace
from typing import Any

import pytest

from llm_service.domain import ModelRequest, chat_request, completion_request, embedding_request
from llm_service.routing import preferred, prefix_digest
from tests.support.ways import Stand, ways_of

SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "Hello"}


def digest(*messages: Any, model: str = "m", **fields: Any) -> bytes:
    return prefix_digest(chat_request({"model": model, "messages": list(messages), **fields}))


def unchecked(request: ModelRequest, **fields: object) -> bytes:
    """The digest of a request whose body nobody has looked at."""
    return prefix_digest(replace(request, body={**request.body, **fields}))


def test_what_follows_the_first_question_makes_no_difference() -> None:
    more = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "How are you?"}]
    assert digest(SYSTEM, USER, *more, temperature=1, stream=True) == digest(SYSTEM, USER)


@pytest.mark.parametrize(
    "other",
    [
        digest(SYSTEM, USER, model="n"),
        digest({**SYSTEM, "content": "Be brief."}, USER),
        digest({**SYSTEM, "role": "developer"}, USER),
        digest(SYSTEM, {**USER, "content": "Good morning"}),
        digest(USER),
        digest({**SYSTEM, "content": "Be kind.Hello"}, {**USER, "content": ""}),
        digest(SYSTEM, USER, prompt_cache_key="k"),
    ],
)
def test_other_beginnings_are_told_apart(other: bytes) -> None:
    assert other != digest(SYSTEM, USER)


def test_a_text_in_parts_is_the_same_text() -> None:
    parts = [
        {"type": "text", "text": "Hel"},
        {"type": "image_url", "image_url": {"url": "https://a.test"}},
        {"type": "text", "text": "lo"},
    ]
    assert digest({"role": "user", "content": parts}) == digest(USER)


def test_what_an_assistant_says_first_makes_no_difference() -> None:
    assert digest({"role": "assistant", "content": "Welcome!"}, USER) == digest(USER)


def test_two_kibibytes_are_enough() -> None:
    long = {"role": "system", "content": "x" * 2048}
    assert digest({**long, "content": "x" * 5000}, USER) == digest(long)
    assert digest({**long, "content": "x" * 2047 + "y"}) != digest(long)
    parts = [{"type": "text", "text": "x" * 2000}] * 2
    assert digest({**long, "content": parts}) == digest(long)


def test_the_clients_own_key_says_what_belongs_together() -> None:
    other = {"role": "user", "content": "Good morning"}
    assert digest(USER, prompt_cache_key="k") == digest(other, prompt_cache_key="k")
    assert digest(USER, prompt_cache_key="k") != digest(USER, prompt_cache_key="l")
    assert digest(USER, prompt_cache_key="k") != digest(USER, prompt_cache_key="k", model="n")


@pytest.mark.parametrize("key", [None, "", 7, ["k"]])
def test_what_is_no_key_is_none(key: object) -> None:
    assert digest(USER, prompt_cache_key=key) == digest(USER)


@pytest.mark.parametrize("content", [None, [], "", "\ud800", [{"type": "text"}], [{"type": "text", "text": 7}]])
def test_any_message_has_a_digest(content: object) -> None:
    assert (
        len(unchecked(chat_request({"model": "m", "messages": [USER]}), messages=[{**USER, "content": content}])) == 32
    )


@pytest.mark.parametrize("prompt", ["x", ["x", "y"], [1, 2], [[1, 2], [3]], [], [None], [[[1]]], "\ud800"])
def test_any_prompt_has_a_digest(prompt: object) -> None:
    assert len(unchecked(completion_request({"model": "m", "prompt": "x"}), prompt=prompt)) == 32
    assert len(unchecked(embedding_request({"model": "m", "input": "x"}), input=prompt)) == 32


def test_what_is_no_token_id_is_not_read() -> None:
    """It would be written out, however large it is."""
    request = completion_request({"model": "m", "prompt": "x"})
    digests = {unchecked(request, prompt=[[found, 1]]) for found in ("x", [2], {})}
    assert len(digests) == 1


def test_prompts_are_told_apart_by_their_beginning() -> None:
    prompts: list[object] = ["x", "y", [1, 2], [12], [1, 3], "x" * 2048, "x" * 2047 + "y"]
    digests = [prefix_digest(completion_request({"model": "m", "prompt": prompt})) for prompt in prompts]
    assert len(set(digests)) == len(prompts)
    assert digests[0] == prefix_digest(completion_request({"model": "m", "prompt": ["x", "z"]}))
    assert digests[5] == prefix_digest(completion_request({"model": "m", "prompt": "x" * 3000}))


def test_every_process_finds_the_same_digest_and_the_same_way() -> None:
    """Written down, so that a mixed fleet of releases sticks together, or somebody knows that it does not."""
    found = digest(SYSTEM, USER)
    assert found.hex() == "66c402df4826472da3441dea3bfd03f16c821594a4518a2ae4c3a0797c9d43b0"
    assert preferred(found, ways_of([1] * 100), [Stand()] * 100) == 98


def test_exactly_its_bound_is_not_too_much() -> None:
    """Of two that weigh the same: 6 is 1.25 times the mean of 6 and 2, plus 1."""
    ways = ways_of([1, 1])
    for number in range(20):
        chosen = preferred(bytes([number]), ways, [Stand(), Stand()])
        loads = [6 if place == chosen else 2 for place in range(2)]
        assert preferred(bytes([number]), ways, [Stand(in_flight=load) for load in loads]) == chosen
        loads[chosen] += 1
        assert preferred(bytes([number]), ways, [Stand(in_flight=load) for load in loads]) != chosen


def test_the_only_way_is_taken_however_busy() -> None:
    assert preferred(b"", ways_of([1]), [Stand(in_flight=1000)]) == 0


def test_a_higher_priority_number_is_never_preferred() -> None:
    ways, stands = ways_of([1, 100, 1], [1, 1, 0]), [Stand(), Stand(), Stand(in_flight=1000)]
    assert {preferred(bytes([number]), ways, stands) for number in range(50)} == {2}
