"""Errors after the head: the forms in which providers break off a stream that has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import orjson

from llm_service.domain import fact_in_order
from llm_service.sandbox.messages import Json
from llm_service.sandbox.stream import DONE, Item, Mark

STYLES: Final = ("documented", "string-code", "after-finish", "bare-finish", "groq", "vllm", "in-choice")


@fact_in_order
class MidError:
    """What an error event is made of: the fields that all chunks share, the error object, the usage so far."""

    base: Json
    error: Json
    usage: Callable[[], Json]
    in_chunk: bool  # the provider puts the error beside the choices of a chunk

    def events(self, style: str) -> Iterator[Item]:
        """The last events of the stream."""
        if style == "groq":
            yield _item({"error": {**self.error, "status_code": 400}}, event="error")
        elif style == "vllm":
            yield _item({"error": {**self.error, "code": 500}})
            yield Item(Mark.DONE, DONE)
        elif style == "after-finish":
            yield from self._after_finish()
        elif style == "bare-finish":
            yield from self._bare_finish()
        elif style == "string-code":
            yield self._chunk({"code": "server_error", "message": self.error.get("message")})
        else:
            yield self._chunk(self.error)

    def _chunk(self, error: Json) -> Item:
        if not self.in_chunk:
            return _item({"error": error})
        return _item({**self.base, "error": error, "choices": [_choice("error")]})

    def _after_finish(self) -> Iterator[Item]:
        """As recorded in November 2025: two finish chunks, then an error that takes the finish reason back."""
        for _ in range(2):
            yield _item({**self.base, "choices": [_choice("length", native="length")]})
        error = {"code": 400, "message": "Token limit reached"}
        yield _item({**self.base, "error": error, "choices": [_choice(None)], "usage": self.usage()})
        yield Item(Mark.DONE, DONE)

    def _bare_finish(self) -> Iterator[Item]:
        finish = {**self.base, "choices": [_choice("error", native="MALFORMED_FUNCTION_CALL")]}
        yield _item(finish)
        yield _item({**finish, "usage": self.usage()})
        yield Item(Mark.DONE, DONE)


def broken_off(items: Iterable[Item], error: Iterable[Item], *, after: int) -> Iterator[Item]:
    """The items up to so many content chunks, or up to the finish, then the error."""
    seen = 0
    for item in items:
        if item.mark in (Mark.FINISH, Mark.DONE) or (item.mark is Mark.CONTENT and seen >= after):
            break
        seen += item.mark is Mark.CONTENT
        yield item
    yield from error


def only_error(comment: bytes, error: Iterable[Item]) -> Iterator[Item]:
    """A stream that has begun with comments and holds nothing but an error."""
    yield Item(Mark.COMMENT, comment)
    yield Item(Mark.COMMENT, comment)
    yield from error


def _choice(finish: str | None, *, native: str | None = None) -> Json:
    choice: Json = {"index": 0, "delta": {"content": ""}, "finish_reason": finish}
    return {**choice, "native_finish_reason": native} if native else choice


def _item(body: Json, *, event: str = "") -> Item:
    return Item(Mark.OTHER, orjson.dumps(body), event=event)
