"""Detectors that a test can read, and filters of them."""

from collections.abc import Sequence
from typing import Any

from llm_service.domain import Caller
from llm_service.filters import FilterOptions, LocalFilter, Match, Policies, Text


class Words:
    """Finds these words wherever they stand, as they are seen."""

    def __init__(self, *words: str, label: str = "word") -> None:
        self._words = words
        self._label = label

    def find(self, text: Text) -> Sequence[Match]:
        seen, found = text.visible, []
        for word in self._words:
            begin = seen.find(word)
            while begin >= 0:
                found.append(Match(*text.raw_span_of_visible(begin, begin + len(word)), self._label))
                begin = seen.find(word, begin + 1)
        return sorted(found)

    def open_from(self, text: Text) -> int:
        return len(text)

    def score(self, text: Text) -> float:
        """The share of its words that are there."""
        return sum(word in text.raw for word in self._words) / len(self._words)


class Broken:
    """Cannot judge anything."""

    def find(self, text: Text) -> Sequence[Match]:
        raise KeyError(text.raw)

    def open_from(self, text: Text) -> int:
        return len(text)


class Hearing:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def find(self, text: Text) -> Sequence[Match]:
        self.heard.append(text.raw)
        return ()

    def open_from(self, text: Text) -> int:
        return len(text)


def a_filter(*words: str, label: str = "word", **given: Any) -> LocalFilter:
    """One that looks for these words."""
    fields: dict[str, Any] = {"name": "own", "type": "keywords", "action": "block", **given}
    return LocalFilter(**{"detector": Words(*words, label=label), **fields})


def built(options: FilterOptions, words: Sequence[str]) -> LocalFilter | None:
    """The filter of settings, looking for their words as they are written."""
    if options.type in ("allowed_models", "moderation", "allowed_topics"):
        return None
    return a_filter(
        *words,
        name=options.called,
        type=options.type,
        action=options.action,
        on_failure=options.on_failure,
        reversible=options.reversible,
    )


def policies(*filters: FilterOptions) -> Policies:
    """Those of settings, each of which finds its words alone."""
    return Policies(filters, build=built, words=lambda options: options.words)


def caller(key_id: str = "key_a") -> Caller:
    return Caller(key_id=key_id, scopes=frozenset({"inference"}))
