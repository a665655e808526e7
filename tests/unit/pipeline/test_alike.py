"""What an answer says, and the semantic cache from one generation of the settings to the next."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from llm_service.bootstrap.semantic import SemanticHome
from llm_service.cache import SemanticOptions
from llm_service.domain import KeptAnswer
from llm_service.pipeline.alike import text_of
from tests.support.answers import kept_answer
from tests.support.clock import ManualClock
from tests.support.embedding import with_packages
from tests.support.service import LogLines

WHOLE = {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop"}]}


def whole(message: dict[str, Any]) -> KeptAnswer:
    choice = {**WHOLE["choices"][0], "message": {"role": "assistant", **message}}  # type: ignore[dict-item]
    body = orjson.dumps({**WHOLE, "choices": [choice]})
    return replace(kept_answer(at=0), form="whole", pieces=(body,), kinds="")


def streamed(*deltas: dict[str, Any]) -> KeptAnswer:
    pieces = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    pieces.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    raw = tuple(orjson.dumps(piece) for piece in pieces)
    return replace(kept_answer(at=0), pieces=raw, kinds="c" * len(deltas) + "f")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (whole({"content": "Paris."}), "Paris."),
        (streamed({"role": "assistant", "content": "Pa"}, {"content": "ris."}), "Paris."),
        (whole({"content": None, "refusal": "No."}), None),
        (streamed({"reasoning_content": "Hm."}), None),
    ],
)
def test_an_answer_says_the_text_of_its_first_choice(answer: KeptAnswer, text: str | None) -> None:
    assert text_of(answer) == text


@with_packages
def test_what_was_learned_outlives_other_settings_until_it_is_turned_off() -> None:
    home = SemanticHome(ManualClock(), LogLines())
    assert home.under(SemanticOptions()) is None
    first = home.under(SemanticOptions(enabled=True))
    changed = SemanticOptions(enabled=True, mode="serve", threshold=0.99)
    assert first is not None
    assert home.under(changed) is first
    assert first.options == changed
    assert home.under(SemanticOptions()) is None
    assert home.cache is None
    assert home.under(changed) is not first
    home.close()
