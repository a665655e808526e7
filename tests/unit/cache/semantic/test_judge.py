"""Whether two answers say the same."""

from typing import Any

import pytest

from llm_service.cache import Embedder, load_minilm
from llm_service.cache.semantic.judge import same_answer
from tests.support.embedding import with_packages


class Never:
    """An embedder that is not to be asked."""

    dimensions = 1

    def embed(self, text: str) -> Any:
        raise AssertionError(text)


@pytest.mark.parametrize(
    ("would_be", "given", "same"),
    [
        ("Paris.", " Paris. ", True),
        ("Yes, it is safe.", "No, it is safe.", False),
        ("Ja, das geht.", "Nein, das geht.", False),
        ("It is safe.", "It is not safe.", False),
        ("It isn't safe.", "It is safe.", False),
        ("It isn\u2019t safe.", "It is safe.", False),
        ("Das ist erlaubt.", "Das ist nicht erlaubt.", False),
        ("It takes 3 days.", "It takes 5 days.", False),
    ],
)
def test_what_needs_no_embedder(would_be: str, given: str, same: bool) -> None:
    assert same_answer(would_be, given, Never()) is same


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_minilm()


TOLD = (
    (
        "The capital of France is Paris.",
        "Paris is the capital of France.",
    ),
    (
        "Open Settings, choose Account, and press Reset password. You get an e-mail with a link.",
        "Go to Settings, then Account, and press Reset password. An e-mail with a link is sent to you.",
    ),
    (
        "Delivery takes 3 to 5 working days.",
        "The delivery takes 3 to 5 working days, and 10 abroad.",
    ),
)
OTHERS = (
    ("The capital of France is Paris.", "The capital of Germany is Berlin."),
    ("Open Settings and press Reset password.", "Call our support and ask them for an invoice."),
    ("Delivery takes a week.", "You can return it at any post office."),
)


@with_packages
@pytest.mark.parametrize(("would_be", "given"), TOLD)
def test_two_tellings_of_one_thing_are_the_same(would_be: str, given: str, embedder: Embedder) -> None:
    assert same_answer(would_be, given, embedder)


@with_packages
@pytest.mark.parametrize(("would_be", "given"), OTHERS)
def test_answers_to_other_questions_are_not(would_be: str, given: str, embedder: Embedder) -> None:
    assert not same_answer(would_be, given, embedder)


@with_packages
def test_long_answers_are_judged_by_their_beginnings(embedder: Embedder) -> None:
    text = "The parcel is sent with the post, and you get a link to follow it. " * 40
    assert same_answer(text, text + "Bye.", embedder)
