"""Counts what a broken-off or silent answer used: keeps what came of it, and looks at it only when asked."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from llm_service.domain import Usage

CountText = Callable[[str], int]
"""Output tokens of a text, by the tokenizer of the model. Called from another thread for long texts."""
CountInput = Callable[[], int]
"""Input tokens of the request. Called from another thread for long requests."""

MOST_KEPT_BYTES: Final = 1024 * 1024
MOST_INLINE_BYTES: Final = 32 * 1024
"""More is counted in a thread, so that no other request waits for it."""
_TEXTS: Final = ("content", "refusal")
_REASONING: Final = ("reasoning_content", "reasoning")  # two names of the same


class Meter:
    """The pieces of one answer. ``see`` is called once for each piece and does next to nothing.

    Beyond 1 MiB only lengths are kept; what came later is then counted by what the first part had in tokens a byte.
    """

    __slots__ = ("_kept", "_kept_bytes", "_later_bytes")

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._later_bytes = 0

    def see(self, raw: bytes) -> None:
        """Take the JSON bytes of a chunk, or of a whole answer."""
        if self._kept_bytes < MOST_KEPT_BYTES:
            self._kept.append(raw)
            self._kept_bytes += len(raw)
        else:
            self._later_bytes += len(raw)

    async def usage(self, count_text: CountText, count_input: CountInput, *, input_bytes: int) -> Usage:
        """An estimate of all tokens; ``input_bytes``: about how much ``count_input`` has to look at."""
        if self._kept_bytes + input_bytes > MOST_INLINE_BYTES:
            return await asyncio.to_thread(self.count, count_text, count_input)
        return self.count(count_text, count_input)

    def count(self, count_text: CountText, count_input: CountInput) -> Usage:
        """The same at once, in the caller's thread."""
        texts, reasonings = _texts_of(self._kept)
        reasoning = sum(map(count_text, reasonings))
        output = reasoning + sum(map(count_text, texts))
        if self._later_bytes:
            reasoning, output = self._stretched(reasoning), self._stretched(output)
        return Usage(input_tokens=count_input(), output_tokens=output, reasoning_tokens=reasoning)

    def _stretched(self, tokens: int) -> int:
        return -(-tokens * (self._kept_bytes + self._later_bytes) // self._kept_bytes)


def _texts_of(pieces: Iterable[bytes]) -> tuple[list[str], list[str]]:
    """What was written, and what was thought: a text for each choice, message part and tool call."""
    texts: dict[tuple[Any, ...], list[str]] = {}
    reasonings: dict[tuple[Any, ...], list[str]] = {}
    for raw in pieces:
        for number, choice in enumerate(_choices(raw)):
            index = choice.get("index", number)
            message = choice.get("delta") or choice.get("message") or choice
            if not isinstance(message, Mapping):
                continue
            for part, text in _written(message):
                texts.setdefault((index, *part), []).append(text)
            if thought := next(filter(None, (_text(message, name) for name in _REASONING)), ""):
                reasonings.setdefault((index,), []).append(thought)
    return list(map("".join, texts.values())), list(map("".join, reasonings.values()))


def _choices(raw: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        chunk = _decoded(raw)
    except ValueError:  # not JSON, so nobody can have read anything in it
        return
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            yield choice


def _decoded(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:  # half a surrogate pair passes here
        return json.loads(raw)


def _written(message: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    for name in (*_TEXTS, "text"):
        if text := _text(message, name):
            yield (name,), text
    calls = message.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, Mapping):
            yield from _call(("call", call.get("index", number)), call.get("function"))
    yield from _call(("call",), message.get("function_call"))


def _call(part: tuple[Any, ...], function: object) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(function, Mapping):
        for name in ("name", "arguments"):
            if text := _text(function, name):
                yield (*part, name), text


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
