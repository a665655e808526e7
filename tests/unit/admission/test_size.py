"""How much one request may use."""

import pytest

from llm_service.admission import asked_cap, choices
from llm_service.domain import Body, chat_request, completion_request

CHAT: Body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("fields", "cap"),
    [
        ({}, None),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 20}, 20),
        ({"max_tokens": 10, "max_completion_tokens": 20}, 20),
        ({"max_tokens": None}, None),
    ],
)
def test_the_cap_is_what_the_request_names(fields: Body, cap: int | None) -> None:
    assert asked_cap(chat_request({**CHAT, **fields})) == cap


@pytest.mark.parametrize(("fields", "count"), [({}, 1), ({"n": 3}, 3), ({"n": None}, 1), ({"best_of": 4}, 1)])
def test_each_choice_of_a_chat_is_paid_for(fields: Body, count: int) -> None:
    assert choices(chat_request({**CHAT, **fields})) == count


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": ["a", "b"]}, 2),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1], [2]]}, 2),
        ({"prompt": ["a", "b"], "best_of": 3}, 6),
        ({"prompt": "a", "n": 2, "best_of": 3}, 3),
    ],
)
def test_each_prompt_and_each_try_of_a_text_completion_is_paid_for(fields: Body, count: int) -> None:
    assert choices(completion_request({"model": "m", **fields})) == count
