"""How much of the corpora is found: every disguise that is promised to be seen through, and few mistakes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from llm_service.filters import Detector, FilterOptions, Text
from llm_service.filters.keywords import keyword_detector
from llm_service.filters.patterns import regex_detector

_CORPORA: Final = Path(__file__).parents[2] / "corpora" / "filters"


def _keywords(options: Mapping[str, Any]) -> Detector:
    return keyword_detector(FilterOptions(type="keywords"), options["words"])


def _regex(options: Mapping[str, Any]) -> Detector:
    return regex_detector(FilterOptions(type="regex", patterns=tuple(options["patterns"])))


_BUILDERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Detector]]] = {"keywords": _keywords, "regex": _regex}
# What is not seen through: letters set apart or exchanged and, by patterns, letters that only look like those meant.
_UNSEEN: Final = {
    "keywords": {"leet", "spaced", "dotted", "hyphen", "typo"},
    "regex": {"cyrillic", "greek", "small_capitals", "accents", "nfd", "spaced"},
}
_RECALL: Final = {"keywords": 0.95, "regex": 0.94}
_FALSE_POSITIVES: Final = {"keywords": 0.02, "regex": 0.007}

every_corpus: Final = pytest.mark.parametrize("name", ["keywords", "regex"])


def _corpus(name: str) -> tuple[Detector, list[dict[str, Any]], list[dict[str, Any]]]:
    entries = json.loads((_CORPORA / f"{name}.json").read_text())
    options = json.loads((_CORPORA / f"{name}.options.json").read_text())
    positives = [entry for entry in entries if entry["finds"]]
    return _BUILDERS[name](options), positives, [entry for entry in entries if not entry["finds"]]


@every_corpus
def test_what_is_to_be_found_is_found(name: str) -> None:
    detector, positives, _ = _corpus(name)
    missed = [
        entry
        for entry in positives
        if {match.label for match in detector.find(Text(entry["text"]))} != set(entry["finds"])
    ]
    assert {entry["evasion"] for entry in missed} <= _UNSEEN[name]
    assert len(positives) >= 150
    assert 1 - len(missed) / len(positives) >= _RECALL[name]


@every_corpus
def test_little_else_is_found(name: str) -> None:
    detector, _, negatives = _corpus(name)
    mistaken = [entry for entry in negatives if detector.find(Text(entry["text"]))]
    assert len(negatives) >= 150
    assert len(mistaken) / len(negatives) <= _FALSE_POSITIVES[name]


@every_corpus
def test_texts_that_grow_are_judged_as_whole_ones(name: str) -> None:
    detector, positives, _ = _corpus(name)
    for entry in positives:
        raw = entry["text"]
        matches = detector.find(Text(raw))
        for cut in range(len(raw)):
            part = Text(raw[:cut])
            settled = detector.open_from(part)
            before = [match for match in detector.find(part) if match.begin < settled]
            assert before == [match for match in matches if match.begin < settled], (raw, cut)
