"""What a message repeats of what was said is noticed; words that happen to be the same are not."""

import time
from typing import Any

import pytest

from llm_service.domain import quotes
from tests.support.timed import within

BODY: dict[str, Any] = {
    "model": "gpt-4o-mini-2024",
    "messages": [
        {"role": "assistant", "content": "My mother's maiden name\n  is Quackenbush, in case you wonder."},
        {"role": "user", "content": [{"type": "input_text", "text": "Open sesame"}], "name": "ali_baba_the_first"},
    ],
    "stop": ["END OF STORY"],
    "max_tokens": 5,
    "metadata": {"note": "a private note"},
}


@pytest.mark.parametrize(
    "message",
    [
        "Invalid content: Open sesame",
        "mother's maiden name is Quackenbush",
        "...her's maiden name is Quack...",
        'body: {"stop": ["END OF STORY"]}',
        "metadata: 'a private note' is not allowed",
        "Invalid: My   mother's maiden name is",
    ],
)
def test_what_repeats_a_text_is_noticed(message: str) -> None:
    assert quotes(message, BODY)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "'max_tokens' must be a number, not 'x'.",
        "The model `gpt-4o-mini-2024` does not exist.",
        "Unknown role 'assistant'; the type is input_text; ali_baba_the_first is no name.",
        "My mother is not the matter",
        "This model's maximum context length is 128000 tokens.",
    ],
)
def test_other_words_are_not(message: str) -> None:
    assert not quotes(message, BODY)


@pytest.mark.parametrize("at", range(24))
def test_seventeen_characters_in_a_row_are_enough_wherever_they_stand(at: int) -> None:
    said = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
    assert quotes(f"{'.' * at}{said[at : at + 17]}...", [said])
    assert not quotes(f"{'.' * at}{said[at : at + 15]}...", [said])


@pytest.mark.timed
def test_deep_and_large_values_cost_little() -> None:
    deep: Any = "the text that lies so deep"
    for _ in range(500):
        deep = [deep]
    begun_at = time.process_time()
    assert not quotes("the text that lies so deep", deep)
    assert not quotes("b" * 500, {"messages": [{"content": "ab" * 500_000}, {"content": "b" * 15 + "a"}]})
    within(time.process_time() - begun_at, 1)
