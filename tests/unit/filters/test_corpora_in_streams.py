"""The corpora of the filters, cut into events: a stream says what the whole answer says, wherever it is cut."""

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest

from llm_service.filters import LONGEST_HOLD, Detector, FilterOptions, LocalFilter, Text
from llm_service.filters.keywords import keyword_detector
from llm_service.filters.patterns import regex_detector
from llm_service.filters.pii import pii_detector
from llm_service.filters.secrets import secret_detector
from tests.support.filtering import (
    a_filter,
    a_sieve,
    ending,
    pieces_of,
    saying,
    sifted,
    texts_in,
    texts_of_whole,
    whole_answer,
)
from tests.support.secret_forms import filled_corpus

CORPORA: Final = Path(__file__).parents[2] / "corpora" / "filters"
IN_CHARACTERS: Final = 4
AT_EACH_PLACE: Final = 40
"""One text in so many comes character by character, and is cut in two at each place."""
UNSEEN: Final = 12
"""Characters at the end of a long match."""


def rows(kind: str) -> list[str]:
    path = CORPORA / f"{kind}.json"
    return [str(row["text"]) for row in (filled_corpus(path) if kind == "secrets" else json.loads(path.read_bytes()))]


def detector(kind: str) -> Detector:
    path = CORPORA / f"{kind}.options.json"
    told = json.loads(path.read_bytes()) if path.exists() else {}
    words = told.pop("words", ())
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    options = FilterOptions(type=kind, **given)  # type: ignore[arg-type]
    if kind == "keywords":
        return keyword_detector(options, words)
    return {"regex": regex_detector, "pii": pii_detector, "secrets": secret_detector}[kind](options)


@pytest.mark.parametrize("kind", ["keywords", "regex", "pii", "secrets"])
def test_a_stream_says_what_the_whole_answer_says(kind: str) -> None:
    finder = detector(kind)
    found = a_filter(finder, action="mask")
    for at, text in enumerate(rows(kind)):
        characters = [list(range(1, len(text)))] if at % IN_CHARACTERS == 0 else []
        halves = ([cut] for cut in range(1, len(text))) if at % AT_EACH_PLACE == 0 else ()
        expected = None
        for cuts in chain(characters, halves):
            expected = expected or texts_of_whole(sifted(whole_answer({"content": text}), [found]).raw)
            said = streamed(found, pieces_of(text, cuts))
            long = [match for match in finder.find(Text(text)) if match.end - match.begin > LONGEST_HOLD]
            if long:  # the beginning may have gone before it was known
                assert not any(text[match.end - UNSEEN : match.end] in said[0, "content"] for match in long), (
                    text,
                    cuts,
                )
            else:
                assert said == expected, (text, cuts)


def streamed(found: LocalFilter, pieces: Sequence[str]) -> dict[tuple[Any, ...], str]:
    sieve = a_sieve([found])
    out = []
    for event in saying(*({"content": piece} for piece in pieces)):
        out += sieve.feed([event], 0.0)
    return texts_in([*out, *sieve.feed(ending(len(pieces) + 1), 0.0)])
