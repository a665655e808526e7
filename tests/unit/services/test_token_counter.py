"""Counting waits for a vocabulary without keeping the event loop from others."""

import threading

import pytest

from llm_service.domain import Candidate, chat_request
from llm_service.services import TokenCounter
from llm_service.tokens import Tokenizer, Tokenizers
from llm_service.tokens.deepseek import load_deepseek

MODEL = "deepseek-flash"
ASKED = chat_request({"model": MODEL, "messages": [{"role": "user", "content": "Hello."}]}, 80)


async def test_a_vocabulary_is_loaded_beside_the_event_loop_and_once() -> None:
    loaded_in = list[str]()

    def load() -> Tokenizer:
        loaded_in.append(threading.current_thread().name)
        return load_deepseek()

    tokenizers = Tokenizers(on_fallback=lambda fault: pytest.fail(str(fault)), loaders={"deepseek": load})
    counter = TokenCounter(tokenizers)
    assert not tokenizers.has(MODEL)
    for _ in range(2):
        assert await counter.count_prompt(ASKED, Candidate(provider="deepseek", upstream_model=MODEL)) > 0
    await counter.ready(MODEL)
    assert tokenizers.has(MODEL)
    assert len(loaded_in) == 1
    assert loaded_in != [threading.main_thread().name]
