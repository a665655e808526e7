"""Every error says what an operator does about it."""

from collections.abc import Iterator

from llm_service.domain import LLMServiceError
from llm_service.observability.hints import HINTS


def codes(kind: type[LLMServiceError] = LLMServiceError) -> Iterator[str]:
    yield kind.code
    for below in kind.__subclasses__():
        if below.__module__.startswith("llm_service."):
            yield from codes(below)


def test_there_is_a_hint_for_each_code_and_for_no_other() -> None:
    assert set(HINTS) == set(codes())


def test_hints_are_single_sentences_or_two_and_name_no_person() -> None:
    assert [hint for hint in HINTS.values() if not hint.endswith((".", "?")) or len(hint) > 100 or "\n" in hint] == []
