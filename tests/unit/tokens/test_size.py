"""A prompt surely has no fewer tokens than is said, so that nothing is refused that fits."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.domain import InvalidValue, chat_request, completion_request, embedding_request
from llm_service.tokens import Tokenizers
from tests.support.timed import within

WORDS = "The quick brown fox jumps over the lazy dog. "
TOOL = {"type": "function", "function": {"name": "f", "description": WORDS, "parameters": {"type": "object"}}}
BEYOND = 10**9


def chat(*contents: Any, **fields: Any) -> Any:
    return chat_request({"model": "m", "messages": [{"role": "user", "content": one} for one in contents], **fields})


@pytest.mark.parametrize("model", ["gpt-4o", "deepseek-v4-flash"])
def test_with_the_model_s_own_vocabulary_least_and_about_are_near(tokenizers: Tokenizers, model: str) -> None:
    size = tokenizers.size_prompt(model, chat(WORDS * 1000), up_to=BEYOND)
    counted = tokenizers.count_text(model, WORDS * 1000).tokens
    assert counted * 0.98 <= size.least <= counted <= size.about <= counted + 3
    assert size.most == size.about


def test_without_one_there_is_a_wide_margin(tokenizers: Tokenizers) -> None:
    request = chat(WORDS * 1000)
    estimated, counted = (tokenizers.size_prompt(model, request, up_to=BEYOND) for model in ("unknown", "gpt-4o"))
    assert estimated.least < counted.least < estimated.most
    assert estimated.least * 2 < estimated.most
    assert estimated.least < estimated.about < estimated.most


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4), st.booleans())
@settings(deadline=None, max_examples=60)
def test_it_never_exceeds_what_is_counted(tokenizers: Tokenizers, texts: list[str], with_tools: bool) -> None:
    request = chat(*texts, [{"type": "text", "text": texts[0]}], **({"tools": [TOOL]} if with_tools else {}))
    for model in ("gpt-4o", "unknown"):
        size = tokenizers.size_prompt(model, request, up_to=BEYOND)
        assert size.least <= tokenizers.count_input(model, request).tokens
        assert size.least <= size.most


def test_thoughts_media_and_unknown_fields_make_it_no_longer(tokenizers: Tokenizers) -> None:
    message = {"role": "assistant", "content": WORDS, "reasoning_content": WORDS * 50, "of_mine": WORDS * 50}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    more = chat_request({"model": "m", "messages": [message, {"role": "user", "content": [picture]}]})
    found, plain = (tokenizers.size_prompt("gpt-4o", one, up_to=BEYOND) for one in (more, chat(WORDS)))
    assert found.least == plain.least
    assert found.most > plain.most + 500  # the picture, by rule of thumb


def test_tools_that_cannot_be_sent_on_are_the_caller_s_mistake(tokenizers: Tokenizers) -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"x": deep}
    request = chat(WORDS, tools=[{"type": "function", "function": {"name": "f", "parameters": deep}}])
    with pytest.raises(InvalidValue, match="nested too deeply"):
        tokenizers.size_prompt("gpt-4o", request, up_to=BEYOND)


def test_calls_of_tools_count(tokenizers: Tokenizers) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": WORDS * 10}}
    request = chat_request({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]})
    assert tokenizers.size_prompt("gpt-4o", request, up_to=BEYOND).least > 90


def test_token_ids_and_texts_of_other_operations_count(tokenizers: Tokenizers) -> None:
    ids = embedding_request({"model": "m", "input": [[1] * 700, [2] * 300]})
    assert tokenizers.size_prompt("gpt-4o", ids, up_to=BEYOND).least == 1000
    texts = completion_request({"model": "m", "prompt": [WORDS * 10, WORDS * 10], "suffix": WORDS})
    assert tokenizers.size_prompt("gpt-4o", texts, up_to=BEYOND).least > 200


@pytest.mark.timed
def test_of_what_is_far_too_long_only_the_beginning_is_read(tokenizers: Tokenizers) -> None:
    request = chat(WORDS * 200_000, WORDS)  # 9 MB
    begun = time.perf_counter()
    size = tokenizers.size_prompt("gpt-4o", request, up_to=10_000)
    within(time.perf_counter() - begun, 1.0)
    assert 10_000 < size.least < 50_000
    assert size.about == pytest.approx(2_000_000, rel=0.1)
