"""Filters that find plain words, answers in both forms, and what of them reaches a client."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal

import orjson

from llm_service.domain import Event, FilterAction
from llm_service.filters import Filters, LocalFilter, Masks, Match, Sieve, Sifted, Text, sift_whole
from llm_service.streams import encode

BAD: Final = "forbidden"
MAIL: Final = "jo@x.org"
_UNSEEN: Final = "\u200b"


class Words:
    """Finds words wherever they stand, in small letters; characters that nobody sees do not count.

    ``whole``: only where no letter follows.
    """

    def __init__(self, *words: str, label: str = "word", whole: bool = False) -> None:
        self._words = words
        self._label = label
        self._whole = whole

    def find(self, text: Text) -> Sequence[Match]:
        seen, at = _seen(text.raw)
        ends = r"(?![a-z])" if self._whole else ""
        return sorted(
            Match(at[found.start()], at[found.start() + len(word) - 1] + 1, self._label)
            for word in self._words
            for found in re.finditer(f"(?={re.escape(word)}{ends})", seen)
        )

    def open_from(self, text: Text) -> int:
        seen, at = _seen(text.raw)
        for begin, place in enumerate(at):
            tail = seen[begin:]
            for word in self._words:
                if word.startswith(tail) and (self._whole or word != tail):
                    return place
        return len(text)


class Broken:
    """Cannot judge."""

    def find(self, text: Text) -> Sequence[Match]:
        raise RuntimeError("broken")

    def open_from(self, text: Text) -> int:
        return len(text)


def _seen(raw: str) -> tuple[str, list[int]]:
    at = [place for place, character in enumerate(raw) if character != _UNSEEN]
    return "".join(raw[place] for place in at).lower(), at


def a_filter(
    detector: Any = None,
    *,
    name: str = "words",
    action: FilterAction = "block",
    on_failure: Literal["open", "closed"] = "closed",
    reversible: bool = False,
) -> LocalFilter:
    return LocalFilter(
        name=name,
        type="keywords",
        action=action,
        detector=detector or Words(BAD),
        on_failure=on_failure,
        reversible=reversible,
    )


def a_sieve(filters: Filters, masks: Masks | None = None, *, is_json: bool = False) -> Sieve:
    return Sieve(filters, masks, encode=encode, report=unexpected, is_json=is_json)


def unexpected(name: str, defect: Exception) -> None:
    raise AssertionError(name) from defect


def ignored(name: str, defect: Exception) -> None:
    """Of no interest."""


def saying(*deltas: Mapping[str, Any], seq: int = 1) -> list[Event]:
    """Events with one delta each; ``choice`` in one is its choice."""
    events: list[Event] = []
    for at, delta in enumerate(deltas):
        said = {name: value for name, value in delta.items() if name != "choice"}
        choice = {"index": delta.get("choice", 0), "delta": said, "finish_reason": None}
        chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        events.append(Event(seq + at, orjson.dumps(chunk, option=orjson.OPT_INDENT_2), chunk=chunk))
    return events


def ending(seq: int, *, choices: Sequence[int] = (0,), usage: bool = True) -> list[Event]:
    """The terminal events of a stream that ended well."""
    around = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    ends = [{"index": index, "delta": {}, "finish_reason": "stop"} for index in choices]
    events = [Event(seq, orjson.dumps({**around, "choices": ends}), "finish")]
    if usage:
        counts = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        events.append(Event(seq + 1, orjson.dumps({**around, "choices": [], "usage": counts}), "usage"))
    return events


def whole_answer(*messages: Mapping[str, Any]) -> bytes:
    """A whole answer with these choices."""
    choices = [
        {"index": index, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}
        for index, message in enumerate(messages)
    ]
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    return orjson.dumps(body, option=orjson.OPT_INDENT_2)


def sifted(whole: bytes, filters: Filters, masks: Masks | None = None, *, is_json: bool = False) -> Sifted:
    return sift_whole(whole, filters, masks, encode=encode, report=unexpected, is_json=is_json)


def texts_in(events: Sequence[Event]) -> dict[tuple[Any, ...], str]:
    """Each text that a client puts together from the events' own bytes: by choice, and where it stands there."""
    texts: dict[tuple[Any, ...], str] = {}
    for event in events:
        for choice in orjson.loads(event.raw)["choices"] if event.raw else ():
            for key, text in _spoken(choice.get("delta") or choice.get("message") or choice):
                texts[choice["index"], *key] = texts.get((choice["index"], *key), "") + text
    return texts


def texts_of_whole(whole: bytes) -> dict[tuple[Any, ...], str]:
    return texts_in([Event(1, whole)])


def finish_reasons(raw: bytes) -> list[str | None]:
    return [choice["finish_reason"] for choice in orjson.loads(raw)["choices"]]


def _spoken(said: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    for name in ("content", "reasoning", "reasoning_content", "refusal", "text"):
        if said.get(name):
            yield (name,), said[name]
    for at, call in enumerate(said.get("tool_calls") or ()):
        if call["function"].get("arguments"):
            yield ("call", call.get("index", at)), call["function"]["arguments"]


def pieces_of(text: str, cuts: Sequence[int]) -> list[str]:
    """The text in pieces, cut at these places."""
    places = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[begin:end] for begin, end in pairwise(places)]
