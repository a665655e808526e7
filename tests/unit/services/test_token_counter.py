"""Where vocabularies are loaded, and where what is long is counted."""

import threading

import pytest

from llm_service.domain import Candidate, chat_request
from llm_service.services import TokenCounter
from llm_service.services.token_counter import MOST_INLINE_BYTES
from llm_service.tokens import Tokenizer, Tokenizers
from llm_service.tokens.deepseek import load_deepseek

MODEL = Candidate(provider="deepseek", upstream_model="deepseek-flash")
BODY = {"model": "deepseek-flash", "messages": [{"role": "user", "content": "Hello."}]}


async def test_a_vocabulary_is_loaded_by_the_event_loop_alone_and_once() -> None:
    """In a second thread its library crashes the process."""
    loaded_in = list[threading.Thread]()

    def load() -> Tokenizer:
        loaded_in.append(threading.current_thread())
        return load_deepseek()

    counter = TokenCounter(Tokenizers(on_fallback=lambda fault: pytest.fail(str(fault)), loaders={"deepseek": load}))
    long = await counter.count_prompt(chat_request(BODY, MOST_INLINE_BYTES + 1), MODEL)
    assert await counter.count_prompt(chat_request(BODY, 80), MODEL) == long
    counter.ready(MODEL.upstream_model)
    assert loaded_in == [threading.main_thread()]
